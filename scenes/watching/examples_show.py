"""Show of a task: its test examples one by one with what the model says, or the model while it learns.

A step of the show is the next example, or the next picture of a demonstration, so that the window's pause,
arrows, timeline and recording work as they do for a world.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path

import numpy as np

from scenes.build.devices import chosen_device
from scenes.data.task_data import build_task, read_inputs, task_config, task_splits, untrained_task
from scenes.interruption import FAULTS, error_line
from scenes.schema import Scene
from scenes.watching.labels import in_words
from scenes.watching.run_follower import LOSS, Follower
from sim.errors import RequestError
from sim.percept_kinds import in_words as in_percept
from sim.records import Array, Percept
from sim.storage.checkpoints import Checkpoint, check_fits
from sim.viewer.contract.gesture import Ability, Answer, Gesture
from sim.viewer.contract.moment import Moment, Readout, Sound
from supervised.data.sources.audio_file import RATE as SAMPLING_RATE
from supervised.figure import SIZE, rasterized
from supervised.task import Demonstrates, Frame, Performs

RATE = 0.5  # examples a second: time to read one
LIVE_RATE = 8.0  # pictures a second of a demonstration
SMALLEST = 320  # pixels; a narrower room gets a picture that is shrunk
_NOTHING = np.zeros(1)


class ExamplesShow:
    """Show of a task. Satisfies `sim.viewer.contract.show.Show` and `Interactive`."""

    action_names: tuple[str, ...] = ()
    action_labels: tuple[str, ...] = ()
    action_limit = 1.0
    num_worlds = 1
    waits = False

    def __init__(
        self, scene: Scene, *, device: str, checkpoint: Path | None = None, run: Path | None = None
    ) -> None:
        """Build the model and read the data.

        Args:
            scene: whose first perception is a task.
            device: ``auto``, ``cpu`` or ``cuda``.
            checkpoint: instead of the scene's own.
            run: a training run whose newest checkpoint is shown instead, from now on and as they land.

        Raises:
            CheckpointError, DataError, MissingPackageError: if the request is wrong.
        """
        self._config = task_config(scene)
        self._splits = task_splits(scene, self._config)
        self._scene, self._name = scene, scene.perception[0].use
        self.follower: Follower | None = None
        if run is not None:
            self._model = untrained_task(scene, self._config, self._splits.classes, chosen_device(device))
            self.follower = Follower(run, self._check, axes=LOSS, held=checkpoint)
            self.follower.open()
            self._take_newest(self.follower)
            self.training = self.follower.learning.training
        else:
            self._model, card = build_task(scene, self._config, chosen_device(device), checkpoint)
            self.training = in_words(card["trained"]) if card else "untrained"
        self.title, self.agent = scene.title, self._name
        self.protocol = f"{self._splits.source.name} · split by {self._splits.unit}"
        self._live = isinstance(self._config, Demonstrates) or isinstance(self._model, Performs)
        self.abilities = frozenset({Ability.EXAMPLES} | (set() if self._live else {Ability.TYPE}))
        if self._config.reads == "sound":
            self.abilities |= {Ability.SOUND}
        self.steps_per_second = LIVE_RATE if self._live else RATE
        if isinstance(self._model, Performs):
            self.steps_per_second = self._model.pace
        self._size = SIZE
        self._frames: Iterator[Frame] = iter(())
        self._shown: Frame | None = None
        self._rgb: Array = np.zeros((SIZE[1], SIZE[0], 3), np.uint8)
        self._length = 0

    def start(self, seed: int | None) -> Moment:
        """Begin with the first example; see `sim.viewer.contract.show.Show`."""
        if self.follower is not None:
            self.follower.start()
        self._frames = self._demonstration(seed) if self._live else self._examples(seed)
        self._length = 0
        return self._next(drawn=True)

    def step(self, person: int | None, *, drawn: bool = True) -> Moment:
        """Go on to the next example; see `sim.viewer.contract.show.Show`."""
        self._length += 1
        return self._next(drawn=drawn)

    def close(self) -> None:
        """Follow the run no longer."""
        if self.follower is not None:
            self.follower.close()

    def touch(self, gesture: Gesture) -> Answer:
        """Draw anew where the room for the picture has changed; see `Interactive`."""
        if gesture.kind == "type":
            return self._try(gesture.name)
        if gesture.kind != "resize":
            return Answer()
        width = max(SMALLEST, int(gesture.x))
        size = width, max(SMALLEST * 3 // 4, int(gesture.y))
        if size == self._size:
            return Answer()
        self._size = size
        return Answer(redraw=self._shown is not None)

    def _try(self, text: str) -> Answer:
        """Run the model on an input that a person typed."""
        failed: list[Exception] = []
        try:
            found = next(read_inputs(self._config, text, lambda name, error: failed.append(error)), None)
            if found is None:
                return Answer(message=error_line(failed[0]) if failed else "there is nothing to read in it")
            name, value = found
            percept = self._model.perceive([value])[0]
        except (RequestError, *FAULTS) as error:
            return Answer(message=error_line(error))
        draw = partial(self._model.draw, value=value, percept=percept, truth=None)
        said = in_percept(percept, self._splits.classes, in_full=True)
        readouts = (Readout("input", name), Readout("model", one_line(said)))
        self._shown = Frame(draw, readouts=readouts, sound=self._sound(value))
        return Answer(redraw=True, message="Space goes on with the examples, Enter types another input")

    def look(self) -> Moment:
        """The present example, drawn again."""
        assert self._shown is not None
        self._rgb = rasterized(self._shown.draw, self._size)
        return self._moment()

    def _check(self, checkpoint: Checkpoint) -> None:
        check_fits(checkpoint, kind="perception", name=self._name, classes=list(self._splits.classes))

    def _take_newest(self, follower: Follower) -> None:
        """Load the run's newest checkpoint, if another one has landed."""
        if (taken := follower.take()) is not None:
            taken.give(self._model)
            follower.plays(taken)

    def _next(self, *, drawn: bool) -> Moment:
        if self.follower is not None:
            self._take_newest(self.follower)
        found = next(self._frames, None)
        if found is None:  # of a demonstration that ends: from the beginning
            self._frames = self._demonstration(None)
            found = next(self._frames)
        self._shown = found
        return self.look() if drawn else self._moment()

    def _moment(self) -> Moment:
        assert self._shown is not None
        return Moment(
            pictures=(self._rgb,),
            reward=_NOTHING,
            score=_NOTHING,
            length=np.array([self._length]),
            readouts=self._shown.readouts,
            caption=self._shown.caption,
            sound=self._shown.sound,
            learning=None if self.follower is None else self.follower.learning,
        )

    def _sound(self, value: Array) -> Sound | None:
        return Sound(value, SAMPLING_RATE) if self._config.reads == "sound" else None

    def _examples(self, seed: int | None) -> Iterator[Frame]:
        """Test examples in an order drawn from `seed`, again and again."""
        test = self._splits.test
        order = np.random.default_rng(seed).permutation(len(test))
        while True:
            for row in order:
                value, truth = test.values[row], test.truths[row]
                percept = self._model.perceive([value])[0]
                draw = partial(self._model.draw, value=value, percept=percept, truth=truth)
                yield Frame(draw, readouts=self._read(percept, truth), sound=self._sound(value))

    def _read(self, percept: Percept, truth: Percept) -> tuple[Readout, ...]:
        """What the model says, how sure it is, what is right, and the metrics of this example."""
        said, right = (in_percept(one, self._splits.classes, in_full=True) for one in (percept, truth))
        live = self._config.metrics.live
        scores = live(percept, truth, None) if live is not None else ()
        return (Readout("model", one_line(said)), Readout("truth", one_line(right)), *scores)

    def _demonstration(self, seed: int | None) -> Iterator[Frame]:
        seed = self._scene.seed if seed is None else seed
        if isinstance(self._model, Performs):
            return self._model.perform(self._splits, seed=seed)
        assert isinstance(self._config, Demonstrates)
        return self._config.demonstrate(self._splits, seed=seed)


def one_line(text: str) -> str:
    """A text of several lines on one."""
    return " · ".join(line for line in text.splitlines() if line)
