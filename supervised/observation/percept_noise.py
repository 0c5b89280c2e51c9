"""Noisy ground truth: random displacements and misses of boxes and keypoints.

It shows how good perception must be before an agent gains from it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TypeAlias

import numpy as np

from sim.percept_kind import Kind
from sim.records import Percept

PIXELS = 2.0  # standard deviation of the displacement of a box or a keypoint
MISSES = 0.1  # the probability that an object is missed
Noise: TypeAlias = Callable[[Percept, np.random.Generator, float, float], Percept]


def noisy(
    percept: Percept, generator: np.random.Generator, *, pixels: float = PIXELS, misses: float = MISSES
) -> Percept:
    """Add noise to a percept: displace its boxes and keypoints, and drop some of them.

    Args:
        percept: of any origin.
        generator: of displacements and misses.
        pixels: standard deviation, in x and in y; a box moves as a whole.
        misses: in [0, 1]; a missed keypoint is no longer visible.
    """
    for noise in NOISE.values():
        percept = noise(percept, generator, pixels, misses)
    return replace(percept, origin="noisy truth")


def _noisy_boxes(percept: Percept, generator: np.random.Generator, pixels: float, misses: float) -> Percept:
    boxes, labels, scores = percept.boxes, percept.labels, percept.scores
    if boxes is None:
        return percept
    kept = generator.random(len(boxes)) >= misses
    shift = np.tile(generator.normal(0, pixels, (len(boxes), 2)), 2).astype(boxes.dtype)
    labels = tuple(name for name, keep in zip(labels, kept, strict=True) if keep)
    scores = None if scores is None else scores[kept]
    return replace(percept, boxes=(boxes + shift)[kept], labels=labels, scores=scores)


def _noisy_keypoints(
    percept: Percept, generator: np.random.Generator, pixels: float, misses: float
) -> Percept:
    points = {
        name: (
            x + generator.normal(0, pixels),
            y + generator.normal(0, pixels),
            visible * float(generator.random() >= misses),
        )
        for name, (x, y, visible) in percept.keypoints.items()
    }
    return replace(percept, keypoints=points)


#: Kind of percept that noise changes → (percept, generator, pixels, misses) → the noisy percept.
NOISE: dict[Kind, Noise] = {"boxes": _noisy_boxes, "keypoints": _noisy_keypoints}
