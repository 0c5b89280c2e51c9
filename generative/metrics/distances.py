"""Distances between two sets of points (N, D): Fréchet, kernel (MMD) and sliced Wasserstein distance.

All three are 0 for equal distributions in the limit of many examples. For finite sets Fréchet distance and
sliced Wasserstein are biased upwards, the more so the fewer there are: compare only values of the same N and
D, beside those of two sets of real examples. The kernel distance is unbiased, so it may be negative.
"""

from __future__ import annotations

import numpy as np

from sim.records import Array

BLOCK = 1024  # rows of a kernel matrix at a time: 1024 × 4096 float64 are 32 MiB


def frechet_distance(a: Array, b: Array) -> float:
    """Fréchet distance: squared 2-Wasserstein distance of the Gaussians with the sets' means and covariances.

    Heusel et al. 2017, eq. 6: |μ_a − μ_b|² + tr(Σ_a + Σ_b − 2 (Σ_a Σ_b)^½). The trace of the root is the sum
    of the singular values of Σ_a^½ Σ_b^½, which stays real and accurate where covariances are singular,
    unlike the root of a product that is not symmetric.

    Args:
        a: (N, D), at least 2 rows.
        b: (M, D), at least 2 rows.

    Raises:
        ValueError: unless both have 2 rows and the same columns, all finite.

    >>> points = np.array([[0.0], [2.0]])
    >>> round(frechet_distance(points, points + 3.0), 6)
    9.0
    """
    a, b = check_points(a, b, least=2)
    root_a, root_b = _root_of_covariance(a), _root_of_covariance(b)
    shared = np.linalg.svd(root_a @ root_b, compute_uv=False).sum()
    apart = np.square(a.mean(0) - b.mean(0)).sum()
    spread = np.square(root_a).sum() + np.square(root_b).sum() - 2 * shared
    return float(apart + max(0.0, spread))


def _root_of_covariance(points: Array) -> Array:
    """Symmetric square root (D, D) of the covariance."""
    values, vectors = np.linalg.eigh(np.atleast_2d(np.cov(points, rowvar=False)))
    root: Array = (vectors * np.sqrt(values.clip(min=0))) @ vectors.T
    return root


def kernel_distance(a: Array, b: Array, *, block: int = BLOCK) -> float:
    """Kernel distance: unbiased squared maximum mean discrepancy with the kernel (x·y / D + 1)³.

    Bińkowski et al. 2018, eq. 4, over all pairs instead of random subsets.

    Args:
        a: (N, D), at least 2 rows.
        b: (M, D), at least 2 rows.
        block: rows of the kernel matrix at a time.

    Raises:
        ValueError: as `frechet_distance`.
    """
    a, b = check_points(a, b, least=2)
    n, m = len(a), len(b)
    own_a = (_kernel_sum(a, a, block) - _cubed(np.square(a).sum(1), a.shape[1]).sum()) / (n * (n - 1))
    own_b = (_kernel_sum(b, b, block) - _cubed(np.square(b).sum(1), b.shape[1]).sum()) / (m * (m - 1))
    return float(own_a + own_b - 2 * _kernel_sum(a, b, block) / (n * m))


def _kernel_sum(a: Array, b: Array, block: int) -> float:
    """The sum of the kernel over all pairs of rows."""
    starts = range(0, len(a), block)
    return float(sum(_cubed(a[start : start + block] @ b.T, a.shape[1]).sum() for start in starts))


def _cubed(products: Array, dimensions: int) -> Array:
    kernel = products / dimensions + 1
    cubed: Array = kernel * kernel * kernel  # numpy's power of three is many times slower
    return cubed


def sliced_wasserstein(a: Array, b: Array, *, directions: int = 256, seed: int = 0) -> float:
    """Sliced Wasserstein distance: root mean square of 2-Wasserstein distances along random directions.

    Bonneel et al. 2015; in one dimension the optimal transport matches quantiles.

    Args:
        a: (N, D), at least 1 row.
        b: (M, D), at least 1 row.
        directions: how many, uniform on the sphere.
        seed: of the directions.

    Raises:
        ValueError: unless both have rows and the same columns, all finite.

    >>> cloud = np.arange(10.0)[:, None]
    >>> round(sliced_wasserstein(cloud, cloud + 2.0), 6)
    2.0
    """
    a, b = check_points(a, b, least=1)
    along = np.random.default_rng(seed).standard_normal((directions, a.shape[1]))
    along /= np.linalg.norm(along, axis=1, keepdims=True)
    count = max(len(a), len(b))
    apart = _quantiles(along @ a.T, count) - _quantiles(along @ b.T, count)  # (K, count)
    return float(np.sqrt(np.square(apart).mean()))


def _quantiles(rows: Array, count: int) -> Array:
    """Evenly spaced quantiles (K, count) of each row (K, N); for count = N the sorted values themselves."""
    ordered, n = np.sort(rows, axis=1), rows.shape[1]
    at = (((np.arange(count) + 0.5) * n / count) - 0.5).clip(0, n - 1)
    low = np.floor(at).astype(np.int64)
    part = at - low
    between: Array = ordered[:, low] * (1 - part) + ordered[:, np.minimum(low + 1, n - 1)] * part
    return between


def check_points(a: Array, b: Array, *, least: int) -> tuple[Array, Array]:
    """Validate two sets of points, and convert them to float64.

    Raises:
        ValueError: unless they are (N, D) and (M, D), finite, with `least` rows each.
    """
    if a.ndim != 2 or b.ndim != 2 or a.shape[1] != b.shape[1]:
        raise ValueError(f"sets of examples must be (N, D) and (M, D), not {a.shape} and {b.shape}")
    if min(len(a), len(b)) < least:
        raise ValueError(f"there must be at least {least} examples on each side, not {len(a)} and {len(b)}")
    a, b = a.astype(np.float64), b.astype(np.float64)
    if not (np.isfinite(a).all() and np.isfinite(b).all()):
        raise ValueError("there are examples with numbers that are not finite")
    return a, b
