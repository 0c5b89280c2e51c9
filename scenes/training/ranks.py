"""Training by several ranks of torchrun: rank 0 leads, the others follow it between two updates.

All ranks learn every update together. Between two updates rank 0 runs the training loop, which alone logs,
saves, evaluates and stops; the others wait for its word: `GO` to learn the next update, `STATE` to hand over
what each has its own of, such as its worlds, or `STOP`. So nothing that one rank decides can leave another
one waiting in a sum of gradients.

A state holds rank 0's under its usual keys, and the other ranks' own parts under ``ranks``: their number is
that of the ranks that can go on from it.
"""

from __future__ import annotations

import hashlib
import signal
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np

from scenes.interruption import FAULTS, error_line
from scenes.schema import Scene
from scenes.training.loop import Trained, TrainingFailed
from scenes.training.trainee import Trainee
from sim.errors import RequestError
from sim.ranks import launcher
from sim.records import Array, Budget, Progress, State
from sim.storage.checkpoints import PLAIN, Card, CheckpointLayout
from supervised.distributed import ProcessGroup, RankLostError, TorchProcessGroup

GO, STATE, STOP = "go", "state", "stop"
PATIENCE = timedelta(seconds=5)  # for what a rank that fails says before it ends


@dataclass(frozen=True)
class Start:
    """What rank 0 tells the others before the first update.

    Attributes:
        folder: of the run.
        env_steps: done before, where it is resumed.
        updates: the same.
        learner: rank 0's part of the state to go on from; None at the beginning.
        parts: of the other ranks, by rank.
    """

    folder: Path
    env_steps: int = 0
    updates: int = 0
    learner: State | None = None
    parts: Mapping[str, State] | None = None


class LeadingTrainee:
    """Rank 0's trainee: a `Trainee` that takes the other ranks along.

    Attributes:
        ranks: how many there are.
        interrupted: whether another rank was asked to stop during the last update.
    """

    def __init__(self, trainee: Trainee, group: ProcessGroup) -> None:
        self._trainee, self._group, self.ranks = trainee, group, group.size
        self.unit, self.resumes_exactly = trainee.unit, trainee.resumes_exactly
        self.learning_rate, self.learning_rate_key = trainee.learning_rate, trainee.learning_rate_key
        self.interrupted = False
        self._state: State | None = None  # restored, until the others have it
        self._parts: Mapping[str, State] = {}
        self._in_step = False  # the other ranks wait for a word

    @property
    def scene(self) -> Scene:
        """See `Trainee`."""
        return self._trainee.scene

    @property
    def layout(self) -> CheckpointLayout:
        """File layout of the checkpoint: the trainee's own, or the default."""
        layout: CheckpointLayout = getattr(self._trainee, "layout", PLAIN)
        return layout

    def begin(self, done: Trained) -> None:
        """Tell the others what they begin with, once they are ready.

        Raises:
            RankLostError: if one has other weights.
        """
        digest = weights_digest(self._trainee)
        start = Start(done.folder, done.env_steps, done.updates, self._state, self._parts)
        self._group.broadcast_object(start)
        self._state = None
        check_equal(self._group.all_gather_object(digest))
        self._in_step = True

    def learn(self, budget: Budget) -> Iterator[Progress]:
        """See `Trainee`; after each update it knows whether a rank was asked to stop."""
        updates = self._trainee.learn(budget)
        self._tell(GO)
        self._in_step = False
        self._group.all_gather_object(None)  # until all ranks have their data sets
        while True:
            progress = next(updates, None)
            if progress is not None:
                self.interrupted = any(self._group.all_gather_object(False))
            self._in_step = True
            if progress is None:
                return
            yield progress
            self._tell(GO)
            self._in_step = False

    def state(self) -> State:
        """See `Trainee`: with the parts of the other ranks."""
        self._tell(STATE)
        nothing: State = {}
        _, *parts = self._group.all_gather_object(nothing)
        return self._trainee.state() | {"ranks": {str(rank): part for rank, part in enumerate(parts, 1)}}

    def restore(self, state: State) -> None:
        """See `Trainee`; the others get their parts by `begin`."""
        self._state = {key: value for key, value in state.items() if key != "ranks"}
        self._parts = state.get("ranks", {})
        self._trainee.restore(self._state)

    def weights(self) -> dict[str, Array]:
        """See `Trainee`."""
        return self._trainee.weights()

    def card(self, trained: Mapping[str, Any], scores: Mapping[str, Any]) -> Card:
        """See `Trainee`."""
        return self._trainee.card(trained, scores)

    def evaluate(self) -> dict[str, float]:
        """See `Trainee`: by this rank alone."""
        return self._trainee.evaluate()

    def estimated_rate(self, budget: Budget) -> None:
        """None: a measurement would need all ranks."""
        return

    def close(self) -> None:
        """Let the others go, unless they are in an update that failed, and close the worlds."""
        if self._in_step:
            self._in_step = False
            with suppress(RankLostError):
                self._tell(STOP)
        self._trainee.close()

    def _tell(self, word: str) -> None:
        self._group.broadcast_object(word)


