"""Figures of posters, to be read at a few hundred pixels: a text set in large type, a tune as a piano roll.

Both are drawn on an empty figure in the window's colours; see `supervised.figure.rasterized`.
"""

from __future__ import annotations

import re
import textwrap
from typing import TYPE_CHECKING

from sim.records import Array
from supervised.figure import ACCENT, LINE, MUTED, SERIES, TEXT

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

LINES = 6  # of a text; more cannot be read
LETTERS = 15  # of a line
LETTER = 46  # points
BARS = 4  # of a tune
COLUMNS = 0.05, 0.27, 0.63  # of a game's move numbers, of White's and Black's moves: share of the width
MOVE = re.compile(r"(\d+)\.\s+(\S+)(?:\s+(?!\d+\.)(\S+))?")


def draw_text_poster(figure: Figure, text: str) -> None:
    """The beginning of a text: a game as a score sheet, all else wrapped."""
    axes = _whole(figure)
    moves = MOVE.findall(text)[:LINES]
    lines = [tuple(move) for move in moves] or textwrap.wrap(" ".join(text.split()), LETTERS)[:LINES]
    for row, line in enumerate(lines):
        height = 1 - (row + 0.5) / LINES
        if isinstance(line, str):
            axes.text(COLUMNS[0], height, line, color=TEXT, fontsize=LETTER, va="center")
            continue
        for at, words, color in zip(COLUMNS, (f"{line[0]}.", *line[1:]), (MUTED, TEXT, TEXT), strict=True):
            axes.text(at, height, words, color=color, fontsize=LETTER, va="center")


def draw_piano_roll(figure: Figure, notes: Array, metre: tuple[int, int], pickup: float) -> None:
    """The first `BARS` whole bars of a tune: a bar a note, as long as it lasts, higher where it is higher.

    Args:
        figure: empty.
        notes: (N, 3) onset and duration in whole notes, MIDI pitch; at least one.
        metre: beats of a bar and the unit of a beat.
        pickup: whole notes before the first whole bar.
    """
    axes = _whole(figure)
    bar = metre[0] / metre[1]
    begin, end = pickup, pickup + BARS * bar
    heard = notes[(notes[:, 0] >= begin - 1e-6) & (notes[:, 0] < end - 1e-6)]
    heard = heard if len(heard) else notes
    for i in range(1, BARS):
        axes.axvline(begin + i * bar, color=LINE, linewidth=2)
    beat = bar / 3 if metre[0] % 3 == 0 and metre[0] % 2 else bar / 2
    for onset, duration, pitch in heard:
        on_beat = abs((onset - pickup) / beat - round((onset - pickup) / beat)) < 1e-6
        color = ACCENT if on_beat else SERIES[0]
        axes.barh(pitch, 0.88 * min(duration, end - onset), left=onset, height=1.0, color=color)
    low, high = heard[:, 2].min(), heard[:, 2].max()
    axes.set(xlim=(begin - 0.03 * bar, end), ylim=(low - 2, high + 2))


def _whole(figure: Figure) -> Axes:
    """Axes on all of a figure, without ticks and frame."""
    figure.set_layout_engine("none")
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set(xlim=(0, 1), ylim=(0, 1))
    axes.axis("off")
    return axes
