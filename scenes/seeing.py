"""What a scene's perceptions say about the picture on show, beside the truth."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from scenes.perceiving import build_perception
from scenes.schema import Scene, SceneError
from sim.protocols import PerceptionModel
from sim.records import Array, Origin, Percept
from sim.viewer.show import Readout, Seen
from supervised.metrics.detection import overlaps
from supervised.noise import noisy

ORIGINS: tuple[Origin, ...] = ("truth", "model", "noisy truth")
HIT = 0.5  # IoU from which a box counts as found


@dataclass
class Eye:
    """One perception of the scene."""

    name: str
    model: PerceptionModel
    classes: tuple[str, ...]
    origin: Origin


class Eyes:
    """All perceptions of a scene that are for the audience, looking at one world."""

    def __init__(self, scene: Scene, world: Any, device: str, checkpoint: Path | None = None) -> None:
        """Build the models.

        Args:
            scene: whose ``[[perception]]`` tables with ``feed = "overlay"`` look on.
            world: gives ``truth()`` of its newest picture, and the ``classes`` of what is in it.
            device: for the models.
            checkpoint: of the first perception, instead of the scene's own.

        Raises:
            SceneError: if a perception looks on a world that does not know the truth.
            CheckpointError: if a checkpoint does not fit.
        """
        self._world = world.unwrapped
        self._generator = np.random.default_rng(scene.seed)
        overlays = [i for i, table in enumerate(scene.perception) if table.feed == "overlay"]
        if overlays and not hasattr(self._world, "truth"):
            raise SceneError(f"{scene.source.name}: {type(self._world).__name__} does not know the truth")
        classes = tuple(self._world.classes) if overlays else ()
        self._eyes = [
            Eye(
                scene.perception[i].use,
                build_perception(scene, i, classes, device, None if i else checkpoint)[0],
                classes,
                scene.perception[i].origin,
            )
            for i in overlays
        ]

    def __len__(self) -> int:
        """How many look on."""
        return len(self._eyes)

    def next_origin(self) -> None:
        """Go on from the truth to what the model says, to the truth with noise, for all."""
        for eye in self._eyes:
            eye.origin = ORIGINS[(ORIGINS.index(eye.origin) + 1) % len(ORIGINS)]

    def look(self, picture: Array) -> tuple[Seen, ...]:
        """What each says about the world's newest picture (H, W, 3) uint8."""
        if not self._eyes:
            return ()
        truth: Percept = self._world.truth()
        return tuple(self._seen(eye, picture, truth) for eye in self._eyes)

    def _seen(self, eye: Eye, picture: Array, truth: Percept) -> Seen:
        if eye.origin == "truth":
            return Seen(eye.name, truth, classes=eye.classes)
        percept = eye.model.perceive([picture])[0] if eye.origin == "model" else noisy(truth, self._generator)
        return Seen(eye.name, percept, truth, closeness(percept, truth), eye.classes)


def closeness(percept: Percept, truth: Percept) -> tuple[Readout, ...]:
    """How far from the truth the boxes of one picture are: the smallest thing first, then the share found.

    >>> box = np.array([[10.0, 10.0, 12.0, 14.0]], np.float32)
    >>> real = Percept("truth", boxes=box, labels=("ball",))
    >>> closeness(Percept("model", boxes=box + np.float32(3), labels=("ball",)), real)[0]
    Readout(label='ball', value=4.2, unit='px off')
    """
    if truth.boxes is None or percept.boxes is None or not len(truth.boxes):
        return ()
    sizes = (truth.boxes[:, 2:] - truth.boxes[:, :2]).prod(1)
    smallest = int(sizes.argmin())
    name = truth.labels[smallest]
    same = [i for i, label in enumerate(percept.labels) if label == name]
    off = centres(percept.boxes[same]) - centres(truth.boxes[smallest : smallest + 1])
    distance = np.linalg.norm(off, axis=1)
    first = Readout(name, round(float(distance.min()), 1), "px off") if same else Readout(name, "missed")
    agree = np.array([[said == real for real in truth.labels] for said in percept.labels], bool)
    found = 0
    if len(percept.boxes):
        found = int(((overlaps(percept.boxes, truth.boxes) >= HIT) & agree).any(0).sum())
    return first, Readout("found", f"{found} of {len(truth.boxes)}")


def centres(boxes: Array) -> Array:
    """(K, 2) the middles of boxes (K, 4)."""
    return np.asarray((boxes[:, :2] + boxes[:, 2:]) / 2)
