"""Picture of a board between two strips with the captured pieces, and of the pieces that glide over it."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from itertools import pairwise

import chess
import numpy as np

from sim.chess.diagrams.draw import STYLES, draw_board, draw_piece, square_corner
from sim.chess.diagrams.pieces import sprite
from sim.chess.rules.game import WORTH, ChessGame
from sim.records import Array
from sim.viewer.contract.board import Slide

GROUND = (17, 20, 24)  # above and below the board
TRAY = (138, 147, 133)  # under the captured pieces: as far from black ones as from white ones

_OVERLAP = 0.55  # width that one of several equal captured pieces takes, of its own


def board_picture(
    first: chess.Board,
    game: ChessGame,
    size: int,
    strip: int,
    *,
    flipped: bool,
    lifted: tuple[chess.Square, ...],
    selected: chess.Square | None,
    dots: set[chess.Square],
    margin: int,
) -> Array:
    """A board of `size` pixels between two strips with captured pieces; `margin` is free at their right.

    Without strips, of height 0, there is nothing but the board.
    """
    picture = np.empty((size + 2 * strip, size, 3), np.uint8)
    picture[:] = GROUND
    position = game.board
    for square in lifted:
        position.remove_piece_at(square)
    picture[strip : strip + size] = draw_board(
        position, size, flipped=flipped, last_move=game.last_move, selected=selected, dots=dots
    )
    for taker in chess.COLORS if strip else ():
        kinds = captured(first, game.board, not taker)
        bottom = taker != flipped
        _draw_captured(picture, kinds, not taker, strip, bottom=bottom, margin=margin)
    return picture


def free_width(kinds: list[chess.PieceType], size: int, cell: int, margin: int) -> int:
    """Width in pixels that captured pieces leave in their strip, from the left."""
    return size - margin - (round(_middles(kinds, cell)[-1] + cell / 2) if kinds else 0)


def _middles(kinds: list[chess.PieceType], cell: int) -> Array:
    """Where captured pieces stand, in pixels from the first one's left edge."""
    steps = [cell * (_OVERLAP if one == other else 0.85) for one, other in pairwise(kinds)]
    middles: Array = cell / 2 + np.cumsum([0, *steps])
    return middles


def _draw_captured(
    picture: Array,
    kinds: list[chess.PieceType],
    colour: chess.Color,
    cell: int,
    *,
    bottom: bool,
    margin: int,
) -> None:
    """Draw captured pieces into a strip, the most valuable first, up to its right end."""
    if not kinds:
        return
    right = picture.shape[1] - margin
    left = free_width(kinds, picture.shape[1], cell, margin)
    middles = _middles(kinds, cell)
    top = picture.shape[0] - cell if bottom else 0
    picture[top : top + cell, max(0, left) : right] = TRAY
    for kind, x in zip(kinds, middles, strict=True):
        draw_piece(picture, chess.Piece(kind, colour), left + x, top + cell / 2, cell)


def captured(first: chess.Board, now: chess.Board, colour: chess.Color) -> list[chess.PieceType]:
    """The pieces that `colour` has lost since `first`, the most valuable first; promoting loses none."""
    missing = {
        kind: len(first.pieces(kind, colour)) - len(now.pieces(kind, colour))
        for kind in sorted(WORTH, key=lambda kind: (-WORTH[kind], -kind))
    }
    promoted = sum(-count for count in missing.values() if count < 0)
    missing[chess.PAWN] -= promoted
    return [kind for kind, count in missing.items() for _ in range(count)]


def slide_of(
    before: chess.Board,
    move: chess.Move | None,
    drawing: Callable[[tuple[chess.Square, ...]], Callable[[], Array]],
    *,
    size: int,
    strip: int,
    flipped: bool,
) -> Slide | None:
    """The pieces that `move` takes from one square to another, a castling rook among them.

    Args:
        before: the position that the move was made in.
        move: None for none.
        drawing: gives what draws the position after it without the pieces on some squares.
        size: of the board in pixels.
        strip: height of what is above it.
        flipped: whether Black sits at the bottom.
    """
    if move is None or before.piece_at(move.from_square) is None:
        return None
    ways = [(move.from_square, move.to_square)]
    if before.is_castling(move):
        king_side = move.to_square > move.from_square
        ways.append((move.to_square + (1 if king_side else -2), move.to_square + (-1 if king_side else 1)))
    style, gliding = STYLES["sage"], []
    for start, end in ways:
        piece = before.piece_at(start)
        if piece is None:
            return None
        x0, y0, cell = square_corner(start, size, flipped)
        x1, y1, _ = square_corner(end, size, flipped)
        image = partial(sprite, style.pieces, piece.piece_type, style.inks(piece.color), cell)
        gliding.append((image, x0, y0 + strip, x1, y1 + strip))
    return Slide(drawing(tuple(end for _, end in ways)), tuple(gliding))
