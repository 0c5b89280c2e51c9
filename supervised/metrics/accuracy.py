"""Metrics of classification by name `accuracy`: share of right labels, and calibration; one row a class."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from sim.records import Array
from supervised.metrics.answers import LABEL, LabelTally
from supervised.metrics.percept_metrics import Parser, PerceptMetrics, Percepts, Rows


class AccuracyTally:
    """Tally of labels whose share of right ones is called `accuracy`."""

    def __init__(self, labels: LabelTally) -> None:
        self._labels = labels

    def __len__(self) -> int:
        """How many answers."""
        return len(self._labels)

    def score(self, weights: Array) -> dict[str, float]:
        """`accuracy`, and `ece` where confidences are known."""
        figures = self._labels.score(weights)
        return {"accuracy": figures.pop("top1")} | figures


def accumulate(predicted: Percepts, truth: Percepts, parse: Parser | None) -> AccuracyTally:
    """See `PerceptMetrics`."""
    counted: Any = LABEL.accumulate(predicted, truth, parse)
    return AccuracyTally(counted)


def by_class(
    counted: Any, predicted: Percepts, truth: Percepts, names: Sequence[str], parse: Parser | None
) -> Rows:
    """Share of right labels among the examples of each class."""
    true = np.array([percept.label for percept in truth])
    right = np.array([said.label for said in predicted]) == true
    return {name: {"accuracy": float(right[true == name].mean())} for name in names if (true == name).any()}


ACCURACY = PerceptMetrics(accumulate, LABEL.baseline, by_class, LABEL.live)
