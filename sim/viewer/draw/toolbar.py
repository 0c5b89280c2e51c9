"""Buttons of the transport bar: which there are, their icons, and their tooltips with the key."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import pygame
from pygame import Rect

from sim.viewer.draw.layout import Layout
from sim.viewer.draw.theme import PALETTE, TITLE, Color, Ink
from sim.viewer.keymap import Command
from sim.viewer.playback.view import Choices, Facts


@dataclass(frozen=True, slots=True)
class Button:
    """A button: its command, what it does in words, its key, and the abilities any of which it needs."""

    command: Command
    words: str
    key: str
    needs: frozenset[str] = frozenset()


BUTTONS = {
    "back": Button(Command.BACK, "Step back", "←"),
    "pause": Button(Command.PAUSE, "Pause, resume", "Space"),
    "forward": Button(Command.FORWARD, "Step forward", "→"),
    "slower": Button(Command.SLOWER, "Slower", "−"),
    "faster": Button(Command.FASTER, "Faster", "="),
    "who": Button(Command.HANDOVER, "Human control, agent control", "M", frozenset({"play"})),
    "scenes": Button(Command.FIND_SCENE, "Find a scene", "Ctrl+K", frozenset({"scenes"})),
    "grid": Button(Command.GRID, "All worlds side by side", "G", frozenset({"worlds"})),
    "explain": Button(Command.SALIENCY, "Saliency", "E", frozenset({"saliency"})),
    "overlay": Button(Command.PERCEPTS, "Perception overlay", "O", frozenset({"percepts", "board", "robot"})),
    "record": Button(Command.RECORD, "Record, stop recording", "V"),
    "present": Button(Command.PRESENT, "Presentation", "F11"),
    "help": Button(Command.HELP, "All keys", "H"),
}

_IMPORTANCE = ("help", "scenes", "present", "overlay", "record", "explain", "grid")


def button_of(name: str, facts: Facts) -> Button:
    """A button as it is for a show: the overlay is of what the show has."""
    if name != "overlay" or "percepts" in facts.abilities:
        return BUTTONS[name]
    if "robot" in facts.abilities:
        return Button(Command.ROBOT, "Ground contacts, forces, torques", "F")
    return Button(Command.PERCEPTS, "Evaluation, arrows and line", "O")


def tools_of(facts: Facts) -> list[str]:
    """Names of the tools of a show, the most important first."""
    taken = {"board": "analysis"}  # a recorded game's board has nothing to show or hide

    def useful(name: str) -> bool:
        needs = {need for need in BUTTONS[name].needs if taken.get(need, "") not in facts.abilities}
        return not BUTTONS[name].needs or bool(needs & facts.abilities)

    return [name for name in _IMPORTANCE if useful(name)]


def is_on(name: str, choices: Choices, facts: Facts) -> bool:
    """Whether what a button switches is on."""
    overlay = choices.percepts if "percepts" in facts.abilities else choices.analysis
    if "robot" in facts.abilities and "percepts" not in facts.abilities:
        overlay = choices.robot
    states = {
        "scenes": choices.search is not None,
        "grid": choices.grid,
        "explain": choices.saliency != "off",
        "overlay": overlay,
        "record": choices.recording,
        "present": choices.presents,
        "help": choices.help,
    }
    return states.get(name, False)


def draw_tools(surface: pygame.Surface, ink: Ink, layout: Layout, facts: Facts, choices: Choices) -> None:
    """Draw the tools; the icon of what is on has the accent's colour, that of a recording is a square."""
    for name, rect in layout.tools.items():
        lit = is_on(name, choices, facts)
        if choices.pointed == name:
            ink.plate(surface, rect, PALETTE.raised)
        draw_icon = _icon_stop if name == "record" and lit else _ICONS[name]
        draw_icon(surface, ink, rect, PALETTE.accent if lit else PALETTE.muted)


