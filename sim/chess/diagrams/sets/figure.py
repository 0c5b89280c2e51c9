"""Types of a piece set: silhouettes with lines on them, and their outline, shading and shadow."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from sim.chess.diagrams.shapes import Shape


@dataclass(frozen=True)
class Figure:
    """One piece: its silhouette, and the lines that are drawn on it."""

    body: Shape
    lines: Shape


@dataclass(frozen=True)
class Finish:
    """Line widths, shading and shadow of a piece set.

    Attributes:
        outline: width of the line around a piece, in squares.
        line: width of the lines on it, in squares.
        shade: how much darker the side away from the light is, in [0, 1].
        shadow: opacity of a piece's shadow on the board, in [0, 1].
    """

    outline: float
    line: float
    shade: float = 0.0
    shadow: float = 0.0


@dataclass(frozen=True, eq=False)
class PieceSet:
    """Six figures by python-chess's piece type, and one finish for all."""

    figures: Mapping[int, Figure]
    finish: Finish
