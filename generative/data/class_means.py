"""Class means of a data set's examples."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from sim.records import Array

TOGETHER = 1024  # examples that are summed in one go


def class_means(values: Array, labels: Array) -> Iterator[tuple[int, Array]]:
    """Mean (…) float64 of the examples (N, …) of each class (N,), by class number.

    >>> {label: mean.tolist() for label, mean in class_means(np.array([[1], [4], [2]]), np.array([3, 0, 3]))}
    {0: [4.0], 3: [1.5]}
    """
    for label in np.unique(labels):
        yield int(label), mean_of(values, np.flatnonzero(labels == label))


def mean_of(values: Array, rows: Array) -> Array:
    """Mean (…) float64 of some examples of (N, …), of which few are read at a time: exact for images.

    >>> mean_of(np.array([[1], [4], [2]]), np.array([0, 1])).tolist()
    [2.5]
    """
    parts = np.array_split(rows, -(-len(rows) // TOGETHER))
    total: Array = sum(values[part].sum(0, dtype=np.float64) for part in parts)
    return total / len(rows)
