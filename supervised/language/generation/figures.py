"""Figures of language models: the likeliest next tokens as bars, the surprise of each token, a board."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from sim.records import Array, Percept
from supervised.figure import ACCENT, MUTED, NEGATIVE, SERIES, TEXT

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

WINDOW = 28  # last tokens of a text whose surprise is drawn
ILLEGAL = "†"  # at the end of an illegal move's name


def draw_text(figure: Figure, percept: Percept, truth: Percept | None) -> None:
    """A text's surprise in bits by token, and the likeliest next tokens.

    Args:
        figure: empty.
        percept: of `supervised.language.generation.language_model`, with its extras.
        truth: its caption is how the text goes on; None where nobody knows.
    """
    above, below = figure.subplots(2, 1, height_ratios=(3, 4))
    words, nats = percept.extras["words"][-WINDOW:], percept.extras["nats"][-WINDOW:]
    above.bar(range(len(words)), [float(own) / math.log(2) for own in nats], color=SERIES[0], width=0.7)
    above.set_xticks(range(len(words)), [visible(word) for word in words], rotation=60, ha="right")
    above.set_ylabel("surprise (bits)")
    above.set_title(f"the last {len(words)} tokens" if len(words) else "the text is empty")
    right = None if truth is None else truth.caption
    draw_next(below, percept.extras["next"], chosen=right)
    title = "what comes next" if right is None else f"what comes next · in truth {visible(right)}"
    below.set_title(title)


def draw_next(axes: Axes, odds: Sequence[tuple[str, float]], chosen: str | None = None) -> None:
    """Bars of the likeliest next tokens, the chosen one lit, illegal moves in red.

    Args:
        axes: to draw on.
        odds: names and probabilities, the likeliest first.
        chosen: the name of the token that was drawn, or that is right.
    """
    for row, (name, p) in enumerate(odds):
        color = ACCENT if name == chosen else NEGATIVE if name.endswith(ILLEGAL) else SERIES[0]
        axes.barh(row, p, color=color, height=0.7)
        axes.text(p + 0.01, row, f"{p:.1%}", va="center", color=TEXT if name == chosen else MUTED, fontsize=9)
    axes.set_yticks(range(len(odds)), [visible(name) for name, _ in odds], color=TEXT)
    axes.set(
        xlim=(0, 1.08), ylim=(len(odds) - 0.4, -0.6), xlabel="probability", xticks=[0, 0.25, 0.5, 0.75, 1]
    )
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)


def draw_writing(
    figure: Figure,
    text: str,
    odds: Sequence[tuple[str, float]],
    chosen: str,
    board: Array | None = None,
) -> None:
    """A text as far as it is written, the probabilities of the token that was just drawn, and its board.

    Args:
        figure: empty.
        text: with the drawn token at its end.
        odds: of the likeliest tokens in its place.
        chosen: its name.
        board: (H, W, 3) uint8 of the position before it; None of what is no game.
    """
    rows = figure.add_gridspec(2, 1 if board is None else 2, height_ratios=(5, 2))
    bars = figure.add_subplot(rows[0, 0])
    draw_next(bars, odds, chosen)
    bars.set_title("next token")
    if board is not None:
        picture = figure.add_subplot(rows[0, 1])
        picture.imshow(board)
        picture.set_axis_off()
    below = figure.add_subplot(rows[1, :])
    below.set_axis_off()
    lines = [part for line in text.split("\n") for part in textwrap.wrap(line, 92) or [""]]
    words = "\n".join(lines[-6:])
    below.text(0, 1, words, va="top", color=TEXT, linespacing=1.5, transform=below.transAxes)


def visible(word: Any) -> str:
    """A token's name with white space by its symbols.

    >>> visible("a b")
    'a␣b'
    """
    return str(word).replace(" ", "␣").replace("\n", "⏎").replace("\t", "⇥")
