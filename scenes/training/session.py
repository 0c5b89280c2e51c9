"""Training sessions: begun in a run folder, iterated update by update, closed with the last update saved."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable, Generator, Iterator
from contextlib import ExitStack
from datetime import datetime
from pathlib import Path

from scenes.interruption import interruption
from scenes.schema import Scene, SceneError, load_scene
from scenes.training.actors import ActorOptions, ConnectedActors
from scenes.training.loop import Trained, TrainingFailed, TrainingLoop
from scenes.training.ranks import FollowingLoop, begin_together, led
from scenes.training.resume import check_resume
from scenes.training.trainee import Trainee, trainee_of
from sim.errors import RequestError
from sim.records import Budget, Progress
from sim.storage.runs import Run, new_folder, step_folders
from supervised.distributed import join

__all__ = ["Trained", "Training", "TrainingFailed", "start_training", "train"]

PROMISE = "stopping after this update"


def default_folder(scene: Scene) -> Path:
    """``runs/<scene>-<date>-<time>`` in the current folder."""
    return Path("runs") / f"{scene.name}-{datetime.now():%Y%m%d-%H%M%S}"


def budget_of(scene: Scene) -> Budget:
    """Training budget of the table ``[train]``.

    Raises:
        SceneError: if it sets no budget.
    """
    if scene.train.env_steps is None and scene.train.updates is None:
        raise SceneError(f"{scene.source.name}, [train]: set env_steps or updates, or give --steps")
    return Budget(scene.train.env_steps, scene.train.updates)


def train(
    scene: Scene,
    folder: Path | None,
    *,
    device: str = "auto",
    resume: bool = False,
    start_from: Path | None = None,
    say: Callable[[str], None] = lambda line: print(line, file=sys.stderr),
    going_on: str | None = None,
    actors: ActorOptions | None = None,
) -> Trained:
    """Train the scene's agent, perception or sampler in a run folder.

    Args:
        scene: what to train.
        folder: the run folder; new unless `resume`; None for a new one of the usual name.
        device: ``auto``, ``cpu`` or ``cuda``.
        resume: go on from the newest state in the folder.
        start_from: a checkpoint whose weights to start with.
        say: takes lines for a person.
        going_on: the options by which it goes on, where that is not this run alone.
        actors: that play for the agent, on a cluster.

    Raises:
        TrainingFailed: if it could not go on; what had been saved stays.
        RunError, SceneError, CheckpointError, ClusterError: if the request is wrong; nothing was changed.
    """
    with start_training(
        scene,
        folder,
        device=device,
        resume=resume,
        start_from=start_from,
        say=say,
        going_on=going_on,
        actors=actors,
    ) as training:
        return training.finish()


def start_training(
    scene: Scene,
    folder: Path | None,
    *,
    device: str,
    resume: bool,
    start_from: Path | None,
    say: Callable[[str], None],
    going_on: str | None = None,
    actors: ActorOptions | None = None,
) -> Training:
    """Open a run folder and build its trainee, without an update yet; arguments as of `train`.

    Of several ranks (`supervised.distributed`) every one calls this; rank 0 alone has a run folder.

    Raises:
        RunError, SceneError, CheckpointError, ClusterError: if the request is wrong; nothing was changed.
    """
    budget, group = budget_of(scene), join(device)
    if group.rank > 0:
        return Training(FollowingLoop(trainee_of(scene, device, start_from), budget, group), new=False)
    if folder is not None and resume and step_folders(folder / "state"):
        kept = load_scene(str(folder / "scene.toml"), extra_worlds=scene.extra_worlds)
        check_resume(kept, scene)
    with ExitStack() as undo:
        connected = None
        if actors is not None:
            connected = ConnectedActors(actors)
            undo.callback(connected.close)
        trainee = led(trainee_of(scene, device, start_from, connected), group)
        undo.callback(trainee.close)
        folder = folder or new_folder(default_folder(scene))
        run = Run(folder, resume=resume)
        undo.pop_all()
    scene = trainee.scene
    going_on = going_on or f"--run {folder} --resume"
    if connected is not None and actors is not None:
        connected.announce(say)
        connected.keep_in(folder)
        going_on = f"{going_on} {actors.words()}"
    loop = TrainingLoop(scene, trainee, budget, run, say, going_on)
    training = Training(loop, new=not resume)
    try:
        if not (folder / "scene.toml").is_file():
            (folder / "scene.toml").write_text(scene.toml(), "utf-8")
        if resume:
            loop.take_up()
        begin_together(trainee, loop.result)
    except BaseException as error:
        training.abandon(error)
        raise
    return training


class Training(Iterator[Progress]):
    """A training run under way: iterate for one `Progress` an update; closing it saves where it stopped.

    Use it as a context manager, or exhaust it: both save the last update and close the worlds. Ctrl-C during
    an update ends the iteration after that update, and `result.stopped` says so; between two updates it is
    the caller's.
    """

    def __init__(self, loop: TrainingLoop | FollowingLoop, *, new: bool) -> None:
        """Take over `loop`; a `new` run's folder is deleted where its learner refuses its worlds."""
        self._loop, self._new = loop, new
        self._updates: Iterator[Progress] | None = None
        self._watch = _Watch(loop.trainee)
        self._promise = "" if isinstance(loop, FollowingLoop) else PROMISE
        self._open = True

    @property
    def result(self) -> Trained:
        """What the run has come to so far."""
        return self._loop.result

    def __next__(self) -> Progress:
        """Learn one update.

        Raises:
            TrainingFailed: if it could not go on; what had been saved stays.
        """
        try:
            updates = self._begun()
            with interruption(self._promise) as self._watch.asked:
                return next(updates)
        except BaseException as error:
            self.abandon(error)
            raise

    def finish(self) -> Trained:
        """Learn all that is left, with the errors of `train`."""
        try:
            updates = self._begun()
            with interruption(self._promise) as self._watch.asked:
                for _ in updates:
                    pass
        except BaseException as error:
            self.abandon(error)
            raise
        self.close()
        return self.result

    def close(self) -> None:
        """Save the last update unless it is saved, and close run and worlds; again it does nothing.

        Raises:
            TrainingFailed: if that could not be saved.
        """
        if not self._open:
            return
        self._open = False
        try:
            if isinstance(self._updates, Generator):
                self._updates.close()
        finally:
            self._loop.run.close()
            self._loop.trainee.close()

    def abandon(self, error: BaseException) -> None:
        """Close after `error`; a learner that finds its worlds unfit leaves no empty run behind."""
        self.close()
        if isinstance(error, RequestError) and self._new and self.result.updates == 0:
            shutil.rmtree(self.result.folder, ignore_errors=True)

    def __enter__(self) -> Training:
        return self

    def __exit__(self, *raised: object) -> None:
        self.close()

    def __del__(self) -> None:
        self.close()

    def _begun(self) -> Iterator[Progress]:
        """The updates; at first it says what is about to be learned."""
        if self._updates is None:
            going = self._open and self._loop.begin()
            self._updates = self._loop.updates(self._watch) if going else iter(())
        return self._updates


class _Watch:
    """Whether Ctrl-C was pressed during the update that is being learned, in this rank or in another one."""

    def __init__(self, trainee: Trainee) -> None:
        self.asked: Callable[[], bool] = bool
        self._trainee = trainee

    def __call__(self) -> bool:
        return self.asked() or getattr(self._trainee, "interrupted", False)
