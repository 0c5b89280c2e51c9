"""Panel 2: one bar an action, by name, the chosen one lit.

Bars show probabilities or Q-values or search visits, whichever the decision has; for continuous
actions, one bar a dimension from −1 to 1.
"""

from __future__ import annotations

from collections.abc import Hashable

import numpy as np
import pygame
from pygame import Rect

from sim.records import Array, Decision
from sim.viewer import charts
from sim.viewer.card import ROW, Note, height_of, say
from sim.viewer.layout import Need
from sim.viewer.theme import PALETTE, Ink
from sim.viewer.view import Choices, Facts, View


def _decision(view: View) -> Decision | None:
    return view.moment.decision if view.moment else None


def chosen_action(view: View) -> Array | None:
    """The first world's action: the agent's next one, or the one that a person has just played."""
    if view.moment is None:
        return None
    decision, actions = view.moment.decision, view.moment.actions
    if decision is None or (view.moment.person and actions is not None):
        return None if actions is None else actions[0]
    return np.asarray(decision.actions[0])


def _measure(decision: Decision | None) -> tuple[str, Array | None]:
    """What the bars show, by name, and its value (A,) by action."""
    if decision is None:
        return "", None
    if decision.probabilities is not None:
        return "probability", decision.probabilities[0]
    if decision.q_values is not None:
        return "Q-value", decision.q_values[0]
    if decision.visits is not None:
        return "visits", decision.visits[0] / max(1, decision.visits[0].sum())
    return "", None


def note(facts: Facts, choices: Choices, view: View) -> Note:
    """What the bars show."""
    name, values = _measure(_decision(view))
    if name == "Q-value" and values is not None:
        return f"Q-value, {charts.number(float(values.min()))} to {charts.number(float(values.max()))}", ""
    return (name if facts.action_names else "from −1 to 1"), ""


def need(facts: Facts) -> Need:
    """The panel's height: a line an action, up to 18."""
    rows = min(18, len(facts.action_names) or 6)
    return Need(height_of(min(rows, 6)), height_of(rows), height_of(rows))


def key(facts: Facts, choices: Choices, view: View) -> Hashable:
    """All that `draw` depends on."""
    values, chosen = _measure(_decision(view))[1], chosen_action(view)
    return (
        None if values is None else np.asarray(values).tobytes(),
        None if chosen is None else np.asarray(chosen).tobytes(),
    )


def draw(surface: pygame.Surface, ink: Ink, inside: Rect, facts: Facts, choices: Choices, view: View) -> None:
    """Draw the inside of the panel."""
    chosen = chosen_action(view)
    if facts.action_names:
        _draw_discrete(surface, ink, inside, facts, view, -1 if chosen is None else int(chosen))
    elif chosen is not None:
        _draw_continuous(surface, ink, inside, np.atleast_1d(chosen))
    else:
        say(surface, ink, inside, "no action yet")


def _draw_discrete(
    surface: pygame.Surface, ink: Ink, inside: Rect, facts: Facts, view: View, chosen: int
) -> None:
    names = facts.action_names
    kind, values = _measure(_decision(view))
    shown = list(range(len(names)))
    rows = max(1, inside.height // ink.px(18))
    if len(names) > rows:  # the most telling ones first, so that the list's order means something
        weight = values if values is not None else np.arange(len(names)) == chosen
        shown = np.argsort(-np.asarray(weight, float), kind="stable")[: rows - 1].tolist()
    low, high = 0.0, 1.0
    if kind == "Q-value" and values is not None:
        low, high = float(values.min()), float(values.max())
        low -= 0.1 * (high - low)  # so that the lowest still has a bar
        high += 1e-9
    lines = _Rows(ink, inside, [names[i] for i in shown], len(shown) + (len(names) > rows))
    for row, action in enumerate(shown):
        lit = action == chosen
        value = None if values is None else float(values[action])
        track = lines.draw(surface, row, names[action], "" if value is None else _short(kind, value), lit)
        length = (float(lit) if value is None else (value - low) / (high - low)) if track.width else 0.0
        charts.bar(surface, track, 0.0, length, PALETTE.accent if lit else PALETTE.series[0])
    if len(names) > rows:
        lines.draw_rest(surface, len(shown), f"and {len(names) - len(shown):,} more")


def _draw_continuous(surface: pygame.Surface, ink: Ink, inside: Rect, action: Array) -> None:
    rows = max(1, inside.height // ink.px(18))
    count = len(action) if len(action) <= rows else rows - 1
    names = [f"action {i + 1}" for i in range(count)]
    lines = _Rows(ink, inside, names, count + (len(action) > rows))
    for row in range(count):
        value = float(action[row])
        track = lines.draw(surface, row, names[row], _short("", value), False)
        charts.bar(surface, track, 0.5, (value + 1) / 2, PALETTE.accent)
        surface.fill(PALETTE.muted, Rect(track.centerx, track.top, 1, track.height))
    if count < len(action):
        lines.draw_rest(surface, count, f"and {len(action) - count} more")


class _Rows:
    """Rows of name, bar and number that share their columns."""

    def __init__(self, ink: Ink, inside: Rect, names: list[str], count: int) -> None:
        self._ink, self._inside = ink, inside
        self._height = min(ink.px(ROW), inside.height // max(1, count))
        self._names = min(max((ink.width(name) for name in names), default=0), inside.width * 2 // 5)
        self._numbers = ink.width("−0.00")

    def draw(self, surface: pygame.Surface, row: int, name: str, number: str, lit: bool) -> Rect:
        """Write a row; returns the rectangle that its bar fills."""
        ink, inside = self._ink, self._inside
        y = inside.top + row * self._height + self._height // 2
        color = PALETTE.text if lit else PALETTE.muted
        ink.write(surface, ink.elided(name, self._names), (inside.left, y), color, bold=False)
        ink.write(surface, number, (inside.right, y), color, align="right")
        left = inside.left + self._names + ink.px(10)
        height = min(ink.px(12), self._height - ink.px(4))
        return Rect(left, y - height // 2, inside.right - self._numbers - ink.px(8) - left, height)

    def draw_rest(self, surface: pygame.Surface, row: int, text: str) -> None:
        """Write a line about what found no room."""
        y = self._inside.top + row * self._height + self._height // 2
        self._ink.write(surface, text, (self._inside.left, y), PALETTE.muted)


def _short(kind: str, value: float) -> str:
    if kind in ("probability", "visits"):
        return f"{value:.2f}"
    return charts.number(round(value, 2) + 0.0)
