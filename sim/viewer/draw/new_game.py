"""Dialog "New game": colour, opponent and clock as rows of chips, drawn over the window."""

from __future__ import annotations

from dataclasses import dataclass

import pygame
from pygame import Rect

from sim.viewer.draw.theme import PALETTE, TITLE, Ink
from sim.viewer.playback.view import NewGame

_CHIP = 26
_PAD = 20
_GAP = 6
_LABEL = 116
_WIDTH = 560
_VEIL = 150
HINT = "arrows choose, Enter starts, Esc closes"


@dataclass(frozen=True)
class Places:
    """Rectangles of the dialog.

    Attributes:
        card: all of it.
        labels: left end and middle of each row's label.
        chips: row, index and rectangle of each choice.
        start: of the button that begins the game.
        cancel: of the button that closes the dialog.
    """

    card: Rect
    labels: tuple[tuple[int, int], ...]
    chips: tuple[tuple[int, int, Rect], ...]
    start: Rect
    cancel: Rect


def places(area: Rect, ink: Ink, menu: NewGame) -> Places:
    """Lay the dialog out in the middle of `area`, closer together where it would not fit."""
    found = _placed(area, ink, menu, tight=False)
    return found if found.card.height <= area.height else _placed(area, ink, menu, tight=True)


def _placed(area: Rect, ink: Ink, menu: NewGame, *, tight: bool) -> Places:
    pad, gap, high = ink.px(_PAD), ink.px(3 if tight else _GAP), ink.px(22 if tight else _CHIP)
    width = min(area.width - ink.px(16), ink.px(_WIDTH))
    left, right = pad + ink.px(_LABEL), width - pad
    y = pad + ink.px(24 if tight else 40)
    labels, chips = [], []
    for row, (_, names) in enumerate(menu.rows):
        labels.append((pad, y + high // 2))
        x = left
        for index, name in enumerate(names):
            wide = min(ink.width(name, bold=True) + ink.px(20), right - left)
            if x + wide > right and x > left:
                x, y = left, y + high + gap
            chips.append((row, index, Rect(x, y, wide, high)))
            x += wide + gap
        y += high + ink.px(8 if tight else 16)
    button = ink.px(96)
    start = Rect(right - button, y, button, ink.px(32))
    cancel = Rect(start.left - gap - button, y, button, ink.px(32))
    card = Rect(0, 0, width, y + ink.px(32) + pad)
    card.center = area.center
    card.top = max(card.top, area.top + ink.px(8))
    at = card.topleft
    return Places(
        card,
        tuple((x + at[0], y + at[1]) for x, y in labels),
        tuple((row, index, rect.move(at)) for row, index, rect in chips),
        start.move(at),
        cancel.move(at),
    )


def draw_new_game(surface: pygame.Surface, ink: Ink, menu: NewGame) -> None:
    """Draw the dialog over a dimmed window."""
    area = surface.get_rect()
    veil = pygame.Surface(area.size, pygame.SRCALPHA)
    veil.fill((0, 0, 0, _VEIL))
    surface.blit(veil, (0, 0))
    found, pad = places(area, ink, menu), ink.px(_PAD)
    ink.plate(surface, found.card, PALETTE.panel, radius=10)
    ink.plate(surface, found.card, PALETTE.line, radius=10, border=1)
    top = found.card.top + pad + ink.px(8)
    title = ink.write(surface, "New game", (found.card.left + pad, top), size=TITLE, bold=True)
    room = found.card.right - pad - title.right - ink.px(16)
    hint = ink.elided(HINT, room)
    ink.write(surface, hint, (found.card.right - pad, top), PALETTE.muted, align="right")
    for row, ((name, _), at) in enumerate(zip(menu.rows, found.labels, strict=True)):
        name = ink.elided(name, ink.px(_LABEL - 8), bold=row == menu.row)
        ink.write(
            surface, name, at, PALETTE.accent if row == menu.row else PALETTE.muted, bold=row == menu.row
        )
    for row, index, rect in found.chips:
        picked = menu.picks[row] == index
        ink.plate(surface, rect, PALETTE.accent if picked else PALETTE.raised, radius=6)
        text = ink.elided(menu.rows[row][1][index], rect.width - ink.px(12), bold=picked)
        color = PALETTE.on_accent if picked else PALETTE.text
        ink.write(surface, text, rect.center, color, bold=picked, align="center")
    for rect, text, ground, color in (
        (found.cancel, "Cancel", PALETTE.raised, PALETTE.text),
        (found.start, "Start", PALETTE.accent, PALETTE.on_accent),
    ):
        ink.plate(surface, rect, ground, radius=6)
        ink.write(surface, text, rect.center, color, bold=True, align="center")
