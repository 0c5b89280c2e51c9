"""Nearest neighbours: definitions written out, and what theory expects of equal distributions."""

from __future__ import annotations

import numpy as np
import pytest

from generative.metrics.neighbours import ExampleIndex, density_and_coverage, memorization_score, nearest


def cloud(n, seed, size=4):
    return np.random.default_rng(seed).standard_normal((n, size))


def test_nearest_is_found():
    examples, among = cloud(30, 0), cloud(50, 1)
    distances = np.linalg.norm(examples[:, None] - among, axis=2)
    found = nearest(examples, among, block=7)
    np.testing.assert_array_equal(found.rows, distances.argmin(1))
    np.testing.assert_allclose(found.distances, distances.min(1))


def test_density_and_coverage_are_their_definitions():
    """Naeem et al. 2020, equations 3 and 4, pair by pair."""
    real, samples, k = cloud(40, 0), 0.7 * cloud(30, 1), 3
    between = np.linalg.norm(real[:, None] - real, axis=2)
    radius = np.sort(between, 1)[:, k]  # column 0 is the example itself
    inside = np.linalg.norm(real[:, None] - samples, axis=2) <= radius[:, None]
    density, coverage = density_and_coverage(real, samples, k=k)
    assert density == pytest.approx(inside.sum() / (k * len(samples)))
    assert coverage == pytest.approx(inside.any(1).mean())


def test_a_set_covers_itself():
    real = cloud(200, 0)
    density, coverage = density_and_coverage(real, real, k=5)
    assert coverage == 1.0
    assert density == pytest.approx(6 / 5)  # each ball holds its middle and 5 neighbours


def test_equal_distributions_have_the_coverage_that_theory_expects():
    """1 − Π (N − i) / (2N − i) for i = 1 … k, whatever the distribution (Naeem et al. 2020, appendix)."""
    n, k = 300, 2
    pairs = [density_and_coverage(cloud(n, 2 * i), cloud(n, 2 * i + 1), k=k) for i in range(12)]
    density, coverage = np.mean(pairs, 0)
    i = np.arange(1, k + 1)
    assert coverage == pytest.approx(1 - np.prod((n - i) / (2 * n - i)), abs=0.01)
    assert density == pytest.approx(1.0, abs=0.05)


def test_what_is_missing_lowers_coverage_and_what_is_wrong_density():
    real = np.concatenate([cloud(200, 0), cloud(200, 1) + 20])
    one_mode = cloud(400, 2)
    assert density_and_coverage(real, one_mode)[1] < 0.51
    far = cloud(400, 3) + 100
    assert density_and_coverage(real, far) == (0.0, 0.0)


def test_copying_tells_copies_from_fresh_examples_and_from_nonsense():
    train, held_out = cloud(300, 0), cloud(300, 1)
    assert memorization_score(cloud(300, 2), held_out, train) == pytest.approx(0.5, abs=0.06)
    assert memorization_score(train, held_out, train) == 1.0
    assert memorization_score(cloud(300, 3) + 50, held_out, train) == 0.0


def test_ties_of_copying_count_half():
    """Of two unseen examples one is a copy too: a copy beats one of them and ties with the other."""
    train = np.array([[0.0], [10.0]])
    assert memorization_score(np.array([[10.0]]), np.array([[0.0], [3.0]]), train) == pytest.approx(0.75)


def test_too_few_real_examples_are_refused():
    with pytest.raises(ValueError, match="more than 5"):
        density_and_coverage(cloud(5, 0), cloud(5, 1))


def test_an_index_finds_what_a_search_through_everything_finds():
    generator = np.random.default_rng(0)
    pictures = generator.integers(0, 256, (40, 8, 8, 3), dtype=np.uint8)
    value = generator.integers(0, 256, (8, 8, 3), dtype=np.uint8)
    rows, far = ExampleIndex(pictures).nearest(value, 4)
    each = np.sqrt(np.square(pictures.astype(float) - value).mean((1, 2, 3)))
    np.testing.assert_array_equal(rows, np.argsort(each)[:4])
    np.testing.assert_allclose(far, np.sort(each)[:4], rtol=1e-5)
    assert len(ExampleIndex(pictures).nearest(value, 99).rows) == 40, "no more than there are"


def test_large_pictures_are_compared_by_the_means_of_their_blocks():
    chequers = np.indices((32, 32)).sum(0)[..., None] % 2 * np.full(3, 200)
    pictures = np.stack([np.full((32, 32, 3), 100), np.full((32, 32, 3), 0)]).astype(np.uint8)
    rows, far = ExampleIndex(pictures).nearest(chequers.astype(np.uint8), 2)
    assert rows.tolist() == [0, 1] and far == pytest.approx([0, 100], abs=0.1), "its mean is 100"


def test_vectors_are_compared_in_standard_deviations_of_each_number():
    vectors = np.array([[0.0, 0.0], [2.0, 0.0], [0.0, 200.0], [2.0, 200.0]])  # deviations 1 and 100
    rows, far = ExampleIndex(vectors).nearest(np.array([2.0, 50.0]), 2)
    assert rows.tolist() == [1, 3]
    assert far == pytest.approx([np.sqrt(0.5**2 / 2), np.sqrt(1.5**2 / 2)], rel=1e-3)
