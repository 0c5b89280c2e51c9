"""Metrics of whole-image predictions: label accuracy and calibration, FEN accuracy, caption facts.

Labels: top-1, and where predictions have a confidence the expected calibration error (Guo et al. 2017) over
15 bins of equal width, each open below and closed above.

Boards: an image shows where pieces stand, not whose turn it is, so only the first field of two FENs is
compared: `exact` is the share of boards equal in all 64 squares, `accuracy` that of squares. An invalid FEN
has no square right.

Captions: right when its facts are those of the true one, whatever the wording: a parser given from outside
turns both into facts. `accuracy` is the mean share of the true facts that a caption has right.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

from sim.records import Array

BINS = 15

#: Turns a sentence into facts; raises ValueError for what is no sentence of its language.
Parser: TypeAlias = Callable[[str], Mapping[str, object]]


@dataclass(frozen=True)
class ReliabilityRow:
    """One bin of a reliability diagram.

    Attributes:
        low: the bin's edges, (low, high], in [0, 1].
        high: see `low`.
        share: of all predictions.
        confidence: the mean of the bin's predictions.
        accuracy: the share of them that is right.
    """

    low: float
    high: float
    share: float
    confidence: float
    accuracy: float


def reliability(
    confidence: Array, right: Array, bins: int = BINS, weights: Array | None = None
) -> list[ReliabilityRow]:
    """Reliability diagram: accuracy by confidence bin; empty bins are left out.

    Args:
        confidence: (N,) in [0, 1].
        right: (N,) bool.
        bins: how many, of equal width.
        weights: (N,) how often each prediction counts; once by default.

    Raises:
        ValueError: unless all confidences lie in [0, 1].
    """
    if not ((confidence >= 0) & (confidence <= 1)).all():
        raise ValueError("confidences must lie in [0, 1]")
    weights = np.ones(len(confidence)) if weights is None else weights
    edges = np.linspace(0, 1, bins + 1)
    index = np.maximum(np.searchsorted(edges, confidence) - 1, 0)  # 0 belongs to the first bin
    rows = []
    for at in range(bins):
        weight = np.where(index == at, weights, 0.0)
        if weight.any():
            means = np.average(np.stack([confidence, right]), axis=1, weights=weight)
            share = weight.sum() / weights.sum()
            rows.append(ReliabilityRow(float(edges[at]), float(edges[at + 1]), float(share), *means.tolist()))
    return rows


def calibration_error(rows: Sequence[ReliabilityRow]) -> float:
    """Expected calibration error: mean absolute difference of confidence and accuracy over the bins.

    >>> rows = reliability(np.array([0.9, 0.9]), np.array([True, False]))
    >>> round(calibration_error(rows), 3)
    0.4
    """
    return sum(row.share * abs(row.accuracy - row.confidence) for row in rows)


class LabelTally:
    """Tally of labels: top-1 accuracy and calibration.

    Args:
        predicted: N labels.
        truth: N true ones.
        confidence: (N,) in [0, 1], of the predicted ones.
    """

    def __init__(
        self, predicted: Sequence[str | None], truth: Sequence[str | None], confidence: Array | None = None
    ) -> None:
        self.right = np.array([said == true for said, true in zip(predicted, truth, strict=True)])
        self.confidence = confidence

    def __len__(self) -> int:
        """How many answers."""
        return len(self.right)

    def score(self, weights: Array) -> dict[str, float]:
        """`top1`, and `ece` where confidences are known."""
        figures = {"top1": float(np.average(self.right, weights=weights))}
        if self.confidence is not None:
            rows = reliability(self.confidence, self.right, weights=weights)
            figures["ece"] = calibration_error(rows)
        return figures


class ShareTally:
    """Tally of N predictions with many parts each, such as squares or facts.

    Args:
        name: of the metric that counts predictions right in all their parts.
        shares: (N,) of each prediction's parts that are right, in [0, 1].
        exact: (N,) bool, which predictions are right in all of them.
    """

    def __init__(self, name: str, shares: Array, exact: Array) -> None:
        self.name = name
        self.shares = shares
        self.exact = exact

    def __len__(self) -> int:
        """How many answers."""
        return len(self.exact)

    def score(self, weights: Array) -> dict[str, float]:
        """The named metric, and `accuracy`, the mean share."""
        exact = float(np.average(self.exact, weights=weights))
        return {self.name: exact, "accuracy": float(np.average(self.shares, weights=weights))}


def squares(fen: str) -> str:
    """The 64 squares of a FEN's first field, from a8 to h1, a dot for an empty one.

    Raises:
        ValueError: unless it has 8 ranks of 8 squares and no piece but those of chess.

    >>> squares("8/8/8/8/8/8/8/R3K2k w - - 0 1")[-8:]
    'R...K..k'
    """
    ranks = ["".join("." * int(c) if c in "12345678" else c for c in rank) for rank in _field(fen).split("/")]
    if [len(rank) for rank in ranks] != [8] * 8 or set("".join(ranks)) - set(".pnbrqkPNBRQK"):
        raise ValueError(f'"{fen}" is no board: a FEN has 8 ranks of 8 squares')
    return "".join(ranks)


def board_tally(predicted: Sequence[str], truth: Sequence[str]) -> ShareTally:
    """Tally of FENs, full ones or their first field: `exact` and `accuracy`.

    Raises:
        ValueError: naming the true FEN that is invalid.
    """
    shares = np.array(
        [_equal_squares(said, squares(true)) for said, true in zip(predicted, truth, strict=True)]
    )
    return ShareTally("exact", shares, shares == 1)


def caption_tally(predicted: Sequence[str], truth: Sequence[str], parse: Parser) -> ShareTally:
    """Tally of captions: `state_exact` and `accuracy`.

    Raises:
        ValueError: from the parser, for a true caption that it cannot read.
    """
    pairs = [(facts_of(said, parse), parse(true)) for said, true in zip(predicted, truth, strict=True)]
    exact = np.array([said == true for said, true in pairs])
    return ShareTally("state_exact", np.array([_equal_facts(*pair) for pair in pairs]), exact)


def _field(fen: str) -> str:
    return (fen.split() or [""])[0]


def _equal_squares(fen: str, truth: str) -> float:
    """The share of 64 squares that a predicted FEN has right."""
    try:
        said = squares(fen)
    except ValueError:
        return 0.0
    return sum(a == b for a, b in zip(said, truth, strict=True)) / len(truth)


def facts_of(caption: str, parse: Parser) -> Mapping[str, object] | None:
    """Facts of a predicted caption; None if it cannot be parsed."""
    try:
        return parse(caption)
    except ValueError:
        return None


def _equal_facts(said: Mapping[str, object] | None, truth: Mapping[str, object]) -> float:
    """The share of the true facts that a caption has right."""
    if said is None or not truth:
        return float(said == truth)
    return sum(name in said and said[name] == fact for name, fact in truth.items()) / len(truth)
