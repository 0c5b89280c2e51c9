"""Foot-contact panel (9): which feet of a robot are on the ground, over the last seconds.

A row a foot, as in gait diagrams of biomechanics: filled while it is on the ground (stance), clear while it
is not (swing). At the right the foot's duty factor: the share of the time shown that it is on the ground.
"""

from __future__ import annotations

from collections.abc import Hashable

import numpy as np
import pygame
from pygame import Rect

from sim.records import Array
from sim.viewer.draw.card import BELOW, Note, say
from sim.viewer.draw.layout import TITLE_ROW, Need
from sim.viewer.draw.theme import PALETTE, Color, Ink
from sim.viewer.playback.history import FEET_SECONDS
from sim.viewer.playback.view import Choices, Facts, View

_AXIS = 18  # height of the time axis's labels, at scale 1
_ROW, _LEAST_ROW = 20, 16


def stance(patterns: Array, feet: int) -> Array:
    """(feet, K) bool from `View.feet`, (K,): which feet are on the ground.

    >>> stance(np.array([0.0, 1.0, 3.0]), 2).astype(int).tolist()
    [[0, 1, 1], [0, 0, 1]]
    """
    bits = np.nan_to_num(patterns).astype(np.int64)
    return np.stack([(bits >> foot) & 1 == 1 for foot in range(feet)])


def foot_color(name: str) -> Color:
    """Colour of a foot, that of its limb in the picture: left limbs are blue there, and right ones orange.

    A cheetah's front leg is blue, the rear one orange.

    >>> foot_color("front right") == foot_color("rear") == PALETTE.accent
    True
    """
    words = name.split()
    cool = "left" in words or ("front" in words and "right" not in words)
    return PALETTE.series[0] if cool else PALETTE.accent


def need(view: View) -> Need | None:
    """Height of the panel: a row a foot; None where there is no robot, or one without feet."""
    feet = len(view.moment.robot.feet) if view.moment is not None and view.moment.robot is not None else 0
    if not feet:
        return None
    around = TITLE_ROW + BELOW + _AXIS
    return Need(around + _LEAST_ROW * feet, around + _ROW * feet, around + _ROW * feet)


def note(facts: Facts, choices: Choices, view: View) -> Note:
    """Title note: the share of the time with two feet or more on the ground, or with none."""
    robot = view.moment.robot if view.moment else None
    if robot is None or len(robot.feet) < 2 or not len(view.feet):
        return "", ""
    down = stance(view.feet, len(robot.feet)).sum(axis=0)
    if len(robot.feet) > 2:
        return "feet on the ground", f"{down.mean():.1f}"
    both, none = float((down == 2).mean()), float((down == 0).mean())
    return ("double support", f"{100 * both:.0f} %") if both >= none else ("flight", f"{100 * none:.0f} %")


def key(facts: Facts, choices: Choices, view: View) -> Hashable:
    """Cache key: all that `draw` depends on."""
    return view.number


def draw(surface: pygame.Surface, ink: Ink, inside: Rect, facts: Facts, choices: Choices, view: View) -> None:
    """Draw a row for each foot, oldest at the left, and the time axis."""
    robot = view.moment.robot if view.moment else None
    if robot is None or not len(view.feet):
        say(surface, ink, inside, "no robot yet")
        return
    names = max(ink.width(name) for name in robot.feet) + ink.px(10)
    figures = ink.width("100 %") + ink.px(8)
    plot = Rect(inside.left + names, inside.top + ink.px(2), inside.width - names - figures, 0)
    row = min(ink.px(_ROW), max(1, (inside.height - ink.px(2 + _AXIS)) // len(robot.feet)))
    plot.height = row * len(robot.feet)
    if plot.width < 8:
        return
    columns = max(2, round(FEET_SECONDS * facts.steps_per_second))
    down = stance(view.feet, len(robot.feet))
    for foot, name in enumerate(robot.feet):
        middle = plot.top + foot * row + row // 2
        track = Rect(plot.left, 0, plot.width, max(2, row - ink.px(6)))
        track.centery = middle
        surface.fill(PALETTE.raised, track)
        for begun, ended in runs(down[foot]):
            left, right = (
                plot.right - round((down.shape[1] - step) / columns * plot.width) for step in (begun, ended)
            )
            left = max(left, plot.left)
            surface.fill(foot_color(name), Rect(left, track.top, max(1, right - left), track.height))
        ink.write(surface, name, (inside.left, middle), PALETTE.muted)
        ink.write(surface, f"{100 * down[foot].mean():.0f} %", (inside.right, middle), align="right")
    below = plot.bottom + ink.px(_AXIS) // 2 + ink.px(1)
    ink.write(surface, f"−{FEET_SECONDS:g} s", (plot.left, below), PALETTE.muted)
    ink.write(surface, "now", (plot.right, below), PALETTE.muted, align="right")


def runs(down: Array) -> list[tuple[int, int]]:
    """Beginning and end (not included) of each stretch of True in (K,) bool.

    >>> runs(np.array([True, True, False, True]))
    [(0, 2), (3, 4)]
    """
    edges = np.flatnonzero(np.diff(np.concatenate([[False], down, [False]]).astype(np.int8)))
    return [(int(begun), int(ended)) for begun, ended in edges.reshape(-1, 2)]
