"""Metrics of molecular properties: those of regression, for whichever target is known, beside physics.

A test set knows one target or several; the metrics are those of the first target that it knows, so that
FreeSolv's molecules are graded by their hydration energy. Where a truth also has what molecular dynamics
computed (``extras["computed"]``), its error stands beside: ``physics_rmse``.
"""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from sim.records import Array
from supervised.metrics.percept_metrics import Parser, Percepts
from supervised.metrics.regression import VALUE, RegressionTally, accumulate


class MoleculeTally(RegressionTally):
    """Squared errors of N molecules, of a model and of physics.

    Args:
        tally: of the model.
        computed: (N, T), NaN where nothing was computed.
    """

    def __init__(self, tally: RegressionTally, computed: Array) -> None:
        self.truth, self.mean, self.nll, self.computed = tally.truth, tally.mean, tally.nll, computed

    def score(self, weights: Array) -> dict[str, float]:
        """Metrics of the first target that is known; see the module."""
        known = np.isfinite(self.truth).any(axis=0)
        target = int(np.argmax(known))
        found = self.scored(weights, target)
        both = np.isfinite(self.computed[:, target]) & np.isfinite(self.truth[:, target]) & (weights > 0)
        if both.any():
            error = (self.computed - self.truth)[both, target] ** 2
            found["physics_rmse"] = math.sqrt(np.average(error, weights=weights[both]))
        return found


def molecule_tally(predicted: Percepts, truth: Percepts, parse: Parser | None) -> MoleculeTally:
    """The tally of these percepts; the targets are those of the predictions."""
    names = list(predicted[0].extras["value"])
    rows = [one.extras.get("computed") or {} for one in truth]
    computed = np.array([[row.get(name, math.nan) for name in names] for row in rows], np.float64)
    return MoleculeTally(accumulate(predicted, truth, parse), computed)


MOLECULE = replace(VALUE, accumulate=molecule_tally)
