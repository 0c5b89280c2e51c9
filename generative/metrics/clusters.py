"""Clustering metrics: normalised mutual information with classes, and the k-means baseline."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from sim.records import Array


def normalized_mutual_information(a: Array, b: Array) -> float:
    """Normalised mutual information 2 I(a; b) / (H(a) + H(b)) of two clusterings (N,).

    1 if they are equal but for names. Strehl & Ghosh 2002, with the arithmetic mean. Two clusterings of one
    cluster each agree: 1.

    Raises:
        ValueError: unless both are (N,) of the same N ≥ 1.

    >>> normalized_mutual_information(np.array([0, 0, 1, 1]), np.array([7, 7, 3, 3]))
    1.0
    """
    if a.shape != b.shape or a.ndim != 1 or not len(a):
        raise ValueError(f"groupings must be (N,) of the same things, not {a.shape} and {b.shape}")
    _, group_a = np.unique(a, return_inverse=True)
    _, group_b = np.unique(b, return_inverse=True)
    joint = np.zeros((group_a.max() + 1, group_b.max() + 1))
    np.add.at(joint, (group_a, group_b), 1 / len(a))
    of_a, of_b = _entropy(joint.sum(1)), _entropy(joint.sum(0))
    if of_a + of_b == 0:
        return 1.0
    return float(2 * (of_a + of_b - _entropy(joint.ravel())) / (of_a + of_b))


def _entropy(shares: Array) -> float:
    present = shares[shares > 0]
    return float(-(present * np.log(present)).sum())


def k_means_on_pixels(pictures: Array, groups: int, *, seed: int) -> Array:
    """K-means on raw pixels (N, …) by scikit-learn, the baseline of a clustering: clusters (N,)."""
    from sklearn.cluster import KMeans

    flat = pictures.reshape(len(pictures), -1).astype(np.float32)
    found: Array = KMeans(groups, n_init=3, random_state=seed).fit_predict(flat)
    return found.astype(np.int64)


def nmi_beside_pixels(
    assign: Callable[[Array], Array], pictures: Array, labels: Array, groups: int, *, seed: int
) -> tuple[float, float]:
    """Normalised mutual information with `labels` (N,) of a clustering and of k-means on pixels.

    Args:
        assign: images (N, …) → clusters (N,).
        pictures: (N, …) that the clustering was not trained on.
        labels: their classes.
        groups: the number of clusters of k-means.
        seed: of k-means.
    """
    mine = normalized_mutual_information(assign(pictures), labels)
    theirs = normalized_mutual_information(k_means_on_pixels(pictures, groups, seed=seed), labels)
    return mine, theirs
