"""Line charts, bars and axis ticks, drawn with pygame."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import pygame
from pygame import Rect

from sim.records import Array
from sim.viewer.draw.theme import PAIR, PALETTE, Color, Ink


class Points(NamedTuple):
    """Points of a chart, as the mouse reads them and as they are written to a file.

    Attributes:
        name: of the chart, ``"value"``.
        x_name: what x is and in which unit, ``"seconds"``.
        x: (K,) rising.
        y: (K,), not a number where unknown.
        x_text: formats an x for reading.
        rival: (K,) as y, of the second of two agents; None without one.
    """

    name: str
    x_name: str
    x: Array
    y: Array
    x_text: Callable[[float], str]
    rival: Array | None = None

    def reading(self, index: int) -> str:
        """One point in words.

        >>> Points("value", "s", np.array([-1.0, 0.0]), np.array([0.25, 0.5]), "{:g} s".format).reading(1)
        '0.50 · 0 s'
        """
        other = "" if self.rival is None else f" / {number(float(self.rival[index]))}"
        return f"{number(float(self.y[index]))}{other} · {self.x_text(float(self.x[index]))}"

    def csv(self) -> str:
        r"""All points as comma-separated values under a line of names; where y is unknown it is empty.

        >>> Points("value", "s", np.array([-1.0, 0.0]), np.array([np.nan, 0.5]), str).csv()
        's,value\n-1,\n0,0.5\n'
        """
        names = [self.x_name, self.name] + ([f"{self.name} right"] if self.rival is not None else [])
        columns = [self.y] + ([self.rival] if self.rival is not None else [])
        rows = (
            ",".join([f"{x:.10g}", *(f"{y:.10g}" if math.isfinite(y) else "" for y in row)])
            for x, *row in zip(self.x, *columns, strict=True)
        )
        return "\n".join((",".join(names), *rows, ""))


def index_at(plot: Rect, x: int, count: int, filled: float) -> int | None:
    """The point of `count` that is nearest to `x` pixels; None left of the first one.

    >>> [index_at(Rect(0, 0, 101, 50), x, 11, 0.5) for x in (0, 50, 74, 200)]
    [None, 0, 5, 10]
    """
    share = min(max((x - plot.left) / max(1, plot.width - 1), 0.0), 1.0)
    index = round((1 - (1 - share) / filled) * (count - 1)) if filled > 0 else -1
    return index if 0 <= index < count else None


def ticks(low: float, high: float, most: int = 3) -> list[float]:
    """At most `most` round numbers that lie in [low, high], evenly spaced by 1, 2 or 5 × 10ⁿ.

    >>> ticks(-21, 3)
    [-20.0, -10.0, 0.0]
    """
    span = high - low
    if not span > 0 or not math.isfinite(span):
        return [low]
    power = 10.0 ** math.floor(math.log10(span / most))
    for factor in (1, 2, 5, 10, 20, 50):
        step = factor * power
        first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
        if last - first + 1 <= most:
            break
    return [float(f"{k * step:.12g}") for k in range(first, last + 1)] or [float(f"{low:.12g}")]


def number(value: float) -> str:
    """Format a number shortly: about three digits, a true minus sign.

    >>> number(-0.04), number(1234.5), number(21.0)
    ('−0.04', '1,234', '21')
    """
    if not math.isfinite(value):
        return "–"
    if value == round(value) and abs(value) < 1e6:
        text = f"{value:,.0f}"
    elif abs(value) >= 1e6:
        text = f"{value / 1e6:,.2f} M"
    else:
        digits = 0 if abs(value) >= 100 else 1 if abs(value) >= 10 else 2
        text = f"{value:,.{digits}f}"
    return text.replace("-", "−")


def tick_texts(marks: list[float]) -> list[str]:
    """Labels of one axis's ticks, all with as many decimals as the one that needs most.

    >>> tick_texts([0.0, 0.5, 1.0])
    ['0.0', '0.5', '1.0']
    """
    decimals = max(len(f"{mark:.6f}".rstrip("0").partition(".")[2]) for mark in marks)
    if max(abs(mark) for mark in marks) >= 1e6:
        return [number(mark) for mark in marks]
    return [f"{mark:,.{decimals}f}".replace("-", "−") for mark in marks]


def limits(values: Array, least_span: float = 0.1) -> tuple[float, float]:
    """Axis range that holds all finite values, with a margin; never narrower than `least_span`."""
    finite = values[np.isfinite(values)]
    if not finite.size:
        return 0.0, 1.0
    low, high = float(finite.min()), float(finite.max())
    air = max(0.08 * (high - low), (least_span - (high - low)) / 2)
    return low - air, high + air


def downsample_extrema(values: Array, columns: int) -> tuple[Array, Array]:
    """Downsample a series to at most two points a column, its minimum and maximum, so that no peak is lost.

    Returns positions in [0, 1] and values, both (P,); the last value stands at 1.
    """
    count = len(values)
    where = np.arange(count) / max(1, count - 1)
    if count <= 2 * columns:
        return where, values
    per_column = -(-count // columns)
    padding = per_column * columns - count
    padded = np.concatenate([np.full(padding, values[0]), values]).reshape(columns, per_column)
    pairs = np.stack([padded.min(axis=1), padded.max(axis=1)], axis=1)
    falling = padded[:, 0] > padded[:, -1]
    pairs[falling] = pairs[falling, ::-1]
    return np.repeat((np.arange(columns) + 0.5) / columns, 2), pairs.ravel()


def line_chart(
    surface: pygame.Surface,
    ink: Ink,
    rect: Rect,
    values: Array,
    *,
    color: Color,
    filled: float,
    rival: Array | None = None,
    labels: tuple[str, str],
    least_span: float = 0.1,
    stand: float | None = None,
    points: Points | None = None,
    pointed: int | None = None,
) -> None:
    """Draw values over time with labelled axes.

    Args:
        surface: drawn on.
        ink: for the labels.
        rect: where, labels included.
        values: (K,), oldest first; NaN is left out.
        color: of the line.
        rival: (K,) likewise, of the second of two agents, in its own colour; None without one.
        filled: how much of the width the values take, in [0, 1], from the right.
        labels: the ends of the time axis.
        least_span: of the value axis, so that noise does not look like a trend.
        stand: position of a vertical line on the time axis, in [0, 1]; None for none.
        points: the values as they are read.
        pointed: where the mouse is, in pixels from the surface's left; the point there is read out.
    """
    plot = Rect(rect.left, rect.top + ink.px(4), rect.width, rect.height - ink.px(4 + 18))
    low, high = limits(values if rival is None else np.concatenate([values, rival]), least_span)
    marks = ticks(low, high, most=3 if plot.height >= ink.px(45) else 2)
    if len(marks) > 1 and (marks[1] - marks[0]) / (high - low) * plot.height < ink.px(14):
        marks = marks[-1:]  # too low for two lines of text
    texts = tick_texts(marks)
    gutter = max(ink.width(text) for text in [*texts, "−00"]) + ink.px(8)
    plot.left, plot.width = plot.left + gutter, plot.width - gutter
    if plot.width < 8 or plot.height < 8:
        return
    for mark, text in zip(marks, texts, strict=True):
        y = round(plot.bottom - (mark - low) / (high - low) * plot.height)
        pygame.draw.line(surface, PALETTE.line, (plot.left, y), (plot.right - 1, y))
        ink.write(surface, text, (plot.left - ink.px(8), y), PALETTE.muted, align="right")
    if stand is not None:
        x = plot.left + round(min(max(stand, 0.0), 1.0) * (plot.width - 1))
        surface.fill(PALETTE.accent, Rect(x - ink.px(1), plot.top, max(1, ink.px(2)), plot.height))
    below = plot.bottom + ink.px(11)
    ink.write(surface, labels[0], (plot.left, below), PALETTE.muted)
    ink.write(surface, labels[1], (plot.right, below), PALETTE.muted, align="right")
    for series, shade in ((rival, PAIR[1]), (values, color)):
        if series is not None:
            _draw_line(surface, ink, plot, series, (low, high), filled, shade)
    if points is None or pointed is None or not plot.left <= pointed < plot.right:
        return
    index = index_at(plot, pointed, len(values), filled)
    if index is not None and math.isfinite(values[index]):
        x = round(plot.right - 1 - (1 - index / max(1, len(values) - 1)) * filled * (plot.width - 1))
        y = round(plot.bottom - (float(values[index]) - low) / (high - low) * plot.height)
        _draw_reading(surface, ink, plot, (x, y), color, points.reading(index))


def _draw_line(
    surface: pygame.Surface,
    ink: Ink,
    plot: Rect,
    values: Array,
    span: tuple[float, float],
    filled: float,
    color: Color,
) -> None:
    """Draw one series over the axis from `span[0]` to `span[1]`, its last point marked."""
    xs, ys = downsample_extrema(values, plot.width)
    shown = np.isfinite(ys)
    px = plot.right - 1 - (1 - xs[shown]) * filled * (plot.width - 1)
    py = plot.bottom - (ys[shown] - span[0]) / (span[1] - span[0]) * plot.height
    line = list(zip(px.tolist(), py.tolist(), strict=True))
    if len(line) > 1:
        pygame.draw.aalines(surface, color, False, line)
        if ink.scale >= 1:  # a hairline is too faint for a colour: draw it twice
            pygame.draw.aalines(surface, color, False, [(x, y + 0.8) for x, y in line])
    if line:
        pygame.draw.aacircle(surface, color, (round(line[-1][0]), round(line[-1][1])), ink.px(3))


def _draw_reading(
    surface: pygame.Surface, ink: Ink, plot: Rect, at: tuple[int, int], color: Color, text: str
) -> None:
    """Draw a line through a point, and its reading on the side where there is room."""
    surface.fill(PALETTE.muted, Rect(at[0], plot.top, 1, plot.height))
    pygame.draw.aacircle(surface, PALETTE.text, at, ink.px(4))
    pygame.draw.aacircle(surface, color, at, ink.px(3))
    plate = Rect(0, plot.top, ink.width(text) + ink.px(12), ink.px(20))
    plate.left = at[0] + ink.px(6)
    if plate.right > plot.right:
        plate.right = at[0] - ink.px(6)
    ink.plate(surface, plate, PALETTE.raised, radius=4)
    ink.write(surface, text, plate.center, align="center")


def bar(surface: pygame.Surface, track: Rect, start: float, end: float, color: Color) -> None:
    """Draw a bar from `start` to `end`, both fractions of the track's width, over its ground."""
    surface.fill(PALETTE.raised, track)
    left, right = sorted((min(max(start, 0.0), 1.0), min(max(end, 0.0), 1.0)))
    x0, x1 = round(track.width * left), round(track.width * right)
    surface.fill(color, Rect(track.left + x0, track.top, x1 - x0, track.height))
