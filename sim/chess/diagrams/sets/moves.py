"""Piece set "moves": abstract shapes that show how a piece moves, after Josef Hartwig's Bauhaus set of 1924.

A rook is an upright cross, a bishop a diagonal one, a queen both at once, a knight the corner that it
jumps around, a king a block that reaches one step to all sides, a pawn a small disc.
"""

from __future__ import annotations

import math

import chess

from sim.chess.diagrams.sets.figure import Figure, Finish, PieceSet
from sim.chess.diagrams.shapes import Point, Shape, bar, disc, polygon, stroke, union

MIDDLE = 0.49
LINE = 0.075
NOTHING = disc(0.5, 0.5, -9.0)  # no lines


def _rays(angles: range, reach: float, width: float) -> Shape:
    """Bars through the middle, at `angles` in degrees."""
    around = [math.radians(angle) for angle in angles]
    return union(
        *(
            stroke(
                [
                    (0.5 - reach * math.cos(a), MIDDLE - reach * math.sin(a)),
                    (0.5 + reach * math.cos(a), MIDDLE + reach * math.sin(a)),
                ],
                width,
            )
            for a in around
        )
    )


def _star(points: int, outer: float, inner: float) -> list[Point]:
    angles = [math.pi * i / points - math.pi / 2 for i in range(2 * points)]
    radii = [outer, inner] * points
    return [(0.5 + r * math.cos(a), MIDDLE + r * math.sin(a)) for r, a in zip(radii, angles, strict=True)]


MOVES = PieceSet(
    {
        chess.PAWN: Figure(disc(0.5, MIDDLE, 0.2), NOTHING),
        chess.KNIGHT: Figure(
            polygon([(0.27, 0.2), (0.73, 0.2), (0.73, 0.8), (0.47, 0.8), (0.47, 0.46), (0.27, 0.46)], 0.02),
            NOTHING,
        ),
        chess.BISHOP: Figure(_rays(range(45, 180, 90), 0.29, 0.2), NOTHING),
        chess.ROOK: Figure(_rays(range(0, 180, 90), 0.28, 0.23), NOTHING),
        chess.QUEEN: Figure(polygon(_star(8, 0.41, 0.23), 0.01), disc(0.5, MIDDLE, 0.09)),
        chess.KING: Figure(
            bar(0.17, MIDDLE - 0.33, 0.83, MIDDLE + 0.33, 0.06),
            union(stroke([(0.5, 0.3), (0.5, 0.68)], LINE), stroke([(0.31, MIDDLE), (0.69, MIDDLE)], LINE)),
        ),
    },
    Finish(outline=0.04, line=LINE, shade=0.08, shadow=0.24),
)
