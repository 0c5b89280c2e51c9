"""State of a board game as the window draws it: players, clocks, evaluation, arrows, moves, result.

Squares are numbers 0…63, a1 is 0, b1 is 1, h8 is 63. White is 0, Black is 1. Drawing reads nothing else.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

from sim.records import Array

WHITE, BLACK = 0, 1


class BoardMove(NamedTuple):
    """One move of a game: in SAN, and the number of the moment that shows the position after it."""

    san: str
    moment: int


class MoveArrow(NamedTuple):
    """A move that the search considers, with its share of all visits in [0, 1], and how many those are."""

    start: int
    end: int
    share: float
    visits: int


class Evaluation(NamedTuple):
    """Evaluation of a position from White's side: probabilities that sum to 1, and where they come from.

    Attributes:
        win: of White.
        draw: 0 where only an expected score is known.
        loss: of White.
        source: in a few words, ``"search, 400 visits"``; "" for none.
        exact: whether `draw` is known, too.
    """

    win: float
    draw: float
    loss: float
    source: str = ""
    exact: bool = True

    @property
    def score(self) -> float:
        """White's expected score in [0, 1]: a draw is a half."""
        return self.win + self.draw / 2


class ClockTimes(NamedTuple):
    """Times left on both clocks at one moment.

    Attributes:
        left: seconds of White and of Black.
        running: `WHITE` or `BLACK`, whose clock goes down; −1: none does.
        since: `time.monotonic()` at which `left` was so.
    """

    left: tuple[float, float]
    running: int
    since: float

    def at(self, now: float) -> tuple[float, float]:
        """Seconds left at a time, never below 0."""
        spent = max(0.0, now - self.since)
        white, black = self.left
        return (
            max(0.0, white - spent * (self.running == WHITE)),
            max(0.0, black - spent * (self.running == BLACK)),
        )


@dataclass(frozen=True, slots=True, eq=False)
class Slide:
    """A move in progress: the board without what moves, and the pieces that glide over it.

    Attributes:
        still: draws the picture (H, W, 3) uint8 without the moving pieces; may be called from any thread.
        pieces: for each what draws it (h, w, 4) float32, colours multiplied by opacity, and its top left
            corner at the start and at the end: x0, y0, x1, y1 in pixels.
    """

    still: Callable[[], Array]
    pieces: tuple[tuple[Callable[[], Array], int, int, int, int], ...]


@dataclass(frozen=True, slots=True)
class GameOffer:
    """Choices of the dialog "New game".

    Attributes:
        opponents: names, as `Gesture` ``"new_game"`` takes them.
        opponent: index of the present one.
        colour: ``"white"``, ``"black"`` or ``"random"``, the present one.
        clocks: such as ``"5+3"``, minutes and seconds a move; the first is no clock.
        clock: index of the present one.
    """

    opponents: tuple[str, ...]
    opponent: int
    colour: str
    clocks: tuple[str, ...]
    clock: int


@dataclass(frozen=True, slots=True, eq=False)
class BoardState:
    """A board game at one moment.

    Attributes:
        board: x0, y0, x1, y1 of the squares in the moment's first picture.
        white_at_bottom: whether White's side is below.
        names: who plays White and Black.
        to_move: `WHITE` or `BLACK`; −1 when the game is over.
        lead: material of White less that of Black, in pawns.
        room: width in the picture that a name has, White's and Black's, in its pixels.
        game: number of the game in its show: equal for the moments of one game.
        ply: how many moves led to this position.
        moves: of the game so far, both sides'.
        first_number: of the first move, from 1.
        black_begins: whether the first of `moves` is Black's.
        result: such as ``"1–0, mate in 41 moves"``; "" while the game goes on.
        evaluation: of the position; None if nobody has one.
        arrows: the moves most searched, the most visited first.
        line: the principal variation in SAN, with move numbers; "" without one.
        thinking: who searches, in words; "" if nobody does.
        clocks: None for a game without.
        premove: start and end of a move that a person entered early.
        slide: from the position before; None where nothing moved.
        offer: what "New game" offers; None where there is no such dialog.
    """

    board: tuple[int, int, int, int]
    white_at_bottom: bool
    names: tuple[str, str]
    to_move: int
    lead: int = 0
    room: tuple[int, int] = (10_000, 10_000)
    game: int = 0
    ply: int = 0
    moves: tuple[BoardMove, ...] = ()
    first_number: int = 1
    black_begins: bool = False
    result: str = ""
    evaluation: Evaluation | None = None
    arrows: tuple[MoveArrow, ...] = ()
    line: str = ""
    thinking: str = ""
    clocks: ClockTimes | None = None
    premove: tuple[int, int] | None = None
    slide: Slide | None = None
    offer: GameOffer | None = None

    def corner(self, square: int) -> tuple[float, float, float]:
        """Left, top and side of a square in the picture, in its pixels."""
        left, top, right, _ = self.board
        side = (right - left) / 8
        column, row = square % 8, 7 - square // 8
        if not self.white_at_bottom:
            column, row = 7 - column, 7 - row
        return left + column * side, top + row * side, side


def clock_text(seconds: float) -> str:
    """Time on a clock; tenths below ten seconds.

    >>> clock_text(303.2), clock_text(9.97), clock_text(0), clock_text(3700)
    ('5:04', '9.9', '0.0', '1:01:40')
    """
    if 0 <= seconds < 10:
        return f"{int(seconds * 10) / 10:.1f}"
    whole = int(-(-seconds // 1))  # a clock shows the second that has begun
    minutes, rest = divmod(whole, 60)
    return f"{minutes // 60}:{minutes % 60:02d}:{rest:02d}" if minutes >= 60 else f"{minutes}:{rest:02d}"
