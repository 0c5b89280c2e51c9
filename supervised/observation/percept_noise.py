"""Noisy ground truth: random displacements and misses of boxes and keypoints.

It shows how good perception must be before an agent gains from it.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from sim.records import Percept

PIXELS = 2.0  # standard deviation of the displacement of a box or a keypoint
MISSES = 0.1  # the probability that an object is missed
MOVED = ("boxes", "keypoints")  # the kinds of percept that noise changes, of `metrics.grading.KINDS`


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
    boxes, labels, scores = percept.boxes, percept.labels, percept.scores
    if boxes is not None:
        kept = generator.random(len(boxes)) >= misses
        shift = np.tile(generator.normal(0, pixels, (len(boxes), 2)), 2).astype(boxes.dtype)
        boxes = (boxes + shift)[kept]
        labels = tuple(name for name, keep in zip(labels, kept, strict=True) if keep)
        scores = None if scores is None else scores[kept]
    points = {
        name: (
            x + generator.normal(0, pixels),
            y + generator.normal(0, pixels),
            visible * float(generator.random() >= misses),
        )
        for name, (x, y, visible) in percept.keypoints.items()
    }
    return replace(percept, origin="noisy truth", boxes=boxes, labels=labels, scores=scores, keypoints=points)
