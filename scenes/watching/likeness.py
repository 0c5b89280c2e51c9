"""Nearest neighbours of a sample among the training examples, in pixel or vector space."""

from __future__ import annotations

import numpy as np

from sim.records import Array
from supervised.data.dataset import Dataset

COARSE = 4  # side in pixels of the blocks that are averaged in large images
MANY = 32  # side in pixels of the smallest large image


class Likeness:
    """Nearest-neighbour search among the examples of a data set.

    Images are compared by the root mean square difference of their pixels, in levels of 0…255, large ones
    after averaging blocks of 4 × 4; vectors in standard deviations of each number.
    """

    def __init__(self, examples: Dataset) -> None:
        self.examples = examples
        self.unit = "" if examples.axes else "levels"
        self._scale = np.float32(1) if not examples.axes else examples.values.std(0) + np.float32(1e-6)
        self._features = self._featured(examples.values)
        self._squares = np.square(self._features).sum(1)

    def nearest(self, value: Array, count: int) -> tuple[Array, Array]:
        """Rows and distances of the `count` nearest examples, the nearest first."""
        feature = self._featured(value[None])[0]
        squares = self._squares - 2 * (self._features @ feature) + np.square(feature).sum()
        count = min(count, len(squares))
        rows = np.argpartition(squares, count - 1)[:count]
        rows = rows[np.argsort(squares[rows], kind="stable")]
        return rows, np.sqrt(squares[rows].clip(min=0) / self._features.shape[1])

    def _featured(self, values: Array) -> Array:
        """(n, F) float32."""
        if values.ndim == 2:
            return np.asarray(values / self._scale, np.float32)
        height, width = values.shape[1:3]
        if min(height, width) >= MANY and not (height % COARSE or width % COARSE):
            blocks = values.reshape(len(values), height // COARSE, COARSE, width // COARSE, COARSE, 3)
            return np.asarray(blocks.mean((2, 4), dtype=np.float32).reshape(len(values), -1))
        return values.reshape(len(values), -1).astype(np.float32)
