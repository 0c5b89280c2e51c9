"""Analysis of a recorded board game as the window draws it: evaluated moves, and the present position.

All scores are expected scores in [0, 1], wins and half of the draws; programs call them win probability.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

#: Marks of a move by the expected score that it loses, the gravest first; chess's own annotation symbols.
MARKS = ((0.3, "??", "blunder"), (0.2, "?", "mistake"), (0.1, "?!", "inaccuracy"))


class AnalysedMove(NamedTuple):
    """One move of a game, with what the network and the search say of it.

    Attributes:
        number: such as ``"12."`` or, of Black, ``"12…"``.
        san: the move played.
        policy: the network's probability of it; None as long as it is unknown.
        rank: its place in the network's policy, from 1; None as long as it is unknown.
        favourite: the network's most probable move, and its probability.
        favourite_policy: see `favourite`.
        best: the search's move; "" as long as it is unknown.
        line: the search's principal variation in SAN.
        win_before: White's expected score before the move; None as long as it is unknown.
        win_after: the same after it.
        drop: expected score that it costs who made it; negative for a gain.
        mark: a symbol of `MARKS`; "" for none, and for the search's own move.
    """

    number: str
    san: str
    policy: float | None = None
    rank: int | None = None
    favourite: str = ""
    favourite_policy: float | None = None
    best: str = ""
    line: str = ""
    win_before: float | None = None
    win_after: float | None = None
    drop: float | None = None
    mark: str = ""


class SideSummary(NamedTuple):
    """One side's play: its moves that are analysed, the mean expected score that they lost, and marks."""

    moves: int
    mean_drop: float
    inaccuracies: int
    mistakes: int
    blunders: int


@dataclass(frozen=True, slots=True, eq=False)
class GameAnalysis:
    """Analysis of a recorded game at one of its positions.

    Attributes:
        moves: P moves.
        wins: White's expected scores in P + 1 positions; None as long as they are unknown.
        ply: the position shown, in 0…P.
        black_begins: whether the first move is Black's.
        title: who played, and the result.
        sides: White's and Black's summary.
        status: work in progress, or why the game stops here, in words; "" for neither.
        revision: changes whenever anything but `ply` does.
    """

    moves: tuple[AnalysedMove, ...]
    wins: tuple[float | None, ...]
    ply: int
    black_begins: bool
    title: str
    sides: tuple[SideSummary, SideSummary]
    status: str = ""
    revision: int = 0


def mark_of(drop: float) -> str:
    """Annotation symbol of a move that loses so much expected score.

    >>> [mark_of(drop) for drop in (0.05, 0.1, 0.25, 0.6, -0.4)]
    ['', '?!', '?', '??', '']
    """
    return next((mark for least, mark, _ in MARKS if drop >= least - 1e-9), "")
