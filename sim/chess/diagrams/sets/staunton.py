"""Piece set "staunton": turned wood, after the tournament standard; the default of `BoardStyle`."""

from __future__ import annotations

import chess

from sim.chess.diagrams.sets.figure import Figure, Finish, PieceSet
from sim.chess.diagrams.shapes import (
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

LINE = 0.022  # width of the lines on a piece


def _foot(width: float = 0.27) -> Shape:
    return union(
        bar(0.5 - width, 0.795, 0.5 + width, 0.875, 0.03),
        bar(0.5 - width * 0.8, 0.735, 0.5 + width * 0.8, 0.82, 0.03),
    )


def _foot_lines(width: float = 0.27) -> Shape:
    half = width * 0.8
    return stroke([(0.5 - half, 0.797), (0.5 + half, 0.797)], LINE)


def _across(y: float, half: float) -> Shape:
    return stroke([(0.5 - half, y), (0.5 + half, y)], LINE)


def _pawn() -> Figure:
    stem = curve([(0.085, 0.44), (0.09, 0.54), (0.13, 0.66), (0.185, 0.76)])
    body = union(
        disc(0.5, 0.345, 0.118),
        bar(0.365, 0.437, 0.635, 0.49, 0.026),
        polygon(solid_of_revolution(stem)),
        _foot(0.24),
    )
    return Figure(body, union(_across(0.49, 0.07), _foot_lines(0.24)))


def _rook() -> Figure:
    tower = curve([(0.155, 0.36), (0.14, 0.47), (0.15, 0.62), (0.195, 0.76)])
    crown = [(0.29, 0.2), (0.385, 0.2), (0.385, 0.255), (0.45, 0.255), (0.45, 0.2)]
    body = union(
        polygon(
            [*crown, *mirror(crown)[::-1], (0.69, 0.33), (0.64, 0.385), (0.36, 0.385), (0.31, 0.33)], 0.01
        ),
        polygon(solid_of_revolution(tower)),
        _foot(),
    )
    return Figure(
        body, union(_across(0.385, 0.13), _across(0.325, 0.175), _across(0.69, 0.145), _foot_lines())
    )


def _bishop() -> Figure:
    mitre = curve([(0.0, 0.2), (0.055, 0.235), (0.115, 0.315), (0.135, 0.4), (0.115, 0.47), (0.08, 0.51)])
    stem = curve([(0.075, 0.5), (0.08, 0.58), (0.125, 0.68), (0.19, 0.76)])
    body = union(
        disc(0.5, 0.175, 0.042),
        polygon(solid_of_revolution(mitre)),
        bar(0.36, 0.49, 0.64, 0.545, 0.027),
        polygon(solid_of_revolution(stem)),
        _foot(),
    )
    slit = stroke([(0.585, 0.27), (0.515, 0.385)], LINE * 1.3)
    return Figure(body, union(slit, _across(0.545, 0.065), _across(0.49, 0.085), _foot_lines()))


def _knight() -> Figure:
    back = curve([(0.475, 0.15), (0.53, 0.2), (0.64, 0.255), (0.72, 0.37), (0.75, 0.52), (0.72, 0.77)])
    front = curve([(0.31, 0.77), (0.315, 0.69), (0.375, 0.61), (0.455, 0.54), (0.485, 0.475)])
    jaw = curve([(0.485, 0.475), (0.43, 0.5), (0.375, 0.52), (0.335, 0.575), (0.275, 0.585)])
    muzzle = curve(
        [(0.275, 0.585), (0.225, 0.555), (0.22, 0.495), (0.275, 0.41), (0.31, 0.315), (0.395, 0.235)]
    )
    head = [*back, *front, *jaw[1:], *muzzle[1:], (0.405, 0.165)]
    ear = stroke([(0.475, 0.235), (0.53, 0.2)], LINE)
    mane = stroke(curve([(0.53, 0.26), (0.61, 0.325), (0.66, 0.43), (0.67, 0.56), (0.655, 0.66)]), LINE)
    lines = union(
        disc(0.4, 0.335, 0.024),
        stroke([(0.262, 0.518), (0.275, 0.5)], LINE * 1.2),
        stroke(curve([(0.3, 0.545), (0.335, 0.53), (0.36, 0.505)]), LINE),
        ear,
        mane,
        _foot_lines(),
    )
    return Figure(union(polygon(head, 0.006), _foot()), lines)


def _queen() -> Figure:
    tips = [(0.2, 0.275), (0.345, 0.205), (0.5, 0.18), (0.655, 0.205), (0.8, 0.275)]
    valleys = [(0.315, 0.43), (0.43, 0.4), (0.57, 0.4), (0.685, 0.43)]
    crown = [p for pair in zip(tips, valleys, strict=False) for p in pair] + [tips[-1]]
    waist = [(0.69, 0.56), (0.64, 0.61), (0.36, 0.61), (0.31, 0.56)]
    stem = curve([(0.135, 0.6), (0.13, 0.66), (0.2, 0.76)])
    body = union(
        polygon([*crown, *waist], 0.008),
        *(disc(x, y - 0.01, 0.037) for x, y in tips),
        polygon(solid_of_revolution(stem)),
        _foot(0.28),
    )
    return Figure(
        body, union(_across(0.605, 0.14), _across(0.55, 0.185), _across(0.68, 0.13), _foot_lines(0.28))
    )


def _king() -> Figure:
    side = curve(
        [(0.5, 0.37), (0.56, 0.31), (0.66, 0.295), (0.755, 0.345), (0.765, 0.44), (0.7, 0.53), (0.655, 0.61)]
    )
    stem = curve([(0.14, 0.6), (0.135, 0.66), (0.2, 0.76)])
    body = union(
        bar(0.468, 0.105, 0.532, 0.36, 0.012),
        bar(0.405, 0.16, 0.595, 0.222, 0.012),
        polygon([*side, *mirror(side)[::-1]], 0.008),
        polygon(solid_of_revolution(stem)),
        _foot(0.28),
    )
    heart = stroke(curve([(0.5, 0.555), (0.5, 0.47), (0.5, 0.39)]), LINE)
    return Figure(
        body, union(heart, _across(0.605, 0.14), _across(0.555, 0.17), _across(0.68, 0.13), _foot_lines(0.28))
    )


STAUNTON = PieceSet(
    {
        chess.PAWN: _pawn(),
        chess.KNIGHT: _knight(),
        chess.BISHOP: _bishop(),
        chess.ROOK: _rook(),
        chess.QUEEN: _queen(),
        chess.KING: _king(),
    },
    Finish(outline=0.026, line=LINE, shade=0.10, shadow=0.22),
)
