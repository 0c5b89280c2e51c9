"""Record of the metrics of one kind of percept: scores, constant baseline, breakdown, live metrics.

The kinds themselves stand in `supervised.metrics.kinds`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeAlias

import numpy as np

from sim.records import Array, Percept
from sim.viewer.contract.moment import Readout

Percepts: TypeAlias = Sequence[Percept]
Rows: TypeAlias = dict[str, dict[str, float]]

#: Turns a sentence into facts; raises ValueError for what is no sentence of its language.
Parser: TypeAlias = Callable[[str], Mapping[str, object]]


class MetricAccumulator(Protocol):
    """Per-image counts of P images, from which metrics with any weights of the images follow."""

    def __len__(self) -> int:
        """P."""

    def score(self, weights: Array) -> dict[str, float]:
        """The metrics with image i counted ``weights[i]`` ≥ 0 times; NaN for undefined ones."""


def no_rows(
    counted: Any, predicted: Percepts, truth: Percepts, names: Sequence[str], parse: Parser | None
) -> Rows:
    """No breakdown."""
    return {}


@dataclass(frozen=True)
class PerceptMetrics:
    """Metrics of one kind of percept; `parse` turns captions into facts, and is None where nobody has one.

    Attributes:
        accumulate: (predicted, truth, parse) → per-image counts of P ≥ 1 images.
        baseline: (truths of the training images, parse) → the one percept that fits all of them best.
        by_class: (counts, predicted, truth, class names, parse) → metrics by class.
        live: (percept, truth, parse) → metrics of one image for the window, the most telling first; None for
            those of `accumulate` that `shown` names.
        shown: metric → its name in the window, and its unit.
        protocol: () → by which settings, such as a signature, for the protocol of an evaluation.
    """

    accumulate: Callable[[Percepts, Percepts, Parser | None], MetricAccumulator]
    baseline: Callable[[Percepts, Parser | None], Percept]
    by_class: Callable[[Any, Percepts, Percepts, Sequence[str], Parser | None], Rows] = no_rows
    live: Callable[[Percept, Percept, Parser | None], tuple[Readout, ...]] | None = None
    shown: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    protocol: Callable[[], Mapping[str, str]] = dict


def without_nan(rows: Rows) -> Rows:
    """The rows without NaN metrics; empty rows are left out."""
    kept = {name: {k: v for k, v in figures.items() if not np.isnan(v)} for name, figures in rows.items()}
    return {name: figures for name, figures in kept.items() if figures}
