"""2D shapes as signed distance functions: negative inside, in units of the picture's side.

A shape is a function of a `Grid`. Distances make antialiasing, outlines and soft shadows one
formula each, at any size, and need neither a font nor a drawing library.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeAlias

import numpy as np

from sim.records import Array

Point: TypeAlias = tuple[float, float]
Grid: TypeAlias = tuple[Array, Array]  # x and y in [0, 1] of each pixel's centre, (S, S) each; y is down
Shape: TypeAlias = Callable[[Grid], Array]


def grid(size: int) -> Grid:
    """Coordinates of the centres of `size` × `size` pixels."""
    centres = (np.arange(size) + 0.5) / size
    x, y = np.meshgrid(centres, centres)
    return x, y


def coverage(distance: Array, softness: float) -> Array:
    """Antialiased coverage of each pixel by a shape, in [0, 1], with an edge `softness` wide."""
    covered: Array = np.clip(0.5 - distance / softness, 0.0, 1.0)
    return covered


def disc(x: float, y: float, radius: float) -> Shape:
    """A filled circle."""
    return lambda at: np.hypot(at[0] - x, at[1] - y) - radius


def bar(left: float, top: float, right: float, bottom: float, radius: float) -> Shape:
    """A rectangle with rounded corners."""

    def distance(at: Grid) -> Array:
        dx = np.abs(at[0] - (left + right) / 2) - (right - left) / 2 + radius
        dy = np.abs(at[1] - (top + bottom) / 2) - (bottom - top) / 2 + radius
        outside = np.hypot(np.maximum(dx, 0), np.maximum(dy, 0))
        near: Array = outside + np.minimum(np.maximum(dx, dy), 0) - radius
        return near

    return distance


def stroke(points: Sequence[Point], width: float) -> Shape:
    """A line through `points` with round ends and corners."""
    return lambda at: np.sqrt(_squared_distance(at, points[:-1], points[1:])) - width / 2


def polygon(points: Sequence[Point], rounding: float = 0.0) -> Shape:
    """The area inside `points`, grown by `rounding`, which also rounds its corners."""
    ends = (*points[1:], points[0])

    def distance(at: Grid) -> Array:
        x, y = at
        crossings = np.zeros(x.shape, int)  # of a ray to the right, with the outline: odd means inside
        for (x0, y0), (x1, y1) in zip(points, ends, strict=True):
            if y0 != y1:
                crossings += ((y0 > y) != (y1 > y)) & (x < x0 + (y - y0) * (x1 - x0) / (y1 - y0))
        inside = np.where(crossings % 2, -1.0, 1.0)
        signed: Array = inside * np.sqrt(_squared_distance(at, points, ends)) - rounding
        return signed

    return distance


def union(*shapes: Shape) -> Shape:
    """The union of the shapes."""
    return lambda at: np.minimum.reduce([shape(at) for shape in shapes])


def intersection(*shapes: Shape) -> Shape:
    """The intersection of the shapes."""
    return lambda at: np.maximum.reduce([shape(at) for shape in shapes])


def translate(shape: Shape, dx: float, dy: float) -> Shape:
    """The shape, translated right and down."""
    return lambda at: shape((at[0] - dx, at[1] - dy))


def solid_of_revolution(profile: Sequence[Point]) -> list[Point]:
    """Outline of a solid of revolution around x = 0.5, from its profile of (half-width, y) points."""
    right = [(0.5 + half, y) for half, y in profile]
    left = [(0.5 - half, y) for half, y in reversed(profile)]
    return right + left


def mirror(points: Sequence[Point]) -> list[Point]:
    """The points, mirrored at x = 0.5."""
    return [(1 - x, y) for x, y in points]


def curve(points: Sequence[Point], steps: int = 6) -> list[Point]:
    """Catmull–Rom spline through `points`, with `steps` pieces a span."""
    knots = np.array([points[0], *points, points[-1]])
    t = (np.arange(steps) / steps)[:, None]
    found: list[Point] = []
    for a, b, c, d in zip(knots, knots[1:], knots[2:], knots[3:], strict=False):
        span = b + 0.5 * t * (c - a + t * (2 * a - 5 * b + 4 * c - d + t * (3 * (b - c) + d - a)))
        found += [(float(x), float(y)) for x, y in span]
    return [*found, points[-1]]


def arc(x: float, y: float, radius: float, start: float, end: float) -> list[Point]:
    """Points on a circle, from `start` to `end` degrees, clockwise from the right."""
    angles = np.radians(np.linspace(start, end, 16))
    return [(float(x + radius * np.cos(a)), float(y + radius * np.sin(a))) for a in angles]


def _squared_distance(at: Grid, starts: Sequence[Point], ends: Sequence[Point]) -> Array:
    """To the nearest of several segments."""
    x, y = at
    nearest = np.full(x.shape, np.inf)
    for (x0, y0), (x1, y1) in zip(starts, ends, strict=True):
        dx, dy = x1 - x0, y1 - y0
        along = np.clip(((x - x0) * dx + (y - y0) * dy) / (dx * dx + dy * dy or 1.0), 0.0, 1.0)
        nearest = np.minimum(nearest, (x - x0 - along * dx) ** 2 + (y - y0 - along * dy) ** 2)
    return nearest
