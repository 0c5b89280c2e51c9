"""Ground truth of a board's picture: a box around each piece, the FEN, and the board's corners."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import chess
import numpy as np

from sim.chess.diagrams.draw import STYLES, BoardStyle, square_corner
from sim.chess.diagrams.pieces import FINEST
from sim.chess.diagrams.sets import PIECE_SETS
from sim.chess.diagrams.shapes import grid
from sim.records import Array, Percept

#: The names of boxes: "white pawn" to "black king".
LABELS = tuple(
    f"{side} {chess.PIECE_NAMES[kind]}" for side in ("white", "black") for kind in chess.PIECE_TYPES
)
#: The corners of a board from above left clockwise, as White sees them.
CORNERS = ("a8", "h8", "h1", "a1")


@dataclass(frozen=True)
class Place:
    """Transform of a board's drawing into a picture: rotation about its middle, scale, and translation.

    Attributes:
        drawn: side of the drawing in its own pixels.
        scale: pixels of the picture for one of the drawing.
        radians: clockwise rotation.
        x: of the drawing's middle, in pixels of the picture from its left.
        y: the same from its top.
    """

    drawn: int
    scale: float
    radians: float
    x: float
    y: float

    @classmethod
    def flat(cls, size: int) -> Place:
        """The identity: the drawing is the picture."""
        return cls(size, 1.0, 0.0, size / 2, size / 2)

    @property
    def moves(self) -> bool:
        """Whether it is anything but the identity."""
        return self != Place.flat(self.drawn)

    def turned(self, points: Array) -> Array:
        """(…, 2) offsets in the drawing as offsets in the picture."""
        cos, sin = math.cos(self.radians), math.sin(self.radians)
        return np.asarray(self.scale * points @ np.array([[cos, sin], [-sin, cos]]))


def truth_of(
    board: chess.Board,
    place: Place,
    size: int,
    *,
    flipped: bool = False,
    style: BoardStyle = STYLES["sage"],
) -> Percept:
    """Ground truth of a picture of `board`.

    Args:
        board: the position.
        place: of the board in the picture.
        size: pixels on a side of the picture.
        flipped: whether Black sits at the bottom.
        style: that it was drawn in; only the piece set matters.

    Returns:
        A `Percept` of origin ``"truth"``: a box around each piece's outline, cut off at the picture's edge,
        in the order of squares a1, b1, … h8; names from `LABELS`; the board's `fen`; as keypoints its four
        outer corners, named after the squares in them; ``facts["white_at_bottom"]``, 1 or 0.

    >>> percept = truth_of(chess.Board("8/8/8/8/8/8/8/k1K5 w - - 0 1"), Place.flat(480), 480)
    >>> percept.labels, percept.fen
    (('black king', 'white king'), '8/8/8/8/8/8/8/k1K5')
    """
    pieces = sorted(board.piece_map().items())
    squares = np.array([square for square, _ in pieces], int)
    kinds = np.array([piece.piece_type for _, piece in pieces], int)
    left, top, cell = square_corner(chess.A8, place.drawn)
    columns, rows = squares & 7, 7 - (squares >> 3)
    if flipped:
        columns, rows = 7 - columns, 7 - rows
    corners = np.stack([left + cell * columns, top + cell * rows], axis=1)
    middle = place.turned(corners + (cell / 2 - place.drawn / 2)) + (place.x, place.y)
    boxes = np.clip(np.tile(middle, 2) + _edges(style.pieces, cell, place)[kinds - 1], 0, size)
    return Percept(
        origin="truth",
        boxes=boxes.astype(np.float32),
        labels=tuple(LABELS[piece.piece_type - 1 + (0 if piece.color else 6)] for _, piece in pieces),
        keypoints=_corners(left, top, cell, place, size, flipped),
        fen=board.board_fen(),
        facts={"white_at_bottom": int(not flipped)},
    )


def _corners(
    left: int, top: int, cell: int, place: Place, size: int, flipped: bool
) -> dict[str, tuple[float, float, float]]:
    """The board's outer corners in the order of `CORNERS`; those beyond the edge are out of sight."""
    square = np.array([[0, 0], [8, 0], [8, 8], [0, 8]]) * cell + (left, top)
    points = place.turned(square - place.drawn / 2) + (place.x, place.y)
    if flipped:
        points = np.roll(points, 2, axis=0)
    return {
        name: (float(x), float(y), float(0 <= x <= size and 0 <= y <= size))
        for name, (x, y) in zip(CORNERS, points, strict=True)
    }


def _edges(pieces: str, cell: int, place: Place) -> Array:
    """(6, 4) left, top, right and bottom of pieces in the picture, from the middle of their squares."""
    points = place.turned(_contours(pieces) * cell)
    line = place.scale * max(PIECE_SETS[pieces].finish.outline * cell, FINEST) / 2
    return np.concatenate([points.min(axis=1) - line, points.max(axis=1) + line], axis=1)


@lru_cache(maxsize=64)
def _contours(pieces: str) -> Array:
    """(6, 72, 2) offsets, in squares, of a silhouette's furthest points in 72 directions."""
    at = grid(128)
    angles = np.radians(np.arange(0, 360, 5))
    directions = np.stack([np.cos(angles), np.sin(angles)])
    found = []
    for kind in chess.PIECE_TYPES:
        inside = PIECE_SETS[pieces].figures[kind].body(at) < 0
        points = np.stack([axis[inside] - 0.5 for axis in at], axis=1)
        found.append(points[(points @ directions).argmax(axis=0)])
    return np.stack(found)
