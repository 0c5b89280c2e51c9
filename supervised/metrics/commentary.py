"""Metrics of chess commentary: sentences whose facts are all right, in every language that was asked for."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from sim.records import Percept
from supervised.captions.chess_commentary import CommentaryError, Facts, parse
from supervised.metrics.answers import CAPTION, ShareTally
from supervised.metrics.percept_metrics import Parser, PerceptMetrics, Percepts, Rows

NAMES = {"en": "English", "fr": "French"}


def facts_by_language(caption: str) -> Facts:
    """The facts of a caption of a line for each language, named ``en: white king`` and so on.

    Raises:
        CommentaryError: for a line that is no commentary.
    """
    found: Facts = {}
    for line in caption.split("\n"):
        facts = parse(line)
        language = facts.pop("language")
        found |= {f"{language}: {name}": value for name, value in facts.items()}
    return found


def _accumulate(predicted: Percepts, truth: Percepts, parse_none: Parser | None) -> Any:
    return CAPTION.accumulate(predicted, truth, _each_line)


def _each_line(caption: str) -> Facts:
    """Facts of a caption; of lines that are no commentary none, so that the others still count.

    Raises:
        CommentaryError: if no line is one.
    """
    found: Facts = {}
    for line in caption.split("\n"):
        try:
            found |= facts_by_language(line)
        except CommentaryError:
            continue
    if not found:
        raise CommentaryError(f'"{caption}" is no commentary of a position')
    return found


def _baseline(truths: Percepts, parse_none: Parser | None) -> Percept:
    return CAPTION.baseline(truths, _each_line)


def _by_language(
    counted: ShareTally, predicted: Percepts, truth: Percepts, names: Sequence[str], parse_none: Parser | None
) -> Rows:
    """`state_exact` by language, and the accuracy of each fact over the languages."""
    pairs = [
        (_known(said.caption), _each_line(true.caption or ""))
        for said, true in zip(predicted, truth, strict=True)
    ]
    rows: Rows = {}
    for language, name in NAMES.items():
        right = [
            all(said.get(fact) == value for fact, value in true.items() if fact.startswith(language))
            for said, true in pairs
            if any(fact.startswith(language) for fact in true)
        ]
        if right:
            rows[name] = {"state_exact": float(np.mean(right))}
    facts: dict[str, list[bool]] = {}
    for said, true in pairs:
        for fact, value in true.items():
            facts.setdefault(fact.partition(": ")[2], []).append(said.get(fact) == value)
    return rows | {fact: {"accuracy": float(np.mean(right))} for fact, right in facts.items()}


def _known(caption: str | None) -> Facts:
    try:
        return _each_line(caption or "")
    except CommentaryError:
        return {}


def _live(percept: Percept, truth: Percept, parse_none: Parser | None = None) -> Any:
    assert CAPTION.live is not None
    return CAPTION.live(percept, truth, _each_line)


COMMENTARY = PerceptMetrics(_accumulate, _baseline, _by_language, _live)
