"""Metrics of classification in two classes: accuracy, and the area under the ROC curve.

The area is the share of pairs, one example of each class, that the scores order rightly, ties counted half
(Hanley & McNeil 1982, "The meaning and use of the area under a receiver operating characteristic curve"). It
is the same whichever class is called positive.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from sim.records import Array, Percept
from supervised.metrics.answers import commonest_label, live_label
from supervised.metrics.percept_metrics import Parser, PerceptMetrics, Percepts, Rows


class BinaryTally:
    """Labels and scores of N examples in two classes.

    Args:
        right: (N,) bool, whether the label is the true one.
        positive: (N,) bool, the true class.
        score: (N,), larger where the positive class is more likely; NaN without confidences.
    """

    def __init__(self, right: Array, positive: Array, score: Array) -> None:
        self.right, self.positive, self.scores = right, positive, score

    def __len__(self) -> int:
        """N."""
        return len(self.right)

    def score(self, weights: Array) -> dict[str, float]:
        """``accuracy`` and ``auc``, which is NaN where one class has no example."""
        accuracy = float(np.average(self.right, weights=weights))
        return {"accuracy": accuracy, "auc": area_under_curve(self.positive, self.scores, weights)}


def area_under_curve(positive: Array, score: Array, weights: Array | None = None) -> float:
    """Area under the ROC curve; NaN where one class has no example, or a score is unknown.

    Args:
        positive: (N,) bool.
        score: (N,).
        weights: (N,) ≥ 0, how often each example counts; once by default.

    >>> area_under_curve(np.array([True, False, False]), np.array([0.5, 0.5, 0.1]))
    0.75
    """
    weights = np.ones(len(score)) if weights is None else weights
    if not np.isfinite(score).all():
        return math.nan
    _, place = np.unique(score, return_inverse=True)
    above = np.bincount(place, weights * positive)
    below = np.bincount(place, weights * ~positive)
    pairs = above.sum() * below.sum()
    smaller = np.cumsum(below) - below
    return float((above * (smaller + below / 2)).sum() / pairs) if pairs else math.nan


def _accumulate(predicted: Percepts, truth: Percepts, parse: Parser | None) -> BinaryTally:
    """The positive class is the first of the true labels in alphabetical order."""
    first = min((percept.label or "" for percept in truth), default="")
    right = np.array([said.label == true.label for said, true in zip(predicted, truth, strict=True)])
    positive = np.array([percept.label == first for percept in truth])
    return BinaryTally(right, positive, np.array([_share(percept, first) for percept in predicted]))


def _share(percept: Percept, label: str) -> float:
    """The probability of `label`; NaN without a confidence."""
    if percept.scores is None:
        return math.nan
    sure = float(percept.scores[0])
    return sure if percept.label == label else 1 - sure


def _by_class(
    counted: BinaryTally, predicted: Percepts, truth: Percepts, names: Sequence[str], parse: Parser | None
) -> Rows:
    """Accuracy among the examples of each class: sensitivity and specificity."""
    labels = np.array([percept.label for percept in truth])
    rows = {name: counted.right[labels == name] for name in names}
    return {name: {"accuracy": float(right.mean())} for name, right in rows.items() if len(right)}


BINARY = PerceptMetrics(_accumulate, commonest_label, _by_class, live_label)
