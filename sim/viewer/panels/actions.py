"""Actions panel (2): a bar for each action's probability, Q-value or visit count, the chosen one lit.

Q-values have their advantage beside, Q − max Q: that of the greedy policy.

Bars show probabilities or Q-values or search visits, whichever the decision has; for continuous
actions, one bar a dimension from −1 to 1.
"""

from __future__ import annotations

from collections.abc import Hashable

import numpy as np
import pygame
from pygame import Rect

from sim.records import Array, Decision
from sim.viewer.contract.moment import Options, measured
from sim.viewer.draw import charts
from sim.viewer.draw.card import ROW, Note, height_of, say
from sim.viewer.draw.layout import Need
from sim.viewer.draw.theme import PALETTE, Ink
from sim.viewer.playback.view import Choices, Facts, View

_WIDE = 300  # a narrower panel has one number a row


def _decision(view: View) -> Decision | None:
    return view.moment.decision if view.moment else None


def _options(view: View) -> Options | None:
    return view.moment.options if view.moment else None


def chosen_action(view: View) -> Array | None:
    """The first world's action: the agent's next one, or the one that a person has just played."""
    if view.moment is None:
        return None
    decision, actions = view.moment.decision, view.moment.actions
    if decision is None or (view.moment.person and actions is not None):
        return None if actions is None else actions[0]
    return np.asarray(decision.actions[0])


def note(facts: Facts, choices: Choices, view: View) -> Note:
    """Title note: the quantity that the bars show."""
    options = _options(view)
    if options is not None:
        return (options.measure, f"{len(options.shown) + options.rest} legal") if options.shown else ("", "")
    name, _ = measured(_decision(view))
    if not facts.action_names:
        limit = charts.number(facts.action_limit)
        return f"from −{limit} to {limit}", ""
    if name == "Q-value":
        name = "Q-value, advantage"
    paired = "left" if view.moment is not None and view.moment.names else ""
    chosen = view.moment.selection if view.moment is not None and not view.moment.person else ""
    return " · ".join(filter(None, (paired, name, chosen))), ""


def need(facts: Facts) -> Need:
    """Height of the panel: a line an action, up to 18."""
    rows = min(18, len(facts.action_names or facts.action_labels) or 9)
    return Need(height_of(min(rows, 6)), height_of(rows), height_of(rows))


def key(facts: Facts, choices: Choices, view: View) -> Hashable:
    """Cache key: all that `draw` depends on."""
    values, chosen = measured(_decision(view))[1], chosen_action(view)
    return (
        facts.action_names,
        None if values is None else np.asarray(values).tobytes(),
        None if chosen is None else np.asarray(chosen).tobytes(),
        _options(view),
    )


def draw(surface: pygame.Surface, ink: Ink, inside: Rect, facts: Facts, choices: Choices, view: View) -> None:
    """Draw the inside of the panel."""
    chosen, options = chosen_action(view), _options(view)
    if options is not None:
        _draw_options(surface, ink, inside, options)
    elif facts.action_names:
        _draw_discrete(surface, ink, inside, facts, view, -1 if chosen is None else int(chosen))
    elif chosen is not None:
        _draw_continuous(surface, ink, inside, facts, np.atleast_1d(chosen))
    else:
        say(surface, ink, inside, "no action yet")


