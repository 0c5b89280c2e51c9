"""Figure of a translation: its lines of text, and a table of where each of its words was read."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from sim.records import Array
from supervised.figure import ACCENT, GROUND, MUTED, TEXT

if TYPE_CHECKING:
    from matplotlib.figure import Figure

COLUMNS = 74  # letters of a line of text
MOST = 26  # words on a side of the table
LETTERS = 14  # of a word beside the table


def draw_alignment(
    figure: Figure, lines: Mapping[str, str], said: Sequence[str], read: Sequence[str], shares: Array
) -> None:
    """Draw the lines, named, and the table below them.

    Args:
        figure: empty.
        lines: name → text, from above to below.
        said: T words, a row each.
        read: S words, a column each; the last column is the draft.
        shares: (T, S + 1) of attention.
    """
    wrapped = {name: textwrap.wrap(text, COLUMNS)[:4] or ["–"] for name, text in lines.items()}
    rows = sum(map(len, wrapped.values())) + 0.4 * len(wrapped)
    text, table = figure.subplots(2, 1, height_ratios=[rows * 0.95, 16])
    text.set_axis_off()
    text.set(xlim=(0, 1), ylim=(rows, 0))
    at = 0.0
    for name, parts in wrapped.items():
        colour = ACCENT if name == "model" else TEXT
        text.text(0.0, at, name, color=MUTED, va="top", fontsize=10)
        for part in parts:
            text.text(0.14, at, part.replace("$", r"\$"), color=colour, va="top", fontsize=10)
            at += 1
        at += 0.4
    if not len(said):
        table.set_axis_off()
        return
    from matplotlib.colors import LinearSegmentedColormap

    columns = [*map(_short, read[:MOST]), "draft"]
    shown = shares[:MOST, [*range(min(len(read), MOST)), shares.shape[1] - 1]]
    colours = LinearSegmentedColormap.from_list("attention", [GROUND, ACCENT])
    most = float(shown.max())
    table.imshow(shown, cmap=colours, vmin=0, vmax=most, aspect="auto")
    size = 9 if max(shown.shape) <= 16 else 7
    steep = len(columns) > 7
    table.set_xticks(
        range(len(columns)),
        columns,
        rotation=40 if steep else 0,
        ha="right" if steep else "center",
        fontsize=size,
    )
    table.set_yticks(range(len(shown)), [_short(word) for word in said[:MOST]], fontsize=size)
    table.set_xlabel("read from")
    table.set_title(
        f"where each word was read: the decoder's cross-attention, black 0 to orange {most:.2f}",
        fontsize=10,
        color=MUTED,
    )
    table.axvline(len(columns) - 1.5, color=MUTED, linewidth=0.8)


def _short(word: str) -> str:
    cut = word if len(word) <= LETTERS else word[: LETTERS - 1] + "…"
    return cut.replace("$", r"\$")
