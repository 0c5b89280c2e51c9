"""Transport bar below the world, and what is drawn over it: help, messages, empty and error states."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pygame
from pygame import Rect

from sim.viewer.contract.game_analysis import GameAnalysis
from sim.viewer.draw.layout import Layout
from sim.viewer.draw.theme import BODY, MARK_COLORS, PALETTE, TITLE, Color, Ink
from sim.viewer.keymap import Binding
from sim.viewer.playback.events import unusual_rewards
from sim.viewer.playback.view import Choices, Facts, View

REAL_TIME = 0.9  # of the speed that was asked for: what is less is told
_ROW = 26
_VEIL = 150  # darkness of what lies behind the help, of 255


def draw_bar(
    surface: pygame.Surface, ink: Ink, layout: Layout, facts: Facts, choices: Choices, view: View
) -> None:
    """Draw the transport bar: buttons, speed, the track of the history, and who plays."""
    if layout.bar.width < surface.get_width():  # under the panels of a presentation
        ink.plate(surface, layout.bar, PALETTE.panel)
    else:
        surface.fill(PALETTE.panel, layout.bar)
    for rect, draw_icon in (
        (layout.back, _icon_back),
        (layout.pause, _icon_play if choices.paused else _icon_pause),
        (layout.forward, _icon_forward),
    ):
        ink.plate(surface, rect, PALETTE.raised)
        size = ink.px(6)
        color = PALETTE.accent if choices.paused and rect is layout.pause else PALETTE.text
        draw_icon(surface, color, rect, size)
    _draw_sign(surface, ink, layout.slower, plus=False)
    _draw_sign(surface, ink, layout.faster, plus=True)
    speed = f"×{choices.speed:.3g}" if choices.speed != 1 else "×1.0"
    ink.write(surface, speed, layout.speed.center, size=BODY, align="center")
    _draw_scrubber(surface, ink, layout.scrubber, view, choices.loop)
    behind = (view.newest - view.number) / facts.steps_per_second
    live = "replay" if "replay" in facts.abilities else "live"
    stopped = "stopped" if view.error else "paused" if choices.paused else live if view.moment else ""
    clock = f"−{behind:.1f} s" if view.number < view.newest else stopped
    if choices.loop is not None and choices.loop[0] < choices.loop[1]:
        clock = f"loop {(choices.loop[1] - choices.loop[0]) / facts.steps_per_second:.1f} s"
    analysis = None if view.moment is None else view.moment.analysis
    if analysis is not None:
        clock = f"{analysis.ply} / {len(analysis.moves)}"
    color = PALETTE.accent if choices.paused else PALETTE.muted
    place = layout.clock.center
    slow = lags(view.pace, choices.speed) and clock == live
    if slow:
        clock, color = f"live ×{view.pace:.{2 if view.pace < 1 else 1}f}", PALETTE.accent
        clock = clock.removeprefix("live " if live != "live" else "")
    if choices.recording and not choices.paused:
        if not slow:
            clock, color = "REC", PALETTE.text
        clock, place = clock.removeprefix("live "), (place[0] + ink.px(7), place[1])
        pygame.draw.aacircle(surface, PALETTE.negative, (place[0] - ink.px(21), place[1]), ink.px(5))
    ink.write(surface, clock, place, color, align="center")
    ink.plate(surface, layout.who, PALETTE.accent if choices.person and not facts.loading else PALETTE.raised)
    who, color = ("AGENT" if facts.agent else "NO AGENT"), PALETTE.text
    if "examples" in facts.abilities:
        who = "EXAMPLE"
    if "analysis" in facts.abilities:
        who = "ANALYSIS"
    if "replay" in facts.abilities:
        who = "REPLAY"
    if view.moment is not None and view.moment.page is not None:
        who = view.moment.page.mode.upper()
    if choices.person:
        who, color = "YOU", PALETTE.on_accent
    if facts.loading:
        who, color = "LOADING", PALETTE.muted
    ink.write(surface, who, layout.who.center, color, bold=True, align="center")


def lags(pace: float, speed: float) -> bool:
    """Whether a world goes by more slowly than it was asked to; False where that is not known.

    >>> lags(0.5, 1.0), lags(0.95, 1.0), lags(1.2, 2.0), lags(float("nan"), 1.0)
    (True, False, True, False)
    """
    return pace < REAL_TIME * speed


def _draw_scrubber(
    surface: pygame.Surface, ink: Ink, rect: Rect, view: View, loop: tuple[int, int] | None
) -> None:
    """Draw the track: its right end is now; remembered moments are bright, rewards ticks, a loop is lit."""
    if rect.width < 2:
        return
    middle, thick = rect.centery, ink.px(4)
    surface.fill(PALETTE.raised, Rect(rect.left, middle - thick // 2, rect.width, thick))
    if view.moment is None:
        return
    if view.moment.analysis is not None:
        _draw_plies(surface, ink, rect, view.moment.analysis)
        return
    filled = x_of(rect, view.oldest, view)
    surface.fill(PALETTE.line, Rect(filled, middle - thick // 2, rect.right - filled, thick))
    unusual = unusual_rewards(view.reward)
    largest = np.abs(unusual).max(initial=1e-9)
    for index in np.flatnonzero(unusual):
        gain = unusual[index] > 0
        height = ink.px(2 + 5 * abs(unusual[index]) / largest)
        tick = Rect(x_of(rect, view.oldest + int(index), view), 0, max(1, ink.px(2)), height)
        if gain:
            tick.bottom = middle - ink.px(4)
        else:
            tick.top = middle + ink.px(4)
        surface.fill(PALETTE.positive if gain else PALETTE.negative, tick)
    if loop is not None:
        left, right = (x_of(rect, number, view) for number in loop)
        surface.fill(PALETTE.accent, Rect(left, middle - thick // 2, max(1, right - left), thick))
        for x in {left, right}:
            surface.fill(PALETTE.accent, Rect(x, middle - ink.px(8), ink.px(2), ink.px(16)))
    knob = (x_of(rect, view.number, view), middle)
    pygame.draw.aacircle(surface, PALETTE.panel, knob, ink.px(9))
    pygame.draw.aacircle(surface, PALETTE.accent, knob, ink.px(7))


def _draw_plies(surface: pygame.Surface, ink: Ink, rect: Rect, analysis: GameAnalysis) -> None:
    """Draw the positions of a recorded game: those played, marked moves as ticks, and the present one."""
    middle, thick = rect.centery, ink.px(4)
    knob = _x_of_ply(rect, analysis.ply, analysis)
    surface.fill(PALETTE.line, Rect(rect.left, middle - thick // 2, knob - rect.left, thick))
    for ply, move in enumerate(analysis.moves, 1):
        if move.mark:
            tick = Rect(_x_of_ply(rect, ply, analysis), 0, max(1, ink.px(2)), ink.px(7))
            tick.bottom = middle - ink.px(4)
            surface.fill(MARK_COLORS[move.mark], tick)
    pygame.draw.aacircle(surface, PALETTE.panel, (knob, middle), ink.px(9))
    pygame.draw.aacircle(surface, PALETTE.accent, (knob, middle), ink.px(7))


def _x_of_ply(track: Rect, ply: int, analysis: GameAnalysis) -> int:
    return track.left + round(ply / max(1, len(analysis.moves)) * (track.width - 1))


def ply_at(track: Rect, x: int, analysis: GameAnalysis) -> int:
    """The position at `x` pixels on the track of a recorded game."""
    share = (x - track.left) / max(1, track.width - 1)
    return round(min(max(share, 0.0), 1.0) * len(analysis.moves))


def x_of(track: Rect, number: int, view: View) -> int:
    """Position of a moment on the track, in pixels."""
    behind = (view.newest - number) / max(1, view.capacity - 1)
    return round(track.right - 1 - min(1.0, behind) * (track.width - 1))


def number_at(track: Rect, x: int, view: View) -> int:
    """The moment at a position on the track, clipped to those remembered; the inverse of `x_of`."""
    behind = (track.right - 1 - x) / max(1, track.width - 1) * (view.capacity - 1)
    return min(max(view.newest - round(behind), view.oldest), view.newest)


def _icon_pause(surface: pygame.Surface, color: Color, rect: Rect, size: int) -> None:
    x, y = rect.center
    bar = max(2, size // 2)
    surface.fill(color, Rect(x - size + 1, y - size, bar, 2 * size))
    surface.fill(color, Rect(x + size - 1 - bar, y - size, bar, 2 * size))


def _icon_play(surface: pygame.Surface, color: Color, rect: Rect, size: int) -> None:
    x, y = rect.center[0] + 1, rect.center[1]
    _polygon(surface, color, [(x - size * 0.8, y - size), (x + size, y), (x - size * 0.8, y + size)])


def _icon_forward(surface: pygame.Surface, color: Color, rect: Rect, size: int) -> None:
    x, y = rect.center
    _polygon(surface, color, [(x - size, y - size), (x + size * 0.5, y), (x - size, y + size)])
    surface.fill(color, Rect(x + round(size * 0.6), y - size, max(2, size // 3), 2 * size + 1))


def _icon_back(surface: pygame.Surface, color: Color, rect: Rect, size: int) -> None:
    x, y = rect.center
    _polygon(surface, color, [(x + size, y - size), (x - size * 0.5, y), (x + size, y + size)])
    bar = max(2, size // 3)
    surface.fill(color, Rect(x - round(size * 0.6) - bar, y - size, bar, 2 * size + 1))


def _polygon(surface: pygame.Surface, color: Color, points: list[tuple[float, float]]) -> None:
    pygame.draw.polygon(surface, color, points)
    pygame.draw.aalines(surface, color, True, points)


def _draw_sign(surface: pygame.Surface, ink: Ink, rect: Rect, *, plus: bool) -> None:
    x, y = rect.center
    arm, thick = ink.px(5), max(2, ink.px(2))
    surface.fill(PALETTE.muted, Rect(x - arm, y - thick // 2, 2 * arm, thick))
    if plus:
        surface.fill(PALETTE.muted, Rect(x - thick // 2, y - arm, thick, 2 * arm))


def draw_message(surface: pygame.Surface, ink: Ink, world: Rect, message: str, row: int = 0) -> None:
    """Draw a line of text over the lower edge of the world, or `row` rows above it."""
    text = ink.elided(message, world.width - ink.px(28))
    box = Rect(0, 0, ink.width(text) + ink.px(28), ink.px(32))
    box.midbottom = (world.centerx, world.bottom - ink.px(8 + 40 * row))
    ink.plate(surface, box, PALETTE.raised, radius=16)
    ink.write(surface, text, box.center, align="center")


def draw_empty(surface: pygame.Surface, ink: Ink, world: Rect, facts: Facts, doing: str = "") -> None:
    """Draw the loading state, shown before the first moment; `doing`: what is loaded."""
    x, y = world.center
    title = ink.elided(facts.title or "The world", world.width, TITLE, bold=True)
    ink.write(surface, title, (x, y - ink.px(16)), size=TITLE, bold=True, align="center")
    state = ink.elided(doing or ("loading …" if facts.loading else "starting …"), world.width, BODY)
    ink.write(surface, state, (x, y + ink.px(14)), PALETTE.muted, BODY, align="center")


def draw_error(
    surface: pygame.Surface, ink: Ink, world: Rect, error: str, *, elsewhere: bool = False
) -> Rect:
    """Draw an error with the keys that help; returns the card's rectangle.

    `elsewhere`: whether there are other scenes to go to.
    """
    ways = f"R restarts,{' Tab goes to the next scene,' * elsewhere} Ctrl+Q quits."
    return draw_card(surface, ink, world, "The simulation has stopped", error, ways)


def draw_card(surface: pygame.Surface, ink: Ink, world: Rect, title: str, text: str, ways: str) -> Rect:
    """Draw a card about a failure in the middle of the world; returns its rectangle."""
    pad = ink.px(20)
    width = min(world.width, ink.px(520))
    room = max(1, (world.height - 2 * pad - ink.px(76)) // ink.px(20))
    lines = ink.wrapped(text, width - 2 * pad - ink.px(4))[: min(6, room)]
    card = Rect(0, 0, width, 2 * pad + ink.px(66) + len(lines) * ink.px(20))
    card.center = world.center
    ink.plate(surface, card, PALETTE.panel, radius=8)
    surface.fill(PALETTE.negative, Rect(card.left, card.top + ink.px(8), ink.px(4), card.height - ink.px(16)))
    left, y = card.left + pad, card.top + pad + ink.px(10)
    title = ink.elided(title, width - 2 * pad, TITLE, bold=True)
    ink.write(surface, title, (left, y), size=TITLE, bold=True)
    y += ink.px(30)
    for line in lines:
        ink.write(surface, line, (left, y))
        y += ink.px(20)
    ink.write(surface, ink.elided(ways, width - 2 * pad), (left, y + ink.px(8)), PALETTE.muted)
    return card


def draw_help(surface: pygame.Surface, ink: Ink, rows: Sequence[Binding]) -> Rect:
    """Draw the help: keys, what they do, and the same with the mouse; returns the card's rectangle."""
    area = surface.get_rect()
    veil = pygame.Surface(area.size, pygame.SRCALPHA)
    veil.fill((0, 0, 0, _VEIL))
    surface.blit(veil, (0, 0))
    pad, gap = ink.px(20), ink.px(20)
    row = min(ink.px(_ROW), (area.height - ink.px(16) - 2 * pad - ink.px(42)) // (len(rows) + 1))
    keys = max(ink.width(b.keys, bold=True) for b in rows)
    does = max(ink.width(b.does) for b in rows)
    mouse = max(ink.width(b.mouse) for b in rows)
    width = min(area.width - ink.px(16), max(keys + does + mouse + 2 * gap, ink.px(480)) + 2 * pad)
    card = Rect(0, 0, width, 2 * pad + ink.px(36) + row * (len(rows) + 1))
    card.center = area.center
    ink.plate(surface, card, PALETTE.panel, radius=10)
    ink.plate(surface, card, PALETTE.line, radius=10, border=1)
    columns = (card.left + pad, card.left + pad + keys + gap, card.left + pad + keys + 2 * gap + does)
    y = card.top + pad + ink.px(8)
    ink.write(surface, "Keys and mouse", (columns[0], y), size=TITLE, bold=True)
    y += ink.px(36)
    for x, name in zip(columns, ("key", "what it does", "mouse"), strict=True):
        ink.write(surface, name, (x, y), PALETTE.muted)
    for binding in rows:
        y += row
        ink.write(surface, binding.keys, (columns[0], y), bold=True)
        does_room = card.right - pad - columns[1]
        ink.write(surface, ink.elided(binding.does, does_room), (columns[1], y))
        by_mouse = ink.elided(binding.mouse, card.right - pad - columns[2])
        ink.write(surface, by_mouse, (columns[2], y), PALETTE.muted)
    return card
