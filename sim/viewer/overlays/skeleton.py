"""Skeleton overlay: keypoints joined by bones; hidden ones are hollow, the true skeleton a thin light line.

Left is yellow and right is blue, by the words in a point's name: pose estimators confuse them most often.
"""

from __future__ import annotations

import math

import pygame
from pygame import Rect

from sim.percept_kinds import VISIBLE
from sim.records import Percept
from sim.viewer.contract.moment import PerceptView
from sim.viewer.draw.theme import PALETTE, Color, Ink

_SIDES = {"left": PALETTE.series[2], "right": PALETTE.series[0]}


def draw_skeleton(surface: pygame.Surface, ink: Ink, picture: Rect, factor: float, seen: PerceptView) -> None:
    """Draw one percept's keypoints, and the true ones, over `picture`, shown `factor` times as large."""
    if not seen.percept.keypoints:
        return
    points = visible_keypoints(seen.percept, picture, factor)
    bones = [edge for edge in seen.edges if edge[0] in points and edge[1] in points]
    for first, second in bones:
        pygame.draw.line(surface, PALETTE.ground, points[first], points[second], ink.px(6))
    for first, second in bones:
        pygame.draw.line(surface, side_color(second), points[first], points[second], ink.px(3))
    for name, at in points.items():
        pygame.draw.aacircle(surface, PALETTE.ground, at, ink.px(6))
        pygame.draw.aacircle(surface, side_color(name), at, ink.px(5))
        if seen.percept.keypoints[name][2] < VISIBLE:
            pygame.draw.aacircle(surface, PALETTE.ground, at, ink.px(3))
    if seen.truth is not None:
        _draw_truth(surface, ink, visible_keypoints(seen.truth, picture, factor), seen.edges)


def _draw_truth(
    surface: pygame.Surface, ink: Ink, points: dict[str, tuple[int, int]], edges: tuple[tuple[str, str], ...]
) -> None:
    for first, second in edges:
        if first in points and second in points:
            pygame.draw.aaline(surface, PALETTE.text, points[first], points[second])
    for x, y in points.values():
        arm = ink.px(3)
        surface.fill(PALETTE.text, Rect(x - arm, y, 2 * arm + 1, 1))
        surface.fill(PALETTE.text, Rect(x, y - arm, 1, 2 * arm + 1))


def visible_keypoints(percept: Percept, picture: Rect, factor: float) -> dict[str, tuple[int, int]]:
    """The finite keypoints by name, in pixels of the window."""
    return {
        name: (picture.left + round(x * factor), picture.top + round(y * factor))
        for name, (x, y, _) in percept.keypoints.items()
        if math.isfinite(x) and math.isfinite(y)
    }


def side_color(name: str) -> Color:
    """Colour of a keypoint by its side of the body; a third one for those in the middle.

    >>> side_color("left knee") == PALETTE.series[2]
    True
    """
    return next((_SIDES[word] for word in name.split() if word in _SIDES), PALETTE.series[3])
