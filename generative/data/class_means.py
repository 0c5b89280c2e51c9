"""Class means of a data set's examples."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from sim.records import Array


def class_means(values: Array, labels: Array) -> Iterator[tuple[int, Array]]:
    """Mean (…) float64 of the examples (N, …) of each class (N,), by class number.

    >>> {label: mean.tolist() for label, mean in class_means(np.array([[1], [4], [2]]), np.array([3, 0, 3]))}
    {0: [4.0], 3: [1.5]}
    """
    for label in np.unique(labels):
        yield int(label), values[labels == label].mean(0, dtype=np.float64)
