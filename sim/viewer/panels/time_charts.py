"""Value (3) and return (4) panels: the first world's value and running return over time."""

from __future__ import annotations

from collections.abc import Hashable

import numpy as np
import pygame
from pygame import Rect

from sim.records import Array
from sim.viewer.contract.moment import Exploration
from sim.viewer.draw import charts
from sim.viewer.draw.card import ROW, Note, say
from sim.viewer.draw.layout import RETURN, VALUE, Need
from sim.viewer.draw.theme import PAIR, PALETTE, Ink
from sim.viewer.playback.view import Choices, Facts, View

NEED = Need(92, 132, 200)
VALUE_SECONDS = 10.0


def key(facts: Facts, choices: Choices, view: View) -> Hashable:
    """Cache key: the moment, of which all is a function."""
    return view.number


def value_note(facts: Facts, choices: Choices, view: View) -> Note:
    """Title note: what a value is, and the last one."""
    last = view.value[-1] if len(view.value) else np.nan
    if not np.isfinite(last):
        return "", ""
    return "expected discounted return", _figures(last, _rival(view, view.rival_value))


def value_points(facts: Facts, view: View) -> charts.Points | None:
    """The value over the last seconds; None without one."""
    if not np.isfinite(view.value).any():
        return None
    x = _ages(facts, len(view.value))
    return charts.Points("value", "seconds before", x, view.value, _age_text, _rival(view, view.rival_value))


def draw_value(
    surface: pygame.Surface, ink: Ink, inside: Rect, facts: Facts, choices: Choices, view: View
) -> None:
    """Draw the inside of the value panel."""
    points = value_points(facts, view)
    if points is None:
        say(surface, ink, inside, "the agent has no value estimate" if view.moment else "")
        return
    window = max(2, round(VALUE_SECONDS * facts.steps_per_second / facts.frames_per_step) + 1)
    charts.line_chart(
        surface,
        ink,
        inside,
        view.value,
        color=PALETTE.series[0],
        filled=min(1.0, (len(view.value) - 1) / (window - 1)),
        rival=points.rival,
        labels=(f"−{VALUE_SECONDS:g} s", "now"),
        points=points,
        pointed=choices.pointed_at(VALUE),
    )


def return_note(facts: Facts, choices: Choices, view: View) -> Note:
    """Title note: the running return."""
    robot = view.moment.robot if view.moment else None
    words = "pushed: no score" if robot is not None and robot.pushed else "this episode"
    rival = _rival(view, view.rival_score)
    return (words, _figures(view.score[-1], rival)) if len(view.score) else ("", "")


def return_points(facts: Facts, view: View) -> charts.Points | None:
    """The running return since the episode began; None at its beginning."""
    if len(view.score) < 2 or view.moment is None:
        return None
    x = _ages(facts, len(view.score)) + float(view.moment.length[0]) / facts.steps_per_second
    rival = _rival(view, view.rival_score)
    return charts.Points("return", "seconds", np.maximum(x, 0.0), view.score, seconds_text, rival)


def draw_return(
    surface: pygame.Surface, ink: Ink, inside: Rect, facts: Facts, choices: Choices, view: View
) -> None:
    """Draw the inside of the return panel: the running return, and how much the agent explores."""
    exploration = view.moment.exploration if view.moment else None
    if exploration is not None:
        inside = inside.copy()
        inside.height -= ink.px(ROW)
        row = Rect(inside.left, inside.bottom, inside.width, ink.px(ROW))
        _draw_exploration(surface, ink, row, exploration)
    points = return_points(facts, view)
    if points is None or view.moment is None:
        say(surface, ink, inside, "an episode has just begun" if view.moment else "")
        return
    length = int(view.moment.length[0])
    whole = len(view.score) * facts.frames_per_step > length
    until = seconds_text(length / facts.steps_per_second)
    charts.line_chart(
        surface,
        ink,
        inside,
        view.score,
        color=PALETTE.series[1] if points.rival is None else PAIR[0],
        filled=1.0,
        rival=points.rival,
        labels=("start" if whole else f"−{until}", until),
        least_span=2.0,
        points=points,
        pointed=choices.pointed_at(RETURN),
    )


def _draw_exploration(surface: pygame.Surface, ink: Ink, row: Rect, exploration: Exploration) -> None:
    """Draw the exploration measure as a bar from 0, greedy play, to its maximum."""
    name, value, most, unit = exploration
    y, gap = row.centery + ink.px(2), ink.px(8)
    left = ink.write(surface, name, (row.left, y), PALETTE.muted).right + gap
    number = f"{value:.2f} {unit}".rstrip()
    right = ink.write(surface, number, (row.right, y), align="right").left - gap
    if right - left >= ink.px(24):
        track = Rect(left, y - ink.px(4), right - left, ink.px(8))
        charts.bar(surface, track, 0.0, value / most if most > 0 else 0.0, PALETTE.series[3])


def _figures(last: float, rival: Array | None) -> str:
    """The newest number, and that of the second agent if there is one."""
    other = "" if rival is None else f" / {charts.number(float(rival[-1]))}"
    return f"{charts.number(float(last))}{other}"


def _ages(facts: Facts, count: int) -> Array:
    """(count,) seconds of the points of a chart before its last one, negative."""
    return np.arange(1 - count, 1) * facts.frames_per_step / facts.steps_per_second


def _rival(view: View, numbers: Array) -> Array | None:
    """The second agent's numbers; None where there is one agent."""
    return numbers if view.moment is not None and len(view.moment.names) == 2 else None


def _age_text(seconds: float) -> str:
    return f"{seconds:.1f} s".replace("-", "−") if seconds else "now"


def seconds_text(seconds: float) -> str:
    """Format a time since a start.

    >>> seconds_text(3.25), seconds_text(61.4)
    ('3.2 s', '1:01 min')
    """
    if seconds < 60:
        return f"{seconds:.1f} s"
    return f"{int(seconds) // 60}:{int(seconds) % 60:02d} min"