def _draw_discrete(
    surface: pygame.Surface, ink: Ink, inside: Rect, facts: Facts, view: View, chosen: int
) -> None:
    names = facts.action_names
    kind, values = measured(_decision(view))
    shown = list(range(len(names)))
    rows = max(1, inside.height // ink.px(18))
    if len(names) > rows:  # the highest ones first, so that the list's order means something
        weight = values if values is not None else np.arange(len(names)) == chosen
        shown = np.argsort(-np.asarray(weight, float), kind="stable")[: rows - 1].tolist()
    low, high, best = 0.0, 1.0, 0.0
    valued = kind == "Q-value" and values is not None
    if valued and values is not None:
        best = float(values.max())
        low, high = min(0.0, float(values.min())), max(0.0, best)
        high += 1e-9 * (high == low)
    count = len(shown) + (len(names) > rows)
    lines = _Rows(ink, inside, [names[i] for i in shown], count, beside=valued)
    for row, action in enumerate(shown):
        lit = action == chosen
        value = None if values is None else float(values[action])
        number = "" if value is None else _short(kind, value)
        beside = _advantage(value - best) if valued and value is not None else ""
        track = lines.draw(surface, row, names[action], number, lit, beside)
        color = PALETTE.accent if lit else PALETTE.series[0]
        if value is None:
            charts.bar(surface, track, 0.0, float(lit), color)
            continue
        zero = (0.0 - low) / (high - low)
        charts.bar(surface, track, zero, (value - low) / (high - low), color)
        if low < 0:
            surface.fill(
                PALETTE.muted, Rect(track.left + round(zero * track.width), track.top, 1, track.height)
            )
    if len(names) > rows:
        lines.draw_rest(surface, len(shown), f"and {len(names) - len(shown):,} more")


def _draw_options(surface: pygame.Surface, ink: Ink, inside: Rect, options: Options) -> None:
    if not options.shown:
        say(surface, ink, inside, "no legal action")
        return
    most = max(1, inside.height // ink.px(18))
    total = len(options.shown) + options.rest
    shown = list(options.shown[: most if total <= most else most - 1])
    for choice in options.shown[len(shown) :]:
        if choice.chosen:  # it is always worth its row
            shown[-1:] = [choice]
    low, high = _span(options)
    lines = _Rows(ink, inside, [choice.name for choice in shown], len(shown) + (len(shown) < total))
    for row, (name, value, chosen) in enumerate(shown):
        number = "" if value is None else _short(options.measure, value)
        track = lines.draw(surface, row, name, number, chosen)
        length = float(chosen) if value is None else (value - low) / (high - low)
        zero = 0.0 if value is None else -low / (high - low)
        charts.bar(surface, track, zero, length, PALETTE.accent if chosen else PALETTE.series[0])
    if len(shown) < total:
        lines.draw_rest(surface, len(shown), f"and {total - len(shown):,} more")


def _span(options: Options) -> tuple[float, float]:
    """Range of the bars: from 0 to 1, or that of 0 and all Q-values."""
    values = [choice.value for choice in options.shown if choice.value is not None]
    if options.measure != "Q-value" or not values:
        return 0.0, 1.0
    return min(0.0, *values), max(0.0, *values) + 1e-9


def _draw_continuous(surface: pygame.Surface, ink: Ink, inside: Rect, facts: Facts, action: Array) -> None:
    rows = max(1, inside.height // ink.px(18))
    count = len(action) if len(action) <= rows else rows - 1
    names = [f"action {i + 1}" for i in range(count)]
    names = list(facts.action_labels[:count]) or names
    lines = _Rows(ink, inside, names, count + (len(action) > rows))
    for row in range(count):
        value = float(action[row])
        track = lines.draw(surface, row, names[row], _short("", value), False)
        charts.bar(surface, track, 0.5, (value / facts.action_limit + 1) / 2, PALETTE.accent)
        surface.fill(PALETTE.muted, Rect(track.centerx, track.top, 1, track.height))
    if count < len(action):
        lines.draw_rest(surface, count, f"and {len(action) - count} more")


class _Rows:
    """Rows of name, bar and number that share their columns; `beside`: of two numbers."""

    def __init__(self, ink: Ink, inside: Rect, names: list[str], count: int, *, beside: bool = False) -> None:
        self._ink, self._inside = ink, inside
        self._beside = ink.width("−00.00") if beside and inside.width >= ink.px(_WIDE) else 0
        self._height = min(ink.px(ROW), inside.height // max(1, count))
        self._names = min(max((ink.width(name) for name in names), default=0), inside.width * 2 // 5)
        self._numbers = ink.width("−0.00")

    def draw(
        self, surface: pygame.Surface, row: int, name: str, number: str, lit: bool, beside: str = ""
    ) -> Rect:
        """Write a row; returns the rectangle that its bar fills."""
        ink, inside = self._ink, self._inside
        y = inside.top + row * self._height + self._height // 2
        color = PALETTE.text if lit else PALETTE.muted
        ink.write(surface, ink.elided(name, self._names), (inside.left, y), color, bold=False)
        right = inside.right
        if self._beside:
            ink.write(surface, beside, (right, y), PALETTE.muted, align="right")
            right -= self._beside + ink.px(4)
        ink.write(surface, number, (right, y), color, align="right")
        left = inside.left + self._names + ink.px(10)
        height = min(ink.px(12), self._height - ink.px(4))
        return Rect(left, y - height // 2, right - self._numbers - ink.px(8) - left, height)

    def draw_rest(self, surface: pygame.Surface, row: int, text: str) -> None:
        """Write a line about what found no room."""
        y = self._inside.top + row * self._height + self._height // 2
        self._ink.write(surface, text, (self._inside.left, y), PALETTE.muted)


def _advantage(value: float) -> str:
    """Format an advantage: how far a Q-value lies below the best one.

    >>> _advantage(0.0), _advantage(-0.333)
    ('0.00', '−0.33')
    """
    return f"{round(value, 2) + 0.0:.2f}".replace("-", "−")


def _short(kind: str, value: float) -> str:
    if kind in ("probability", "visits"):
        return f"{value:.2f}"
    return charts.number(round(value, 2) + 0.0)
