"""Figure of a reward model: its piece values beside those by hand, and how sure it is of held-out pairs."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING

import numpy as np

from sim.records import Array, Percept
from supervised.data.sources.chess_games.master_games import NUMBER
from supervised.figure import ACCENT, GROUND, LINE, MUTED, NEGATIVE, POSITIVE, SERIES, TEXT
from supervised.language.generation.notation import numbered
from supervised.language.tuning.game_reward import VALUES
from supervised.language.tuning.reward_network import MARGINS, VALUED, WIDEST
from supervised.language.tuning.tuning_figure import signed
from supervised.metrics.preferences import REWARD

LINE_HEIGHT = 14  # points

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


def draw_reward(
    figure: Figure, game: str, percept: Percept, truth: Percept | None, values: Array, margins: Array
) -> None:
    """The game with its reward above; piece values and margins below.

    Args:
        figure: empty.
        game: its moves.
        percept: of `supervised.language.tuning.reward_model`, with its extras.
        truth: with the rule's reward; None where nobody knows.
        values: (5,) learned, in nats.
        margins: counts, see `supervised.language.tuning.reward_network.RewardNetwork`.
    """
    rows = figure.add_gridspec(2, 2, height_ratios=(1.4, 5))
    _game(figure.add_subplot(rows[0, :]), game, percept, truth)
    _piece_values(figure.add_subplot(rows[1, 0]), values)
    _margins(figure.add_subplot(rows[1, 1]), margins)


def _game(axes: Axes, game: str, percept: Percept, truth: Percept | None) -> None:
    """Moves, the graded ones brighter, with what was won in them."""
    axes.set_axis_off()
    extras = percept.extras
    words = [word for word in (NUMBER.sub("", word) for word in game.split()) if word]
    begun = max(0, len(words) - extras["plies"])
    reward = f"{extras['value'][REWARD]:+.2f}".replace("-", "\N{MINUS SIGN}")
    by_rule = truth.extras.get("value", {}).get(REWARD) if truth is not None else None
    told = "" if by_rule is None else f" · by the rule {signed(by_rule)} pawns"
    axes.set_title(f"reward of the last {extras['plies']} plies, for {extras['side']}: {reward} nats{told}")
    at = 0.0
    before = textwrap.wrap(numbered(words[:begun]), 92)[-2:]
    graded = textwrap.wrap(numbered(words[begun:], begun), 92)[-2:]
    gained = [f"{name} {signed(count)}" for name, count in extras["piece_gain"].items() if count]
    won = ["pieces won less lost: " + (", ".join(gained) or "none")]
    for lines, color in ((before, MUTED), (graded, TEXT), (won, ACCENT)):
        axes.annotate(
            "\n".join(lines),
            (0, 1),
            (0, at),
            xycoords="axes fraction",
            textcoords="offset points",
            va="top",
            color=color,
            linespacing=1.3,
        )
        at -= LINE_HEIGHT * len(lines) + 4


def _piece_values(axes: Axes, values: Array) -> None:
    """Bars of the learned values, scaled to those by hand by least squares, which are marked."""
    hand = np.array(VALUES, float)
    scale = float(values @ hand) / float(hand @ hand)
    shown = values / scale if scale > 0 else values
    places = np.arange(len(hand))
    axes.bar(places, shown, color=SERIES[0], width=0.6, label="learned from preferences")
    axes.scatter(places, hand, color=ACCENT, marker="_", s=500, linewidths=2.5, label="by hand", zorder=3)
    for place, value in zip(places.tolist(), shown.tolist(), strict=True):
        axes.text(place, 0.1, f"{value:.1f}", ha="center", va="bottom", color=GROUND)
    axes.set_xticks(places, VALUED)
    axes.set_ylim(min(0, float(shown.min())) - 0.2, max(10.5, float(shown.max()) + 1.2))
    axes.set_ylabel("pawns" if scale > 0 else "nats")
    axes.set_title("value of a piece")
    axes.legend(loc="upper left", fontsize=9)


def _margins(axes: Axes, margins: Array) -> None:
    """Histogram of the margins of held-out pairs, those ranked wrongly in another colour."""
    edges = np.linspace(-WIDEST, WIDEST, MARGINS + 1)
    middle, width = (edges[:-1] + edges[1:]) / 2, edges[1] - edges[0]
    pairs = float(margins.sum())
    share = margins / pairs if pairs else margins
    axes.bar(middle, share, width * 0.9, color=np.where(middle > 0, POSITIVE, NEGATIVE))
    axes.axvline(0, color=LINE, linewidth=1)
    right = float(margins[middle > 0].sum())
    axes.set_title(f"held-out pairs: {right / pairs:.0%} ranked right" if pairs else "no held-out pairs yet")
    axes.set_xlabel(f"r(preferred) − r(other), nats; beyond ±{WIDEST:g} at the ends")
    axes.set_ylabel("share of pairs")
    axes.set_xlim(-WIDEST, WIDEST)
