"""Chess board rendering as RGB: pieces, coordinates, last move, check, and dots where a piece may go.

Pictures are plain arrays, so the same board serves the window, recordings and perception models.
Everything that does not move is drawn once per size and cached.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import lru_cache

import chess
import numpy as np

from sim.chess.diagrams.pieces import Color, Inks, glyph, sprite
from sim.chess.diagrams.shapes import coverage, grid
from sim.records import Array

SMALLEST = 64  # pixels: below, pieces cannot be told apart


@dataclass(frozen=True)
class BoardStyle:
    """Style of a board: colours, and the name of a piece set in `sim.chess.diagrams.sets`."""

    light: Color = (236, 229, 214)
    dark: Color = (142, 158, 134)
    rim: Color = (46, 48, 46)  # around the squares, where the size is no multiple of eight
    last_move: Color = (240, 190, 60)
    check: Color = (214, 58, 42)
    dot: Color = (28, 40, 32)
    selected: Color = (84, 142, 84)
    white: Inks = Inks(fill=(252, 250, 245), outline=(58, 56, 52), detail=(92, 89, 83))
    black: Inks = Inks(fill=(66, 66, 70), outline=(22, 22, 24), detail=(196, 194, 190))
    pieces: str = "staunton"
    coordinates: bool = True

    def inks(self, color: chess.Color) -> Inks:
        """The colours of one side's pieces."""
        return self.white if color else self.black


STYLES = {"sage": BoardStyle()}


def draw_board(
    board: chess.Board,
    size: int = 480,
    *,
    flipped: bool = False,
    last_move: chess.Move | None = None,
    dots: Iterable[chess.Square] = (),
    selected: chess.Square | None = None,
    check: bool = True,
    style: BoardStyle = STYLES["sage"],
) -> Array:
    """Draw `board` as a picture, (size, size, 3) uint8.

    Args:
        board: the position.
        size: pixels on a side, at least 64.
        flipped: whether Black sits at the bottom.
        last_move: its two squares are tinted.
        dots: squares to mark as goals; a ring where a piece stands.
        selected: a square to tint.
        check: whether to show a king in check by a glow.
        style: colours and piece set.

    Raises:
        ValueError: for a size below 64.
    """
    if size < SMALLEST:
        raise ValueError(f"a board needs at least {SMALLEST} pixels, not {size}")
    # Empty boards are cached whatever the piece set.
    picture = _empty_board(size, flipped, replace(style, pieces="")).copy()
    cell, _ = _cells(size)
    if last_move:
        for square in (last_move.from_square, last_move.to_square):
            _tint(_part(picture, square, flipped), style.last_move, 0.45)
    if selected is not None:
        _tint(_part(picture, selected, flipped), style.selected, 0.6)
    king = board.king(board.turn) if check else None
    if king is not None and board.is_check():
        _tint(_part(picture, king, flipped), style.check, _glow(cell))
    for square, piece in board.piece_map().items():
        keep, add = _layer(style.pieces, style.inks(piece.color), piece.piece_type, cell)
        part = _part(picture, square, flipped)
        part *= keep
        part += add
    for square in dots:
        _tint(_part(picture, square, flipped), style.dot, _dot(cell, board.piece_at(square) is not None))
    return picture.astype(np.uint8)


def draw_piece(
    picture: Array,
    piece: chess.Piece,
    x: float,
    y: float,
    cell: int,
    style: BoardStyle = STYLES["sage"],
) -> None:
    """Draw a piece onto `picture` (H, W, 3) uint8, in place; what lies outside is cut off.

    Args:
        picture: any, not only a board.
        piece: which.
        x: pixels from the left to the middle of the piece's square.
        y: pixels from the top.
        cell: side of the piece's square in pixels.
        style: colours and piece set.
    """
    keep, add = _layer(style.pieces, style.inks(piece.color), piece.piece_type, cell)
    left, top = round(x - cell / 2), round(y - cell / 2)
    x0, y0 = max(left, 0), max(top, 0)
    x1, y1 = min(left + cell, picture.shape[1]), min(top + cell, picture.shape[0])
    if x0 >= x1 or y0 >= y1:
        return
    cut = slice(y0 - top, y1 - top), slice(x0 - left, x1 - left)
    part = picture[y0:y1, x0:x1]
    part[:] = part * keep[cut] + add[cut] + 0.5


