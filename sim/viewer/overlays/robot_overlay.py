"""Robot overlay: contact points and force arrows, joint torques in colour, and a person's push.

An arrow is as long as its force is large: a quarter of a metre for the weight of the robot. Torques are blue
where they are negative, grey where there is none and vermilion where they are positive.
"""

from __future__ import annotations

import math
from functools import lru_cache

import pygame
from pygame import Rect

from sim.viewer.contract.robot import ForceArrow, Place, RobotState
from sim.viewer.draw import charts
from sim.viewer.draw.theme import PALETTE, Color, Ink, canvas

CONTACT: Color = (240, 228, 66)  # Okabe–Ito yellow
PUSH: Color = PALETTE.accent
_NONE: Color = (205, 208, 212)
_ENDS: tuple[Color, Color] = (PALETTE.series[5], PALETTE.negative)
_HEAD = 11  # pixels of an arrow's head, at scale 1


def torque_color(share: float) -> Color:
    """Colour of a torque: `share` of the most, in [−1, 1].

    >>> torque_color(-1.0), torque_color(1.0) == PALETTE.negative
    ((0, 114, 178), True)
    """
    end = _ENDS[share > 0]
    weight = math.sqrt(min(abs(share), 1.0))
    red, green, blue = (round(low + weight * (high - low)) for low, high in zip(_NONE, end, strict=True))
    return red, green, blue


def draw_robot(
    surface: pygame.Surface,
    ink: Ink,
    picture: Rect,
    robot: RobotState,
    *,
    figures: bool = False,
) -> None:
    """Draw over `picture` what acts on the robot.

    Args:
        surface: drawn on, nowhere but in `picture`.
        ink: for lines and text.
        picture: where the robot's picture is.
        robot: what acts.
        figures: whether contact forces are written beside their arrows.
    """
    clip = surface.get_clip()
    surface.set_clip(picture.clip(clip))
    for joint in robot.joints:
        at = pixel(picture, joint.at)
        pygame.draw.aacircle(surface, PALETTE.ground, at, ink.px(8))
        pygame.draw.aacircle(surface, torque_color(joint.share), at, ink.px(6))
    for force in robot.contacts:
        _draw_arrow(surface, ink, pixel(picture, force.at), pixel(picture, force.tip), CONTACT)
        at = pixel(picture, force.at)
        pygame.draw.aacircle(surface, PALETTE.ground, at, ink.px(5))
        pygame.draw.aacircle(surface, CONTACT, at, ink.px(3))
    taken: list[Rect] = []
    for force in robot.contacts if figures else ():
        _write_force(surface, ink, picture, force, taken)
    if robot.push is not None:
        _draw_arrow(surface, ink, pixel(picture, robot.push.at), pixel(picture, robot.push.tip), PUSH)
        at = pixel(picture, robot.push.at)
        pygame.draw.aacircle(surface, PALETTE.ground, at, ink.px(6))
        pygame.draw.aacircle(surface, PUSH, at, ink.px(4))
        _write_force(surface, ink, picture, robot.push, taken, "push ")
    surface.set_clip(clip)


def pixel(picture: Rect, place: Place) -> tuple[int, int]:
    """Where a place in the picture is in the window."""
    return (
        picture.left + round(min(max(place[0], -9.0), 9.0) * picture.width),
        picture.top + round(min(max(place[1], -9.0), 9.0) * picture.height),
    )


def _draw_arrow(
    surface: pygame.Surface, ink: Ink, start: tuple[int, int], end: tuple[int, int], color: Color
) -> None:
    (x0, y0), (x1, y1) = start, end
    length = math.hypot(x1 - x0, y1 - y0)
    if length < 1:
        return
    ux, uy = (x1 - x0) / length, (y1 - y0) / length
    for grown, paint in ((ink.px(1.5), PALETTE.ground), (0, color)):  # a dark rim first
        head = min(ink.px(_HEAD), length) + grown
        half, wing = ink.px(1.6) + grown, ink.px(5) + 1.4 * grown
        tip, neck = length + 1.6 * grown, length - head + grown
        outline = ((0, half), (neck, half), (neck - grown, wing), (tip, 0))
        corners = [*outline, *((along, -across) for along, across in reversed(outline[:3]))]
        points = [(x0 + ux * along - uy * across, y0 + uy * along + ux * across) for along, across in corners]
        pygame.draw.polygon(surface, paint, points)
        pygame.draw.aalines(surface, paint, True, points)


def _write_force(
    surface: pygame.Surface, ink: Ink, picture: Rect, force: ForceArrow, taken: list[Rect], name: str = ""
) -> None:
    """Write a force beyond its arrow's tip, away from what is written already."""
    text = f"{name}{force.newtons:,.{int(force.newtons < 10)}f} N"
    plate = Rect(0, 0, ink.width(text) + ink.px(10), ink.px(18))
    (x0, y0), (x1, y1) = pixel(picture, force.at), pixel(picture, force.tip)
    length = max(1.0, math.hypot(x1 - x0, y1 - y0))
    gap = ink.px(14) + plate.width / 2 * abs(x1 - x0) / length
    plate.center = (round(x1 + gap * (x1 - x0) / length), round(y1 + gap * (y1 - y0) / length))
    plate.clamp_ip(picture)
    while (hit := plate.collidelist(taken)) >= 0 and plate.top > picture.top:
        plate.bottom = taken[hit].top - ink.px(2)
    taken.append(plate)
    ink.plate(surface, plate, PALETTE.ground, radius=4)
    ink.write(surface, text, plate.center, PALETTE.text, align="center")


def draw_robot_legend(surface: pygame.Surface, ink: Ink, picture: Rect, robot: RobotState) -> Rect:
    """Draw what arrows and colours mean in the picture's upper left corner; returns the plate."""
    pad, row, sample = ink.px(10), ink.px(20), ink.px(84)
    weight = round(robot.weight_arrow * picture.height)
    figures = (
        f"weight, {charts.number(round(robot.weight))} N",
        f"−{robot.most_torque:g} to {robot.most_torque:g} N·m",
    )
    names = ("ground force", "joint torque")
    lines = [
        f"{name}; {'here the ' * (not k)}{figure}"
        for k, (name, figure) in enumerate(zip(names, figures, strict=True))
    ]
    if weight > sample:
        weight, lines[0] = sample, names[0]
    width = 3 * pad + sample + max(map(ink.width, lines))
    if width > picture.width * 2 // 3:
        lines = list(names)
        width = 3 * pad + sample + max(map(ink.width, lines))
    plate = Rect(picture.left + ink.px(8), picture.top + ink.px(8), width, 2 * row + pad)
    if width > picture.width * 2 // 3 or plate.height > picture.height // 3:
        return Rect(plate.topleft, (0, 0))
    ink.plate(surface, plate, PALETTE.panel, radius=6)
    left, y = plate.left + pad, plate.top + pad // 2 + row // 2
    _draw_arrow(surface, ink, (left, y), (left + weight, y), CONTACT)
    ink.write(surface, lines[0], (left + sample + pad, y))
    y += row
    surface.blit(_gradient(sample, ink.px(8)), (left, y - ink.px(4)))
    ink.write(surface, lines[1], (left + sample + pad, y))
    return plate


@lru_cache(maxsize=4)
def _gradient(width: int, height: int) -> pygame.Surface:
    """The colours of all torques, from the most negative to the most positive."""
    bar = canvas((width, height))
    for x in range(width):
        bar.fill(torque_color(2 * (x + 0.5) / width - 1), Rect(x, 0, 1, height))
    return bar