def weights_digest(trainee: Trainee) -> str:
    """SHA-256 of a trainee's weights, which are equal in all ranks."""
    digest = hashlib.sha256()
    for name, array in sorted(trainee.weights().items()):
        digest.update(name.encode() + np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()


def check_equal(digests: Sequence[str]) -> None:
    """Check that all ranks have rank 0's weights.

    Raises:
        RankLostError: naming the first that has not.
    """
    for rank, digest in enumerate(digests):
        if digest != digests[0]:
            raise RankLostError(
                f"rank {rank} begins with other weights than rank 0: give all ranks the same scene, seed, "
                "package versions and --from"
            )


def led(trainee: Trainee, group: ProcessGroup) -> Trainee:
    """The trainee of rank 0; of a single process as it is."""
    return trainee if group.size == 1 else LeadingTrainee(trainee, group)


def begin_together(trainee: Trainee, done: Trained) -> None:
    """Let the other ranks begin, if there are any; `done` is what the run has come to."""
    if isinstance(trainee, LeadingTrainee):
        trainee.begin(done)


class FollowingLoop:
    """The part of a rank other than 0 in a training run: it learns, and does what rank 0 says in between.

    Attributes:
        result: counters of the run; metrics are rank 0's alone.
        trainee: with this rank's share.
    """

    def __init__(self, trainee: Trainee, budget: Budget, group: ProcessGroup) -> None:
        """Wait until rank 0 begins.

        Raises:
            RankLostError: if it does not.
        """
        self.trainee, self._budget, self._group = trainee, budget, group
        self.run = self  # which holds no run folder open
        self._listens = True  # rank 0 has another word for this one
        try:
            start: Start = group.broadcast_object(Start(Path()))
            if start.learner is not None:
                own = (start.parts or {}).get(str(group.rank), {})
                trainee.restore(start.learner | own)
            check_equal(group.all_gather_object(weights_digest(trainee)))
        except BaseException:
            trainee.close()
            raise
        self.result = Trained(start.folder, start.env_steps, start.updates)

    def begin(self) -> bool:
        """Wait for the first update; False where nothing is left to learn."""
        return self._goes_on()

    def updates(self, interrupted: Callable[[], bool]) -> Iterator[Progress]:
        """Learn until rank 0 stops.

        Raises:
            RankLostError: if another rank fails.
            TrainingFailed: if this one cannot go on; rank 0 says how to.
        """
        try:
            yield from self._updates(interrupted)
        except RankLostError as error:
            again = f"{launcher()} train {self.trainee.scene.asked()} --run {self.result.folder} --resume"
            line = f"training stopped: {error_line(error)}; what had been saved is safe: go on with {again}"
            raise RankLostError(line, error.killed) from error
        except RequestError:
            raise
        except FAULTS as error:
            raise TrainingFailed(error_line(error)) from error

    def _updates(self, interrupted: Callable[[], bool]) -> Iterator[Progress]:
        """Learn, and wait for rank 0's word in between."""
        self._listens = False
        learning = self.trainee.learn(self._budget)
        self._group.all_gather_object(None)
        for progress in learning:
            self._group.all_gather_object(interrupted())
            self.result.env_steps, self.result.updates = progress.env_steps, progress.updates
            self._listens = True
            yield progress
            if not self._goes_on():
                return
            self._listens = False
        self._listens = True
        self._goes_on()

    def close(self) -> None:
        """Do what rank 0 still says, unless an update failed or a rank is gone."""
        with suppress(RankLostError):
            if self._listens and self._goes_on():
                self._group.report_fault("its caller stopped, and that of rank 0 went on")

    def _goes_on(self) -> bool:
        """Do what rank 0 says until it says that the next update comes, or that none does."""
        self._listens = False
        while (word := self._group.broadcast_object("")) == STATE:
            keys: tuple[str, ...] = getattr(self.trainee, "state_by_rank", ())
            state = self.trainee.state() if keys else {}
            self._group.all_gather_object({key: state[key] for key in keys if key in state})
        return word == GO


@contextmanager
def faults_told(group: ProcessGroup) -> Iterator[None]:
    """Context in which a rank that fails tells the others why, so that one message says it.

    Rank 0 prints that message, as of any training; where it was killed, the lowest one left does.
    """
    try:
        yield
    except RankLostError as error:
        with suppress(ValueError):  # not in the main thread
            signal.signal(signal.SIGTERM, signal.SIG_IGN)  # torchrun ends all ranks when one has failed
        if group.rank == 0:
            group.report_fault(error_line(error))
        elif speaks(group, error):
            print(f"playfield: {error_line(error)}", file=sys.stderr)
        raise
    except BaseException as error:
        group.report_fault(error_line(error))
        raise


def speaks(group: ProcessGroup, error: RankLostError) -> bool:
    """Whether this rank other than 0 says what is lost: rank 0 was killed, or says nothing for a while."""
    if 0 in error.killed:
        return group.rank == min(set(range(group.size)) - set(error.killed))
    return isinstance(group, TorchProcessGroup) and group.fault(0, PATIENCE) is None
