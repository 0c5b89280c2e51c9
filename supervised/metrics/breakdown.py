"""Per-class metrics: AP by class, IoU by part, depth errors by distance, PCK by joint, accuracy by fact.

| kind | rows | metrics |
|---|---|---|
| boxes | classes | ap, ap50 |
| mask | parts | miou |
| depth | bands of true depth | abs_rel, rmse, delta1 |
| keypoints | joints | pck_0.1, pixel_error |
| label | true labels | top1 |
| fen | pieces, and the empty square | accuracy |
| caption | facts | accuracy |
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from sim.records import Array, Percept
from supervised.metrics.answers import Parser, facts_of, squares
from supervised.metrics.detection import BoxTally
from supervised.metrics.grading import Kind, MetricAccumulator, grade
from supervised.metrics.pixels import MaskTally
from supervised.metrics.pose import PoseTally

#: Metres; the last band reaches the horizon.
BANDS = ((0.0, 3.0), (3.0, 10.0), (10.0, np.inf))
PIECES = {".": "empty"} | {
    letter.upper() if side == "white" else letter: f"{side} {name}"
    for side in ("white", "black")
    for letter, name in zip("pnbrqk", ("pawn", "knight", "bishop", "rook", "queen", "king"), strict=True)
}

Rows = dict[str, dict[str, float]]


def by_class(
    kind: Kind,
    counted: MetricAccumulator,
    predicted: Sequence[Percept],
    truth: Sequence[Percept],
    names: Sequence[str],
    parse: Parser | None = None,
) -> Rows:
    """Metrics by class; see the module's table. Rows that are undefined for these images are left out.

    Args:
        kind: what is compared.
        counted: the tally of these percepts.
        predicted: P percepts.
        truth: the P true ones.
        names: of the classes, in the order of the rows.
        parse: turns captions into facts, for the kind ``"caption"``.
    """
    once = np.ones(len(truth))
    if isinstance(counted, BoxTally | PoseTally):
        rows = counted.by_class(once)
        return known({name: rows[name] for name in names if name in rows})
    if isinstance(counted, MaskTally):
        shares = zip(names, counted.by_class(once).tolist(), strict=False)  # later parts may be nowhere
        return known({name: {"miou": share} for name, share in shares})
    if kind == "depth":
        return _by_depth(predicted, truth)
    if kind == "label":
        return _by_label(predicted, truth, names)
    if kind == "fen":
        return _by_piece(predicted, truth)
    return _by_fact(predicted, truth, parse) if parse else {}


def known(rows: Rows) -> Rows:
    """The rows without NaN metrics; empty rows are left out."""
    kept = {name: {k: v for k, v in figures.items() if not np.isnan(v)} for name, figures in rows.items()}
    return {name: figures for name, figures in kept.items() if figures}


def _by_depth(predicted: Sequence[Percept], truth: Sequence[Percept]) -> Rows:
    rows = {}
    for low, high in BANDS:
        name = f"{low:.0f} to {high:.0f} m" if np.isfinite(high) else f"beyond {low:.0f} m"
        inside = [replace(true, depth=_between(true.depth, low, high)) for true in truth]
        rows[name] = grade("depth", predicted, inside)
    return known(rows)


def _between(depth: Array | None, low: float, high: float) -> Array:
    assert depth is not None
    with np.errstate(invalid="ignore"):
        return np.where((depth >= low) & (depth < high), depth, np.nan)


def _by_label(predicted: Sequence[Percept], truth: Sequence[Percept], names: Sequence[str]) -> Rows:
    pairs = [(said.label, true.label) for said, true in zip(predicted, truth, strict=True)]
    right = {name: [said == name for said, true in pairs if true == name] for name in names}
    return {name: {"top1": float(np.mean(some))} for name, some in right.items() if some}


def _by_piece(predicted: Sequence[Percept], truth: Sequence[Percept]) -> Rows:
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


def _by_fact(predicted: Sequence[Percept], truth: Sequence[Percept], parse: Parser) -> Rows:
    right: dict[str, list[bool]] = {}
    for said, true in zip(predicted, truth, strict=True):
        told = facts_of(said.caption or "", parse) or {}
        for name, value in parse(true.caption or "").items():
            right.setdefault(name, []).append(name in told and told[name] == value)
    return {name: {"accuracy": float(np.mean(some))} for name, some in right.items()}
