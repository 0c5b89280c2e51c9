"""Metrics of labels under the name ``accuracy``, for tasks whose field calls it so: text and music."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sim.records import Array
from supervised.metrics.answers import LABEL, LabelTally
from supervised.metrics.percept_metrics import Parser, PerceptMetrics, Percepts, Rows


class AccuracyTally:
    """Tally of labels: `accuracy`, and `ece` where confidences are known.

    >>> import numpy as np
    >>> AccuracyTally(LabelTally(["reel", "jig"], ["reel", "reel"])).score(np.ones(2))
    {'accuracy': 0.5}
    """

    def __init__(self, labels: LabelTally) -> None:
        self._labels = labels

    def __len__(self) -> int:
        """How many answers."""
        return len(self._labels)

    def score(self, weights: Array) -> dict[str, float]:
        """The metrics with answer i counted ``weights[i]`` times."""
        return _renamed(self._labels.score(weights))


def _renamed(figures: dict[str, float]) -> dict[str, float]:
    return {"accuracy" if name == "top1" else name: value for name, value in figures.items()}


def _accumulate(predicted: Percepts, truth: Percepts, parse: Parser | None) -> AccuracyTally:
    tally: Any = LABEL.accumulate(predicted, truth, parse)
    return AccuracyTally(tally)


def _by_label(
    counted: Any, predicted: Percepts, truth: Percepts, names: Sequence[str], parse: Parser | None
) -> Rows:
    rows = LABEL.by_class(counted, predicted, truth, names, parse)
    return {name: _renamed(figures) for name, figures in rows.items()}


ACCURACY = PerceptMetrics(_accumulate, LABEL.baseline, _by_label, LABEL.live)
