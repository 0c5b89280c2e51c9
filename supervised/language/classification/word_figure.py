"""Figure of a text whose words are coloured by what each adds to an answer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from sim.records import Array
from supervised.figure import MUTED, NEGATIVE, POSITIVE, TEXT

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

SIZES = (28, 22, 17, 15, 13, 11, 9.5, 8, 7)  # points, of which the largest that fits is taken
LEADING = 1.75  # line height, in type sizes
STRONGEST = 0.85  # opacity of the word that adds most


def draw_words(
    figure: Figure,
    words: Sequence[str],
    added: Array,
    *,
    heading: str,
    note: str,
    sides: tuple[str, str],
) -> None:
    """Draw a wrapped text, each word on a ground of its colour.

    Args:
        figure: empty.
        words: W.
        added: (W,) signed; the opacity grows with the magnitude, relative to the largest.
        heading: above the text, large.
        note: below the heading.
        sides: what negative and what positive words speak for.
    """
    figure.set_layout_engine("none")
    axes = figure.add_axes((0.05, 0.05, 0.9, 0.9))
    axes.set_axis_off()
    width, height = axes.bbox.width, axes.bbox.height
    axes.set(xlim=(0, width), ylim=(height, 0))
    point = figure.dpi / 72
    axes.text(0, 0, heading, fontsize=20, va="top", color=TEXT)
    axes.text(0, 32 * point, note, fontsize=11, va="top", color=MUTED)
    _legend(axes, sides, width, height, point)
    top, bottom = 64 * point, height - 34 * point
    for size in SIZES:
        places, shown = _wrapped(axes, words, size, width, (top, bottom))
        if shown == len(words):
            break
    largest = max(float(np.abs(added).max(initial=0.0)), 1e-9)
    for (x, y), word, part in zip(places, words, added.tolist(), strict=False):
        ground = POSITIVE if part > 0 else NEGATIVE
        box = {"facecolor": ground, "alpha": STRONGEST * abs(part) / largest, "pad": 2, "linewidth": 0}
        axes.text(x, y, _plain(word), fontsize=size, va="top", color=TEXT, bbox=box)
    if shown < len(words):
        rest = f"… and {len(words) - shown} more words"
        axes.text(width, bottom + 2 * point, rest, fontsize=9, va="top", ha="right", color=MUTED)


def _wrapped(
    axes: Axes, words: Sequence[str], size: float, width: float, ends: tuple[float, float]
) -> tuple[list[tuple[float, float]], int]:
    """Upper left corners in pixels of the words that fit between `ends`, and how many do."""
    top, bottom = ends
    line = LEADING * size * axes.figure.dpi / 72
    widths = _widths(axes, [*words, " "], size)
    space = max(widths[-1], 0.3 * size * axes.figure.dpi / 72)
    x, y = 0.0, top
    places = []
    for wide in widths[:-1]:
        if x and x + wide > width:
            x, y = 0.0, y + line
        if y + line > bottom:
            break
        places.append((x, y))
        x += wide + space
    return places, len(places)


def _widths(axes: Axes, words: Sequence[str], size: float) -> list[float]:
    """Widths in pixels of words in the figure's type."""
    from matplotlib.font_manager import FontProperties

    renderer = _renderer(axes)
    kind = FontProperties(size=size)
    found = {
        word: renderer.get_text_width_height_descent(_plain(word), kind, ismath=False)[0]
        for word in set(words)
    }
    return [found[word] for word in words]


def _renderer(axes: Axes) -> Any:
    """What measures text; every canvas that draws pixels has one."""
    canvas: Any = axes.figure.canvas
    return canvas.get_renderer()


def _legend(axes: Axes, sides: tuple[str, str], width: float, height: float, point: float) -> None:
    """A line below: which colour speaks for what."""
    steps = 41
    bar, left, y = 120 * point, 0.0, height - 12 * point
    negative = axes.text(left, y, f"speaks for {sides[0]}", fontsize=10, va="center", color=MUTED)
    box = negative.get_window_extent(_renderer(axes))
    left += box.width + 10 * point
    for i in range(steps):
        share = 2 * i / (steps - 1) - 1
        colour = POSITIVE if share > 0 else NEGATIVE
        axes.fill_between(
            [left + bar * i / steps, left + bar * (i + 1) / steps],
            y - 5 * point,
            y + 5 * point,
            color=colour,
            alpha=STRONGEST * abs(share),
            linewidth=0,
        )
    axes.text(left + bar + 10 * point, y, f"speaks for {sides[1]}", fontsize=10, va="center", color=MUTED)


def _plain(word: str) -> str:
    """A word as matplotlib draws it as it stands: a dollar would begin a formula."""
    return word.replace("$", r"\$")
