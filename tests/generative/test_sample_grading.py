"""Metrics of a set of samples, the Gaussian baseline and clusters, on known cases."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import normalized_mutual_info_score

from generative.metrics import Grader, standardised_vectors
from generative.metrics.clusters import k_means_on_pixels, nmi_beside_pixels, normalized_mutual_information
from generative.metrics.distances import frechet_distance
from generative.metrics.gaussian import GaussianBaseline


def ring(n, seed):
    """(n, 2) float32 around a circle: no Gaussian."""
    generator = np.random.default_rng(seed)
    angle, radius = generator.uniform(0, 2 * np.pi, n), 1 + 0.05 * generator.standard_normal(n)
    return np.stack([radius * np.cos(angle), radius * np.sin(angle)], 1).astype(np.float32)


@pytest.fixture(scope="module")
def grader():
    return Grader(ring(400, 0), ring(400, 1), standardised_vectors(ring(400, 0)))


def test_fresh_real_examples_reach_the_floor(grader):
    grade = grader.grade(ring(300, 2))
    assert grade.n == 300 and grade.references == 400
    assert grade.metrics["frechet"] < 0.1 and grade.metrics["frechet_floor"] == grade.copies["frechet"] < 0.1
    assert grade.metrics["coverage"] > 0.9
    assert grade.metrics["memorising"] == pytest.approx(0.5, abs=0.08)
    assert grade.copies["memorising"] == 1.0


def test_the_gaussian_has_the_moments_but_not_the_shape(grader):
    """It is as near as real examples in Fréchet distance, where features are the numbers themselves."""
    grade = grader.grade(ring(300, 2))
    assert grade.baseline["frechet"] < 0.1
    assert grade.baseline["density"] < 0.5 < grade.metrics["density"]
    assert grade.baseline["sliced_wasserstein"] > 1.5 * grade.metrics["sliced_wasserstein"]


def test_intervals_hold_what_other_samples_give(grader):
    """Of 40 other sets of samples nearly all lie in the interval about the mean that one set gave."""
    grade = grader.grade(ring(200, 2))
    low, high = grade.ci95["sliced_wasserstein"]
    others = [
        grader.figures(standardised_vectors(ring(400, 0))(ring(200, seed)))["sliced_wasserstein"]
        for seed in range(10, 50)
    ]
    spread = (high - low) / (2 * 1.96)
    assert 0.5 < spread / np.std(others) < 2.0


def test_a_collapsed_sampler_is_found_out(grader):
    grade = grader.grade(np.repeat(ring(1, 5), 300, 0))
    assert grade.metrics["coverage"] < 0.1
    assert grade.metrics["frechet"] > 10 * grade.metrics["frechet_floor"]


def test_samples_of_another_shape_are_refused(grader):
    with pytest.raises(ValueError, match="cannot be graded"):
        grader.grade(np.zeros((10, 3), np.float32))


def test_the_gaussian_baseline_has_exactly_the_data_s_moments():
    data = np.random.default_rng(0).gamma(2.0, size=(60, 5)).astype(np.float32) @ np.triu(
        np.ones((5, 5), np.float32)
    )
    drawn = GaussianBaseline(data).sample(40_000, seed=0)
    np.testing.assert_allclose(drawn.mean(0), data.mean(0), atol=0.1)
    np.testing.assert_allclose(np.cov(drawn, rowvar=False), np.cov(data, rowvar=False), rtol=0.06, atol=0.1)
    assert frechet_distance(drawn, data) < 0.01


def test_the_gaussian_of_pictures_gives_pictures():
    pictures = np.random.default_rng(0).integers(0, 256, (20, 8, 8, 3), np.uint8)
    drawn = GaussianBaseline(pictures).sample(5, seed=1)
    assert drawn.dtype == np.uint8 and drawn.shape == (5, 8, 8, 3)
    np.testing.assert_array_equal(drawn, GaussianBaseline(pictures).sample(5, seed=1))
    assert drawn.std() > 20
    with pytest.raises(ValueError, match="at least 2"):
        GaussianBaseline(pictures[:1])


def test_mutual_information_agrees_with_scikit_learn():
    generator = np.random.default_rng(0)
    for groups in (1, 2, 5, 9):
        a, b = generator.integers(groups, size=200), generator.integers(4, size=200)
        mixed = np.where(generator.random(200) < 0.5, a, b)
        expected = normalized_mutual_info_score(mixed, b)
        assert normalized_mutual_information(mixed, b) == pytest.approx(expected, abs=1e-12)
    with pytest.raises(ValueError, match="same things"):
        normalized_mutual_information(np.zeros(3, int), np.zeros(4, int))


def test_k_means_on_pixels_parts_what_differs_in_brightness():
    generator = np.random.default_rng(0)
    labels = np.repeat([0, 1, 2], 20)
    pictures = (80 * labels[:, None, None, None] + generator.integers(0, 20, (60, 4, 4, 3))).astype(np.uint8)
    assert normalized_mutual_information(k_means_on_pixels(pictures, 3, seed=0), labels) == pytest.approx(1.0)
    mine, theirs = nmi_beside_pixels(lambda p: np.arange(len(p)) % 3, pictures, labels, 3, seed=0)
    assert mine < 0.1 < theirs
