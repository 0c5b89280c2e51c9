"""Distances between sets of examples, against closed forms and definitions written out."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import linalg

from generative.metrics.distances import frechet_distance, kernel_distance, sliced_wasserstein


def with_moments(n, mean, covariance, seed=0):
    """(n, D) points whose sample mean and covariance are exactly these."""
    white = np.random.default_rng(seed).standard_normal((n, len(mean)))
    white -= white.mean(0)
    white = white @ np.linalg.inv(np.linalg.cholesky(np.cov(white, rowvar=False)).T)
    return mean + white @ np.linalg.cholesky(covariance).T


def random_covariance(generator, size):
    root = generator.standard_normal((size, size))
    return root @ root.T + 0.1 * np.eye(size)


def test_frechet_distance_is_the_closed_form_of_two_gaussians():
    generator = np.random.default_rng(1)
    means = generator.standard_normal((2, 5))
    one, two = (random_covariance(generator, 5) for _ in range(2))
    root = linalg.sqrtm(one @ two)
    expected = np.square(means[0] - means[1]).sum() + np.trace(one + two - 2 * root.real)
    measured = frechet_distance(with_moments(50, means[0], one), with_moments(80, means[1], two, seed=2))
    assert measured == pytest.approx(expected, rel=1e-9)


def test_frechet_distance_of_axes_that_share_directions():
    """Σ = diag(a), diag(b): the distance is Σ (√a − √b)²."""
    a, b = np.array([4.0, 1.0, 0.25]), np.array([1.0, 9.0, 0.25])
    measured = frechet_distance(
        with_moments(30, np.zeros(3), np.diag(a)), with_moments(30, np.zeros(3), np.diag(b))
    )
    assert measured == pytest.approx(1.0 + 4.0)


def test_frechet_distance_of_degenerate_sets():
    """More dimensions than examples: the root of a singular product must stay real and exact."""
    cloud = np.random.default_rng(0).standard_normal((8, 40))
    assert frechet_distance(cloud, cloud) == pytest.approx(0, abs=1e-9)
    assert frechet_distance(cloud, cloud + 0.5) == pytest.approx(40 * 0.25)
    assert frechet_distance(cloud, np.zeros((8, 40))) == pytest.approx(
        np.trace(np.cov(cloud, rowvar=False)) + np.square(cloud.mean(0)).sum()
    )


def test_frechet_distance_does_not_care_about_the_coordinates():
    generator = np.random.default_rng(3)
    a, b = generator.standard_normal((40, 6)), 1 + 2 * generator.standard_normal((30, 6))
    turn, _ = np.linalg.qr(generator.standard_normal((6, 6)))
    assert frechet_distance(a @ turn, b @ turn) == pytest.approx(frechet_distance(a, b))
    assert frechet_distance(b, a) == pytest.approx(frechet_distance(a, b))


def test_kernel_distance_is_its_definition():
    generator = np.random.default_rng(0)
    a, b = generator.standard_normal((7, 3)), generator.standard_normal((5, 3))

    def kernel(x, y):
        return (x @ y / 3 + 1) ** 3

    def mean_over_others(points):
        pairs = [(i, j) for i in range(len(points)) for j in range(len(points)) if i != j]
        return np.mean([kernel(points[i], points[j]) for i, j in pairs])

    across = np.mean([kernel(x, y) for x in a for y in b])
    assert kernel_distance(a, b) == pytest.approx(mean_over_others(a) + mean_over_others(b) - 2 * across)


def test_kernel_distance_is_unbiased():
    """Over many pairs of small sets of one distribution its mean is 0; the biased estimate's is far above."""
    generator = np.random.default_rng(0)
    draws = generator.standard_normal((2, 3000, 10, 4))
    values = np.array([kernel_distance(a, b) for a, b in zip(*draws, strict=True)])
    error = values.std() / np.sqrt(len(values))
    assert abs(values.mean()) < 3 * error
    assert error < 0.05
    assert kernel_distance(draws[0, 0], draws[1, 0] + 1) > values.mean() + 10 * error


def test_kernel_distance_in_blocks_is_the_same():
    generator = np.random.default_rng(0)
    a, b = generator.standard_normal((50, 3)), generator.standard_normal((40, 3))
    assert kernel_distance(a, b, block=7) == pytest.approx(kernel_distance(a, b))


def test_sliced_wasserstein_of_a_shift_and_of_a_scale():
    """A shift by v is |v|² / D on average over directions; a standard Gaussian doubled is at distance 1."""
    cloud = np.random.default_rng(0).standard_normal((5_000, 3))
    shift = np.array([3.0, 0.0, 0.0])
    assert sliced_wasserstein(cloud, cloud + shift, directions=1000) == pytest.approx(np.sqrt(3), rel=0.05)
    assert sliced_wasserstein(cloud, 2 * cloud) == pytest.approx(1.0, rel=0.03)
    assert sliced_wasserstein(cloud, cloud[::-1]) == pytest.approx(0, abs=1e-12)


def test_sliced_wasserstein_of_sets_of_different_sizes():
    cloud = np.random.default_rng(0).standard_normal((1000, 2))
    assert sliced_wasserstein(cloud, np.repeat(cloud, 2, 0) + [1.0, 1.0]) == pytest.approx(1.0, rel=0.08)


@pytest.mark.parametrize("distance", [frechet_distance, kernel_distance, sliced_wasserstein])
def test_sets_that_cannot_be_compared_are_refused(distance):
    cloud = np.zeros((4, 3))
    for other, word in (
        (np.zeros((4, 2)), "must be"),
        (np.zeros((0, 3)), "at least"),
        (cloud * np.nan, "finite"),
    ):
        with pytest.raises(ValueError, match=word):
            distance(cloud, other)