def square_at(x: float, y: float, size: int, flipped: bool = False) -> chess.Square | None:
    """The square under a point of a board drawn at `size`; None beside the squares.

    >>> chess.square_name(square_at(5, 475, 480))
    'a1'
    """
    cell, margin = _cells(size)
    column, row = int((x - margin) // cell), int((y - margin) // cell)
    if not (0 <= column < 8 and 0 <= row < 8):
        return None
    return chess.square(7 - column if flipped else column, row if flipped else 7 - row)


def square_corner(square: chess.Square, size: int, flipped: bool = False) -> tuple[int, int, int]:
    """Left, top and side in pixels of a square on a board drawn at `size`."""
    cell, margin = _cells(size)
    column, row = chess.square_file(square), 7 - chess.square_rank(square)
    if flipped:
        column, row = 7 - column, 7 - row
    return margin + column * cell, margin + row * cell, cell


def _cells(size: int) -> tuple[int, int]:
    """The side of a square and the margin left and above, in pixels."""
    return size // 8, size % 8 // 2


def _part(picture: Array, square: chess.Square, flipped: bool) -> Array:
    left, top, cell = square_corner(square, picture.shape[0], flipped)
    part: Array = picture[top : top + cell, left : left + cell]
    return part


def _tint(part: Array, color: Color, opacity: float | Array) -> None:
    """Mix a colour into part of a picture, in place."""
    weight = np.asarray(opacity, np.float32)[..., None]
    part *= 1 - weight
    part += weight * np.array(color, np.float32)


@lru_cache(maxsize=2048)  # at 16 pixels a square, as in pictures to learn from, 12 MB
def _layer(pieces: str, inks: Inks, kind: int, cell: int) -> tuple[Array, Array]:
    """Compositing of a piece: the factor on the picture under it, and the summand; (cell, cell, 3) each.

    Spelled out for every channel: numpy multiplies arrays of one shape several times faster.
    """
    picture = sprite(pieces, kind, inks, cell)
    keep = np.repeat(1 - picture[..., 3:], 3, axis=-1)
    return keep, np.ascontiguousarray(picture[..., :3])


@lru_cache(maxsize=64)
def _empty_board(size: int, flipped: bool, style: BoardStyle) -> Array:
    """(size, size, 3) float32, half a step up so that cutting to whole numbers rounds."""
    picture = np.empty((size, size, 3), np.float32)
    picture[:] = style.rim
    cell, margin = _cells(size)
    of_pixel = np.arange(8 * cell) // cell
    dark = (of_pixel + of_pixel[:, None]) % 2  # the same from both sides
    picture[margin : margin + 8 * cell, margin : margin + 8 * cell] = np.array(
        [style.light, style.dark], np.float32
    )[dark]
    if style.coordinates:
        _write_coordinates(picture, flipped, style)
    picture += 0.5
    picture.setflags(write=False)
    return picture


def _write_coordinates(picture: Array, flipped: bool, style: BoardStyle) -> None:
    """Files along the bottom, ranks up the left side, each in the colour of the other squares."""
    cell, _ = _cells(picture.shape[0])
    size = max(min(6, cell * 5 // 8), round(cell * 0.17))  # below 6 a letter is no longer read
    for i in range(8):
        for square, right in ((i if not flipped else i + 56, True), (i * 8 + (7 if flipped else 0), False)):
            name = chess.square_name(square)
            light = (square + (square >> 3)) % 2 == 1
            letter = glyph(name[0] if right else name[1], size)
            part = _part(picture, square, flipped)
            corner = (
                part[-letter.shape[0] :, -letter.shape[1] :]
                if right
                else part[: len(letter), : letter.shape[1]]
            )
            _tint(corner, style.dark if light else style.light, letter)


@lru_cache(maxsize=32)
def _glow(cell: int) -> Array:
    """Opacity of the light behind a king in check."""
    x, y = grid(cell)
    glow: Array = np.clip(1.15 - 1.6 * np.hypot(x - 0.5, y - 0.5), 0, 0.95).astype(np.float32)
    return glow


@lru_cache(maxsize=32)
def _dot(cell: int, occupied: bool) -> Array:
    x, y = grid(cell)
    distance = np.hypot(x - 0.5, y - 0.5)
    shape = np.abs(distance - 0.44) - 0.035 if occupied else distance - 0.15
    return 0.4 * coverage(shape, 1.0 / cell)
