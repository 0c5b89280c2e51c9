"""Samples panel of a scene with a world: generated samples beside the agent (``feed = "gallery"``)."""

from __future__ import annotations

import threading
import time

from scenes.schema import Scene
from scenes.watching.sampler_gallery import ANYTHING, SamplerGallerySource
from sim.records import Array
from sim.viewer.contract.moment import SamplePanelState

HUNG = 12  # samples
REST = 4.0  # seconds of rest for one of work: the agent needs the cores, too
LEAST = 6.0  # seconds that samples stay at least
STEPS = 300  # steps that samples stay in recordings
_PATIENCE = 2.0  # seconds that closing waits for samples in the making


class SamplePanel:
    """Samples of one of a scene's samplers, renewed at intervals.

    Args:
        scene: with samplers.
        number: which of them.
        device: ``auto``, ``cpu`` or ``cuda``.
        attended: whether a person watches: then samples are drawn in a thread; if not, between two steps, so
            that recordings are reproducible.
    """

    def __init__(self, scene: Scene, number: int, *, device: str, attended: bool) -> None:
        self._source = SamplerGallerySource(scene, device=device, number=number)
        self._attended = attended
        self._seed, self._steps = scene.seed, 0
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="samples", daemon=True)
        self.samples = SamplePanelState(self._source.sampler)

    def step(self) -> SamplePanelState:
        """The present samples; called once a step."""
        if not self._attended:
            if self._steps % STEPS == 0:
                self._make()
            self._steps += 1
        elif self._thread.ident is None:
            self._thread.start()
        return self.samples

    def close(self) -> None:
        """Stop drawing samples."""
        self._stopping.set()
        if self._thread.ident is not None:
            self._thread.join(_PATIENCE)

    def _run(self) -> None:
        while not self._stopping.is_set():
            begun = time.monotonic()
            try:
                self._make()
            except Exception as error:  # a failing sampler must not end the game
                self.samples = SamplePanelState(
                    self.samples.name, self.samples.pictures, f"{type(error).__name__}: {error}"
                )
                return
            self._stopping.wait(max(LEAST, REST * (time.monotonic() - begun)))

    def _make(self) -> None:
        pictures: list[Array] = []
        for drawn in self._source.make(HUNG, ANYTHING, self._seed):
            pictures += list(self._source.pictures(drawn.values))
        self._seed += 1
        self.samples = SamplePanelState(self.samples.name, tuple(pictures))


def sample_panel(scene: Scene, *, device: str, attended: bool) -> SamplePanel | None:
    """Make the panel of the scene's first sampler with ``feed = "gallery"``; None if there is none."""
    numbers = [i for i, table in enumerate(scene.sampler) if table.feed == "gallery"]
    return SamplePanel(scene, numbers[0], device=device, attended=attended) if numbers else None
