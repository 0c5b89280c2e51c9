"""Endgame tablebase of king and queen or rook against king: plies to mate with best play.

All 2 · 64³ positions are solved backwards from the mates (retrograde analysis, Ströhlein 1970), in half a
second and without any file. Black plays as long as it can, and takes the piece where it may: that is a draw.

>>> table = solve("q")
>>> table.plies(chess.Board("k7/8/1K6/8/8/8/8/6Q1 w - - 0 1"))  # Qg8#
1
>>> table.plies(chess.Board("8/8/8/8/3k4/3Q4/8/7K b - - 0 1")) is None  # the queen falls
True
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

import chess
import numpy as np

from sim.progress import waiting
from sim.records import Array

DRAWN = -1
ORTHOGONAL = ((0, 1), (1, 0), (0, -1), (-1, 0))
DIAGONAL = ((1, 1), (1, -1), (-1, -1), (-1, 1))
RAYS = {"q": ORTHOGONAL + DIAGONAL, "r": ORTHOGONAL}
NAMES = {"q": chess.QUEEN, "r": chess.ROOK}


@dataclass(frozen=True)
class Tablebase:
    """Distance to mate in plies, indexed by white king, white piece and black king, each a square 0…63.

    Attributes:
        white: (64, 64, 64) int16 with White to move; `DRAWN` where it cannot win or none may stand.
        black: the same with Black to move; 0 where it is mated.
        legal: (64, 64, 64) bool, the legal positions with Black to move.
        piece: ``"q"`` or ``"r"``.
    """

    white: Array
    black: Array
    legal: Array
    piece: str

    def plies(self, board: chess.Board) -> int | None:
        """Distance to mate in plies with best play; None for a draw.

        Raises:
            ValueError: for other pieces than this table's.
        """
        kings, pieces = board.kings, board.occupied & ~board.kings
        strong = bool(pieces & board.occupied_co[chess.WHITE])
        if chess.popcount(pieces) > 1 or pieces & ~board.pieces_mask(NAMES[self.piece], strong):
            raise ValueError(f"the table of K{self.piece.upper()}–K knows nothing of {board.board_fen()}")
        if not pieces:
            return None
        king, bare = (chess.lsb(kings & board.occupied_co[side]) for side in (strong, not strong))
        table = self.white if board.turn == strong else self.black
        found = int(table[king, chess.lsb(pieces), bare])
        return None if found == DRAWN else found

    def won_in(self, plies: int) -> Array:
        """(M, 3) white king, white piece, black king of positions `plies` from mate; White moves if odd."""
        return np.argwhere((self.white if plies % 2 else self.black) == plies)


@lru_cache
def solve(piece: str) -> Tablebase:
    """Compute the tablebase of king and ``"q"`` or ``"r"`` against king; cached."""
    with waiting(f"solving king and {chess.piece_name(NAMES[piece])} against king"):
        return _solved(piece)


def _solved(piece: str) -> Tablebase:
    king, other, bare = np.meshgrid(*[np.arange(64)] * 3, indexing="ij", sparse=True)
    near = _near()
    apart = (king != other) & (other != bare) & (king != bare) & ~near[king, bare]
    attacked = _attacked(RAYS[piece])
    check = attacked[other, king, bare]
    # Squares that Black's king may go to; the king itself hides nothing from the piece behind it.
    to_white = []
    for square in _steps(bare):
        to = np.maximum(square, 0)
        free = (square >= 0) & ~near[king, to] & (to != king)
        to_white.append(
            np.where(free & (to != other) & ~attacked[other, king, to], _index(king, other, to), -1)
        )
        taken = free & (to == other)
        to_white.append(np.where(taken, -2, -1))
    black_moves = np.stack([moves.ravel() for moves in to_white])
    # Moves without captures can be taken back by the same moves: these are also where a position comes from.
    white_moves = np.stack([moves.ravel() for moves in _white_moves(king, other, bare, RAYS[piece], near)])
    beside = np.stack([np.where(to < 0, -1, _index(king, other, to)).ravel() for to in _steps(bare)])
    black, white = (np.full(64**3, DRAWN, np.int16) for _ in range(2))
    some = apart.ravel() & (black_moves != -1).any(0)
    black[apart.ravel() & check.ravel() & ~some] = 0
    hopeless = some & (black_moves != -2).all(0)  # no capture saves it
    white_open = np.append((apart & ~check).ravel(), False)  # still to be decided; the last stands for −1
    black_open = np.append(hopeless, False)
    won = np.append(np.zeros(64**3, bool), True)  # by White to move, or no move of Black's at all
    level, lost = 0, np.flatnonzero(black == 0)
    while lost.size:
        winning = _among(white_moves[:, lost], white_open)
        white[winning], white_open[winning], won[winning] = level + 1, False, True
        doubtful = _among(beside[:, winning], black_open)
        lost = doubtful[won[black_moves[:, doubtful]].all(0)]
        black[lost], black_open[lost] = level + 2, False
        level += 2
    shape = (64, 64, 64)
    return Tablebase(white.reshape(shape), black.reshape(shape), apart, piece)


def _among(positions: Array, allowed: Array) -> Array:
    """Those of the numbers `positions` that are `allowed`, each once, in order."""
    found = np.zeros(len(allowed), bool)
    found[positions.ravel()] = True
    among: Array = np.flatnonzero(found & allowed)
    return among


def _white_moves(
    king: Array, other: Array, bare: Array, rays: tuple[tuple[int, int], ...], near: Array
) -> Iterator[Array]:
    """For each of White's moves, where it leads by position; −1 where there is no such move."""
    for square in _steps(king):
        to = np.maximum(square, 0)
        free = (square >= 0) & (to != other) & (to != bare) & ~near[to, bare]
        yield np.where(free, _index(to, other, bare), -1)
    for dx, dy in rays:
        free = np.ones((), bool)
        for n in range(1, 8):
            square = _shifted(other, n * dx, n * dy)
            free = free & (square >= 0) & (square != king) & (square != bare)
            yield np.where(free, _index(king, square, bare), -1)


def _attacked(rays: tuple[tuple[int, int], ...]) -> Array:
    """(64, 64, 64) bool: whether a piece on one square attacks the third past a blocker on the second."""
    table = np.zeros((64, 64, 64), bool)
    piece, blocker = np.meshgrid(np.arange(64), np.arange(64), indexing="ij")
    for dx, dy in rays:
        free = np.ones(piece.shape, bool)
        for n in range(1, 8):
            square = _shifted(piece, n * dx, n * dy)
            free &= square >= 0
            table[piece[free], blocker[free], square[free]] = True
            free &= square != blocker
    return table


def _near() -> Array:
    """(64, 64) bool: whether two squares touch, or are the same."""
    rows, columns = np.divmod(np.arange(64), 8)
    far = np.maximum(abs(rows[:, None] - rows), abs(columns[:, None] - columns))
    near: Array = far <= 1
    return near


def _steps(squares: Array) -> Iterator[Array]:
    """The squares beside, in eight directions; −1 off the board."""
    for dx, dy in ORTHOGONAL + DIAGONAL:
        yield _shifted(squares, dx, dy)


def _shifted(squares: Array, dx: int, dy: int) -> Array:
    rows, columns = squares // 8 + dy, squares % 8 + dx
    on = (rows >= 0) & (rows < 8) & (columns >= 0) & (columns < 8)
    return np.where(on, 8 * rows + columns, -1)


def _index(king: Array, other: Array, bare: Array) -> Array:
    return (64 * king + other) * 64 + bare
