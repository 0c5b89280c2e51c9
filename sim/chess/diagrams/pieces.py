"""Sprites of chess pieces and board coordinates, rasterised from signed-distance shapes without a font.

A piece is a silhouette and the lines on it, on a square from (0, 0) to (1, 1), y down; the tables are in
`sim.chess.diagrams.sets`. `sprite` makes a picture of one; what does not depend on colours is kept.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TypeAlias

import numpy as np

from sim.chess.diagrams.sets import PIECE_SETS
from sim.chess.diagrams.shapes import (
    Point,
    arc,
    coverage,
    curve,
    grid,
    intersection,
    stroke,
    translate,
    union,
)
from sim.records import Array

Color: TypeAlias = tuple[int, int, int]

FINEST = 0.8  # pixels: a thinner outline would not hold a white piece apart from a light square


@dataclass(frozen=True)
class Inks:
    """The colours of one side: surface, outline, and the lines on it."""

    fill: Color
    outline: Color
    detail: Color


def sprite(pieces: str, kind: int, inks: Inks, size: int) -> Array:
    """Sprite of a piece on a transparent square: (size, size, 4) float32, premultiplied by its opacity.

    Args:
        pieces: a name in `sim.chess.diagrams.sets.PIECE_SETS`.
        kind: python-chess's piece type.
        inks: the side's colours.
        size: pixels on a side.
    """
    shadow, outline, surface, shade, lines = _opacities(pieces, kind, size)
    picture = np.zeros((size, size, 4), np.float32)
    _over(picture, (0, 0, 0), shadow)
    _over(picture, inks.outline, outline)
    _over(picture, inks.fill, surface)
    _over(picture, inks.outline, shade)
    _over(picture, inks.detail, lines)
    return picture


@lru_cache(maxsize=512)
def _opacities(pieces: str, kind: int, size: int) -> tuple[Array, ...]:
    """Opacities of a piece's layers, in order: shadow, outline, surface, shade, lines; each (size, size)."""
    figure, finish = PIECE_SETS[pieces].figures[kind], PIECE_SETS[pieces].finish
    at = grid(size)
    edge = 1.0 / size
    distance = figure.body(at)
    half = max(finish.outline, FINEST * edge) / 2
    width = finish.line * size  # pixels
    fade = min(1.0, 2 * width / (1 + width))  # a thin line covers less of a pixel than its middle says
    shadow = translate(figure.body, 0.012, 0.03)(at)
    surface = coverage(distance + half, edge)
    dark_side = intersection(figure.body, lambda a: 0.53 - a[0])(at)
    return (
        finish.shadow * coverage(shadow, 0.06),
        coverage(distance - half, edge),
        surface,
        finish.shade * coverage(dark_side, 0.05) * surface,
        fade * coverage(np.maximum(figure.lines(at), distance), edge),
    )


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
    """Coverage mask of a letter a–h or digit 1–8: (1.5·size, size) in [0, 1].

    `size` is the height of a digit in pixels; there is room for a descender and a small margin around.
    """
    side = 2 * size
    lines = [[(0.1 + x / 2, 0.1 + y / 2) for x, y in line] for line in GLYPHS[character]]
    shape = union(*(stroke(line, max(0.065, 0.95 / side)) for line in lines))
    box = (slice(0, side * 3 // 4 + 1), slice(0, size))
    return coverage(shape(grid(side)), 1.0 / side)[box]
