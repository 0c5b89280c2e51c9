"""Metrics of regression: Gaussian negative log-likelihood, coefficient of determination (R²), RMSE.

A percept of the kind ``value`` has ``extras["value"]``, name of a target → mean, and, where it tells how sure
it is, ``extras["std"]``, name → standard deviation in the same unit. A target that is unknown for an example
is missing in its truth. The metrics of several targets are those of the first one; each has a row of its own
in the breakdown.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from sim.records import Array, Percept
from sim.viewer.contract.moment import Readout
from supervised.metrics.percept_metrics import Parser, PerceptMetrics, Percepts, Rows


def quantity(origin: str, value: dict[str, float], std: dict[str, float] | None = None) -> Percept:
    """A percept of the kind ``value``.

    >>> quantity("model", {"height": 87.0}, {"height": 3.0}).extras["std"]
    {'height': 3.0}
    """
    extras = {"value": value} if std is None else {"value": value, "std": std}
    return Percept(origin, extras=extras)  # type: ignore[arg-type]


def gaussian_nll(truth: Array, mean: Array, std: Array) -> Array:
    """Negative log-likelihood, in nats, of each number under a Gaussian.

    >>> gaussian_nll(np.array([0.0]), np.array([0.0]), np.array([1.0])).round(4).tolist()
    [0.9189]
    """
    return np.asarray(0.5 * ((truth - mean) / std) ** 2 + np.log(std) + 0.5 * math.log(2 * math.pi))


class RegressionTally:
    """Squared errors and likelihoods of N examples.

    Args:
        truth: (N, T), NaN where a target is unknown.
        mean: (N, T).
        std: (N, T), NaN without one.
    """

    def __init__(self, truth: Array, mean: Array, std: Array) -> None:
        self.truth, self.mean = truth, mean
        self.nll = gaussian_nll(truth, mean, std)

    def __len__(self) -> int:
        """N."""
        return len(self.truth)

    def score(self, weights: Array) -> dict[str, float]:
        """The first target's metrics; see `scored`."""
        return self.scored(weights, 0)

    def scored(self, weights: Array, target: int) -> dict[str, float]:
        """``nll`` in nats (where spreads are told), ``r2`` and ``rmse`` in the target's unit.

        R² is against the weighted mean of the true values; NaN where these are all equal.
        """
        known = np.isfinite(self.truth[:, target]) & (weights > 0)
        if not known.any():
            return {"r2": math.nan, "rmse": math.nan}
        truth, mean, weights = self.truth[known, target], self.mean[known, target], weights[known]
        error = np.average((truth - mean) ** 2, weights=weights)
        spread = np.average((truth - np.average(truth, weights=weights)) ** 2, weights=weights)
        nll = self.nll[known, target]
        told = {"nll": float(np.average(nll, weights=weights))} if np.isfinite(nll).all() else {}
        return told | {"r2": 1 - float(error / spread) if spread else math.nan, "rmse": math.sqrt(error)}


def accumulate(predicted: Percepts, truth: Percepts, parse: Parser | None) -> RegressionTally:
    """The tally of these percepts; the targets are those of the predictions."""
    names = list(predicted[0].extras["value"])
    columns = [(truth, "value"), (predicted, "value"), (predicted, "std")]
    return RegressionTally(*(_table(percepts, field, names) for percepts, field in columns))


def _table(percepts: Percepts, field: str, names: Sequence[str]) -> Array:
    rows = [percept.extras.get(field) or {} for percept in percepts]
    return np.array([[row.get(name, math.nan) for name in names] for row in rows], np.float64)


def baseline(truths: Percepts, parse: Parser | None) -> Percept:
    """Mean and standard deviation of each target in the training set."""
    names = list(dict.fromkeys(name for truth in truths for name in truth.extras["value"]))
    table = _table(truths, "value", names)
    return quantity(
        "model",
        dict(zip(names, np.nanmean(table, axis=0).tolist(), strict=True)),
        dict(zip(names, np.maximum(np.nanstd(table, axis=0), 1e-9).tolist(), strict=True)),
    )


def by_target(
    counted: RegressionTally, predicted: Percepts, truth: Percepts, names: Sequence[str], parse: Parser | None
) -> Rows:
    """Metrics of each target, where there are several."""
    targets = list(predicted[0].extras["value"])
    if len(targets) < 2:
        return {}
    weights = np.ones(len(counted))
    return {name: counted.scored(weights, i) for i, name in enumerate(targets)}


def live(percept: Percept, truth: Percept, parse: Parser | None) -> tuple[Readout, ...]:
    """How far off each target is, in its own unit, and by how many standard deviations."""
    true, stds = truth.extras.get("value") or {}, percept.extras.get("std") or {}
    found = []
    for name, value in percept.extras["value"].items():
        if name in true:
            found.append(Readout(name, round(value - true[name], 3), "off"))
            if name in stds:
                found.append(Readout("z-score", round((value - true[name]) / stds[name], 2), "σ"))
    return tuple(found)


VALUE = PerceptMetrics(accumulate, baseline, by_target, live)
