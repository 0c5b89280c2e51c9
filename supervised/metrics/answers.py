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

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from sim.records import Array, Percept
from sim.viewer.contract.moment import Readout
from supervised.metrics.percept_metrics import Parser, PerceptMetrics, Percepts, Rows

BINS = 15
PIECES = {".": "empty"} | {
    letter.upper() if side == "white" else letter: f"{side} {name}"
    for side in ("white", "black")
    for letter, name in zip("pnbrqk", ("pawn", "knight", "bishop", "rook", "queen", "king"), strict=True)
}


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


def commonest_label(truths: Percepts, parse: Parser | None = None) -> Percept:
    """Constant baseline: the commonest label; its score is its share."""
    label, times = Counter(truth.label for truth in truths).most_common(1)[0]
    return Percept("model", label=label, scores=np.array([times / len(truths)]))


def commonest_board(truths: Percepts, parse: Parser | None = None) -> Percept:
    """Constant baseline: the commonest board."""
    return Percept("model", fen=Counter(truth.fen for truth in truths).most_common(1)[0][0])


def commonest_caption(truths: Percepts, parse: Parser | None) -> Percept:
    """Constant baseline: a caption with the commonest set of facts.

    Raises:
        ValueError: without a parser.
    """
    if parse is None:
        raise ValueError("captions are compared by what they say: give a parser")
    said = {frozenset(parse(truth.caption or "").items()): truth.caption for truth in truths}
    states = Counter(frozenset(parse(truth.caption or "").items()) for truth in truths)
    return Percept("model", caption=said[states.most_common(1)[0][0]])


def live_label(percept: Percept, truth: Percept, parse: Parser | None = None) -> tuple[Readout, ...]:
    """Whether the label is right."""
    return (Readout("", "right" if percept.label == truth.label else "wrong"),)


def live_board(percept: Percept, truth: Percept, parse: Parser | None = None) -> tuple[Readout, ...]:
    """Number of misread squares.

    >>> said, true = (Percept("model", fen=f"8/8/8/8/8/8/8/{rank}") for rank in ("k1K5", "k2K4"))
    >>> live_board(said, true)[0].value
    '2 of 64 wrong'
    """
    try:
        wrong = sum(a != b for a, b in zip(squares(percept.fen or ""), squares(truth.fen or ""), strict=True))
    except ValueError:
        wrong = 64
    return (Readout("squares", f"{wrong} of 64 wrong" if wrong else "all right"),)


def live_caption(percept: Percept, truth: Percept, parse: Parser | None) -> tuple[Readout, ...]:
    """Number of true facts that the caption states; nothing without a parser."""
    if parse is None:
        return ()
    facts, told = parse(truth.caption or ""), facts_of(percept.caption or "", parse) or {}
    right = sum(name in told and told[name] == value for name, value in facts.items())
    return (Readout("facts", f"{right} of {len(facts)}"),)


def _accumulate_labels(predicted: Percepts, truth: Percepts, parse: Parser | None) -> LabelTally:
    said, true = [percept.label for percept in predicted], [percept.label for percept in truth]
    return LabelTally(said, true, _confidence(predicted))


def _confidence(percepts: Percepts) -> Array | None:
    """Confidences (P,) of the labels; None unless all percepts have one."""
    scores = [percept.scores for percept in percepts if percept.boxes is None]
    if len(scores) < len(percepts) or any(score is None or np.shape(score) != (1,) for score in scores):
        return None
    return np.array(scores, np.float64)[:, 0]


def _accumulate_boards(predicted: Percepts, truth: Percepts, parse: Parser | None) -> ShareTally:
    return board_tally([percept.fen or "" for percept in predicted], [percept.fen or "" for percept in truth])


def _accumulate_captions(predicted: Percepts, truth: Percepts, parse: Parser | None) -> ShareTally:
    if parse is None:
        raise ValueError("captions are graded by what they say: give a parser")
    said = [percept.caption or "" for percept in predicted]
    return caption_tally(said, [percept.caption or "" for percept in truth], parse)


def _by_label(
    counted: LabelTally, predicted: Percepts, truth: Percepts, names: Sequence[str], parse: Parser | None
) -> Rows:
    """Accuracy by true label."""
    pairs = [(said.label, true.label) for said, true in zip(predicted, truth, strict=True)]
    right = {name: [said == name for said, true in pairs if true == name] for name in names}
    return {name: {"top1": float(np.mean(some))} for name, some in right.items() if some}


def _by_piece(
    counted: ShareTally, predicted: Percepts, truth: Percepts, names: Sequence[str], parse: Parser | None
) -> Rows:
    """Accuracy by true piece, and of the empty squares."""
    true = "".join(squares(percept.fen or "") for percept in truth)
    said = "".join(_squares_or_none(percept.fen or "") for percept in predicted)
    right: dict[str, list[bool]] = {letter: [] for letter in PIECES}
    for letter, other in zip(true, said, strict=True):
        right[letter].append(letter == other)
    return {PIECES[letter]: {"accuracy": float(np.mean(some))} for letter, some in right.items() if some}


def _squares_or_none(fen: str) -> str:
    """The 64 squares of a FEN; of an invalid one 64 question marks, which match no square."""
    try:
        return squares(fen)
    except ValueError:
        return "?" * 64


def _by_fact(
    counted: ShareTally, predicted: Percepts, truth: Percepts, names: Sequence[str], parse: Parser | None
) -> Rows:
    """Accuracy by name of the fact."""
    if parse is None:
        return {}
    right: dict[str, list[bool]] = {}
    for said, true in zip(predicted, truth, strict=True):
        told = facts_of(said.caption or "", parse) or {}
        for name, value in parse(true.caption or "").items():
            right.setdefault(name, []).append(name in told and told[name] == value)
    return {name: {"accuracy": float(np.mean(some))} for name, some in right.items()}


LABEL = PerceptMetrics(_accumulate_labels, commonest_label, _by_label, live_label)
FEN = PerceptMetrics(_accumulate_boards, commonest_board, _by_piece, live_board)
CAPTION = PerceptMetrics(_accumulate_captions, commonest_caption, _by_fact, live_caption)
