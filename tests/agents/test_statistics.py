"""Interquartile mean, intervals and comparisons: by hand, by brute force, and as often right as they say."""

import math

import numpy as np
import pytest

from agents.evaluation.statistics import (
    bootstrap_interval,
    compare,
    interquartile_mean,
    probability_of_improvement,
)

X = np.array([3.0, 1.0, 4.0, 1.0, 5.0])
Y = np.array([2.0, 7.0, 1.0])


def test_the_interquartile_mean_forgets_a_quarter_at_either_end():
    assert interquartile_mean(np.array([-1e9, 1.0, 2.0, 1e9])) == 1.5
    assert interquartile_mean(np.array([[1.0, 1.0], [5.0, 7.0]]), axis=-1).tolist() == [1.0, 6.0]


def test_the_probability_of_improvement_is_the_share_of_pairs_with_ties_halved():
    pairs = [(x > y) + 0.5 * (x == y) for x in X for y in Y]
    assert probability_of_improvement(X, Y) == pytest.approx(np.mean(pairs))
    assert probability_of_improvement(X, Y) + probability_of_improvement(Y, X) == pytest.approx(1.0)
    assert probability_of_improvement(X, X) == 0.5


def test_the_interval_covers_the_mean_as_often_as_it_says():
    generator = np.random.default_rng(0)
    hits = 0
    for _ in range(100):
        low, high = bootstrap_interval([generator.normal(3.0, 1.0, 40)], np.mean)
        hits += low <= 3.0 <= high
    assert 87 <= hits <= 100


def test_the_interval_of_an_improvement_covers_the_truth_as_often_as_it_says():
    """P(X > Y) of two normals of one width, d apart, is Φ(d/√2 σ)."""
    generator = np.random.default_rng(0)
    truth = 0.5 * (1 + math.erf(0.5 / 2))
    hits = 0
    for _ in range(60):
        x, y = generator.normal(0.5, 1.0, 30), generator.normal(0.0, 1.0, 30)
        found = compare(x, y, resamples=500)
        low, high = found.probability_of_improvement[1]
        hits += low <= truth <= high
    assert 51 <= hits <= 60


def test_shares_of_strata_do_not_vary():
    """Two seeds that always score 0 and 10 have the mean 5; as one sample the mean would vary."""
    zeros, tens = np.zeros(20), np.full(20, 10.0)
    assert bootstrap_interval([zeros, tens], np.mean) == (5.0, 5.0)
    low, high = bootstrap_interval([np.concatenate([zeros, tens])], np.mean)
    assert low < 4.0 and high > 6.0


def test_strata_that_are_alike_change_little():
    values = np.random.default_rng(0).normal(0.0, 1.0, 120)
    one = np.ptp(bootstrap_interval([values], np.mean))
    three = np.ptp(bootstrap_interval(np.split(values, 3), np.mean))
    assert three == pytest.approx(one, rel=0.1)


def test_equal_returns_have_a_point_as_interval():
    assert bootstrap_interval([np.full(5, 21.0)], interquartile_mean) == (21.0, 21.0)


@pytest.mark.parametrize(("shift", "verdict"), [(3.0, True), (-3.0, False), (0.0, None)])
def test_the_verdict_follows_the_interval(shift, verdict):
    generator = np.random.default_rng(1)
    found = compare(generator.normal(shift, 1.0, 25), generator.normal(0.0, 1.0, 25))
    assert found.improves is verdict
    low, high = found.iqm_difference[1]
    assert low <= found.iqm_difference[0] <= high
    assert (low > 0, high < 0) == (verdict is True, verdict is False)


def test_all_equal_is_no_improvement():
    found = compare(np.ones(4), np.ones(3))
    assert found.probability_of_improvement == (0.5, (0.5, 0.5)) and found.improves is None


def test_one_score_is_too_few():
    with pytest.raises(ValueError, match="at least 2 scores of each, not 5 and 1"):
        compare(X, np.ones(1))


def test_one_value_tells_nothing_of_others():
    assert all(map(math.isnan, bootstrap_interval([np.array([3.0])], np.mean)))
    assert bootstrap_interval([np.array([3.0, 3.0])], np.mean) == (3.0, 3.0)
