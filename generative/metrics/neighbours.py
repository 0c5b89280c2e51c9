"""Nearest neighbours: density, coverage, the data-copying statistic, and an index of examples.

Distances are Euclidean. Sets are (N, D) arrays as in `distances`.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from generative.metrics.distances import check_points
from sim.records import Array

BLOCK = 512  # rows of a distance matrix at a time
COARSE = 4  # pixels of a side that an index averages into one, where there are many
MANY = 32  # pixels on a side


class Nearest(NamedTuple):
    """Nearest neighbours in another set: of M examples the nearest, or of one the M nearest.

    Attributes:
        rows: (M,) int64 indices.
        distances: (M,) float.
    """

    rows: Array
    distances: Array


def nearest(examples: Array, among: Array, *, block: int = BLOCK) -> Nearest:
    """Find the nearest neighbour among the rows of `among` (N, D) for each row of `examples` (M, D).

    `block` rows of the distance matrix (M, N) are in memory at a time.

    Raises:
        ValueError: unless both have rows and the same columns, all finite.

    >>> nearest(np.array([[4.0]]), np.array([[0.0], [5.0]])).rows.tolist()
    [1]
    """
    examples, among = check_points(examples, among, least=1)
    rows, distances = [], []
    for part in _squared_distances(examples, among, block):
        rows.append(part.argmin(1))
        distances.append(np.sqrt(part.min(1)))
    return Nearest(np.concatenate(rows), np.concatenate(distances))


class ExampleIndex:
    """Index of examples, pictures or vectors, that finds those nearest to one value.

    Pictures are compared by the root mean square of their differences, in levels of 0…255, coarsely where
    they are large; vectors in standard deviations of each number.

    Args:
        values: pictures (N, H, W, 3) uint8, or vectors (N, D).

    >>> rows, distances = ExampleIndex(np.array([[0.0], [2.0]])).nearest(np.array([2.5]), 1)
    >>> rows.tolist(), distances.tolist()
    ([1], [0.5])
    """

    def __init__(self, values: Array) -> None:
        self._scale = values.std(0) + np.float32(1e-6) if values.ndim == 2 else np.float32(1)
        self._features = self._featured(values)
        self._squares = np.square(self._features).sum(1)

    def nearest(self, value: Array, count: int) -> Nearest:
        """The `count` nearest examples to one value, the nearest first: rows and distances (count,)."""
        feature = self._featured(value[None])[0]
        squares = self._squares - 2 * (self._features @ feature) + np.square(feature).sum()
        count = min(count, len(squares))
        rows = np.argpartition(squares, count - 1)[:count]
        rows = rows[np.argsort(squares[rows], kind="stable")]
        return Nearest(rows, np.sqrt(squares[rows].clip(min=0) / self._features.shape[1]))

    def _featured(self, values: Array) -> Array:
        """(N, F) float32."""
        if values.ndim == 2:
            return np.asarray(values / self._scale, np.float32)
        height, width = values.shape[1:3]
        if min(height, width) >= MANY and not (height % COARSE or width % COARSE):
            blocks = values.reshape(len(values), height // COARSE, COARSE, width // COARSE, COARSE, 3)
            return np.asarray(blocks.mean((2, 4), dtype=np.float32).reshape(len(values), -1))
        return values.reshape(len(values), -1).astype(np.float32)


def density_and_coverage(real: Array, samples: Array, *, k: int = 5) -> tuple[float, float]:
    """Density and coverage (Naeem et al. 2020, eqs. 3 and 4) from balls around real examples.

    Each ball reaches to the k-th real neighbour. Density is the mean number of balls around a sample, over k:
    about 1 for equal distributions, more where samples concentrate where real ones do. Coverage is the share
    of balls with a sample in them; for equal distributions and as many examples on both sides it is near 1 −
    2^−k.

    Args:
        real: (N, D), more than k rows.
        samples: (M, D), at least 1 row.
        k: which neighbour.

    Raises:
        ValueError: if there are too few rows, columns differ, or numbers are not finite.
    """
    real, samples = check_points(real, samples, least=1)
    if len(real) <= k:
        raise ValueError(f"the ball out to neighbour {k} needs more than {k} real examples, not {len(real)}")
    radius = np.concatenate(
        [np.partition(block, k, axis=1)[:, k] for block in _squared_distances(real, real)]
    )
    inside, covered = 0, 0
    start = 0
    for block in _squared_distances(real, samples):  # (B, M)
        within = block <= radius[start : start + len(block), None] * (1 + 1e-9) + 1e-12
        inside += int(within.sum())
        covered += int(within.any(1).sum())
        start += len(block)
    return inside / (k * len(samples)), covered / len(real)


def memorization_score(samples: Array, held_out: Array, train: Array) -> float:
    """Data-copying statistic: probability that a sample is nearer to training data than a held-out example.

    The rank statistic of Meehan et al. 2020, "A non-parametric test to detect data-copying": 0.5 where
    samples are as near as held-out examples, 1 where they are copies, 0 where they are always farther. Ties
    count half.

    Args:
        samples: (M, D).
        held_out: (N, D) real examples that the model was not trained on.
        train: (T, D) training examples.

    Raises:
        ValueError: as `nearest`.
    """
    mine, theirs = nearest(samples, train).distances, np.sort(nearest(held_out, train).distances)
    farther = len(theirs) - np.searchsorted(theirs, mine, side="right")
    equal = np.searchsorted(theirs, mine, side="right") - np.searchsorted(theirs, mine, side="left")
    return float((farther + 0.5 * equal).mean() / len(theirs))


def _squared_distances(a: Array, b: Array, block: int = BLOCK) -> Iterator[Array]:
    """Squared distances of the rows of `a` to all rows of `b`, in blocks (B, M)."""
    lengths = np.square(b).sum(1)
    for start in range(0, len(a), block):
        part = a[start : start + block]
        yield (np.square(part).sum(1)[:, None] + lengths - 2 * part @ b.T).clip(min=0)
