"""Chess pieces and board letters, drawn by us from plain shapes; nothing is copied from a font.

A piece is a silhouette and the lines on it, on a square from (0, 0) to (1, 1), y down. `sprite`
makes a picture of it; other piece sets are other tables of the same kind.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import TypeAlias

import chess
import numpy as np

from sim.chess.shapes import (
    Point,
    Shape,
    arc,
    bar,
    both,
    coverage,
    curve,
    disc,
    grid,
    moved,
    polygon,
    stroke,
    turned,
    union,
)
from sim.records import Array

Color: TypeAlias = tuple[int, int, int]


@dataclass(frozen=True)
class Figure:
    """One piece: its silhouette, and the lines that are drawn on it."""

    body: Shape
    lines: Shape


@dataclass(frozen=True)
class Inks:
    """The colours of one side: surface, outline, and the lines on it."""

    fill: Color
    outline: Color
    detail: Color


LINE = 0.022  # width of the lines on a piece
OUTLINE = 0.026
SHADE = 0.10  # how much darker the side away from the light is
SHADOW = 0.22


def _mirrored(points: list[Point]) -> list[Point]:
    return [(1 - x, y) for x, y in points]


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
        polygon(turned(stem)),
        _foot(0.24),
    )
    return Figure(body, union(_across(0.49, 0.07), _foot_lines(0.24)))


def _rook() -> Figure:
    tower = curve([(0.155, 0.36), (0.14, 0.47), (0.15, 0.62), (0.195, 0.76)])
    crown = [(0.29, 0.2), (0.385, 0.2), (0.385, 0.255), (0.45, 0.255), (0.45, 0.2)]
    body = union(
        polygon(
            [*crown, *_mirrored(crown)[::-1], (0.69, 0.33), (0.64, 0.385), (0.36, 0.385), (0.31, 0.33)], 0.01
        ),
        polygon(turned(tower)),
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
        polygon(turned(mitre)),
        bar(0.36, 0.49, 0.64, 0.545, 0.027),
        polygon(turned(stem)),
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
        polygon(turned(stem)),
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
        polygon([*side, *_mirrored(side)[::-1]], 0.008),
        polygon(turned(stem)),
        _foot(0.28),
    )
    heart = stroke(curve([(0.5, 0.555), (0.5, 0.47), (0.5, 0.39)]), LINE)
    return Figure(
        body, union(heart, _across(0.605, 0.14), _across(0.555, 0.17), _across(0.68, 0.13), _foot_lines(0.28))
    )


#: The one set so far, by python-chess's piece type.
STAUNTON: Mapping[int, Figure] = {
    chess.PAWN: _pawn(),
    chess.KNIGHT: _knight(),
    chess.BISHOP: _bishop(),
    chess.ROOK: _rook(),
    chess.QUEEN: _queen(),
    chess.KING: _king(),
}

PIECE_SETS: Mapping[str, Mapping[int, Figure]] = {"staunton": STAUNTON}


@lru_cache(maxsize=512)
def sprite(pieces: str, kind: int, inks: Inks, size: int) -> Array:
    """A piece on a transparent square: (size, size, 4) float32, colours times opacity in [0, 255].

    Args:
        pieces: a name in `PIECE_SETS`.
        kind: python-chess's piece type.
        inks: the side's colours.
        size: pixels on a side.
    """
    figure = PIECE_SETS[pieces][kind]
    at = grid(size)
    edge = 1.0 / size
    distance = figure.body(at)
    picture = np.zeros((size, size, 4), np.float32)
    shadow = moved(figure.body, 0.012, 0.03)(at)
    _over(picture, (0, 0, 0), SHADOW * coverage(shadow, 0.06))
    _over(picture, inks.outline, coverage(distance - OUTLINE / 2, edge))
    surface = coverage(distance + OUTLINE / 2, edge)
    _over(picture, inks.fill, surface)
    dark_side = both(figure.body, lambda a: 0.53 - a[0])(at)
    _over(picture, inks.outline, SHADE * coverage(dark_side, 0.05) * surface)
    _over(picture, inks.detail, coverage(np.maximum(figure.lines(at), distance), edge))
    picture.setflags(write=False)
    return picture


def _over(picture: Array, color: Color, opacity: Array) -> None:
    """Paint one colour over a picture whose colours are multiplied by its opacity."""
    picture *= (1 - opacity)[..., None]
    picture[..., :3] += opacity[..., None] * np.array(color)
    picture[..., 3] += opacity


def _glyphs() -> dict[str, list[list[Point]]]:
    """Strokes of the letters and digits around a board, in a box 0.6 wide, from y = 0 to 1."""
    bowl = arc(0.3, 0.7, 0.25, 0, 360)
    return {
        "a": [bowl, [(0.55, 0.44), (0.55, 0.96)]],
        "b": [bowl, [(0.05, 0.05), (0.05, 0.96)]],
        "c": [arc(0.32, 0.7, 0.26, -45, -315)],
        "d": [bowl, [(0.55, 0.05), (0.55, 0.96)]],
        "e": [[(0.05, 0.69), (0.55, 0.69), *arc(0.3, 0.7, 0.25, 0, -315)]],
        "f": [[*arc(0.46, 0.24, 0.19, -50, -180), (0.27, 0.96)], [(0.07, 0.46), (0.48, 0.46)]],
        "g": [bowl, [(0.55, 0.44), *arc(0.3, 0.98, 0.25, 0, 150)]],
        "h": [[(0.05, 0.05), (0.05, 0.96)], [*arc(0.3, 0.68, 0.25, -180, 0), (0.55, 0.96)]],
        "1": [[(0.12, 0.22), (0.36, 0.06), (0.36, 0.96)]],
        "2": [[*arc(0.31, 0.3, 0.25, -170, 30), (0.06, 0.95), (0.58, 0.95)]],
        "3": [arc(0.29, 0.28, 0.23, -160, 90), arc(0.29, 0.72, 0.24, -90, 155)],
        "4": [[(0.44, 0.96), (0.44, 0.06), (0.02, 0.7), (0.6, 0.7)]],
        "5": [[(0.52, 0.06), (0.13, 0.06), (0.1, 0.46), *arc(0.29, 0.67, 0.28, -130, 145)]],
        "6": [arc(0.3, 0.68, 0.27, 0, 360), curve([(0.46, 0.06), (0.2, 0.3), (0.04, 0.62)])],
        "7": [[(0.04, 0.06), (0.56, 0.06), (0.22, 0.96)]],
        "8": [arc(0.3, 0.27, 0.21, 0, 360), arc(0.3, 0.72, 0.25, 0, 360)],
    }


GLYPHS = _glyphs()


@lru_cache(maxsize=256)
def glyph(character: str, size: int) -> Array:
    """How much of each pixel a letter a–h or digit 1–8 covers: (1.5·size, size) in [0, 1].

    `size` is the height of a digit in pixels; there is room for a descender and a small margin around.
    """
    side = 2 * size
    lines = [[(0.1 + x / 2, 0.1 + y / 2) for x, y in line] for line in GLYPHS[character]]
    shape = union(*(stroke(line, 0.065) for line in lines))
    box = (slice(0, side * 3 // 4 + 1), slice(0, size))
    return coverage(shape(grid(side)), 1.0 / side)[box]
