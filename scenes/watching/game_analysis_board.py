"""Board of an analysed position: evaluation bar, arrow of the search's move, and the last move's mark."""

from __future__ import annotations

import math
from functools import lru_cache

import chess
import numpy as np

from sim.chess.draw import SMALLEST, draw_board, square_corner
from sim.chess.pieces import Color
from sim.chess.shapes import arc, coverage, disc, grid, polygon, stroke, union
from sim.records import Array
from sim.viewer.draw.theme import MARK_COLORS

GROUND = (17, 20, 24)  # beside the bar
WHITE, BLACK, UNKNOWN = (236, 235, 230), (74, 76, 82), (43, 49, 58)  # of the bar
ARROW: Color = (0, 114, 178)

_BAR = 0.28  # width of the evaluation bar, in squares, and of the gap beside it
_GAP = 0.12
_BADGE = 0.42  # side of a mark, in squares
_OPACITY = 0.8


def fitting_size(width: int, height: int) -> int:
    """Side in pixels of the largest board of whole pixels a square that fits beside its bar."""
    return max(SMALLEST, 8 * min(int(width / (8 + _BAR + _GAP)), height // 8))


def draw_analysis(
    board: chess.Board,
    size: int,
    *,
    flipped: bool = False,
    last_move: chess.Move | None = None,
    best: chess.Move | None = None,
    win: float | None = None,
    mark: str = "",
) -> Array:
    """Draw a position with the evaluation bar at its left, (size, size + bar, 3) uint8.

    Args:
        board: the position.
        size: side of the board in pixels, at least `SMALLEST`.
        flipped: whether Black is at the bottom.
        last_move: tinted, and where its `mark` stands.
        best: an arrow.
        win: White's expected score in [0, 1]; None where it is unknown.
        mark: one of `MARK_COLORS`, or "".
    """
    picture = draw_board(board, size, flipped=flipped, last_move=last_move)
    if best is not None:
        _mix(picture, _arrow(size, best.from_square, best.to_square, flipped), ARROW)
    if mark and last_move is not None:
        _draw_mark(picture, last_move.to_square, flipped, mark)
    cell = size // 8
    bar, gap = max(6, round(_BAR * cell)), max(3, round(_GAP * cell))
    whole = np.empty((size, bar + gap + size, 3), np.uint8)
    whole[:] = GROUND
    whole[:, bar + gap :] = picture
    whole[:, :bar] = _bar(size, win, flipped)[:, None]
    return whole


def _bar(size: int, win: float | None, flipped: bool) -> Array:
    """Colours of the evaluation bar from the top down, (size, 3): White's share at White's side."""
    column = np.empty((size, 3), np.uint8)
    column[:] = UNKNOWN
    if win is not None:
        split = round(size * (1 - win))
        column[:split], column[split:] = BLACK, WHITE
    middle = size // 2
    column[middle - 1 : middle + 1] = ARROW
    return column[::-1] if flipped else column


def _mix(picture: Array, weight: Array, color: Color) -> None:
    weight = weight[..., None]
    picture[:] = picture * (1 - weight) + weight * np.array(color, np.float32) + 0.5


@lru_cache(maxsize=64)
def _arrow(size: int, start: chess.Square, end: chess.Square, flipped: bool) -> Array:
    """Opacity of an arrow between the middles of two squares, (size, size)."""
    (x0, y0), (x1, y1) = (_middle(square, size, flipped) for square in (start, end))
    length = math.hypot(x1 - x0, y1 - y0)
    right, down = (x1 - x0) / length, (y1 - y0) / length
    wide, head = 0.016, 0.04  # half the width of the head, and its length; a square is 0.125
    neck = x1 - head * right, y1 - head * down
    tail = x0 + 0.03 * right, y0 + 0.03 * down
    tip = [(x1, y1), (neck[0] - wide * 1.6 * down, neck[1] + wide * 1.6 * right)]
    tip.append((neck[0] + wide * 1.6 * down, neck[1] - wide * 1.6 * right))
    shape = union(stroke([tail, neck], wide), polygon(tip))
    opacity: Array = _OPACITY * coverage(shape(grid(size)), 1.0 / size).astype(np.float32)
    return opacity


def _middle(square: chess.Square, size: int, flipped: bool) -> tuple[float, float]:
    left, top, cell = square_corner(square, size, flipped)
    return (left + cell / 2) / size, (top + cell / 2) / size


def _draw_mark(picture: Array, square: chess.Square, flipped: bool, mark: str) -> None:
    """Draw a mark on a disc into the upper right corner of a square."""
    left, top, cell = square_corner(square, picture.shape[0], flipped)
    side = max(8, round(_BADGE * cell))
    part = picture[top : top + side, left + cell - side : left + cell]
    ground, signs = _badge(mark, side)
    _mix(part, ground, MARK_COLORS[mark])
    _mix(part, signs, GROUND)


@lru_cache(maxsize=32)
def _badge(mark: str, side: int) -> tuple[Array, Array]:
    """Opacity of a mark's disc and of its signs, (side, side) each."""
    at, shapes = grid(side), []
    middles = [0.5] if len(mark) == 1 else [0.34, 0.66]
    for sign, x in zip(mark, middles, strict=True):
        if sign == "?":
            shapes.append(stroke([*arc(x, 0.36, 0.12, -180, 90), (x, 0.6)], 0.09))
        else:
            shapes.append(stroke([(x, 0.26), (x, 0.6)], 0.09))
        shapes.append(disc(x, 0.74, 0.055))
    ground: Array = coverage(disc(0.5, 0.5, 0.48)(at), 1.0 / side).astype(np.float32)
    signs: Array = coverage(union(*shapes)(at), 1.0 / side).astype(np.float32)
    return ground, signs