def draw_tip(surface: pygame.Surface, ink: Ink, layout: Layout, facts: Facts, choices: Choices) -> None:
    """Draw the tooltip of the button under the mouse: what it does, and its key."""
    rect = layout.buttons.get(choices.pointed)
    if rect is None:
        return
    button = button_of(choices.pointed, facts)
    if button.needs and not button.needs & facts.abilities:
        return
    gap = ink.px(10)
    words, key = ink.width(button.words), ink.width(button.key, bold=True)
    box = Rect(0, 0, words + key + 3 * gap, ink.px(30))
    box.midbottom = (rect.centerx, rect.top - ink.px(8))
    box.clamp_ip(surface.get_rect().inflate(-ink.px(8), 0))
    ink.plate(surface, box, PALETTE.raised, radius=6)
    ink.plate(surface, box, PALETTE.line, radius=6, border=1)
    ink.write(surface, button.words, (box.left + gap, box.centery))
    ink.write(surface, button.key, (box.right - gap, box.centery), PALETTE.muted, bold=True, align="right")


_Icon = Callable[[pygame.Surface, Ink, Rect, Color], None]


def _icon_scenes(surface: pygame.Surface, ink: Ink, rect: Rect, color: Color) -> None:
    """A magnifying glass."""
    radius, thick = ink.px(5.5), max(2, ink.px(2))
    centre = (rect.centerx - ink.px(2), rect.centery - ink.px(2))
    pygame.draw.aacircle(surface, color, centre, radius, thick)
    start = (centre[0] + radius * 0.72, centre[1] + radius * 0.72)
    pygame.draw.line(surface, color, start, (rect.centerx + ink.px(7), rect.centery + ink.px(7)), thick + 1)


def _icon_grid(surface: pygame.Surface, ink: Ink, rect: Rect, color: Color) -> None:
    side, gap = ink.px(6), max(2, ink.px(2))
    block = Rect(0, 0, 2 * side + gap, 2 * side + gap)
    block.center = rect.center
    for left in (block.left, block.right - side):
        for top in (block.top, block.bottom - side):
            surface.fill(color, Rect(left, top, side, side))


def _icon_explain(surface: pygame.Surface, ink: Ink, rect: Rect, color: Color) -> None:
    """A spot of heat: a disc in a ring."""
    pygame.draw.aacircle(surface, color, rect.center, ink.px(8), max(2, ink.px(1.5)))
    pygame.draw.aacircle(surface, color, rect.center, ink.px(3.5))


def _icon_overlay(surface: pygame.Surface, ink: Ink, rect: Rect, color: Color) -> None:
    """Corners of a box."""
    half, arm, thick = ink.px(7), ink.px(5), max(2, ink.px(2))
    box = Rect(rect.centerx - half, rect.centery - half, 2 * half, 2 * half)
    for left in (box.left, box.right - arm):
        for top in (box.top, box.bottom - thick):
            surface.fill(color, Rect(left, top, arm, thick))
    for left in (box.left, box.right - thick):
        for top in (box.top, box.bottom - arm):
            surface.fill(color, Rect(left, top, thick, arm))


def _icon_record(surface: pygame.Surface, ink: Ink, rect: Rect, color: Color) -> None:
    pygame.draw.aacircle(surface, PALETTE.negative, rect.center, ink.px(6.5))


def _icon_stop(surface: pygame.Surface, ink: Ink, rect: Rect, color: Color) -> None:
    square = Rect(0, 0, ink.px(12), ink.px(12))
    square.center = rect.center
    surface.fill(PALETTE.negative, square)


def _icon_present(surface: pygame.Surface, ink: Ink, rect: Rect, color: Color) -> None:
    """A screen on a stand."""
    thick = max(2, ink.px(2))
    screen = Rect(0, 0, ink.px(18), ink.px(12))
    screen.midbottom = (rect.centerx, rect.centery + ink.px(3))
    pygame.draw.rect(surface, color, screen, thick, border_radius=ink.px(2))
    stem = Rect(rect.centerx - thick // 2, screen.bottom, thick, ink.px(4))
    surface.fill(color, stem)
    surface.fill(color, Rect(rect.centerx - ink.px(5), stem.bottom, 2 * ink.px(5), thick))


def _icon_help(surface: pygame.Surface, ink: Ink, rect: Rect, color: Color) -> None:
    ink.write(surface, "?", rect.center, color, TITLE, bold=True, align="center")


_ICONS: dict[str, _Icon] = {
    "scenes": _icon_scenes,
    "grid": _icon_grid,
    "explain": _icon_explain,
    "overlay": _icon_overlay,
    "record": _icon_record,
    "present": _icon_present,
    "help": _icon_help,
}
