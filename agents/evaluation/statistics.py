"""Statistics of scores: interquartile mean (IQM), bootstrap intervals, probability of improvement.

After Agarwal et al. 2021, "Deep Reinforcement Learning at the Edge of the Statistical Precipice". All
resampling is scipy's, from a fixed generator: the same scores give the same interval.

Values may come in *strata*: groups whose shares in the whole were fixed beforehand, such as the episodes of
one evaluation seed (`agents.evaluation.evaluate`). Each resample then draws from every stratum as many
values as it has, so that shares never vary by chance. Of m values resampling sees (m − 1)/m of their
variance: strata of a handful make intervals too narrow, with 20 and more that is lost in the noise. For the
same reason the interval of a probability of 0 or 1 is a point, however few scores there are.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import stats

from sim.records import Array

RESAMPLES = 10_000
BATCH = 1_000  # resamples in memory at once
Interval = tuple[float, float]


@dataclass(frozen=True)
class Comparison:
    """Comparison of scores X with scores Y; each statistic with its 95 % interval.

    Attributes:
        probability_of_improvement: P(X > Y) + ½ P(X = Y) for one score of each; ½ means equal.
        iqm_difference: IQM(X) − IQM(Y), in units of the score.
    """

    probability_of_improvement: tuple[float, Interval]
    iqm_difference: tuple[float, Interval]

    @property
    def improves(self) -> bool | None:
        """True if X is better on the whole interval, False if Y is, None if it contains ½."""
        low, high = self.probability_of_improvement[1]
        return True if low > 0.5 else False if high < 0.5 else None


def compare(
    x: Array, y: Array, x_strata: int = 1, y_strata: int = 1, resamples: int = RESAMPLES
) -> Comparison:
    """Compare two independent samples of scores, (N,) and (M,).

    Args:
        x: scores X.
        y: scores Y.
        x_strata: of how many equal strata, one after another, `x` consists; see the module.
        y_strata: the same of `y`.
        resamples: how many resamples an interval comes from.

    Raises:
        ValueError: if either has fewer than two, or a stratum has.

    >>> found = compare(np.array([3.0, 4.0, 5.0]), np.array([1.0, 2.0, 3.0]))
    >>> round(found.probability_of_improvement[0], 3), found.iqm_difference[0], found.improves
    (0.944, 2.0, True)
    """
    strata = [*np.split(x, x_strata), *np.split(y, y_strata)]
    if min(map(len, strata)) < 2:
        raise ValueError(f"a comparison needs at least 2 scores of each, not {len(x)} and {len(y)}")

    def interval(statistic: Callable[..., Any]) -> Interval:
        def of_both(*drawn: Array, axis: int) -> Any:
            sides = drawn[:x_strata], drawn[x_strata:]
            return statistic(*(np.concatenate(side, axis=axis) for side in sides), axis=axis)

        return _interval(strata, of_both, resamples)

    return Comparison(
        (float(probability_of_improvement(x, y)), interval(probability_of_improvement)),
        (float(_iqm_difference(x, y)), interval(_iqm_difference)),
    )


def interquartile_mean(values: Array, axis: int = -1) -> Any:
    """Interquartile mean (IQM): the mean of the middle half.

    >>> float(interquartile_mean(np.array([-100.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 100.0])))
    3.5
    """
    return stats.trim_mean(values, 0.25, axis=axis)


def probability_of_improvement(x: Array, y: Array, axis: int = -1) -> Any:
    """Probability of improvement P(X > Y) + ½ P(X = Y) (Agarwal et al. 2021, section 4.3).

    It is Mann and Whitney's U as a share of all pairs.

    >>> float(probability_of_improvement(np.array([1.0, 2.0]), np.array([1.0, 1.0])))
    0.75
    """
    with np.errstate(divide="ignore", invalid="ignore"):  # where all are equal: of a p-value that is not used
        u = stats.mannwhitneyu(x, y, axis=axis, method="asymptotic").statistic
    return u / (x.shape[axis] * y.shape[axis])


def mean_interval(values: Array) -> Interval:
    """Student's 95 % interval of the mean of a few independent values (N,), such as a score of each seed.

    Low and high: nan of one value.

    >>> [round(end, 3) for end in mean_interval(np.array([1.0, 2.0, 3.0]))]  # 2 ± 4.303 · 1 / √3
    [-0.484, 4.484]
    """
    if len(values) < 2:
        return math.nan, math.nan
    mean = float(values.mean())
    half = float(stats.t.ppf(0.975, len(values) - 1) * values.std(ddof=1) / math.sqrt(len(values)))
    return mean - half, mean + half


def bootstrap_interval(strata: Sequence[Array], statistic: Callable[..., Any]) -> Interval:
    """Stratified bootstrap: the 95 % percentile interval of `statistic` over all values together.

    Args:
        strata: arrays of at least two values each; see the module. One array is the plain bootstrap.
        statistic: of values along ``axis=``.

    Returns:
        Low and high: NaN for a single value; a point where all are equal.
    """
    pooled = np.concatenate(strata)
    if len(pooled) < 2:
        return math.nan, math.nan
    if np.ptp(pooled) == 0:
        point = float(statistic(pooled, axis=-1))
        return point, point
    return _interval(strata, lambda *drawn, axis: statistic(np.concatenate(drawn, axis=axis), axis=axis))


def _iqm_difference(x: Array, y: Array, axis: int = -1) -> Any:
    return interquartile_mean(x, axis) - interquartile_mean(y, axis)


def _interval(
    samples: Sequence[Array], statistic: Callable[..., Any], resamples: int = RESAMPLES
) -> Interval:
    """Scipy's bootstrap; each sample is resampled by itself."""
    found = stats.bootstrap(
        tuple(samples),
        statistic,
        n_resamples=resamples,
        batch=BATCH,
        vectorized=True,
        method="percentile",
        rng=np.random.default_rng(0),
    ).confidence_interval
    return float(found.low), float(found.high)
