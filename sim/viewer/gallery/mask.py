"""Inpainting mask, painted with a round brush."""

from __future__ import annotations

import numpy as np

from sim.records import Array

Point = tuple[float, float]

_SHARE = 0.09  # radius of the brush, of the picture's shorter side


def brush_radius(size: tuple[int, int]) -> float:
    """Radius of the brush in pixels of a picture of `size`, at least one."""
    return max(0.75, _SHARE * min(size))


def painted(mask: Array, start: Point, end: Point, radius: float) -> Array:
    """The mask (H, W) bool with a stroke of the brush from `start` to `end`, in pixels.

    >>> painted(np.zeros((3, 5), bool), (0.5, 1.5), (4.5, 1.5), 0.75).astype(int)[1].tolist()
    [1, 1, 1, 1, 1]
    """
    rows, columns = np.indices(mask.shape)
    x, y = columns + 0.5 - start[0], rows + 0.5 - start[1]
    along = end[0] - start[0], end[1] - start[1]
    length = along[0] ** 2 + along[1] ** 2
    share = np.clip((x * along[0] + y * along[1]) / length, 0, 1) if length else np.zeros(mask.shape)
    near = (x - share * along[0]) ** 2 + (y - share * along[1]) ** 2 <= radius**2
    return np.asarray(mask | near)
