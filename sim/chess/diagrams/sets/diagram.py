"""Piece set "diagram": line art as in printed diagrams, broad low figures, thick contours, no shadow."""

from __future__ import annotations

import chess

from sim.chess.diagrams.sets.figure import Figure, Finish, PieceSet
from sim.chess.diagrams.shapes import (
    Point,
    Shape,
    bar,
    curve,
    disc,
    mirror,
    polygon,
    solid_of_revolution,
    stroke,
    union,
)

LINE = 0.034
BASE = 0.86  # where all of them stand


def _plinth(half: float) -> Shape:
    return bar(0.5 - half, BASE - 0.09, 0.5 + half, BASE, 0.02)


def _across(y: float, half: float, sag: float = 0.0) -> Shape:
    """A line from side to side, `sag` lower in the middle."""
    return stroke(curve([(0.5 - half, y), (0.5, y + sag), (0.5 + half, y)]), LINE)


def _pawn() -> Figure:
    bell = curve([(0.075, 0.4), (0.11, 0.48), (0.15, 0.55), (0.215, 0.66), (0.235, 0.78)])
    body = union(disc(0.5, 0.315, 0.115), polygon(solid_of_revolution(bell), 0.01), _plinth(0.27))
    return Figure(body, _across(BASE - 0.09, 0.2))


def _rook() -> Figure:
    crown: list[Point] = [(0.24, 0.17), (0.345, 0.17), (0.345, 0.25), (0.44, 0.25), (0.44, 0.17)]
    top = [*crown, *mirror(crown)[::-1], (0.76, 0.33), (0.67, 0.4), (0.33, 0.4), (0.24, 0.33)]
    walls: list[Point] = [(0.33, 0.38), (0.67, 0.38), (0.7, 0.7), (0.77, 0.78), (0.23, 0.78), (0.3, 0.7)]
    body = union(polygon(top, 0.006), polygon(walls, 0.006), _plinth(0.31))
    return Figure(body, union(_across(0.4, 0.15), _across(0.69, 0.17), _across(BASE - 0.09, 0.25)))


def _bishop() -> Figure:
    mitre = curve([(0.0, 0.19), (0.09, 0.27), (0.18, 0.37), (0.205, 0.48), (0.165, 0.6), (0.15, 0.7)])
    ribbon = curve(
        [(0.16, 0.795), (0.28, 0.775), (0.42, 0.8), (0.5, 0.77), (0.58, 0.8), (0.72, 0.775), (0.84, 0.795)]
    )
    body = union(disc(0.5, 0.16, 0.05), polygon(solid_of_revolution(mitre), 0.006), stroke(ribbon, 0.12))
    cross = union(stroke([(0.5, 0.33), (0.5, 0.53)], LINE), stroke([(0.41, 0.42), (0.59, 0.42)], LINE))
    return Figure(body, union(cross, _across(0.61, 0.15, -0.02), _across(0.69, 0.14, -0.02)))


def _knight() -> Figure:
    back = curve([(0.5, 0.2), (0.62, 0.24), (0.74, 0.36), (0.79, 0.52), (0.8, 0.78)])
    chest = curve([(0.29, 0.78), (0.31, 0.67), (0.42, 0.58), (0.47, 0.47)])
    jaw = curve([(0.47, 0.47), (0.4, 0.5), (0.34, 0.56), (0.285, 0.635), (0.225, 0.63)])
    face = curve([(0.225, 0.63), (0.175, 0.6), (0.165, 0.54), (0.225, 0.43), (0.27, 0.32), (0.345, 0.245)])
    ears: list[Point] = [(0.335, 0.13), (0.425, 0.2), (0.475, 0.11)]
    body = union(polygon([*back, *chest, *jaw[1:], *face[1:], *ears], 0.006), _plinth(0.32))
    mane = stroke(curve([(0.5, 0.27), (0.61, 0.32), (0.69, 0.43), (0.72, 0.55), (0.72, 0.7)]), LINE)
    return Figure(
        body, union(disc(0.36, 0.36, 0.03), disc(0.235, 0.56, 0.02), mane, _across(BASE - 0.09, 0.25))
    )


def _queen() -> Figure:
    tips: list[Point] = [(0.13, 0.32), (0.3, 0.215), (0.5, 0.18), (0.7, 0.215), (0.87, 0.32)]
    valleys: list[Point] = [(0.29, 0.53), (0.415, 0.5), (0.585, 0.5), (0.71, 0.53)]
    crown = [point for pair in zip(tips, valleys, strict=False) for point in pair] + [tips[-1]]
    skirt: list[Point] = [(0.755, 0.62), (0.7, 0.7), (0.755, 0.78), (0.245, 0.78), (0.3, 0.7), (0.245, 0.62)]
    body = union(polygon([*crown, *skirt], 0.008), *(disc(x, y - 0.01, 0.05) for x, y in tips), _plinth(0.31))
    return Figure(
        body, union(_across(0.63, 0.22, -0.035), _across(0.71, 0.17, -0.035), _across(BASE - 0.09, 0.25))
    )


def _king() -> Figure:
    lobe = curve(
        [(0.5, 0.45), (0.54, 0.37), (0.65, 0.33), (0.79, 0.37), (0.85, 0.48), (0.8, 0.6), (0.73, 0.69)]
    )
    side: list[Point] = [*lobe, (0.755, 0.78)]
    body = union(
        bar(0.46, 0.1, 0.54, 0.44, 0.012),
        bar(0.385, 0.165, 0.615, 0.24, 0.012),
        polygon([*side, *mirror(side)[::-1]], 0.006),
        _plinth(0.31),
    )
    heart = curve([(0.5, 0.6), (0.5, 0.5), (0.46, 0.4), (0.5, 0.33), (0.54, 0.4), (0.5, 0.5)])
    return Figure(
        body,
        union(
            stroke(heart, LINE),
            _across(0.64, 0.22, -0.035),
            _across(0.71, 0.2, -0.035),
            _across(BASE - 0.09, 0.25),
        ),
    )


DIAGRAM = PieceSet(
    {
        chess.PAWN: _pawn(),
        chess.KNIGHT: _knight(),
        chess.BISHOP: _bishop(),
        chess.ROOK: _rook(),
        chess.QUEEN: _queen(),
        chess.KING: _king(),
    },
    Finish(outline=0.05, line=LINE),
)
