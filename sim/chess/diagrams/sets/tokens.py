"""Piece set "tokens": letters on discs; a pawn's disc is small."""

from __future__ import annotations

import chess

from sim.chess.diagrams.sets.figure import Figure, Finish, PieceSet
from sim.chess.diagrams.shapes import Point, arc, disc, stroke, union

MIDDLE = 0.49  # a little above the square's, for the shadow
WEIGHT = 0.088  # width of the strokes, at the size of a piece's letter

#: Strokes in a box from (−0.5, −0.5) to (0.5, 0.5), and the letter's height in squares.
_LETTERS: dict[int, list[list[Point]]] = {
    chess.PAWN: [[(-0.3, 0.5), (-0.3, -0.5), (0.02, -0.5), *arc(0.02, -0.22, 0.28, -90, 90), (-0.3, 0.06)]],
    chess.KNIGHT: [[(-0.36, 0.5), (-0.36, -0.5), (0.36, 0.5), (0.36, -0.5)]],
    chess.BISHOP: [
        [(-0.32, 0.5), (-0.32, -0.5), (0.02, -0.5), *arc(0.02, -0.255, 0.245, -90, 90), (-0.32, -0.01)],
        [(-0.32, -0.01), (0.06, -0.01), *arc(0.06, 0.245, 0.255, -90, 90), (-0.32, 0.5)],
    ],
    chess.ROOK: [
        [(-0.32, 0.5), (-0.32, -0.5), (0.02, -0.5), *arc(0.02, -0.22, 0.28, -90, 90), (-0.32, 0.06)],
        [(0.0, 0.06), (0.36, 0.5)],
    ],
    chess.QUEEN: [arc(0.0, 0.0, 0.48, 0, 360), [(0.14, 0.2), (0.46, 0.54)]],
    chess.KING: [[(-0.32, 0.5), (-0.32, -0.5)], [(0.36, -0.5), (-0.32, 0.1)], [(-0.1, -0.08), (0.38, 0.5)]],
}


def _token(kind: int, radius: float, height: float) -> Figure:
    lines = [[(0.5 + x * height, MIDDLE + y * height) for x, y in line] for line in _LETTERS[kind]]
    weight = WEIGHT * height / 0.42
    return Figure(disc(0.5, MIDDLE, radius), union(*(stroke(line, weight) for line in lines)))


TOKENS = PieceSet(
    {
        kind: _token(kind, 0.3, 0.3) if kind == chess.PAWN else _token(kind, 0.42, 0.42)
        for kind in chess.PIECE_TYPES
    },
    Finish(outline=0.04, line=WEIGHT, shadow=0.26),
)
