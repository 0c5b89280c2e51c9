"""Samples that hang beside a playing agent: ``feed = "gallery"`` in a scene with a world."""

from __future__ import annotations

import threading
import time

from scenes.schema import Scene
from scenes.watching.sampler_gallery import ANYTHING, SamplerStudio
from sim.records import Array
from sim.viewer.contract.moment import Hung

HUNG = 12  # samples
REST = 4.0  # seconds of rest for one of work: the agent needs the cores, too
LEAST = 6.0  # seconds that samples hang at least
STEPS = 300  # of the world that they hang where nobody watches
_PATIENCE = 2.0  # seconds that closing waits for samples in the making


class SamplePanel:
    """The samples of a scene's first gallery, made anew now and then.

    Args:
        scene: whose sampler.
        number: which one.
        device: ``auto``, ``cpu`` or ``cuda``.
        attended: whether a person watches: then they are made in a thread of its own; if not, between two
            steps, so that a recording is the same each time.
    """

    def __init__(self, scene: Scene, number: int, *, device: str, attended: bool) -> None:
        self._studio = SamplerStudio(scene, device=device, number=number)
        self._attended = attended
        self._seed, self._steps = scene.seed, 0
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="samples", daemon=True)
        self.hung = Hung(self._studio.sampler)

    def step(self) -> Hung:
        """What hangs there now; called once a step."""
        if not self._attended:
            if self._steps % STEPS == 0:
                self._make()
            self._steps += 1
        elif self._thread.ident is None:
            self._thread.start()
        return self.hung

    def close(self) -> None:
        """Make no more."""
        self._stopping.set()
        if self._thread.ident is not None:
            self._thread.join(_PATIENCE)

    def _run(self) -> None:
        while not self._stopping.is_set():
            begun = time.monotonic()
            try:
                self._make()
            except Exception as error:  # samples that fail must not end the game
                self.hung = Hung(self.hung.name, self.hung.pictures, f"{type(error).__name__}: {error}")
                return
            self._stopping.wait(max(LEAST, REST * (time.monotonic() - begun)))

    def _make(self) -> None:
        pictures: list[Array] = []
        for drawn in self._studio.make(HUNG, ANYTHING, self._seed):
            pictures += list(self._studio.pictures(drawn.values))
        self._seed += 1
        self.hung = Hung(self.hung.name, tuple(pictures))


def sample_panel(scene: Scene, *, device: str, attended: bool) -> SamplePanel | None:
    """The first of the scene's samplers that are for a gallery; None if there is none."""
    numbers = [i for i, table in enumerate(scene.sampler) if table.feed == "gallery"]
    return SamplePanel(scene, numbers[0], device=device, attended=attended) if numbers else None
