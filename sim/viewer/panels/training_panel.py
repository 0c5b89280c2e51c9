"""Training panel (7): the learning curve of the agent's run; and the heading's chip with its status."""

from __future__ import annotations

from collections.abc import Hashable

import numpy as np
import pygame
from pygame import Rect

from sim.viewer.contract.moment import Learning
from sim.viewer.draw import charts
from sim.viewer.draw.card import Note, say
from sim.viewer.draw.layout import LEARNING
from sim.viewer.draw.theme import PALETTE, Color, Ink
from sim.viewer.playback.view import Choices, Facts, View


def of(view: View) -> Learning | None:
    """The training run of the agent shown."""
    return view.moment.learning if view.moment else None


def chip(learning: Learning | None) -> tuple[str, Color]:
    """Status of the run for the heading's chip, and the colour of its dot."""
    if learning is None:
        return "", PALETTE.muted
    if not learning.following:
        return "not following", PALETTE.muted
    return ("following", PALETTE.positive) if learning.checkpoint else ("waiting", PALETTE.accent)


def steps(count: int) -> str:
    """Format a number of steps for an axis.

    >>> steps(2_400_000), steps(51_200), steps(640)
    ('2.4 M', '51 k', '640')
    """
    if count >= 1_000_000:
        return f"{count / 1e6:.1f} M"
    return f"{count / 1e3:.0f} k" if count >= 1000 else str(count)


def note(facts: Facts, choices: Choices, view: View) -> Note:
    """Title note: the latest value of the learning curve."""
    learning = of(view)
    if learning is None or (curve := learning.curve) is None or not np.isfinite(curve).any():
        return "", ""
    return learning.measure, charts.number(float(curve[np.isfinite(curve)][-1]))


def key(facts: Facts, choices: Choices, view: View) -> Hashable:
    """Cache key: all that `draw` depends on; a `Learning` is only equal to itself."""
    return of(view)


def points(facts: Facts, view: View) -> charts.Points | None:
    """Points of the learning curve; None where it is not known."""
    learning = of(view)
    if learning is None or learning.curve is None or not np.isfinite(learning.curve).any():
        return None
    x = np.linspace(0, learning.steps, len(learning.curve))
    return charts.Points(
        learning.measure, learning.unit, x, learning.curve, lambda x: f"{steps(round(x))} {learning.unit}"
    )


def draw(surface: pygame.Surface, ink: Ink, inside: Rect, facts: Facts, choices: Choices, view: View) -> None:
    """Draw the learning curve, and a line where the checkpoint that plays was saved."""
    learning, shown = of(view), points(facts, view)
    if learning is None or learning.curve is None or shown is None:
        say(surface, ink, inside, f"no {learning.measure} is known yet" if learning else "")
        return
    charts.line_chart(
        surface,
        ink,
        inside,
        learning.curve,
        color=PALETTE.series[2],
        filled=1.0,
        labels=("0", f"{steps(learning.steps)} {learning.unit}"),
        stand=learning.played,
        points=shown,
        pointed=choices.pointed_at(LEARNING),
    )
