"""Figure of a tuned language model: its continuations beside those of its base, with their rewards."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING

from sim.records import Percept
from supervised.data.sources.chess_games.master_games import NUMBER
from supervised.figure import ACCENT, LINE, MUTED, NEGATIVE, POSITIVE, TEXT
from supervised.language.generation.notation import numbered

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

SHOWN = 4  # continuations a column
WIDTH = 36  # letters of a line in a column


def draw_tuning(figure: Figure, prompt: str, percept: Percept) -> None:
    """Continuations before and after tuning in two columns, the reward of each in front of it.

    Args:
        figure: empty.
        prompt: that they go on from.
        percept: of `supervised.language.tuning.preference_tuning`, with its extras.
    """
    rows = figure.add_gridspec(2, 2, height_ratios=(1, 6))
    above = figure.add_subplot(rows[0, :])
    above.set_axis_off()
    moves = numbered([NUMBER.sub("", word) for word in prompt.split()])
    lines = textwrap.wrap(moves, 92) or ["(the start of a game)"]
    above.text(0, 1, "\n".join(lines[-3:]), va="top", color=MUTED, transform=above.transAxes)
    extras = percept.extras
    columns = (
        ("before", "before tuning", extras["base_reward"]),
        ("after", "after tuning", extras["reward"]),
    )
    for number, (key, title, mean) in enumerate(columns):
        axes = figure.add_subplot(rows[1, number])
        _column(axes, extras["samples"][key][:SHOWN])
        axes.set_title(f"{title} · reward {signed(mean)} on average", color=ACCENT if number else TEXT)
    figure.supxlabel(
        f"log-ratio to the base {signed(extras['kl'])} nats a continuation · † illegal move",
        color=MUTED,
        fontsize=10,
    )


def _column(axes: Axes, samples: list[tuple[str, float]]) -> None:
    """Texts one below another, each with its reward at the left."""
    axes.set(xlim=(0, 1), ylim=(SHOWN, 0))
    axes.set_axis_off()
    for row, (text, reward) in enumerate(samples):
        color = POSITIVE if reward > 0 else NEGATIVE if reward < 0 else MUTED
        axes.axhline(row, color=LINE, linewidth=0.8)
        axes.text(0, row + 0.12, signed(reward), va="top", color=color, fontsize=15)
        axes.text(
            0.13, row + 0.14, "\n".join(textwrap.wrap(text, WIDTH)), va="top", color=TEXT, linespacing=1.4
        )


def signed(number: float) -> str:
    """A number with its sign, whole ones without decimals.

    >>> signed(1.0), signed(-0.25), signed(0.0)
    ('+1', '−0.25', '0')
    """
    words = f"{number:+g}" if number == round(number) else f"{number:+.2f}"
    return "0" if not number else words.replace("-", "\N{MINUS SIGN}")
