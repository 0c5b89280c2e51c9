"""Thumbnails of examples: images as they are, boards and poses drawn, other vectors as bar charts."""

from __future__ import annotations

import numpy as np

from scenes.data.families.table import origin_of
from sim.records import Array
from sim.viewer.draw.theme import CLASS_COLORS, PALETTE
from supervised.data.dataset import Spec

SIDE = 96  # pixels of a side


def thumbnails(values: Array, spec: Spec, data: str) -> Array:
    """Draw n examples as thumbnails (n, H, W, 3) uint8.

    Args:
        values: (n, …) examples.
        spec: of their data set.
        data: the data set's name, such as ``states/walker2d``.
    """
    origin = origin_of(data)
    if spec.pictures:
        enlarge = origin.family.enlarge if origin is not None else None
        return enlarge(values) if enlarge is not None else values
    if origin is not None and origin.family.draw is not None:
        return origin.family.draw(origin.variant, values)
    return np.stack([_bars(row) for row in _scaled(values)]) if len(values) else _none()


def _scaled(values: Array) -> Array:
    """Vectors (n, D) scaled to [−1, 1] by the largest magnitude of each column."""
    scaled: Array = values / np.abs(values).max(0).clip(min=1e-6)
    return scaled


def _bars(row: Array) -> Array:
    """Bar chart of a vector, a horizontal bar for each number; negative ones go left."""
    picture = np.empty((SIDE, SIDE, 3), np.uint8)
    picture[:] = PALETTE.panel
    middle, edges = SIDE // 2, np.linspace(2, SIDE - 2, len(row) + 1).round().astype(int)
    for i, value in enumerate(row):
        end = middle + round(float(value) * (middle - 4))
        bottom = max(edges[i] + 1, edges[i + 1] - 1)
        picture[edges[i] : bottom, min(middle, end) : max(middle, end) + 1] = CLASS_COLORS[
            i % len(CLASS_COLORS)
        ]
    return picture


def _none() -> Array:
    return np.zeros((0, SIDE, SIDE, 3), np.uint8)
