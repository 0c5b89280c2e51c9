"""List "Find a scene": what was typed, and the scenes that fit, drawn over the window."""

from __future__ import annotations

import pygame
from pygame import Rect

from sim.viewer.draw.theme import BODY, PALETTE, TITLE, Ink
from sim.viewer.playback.view import SceneSearch

HINT = "↑ ↓ choose, Enter goes there, Esc closes"

_PAD = 20
_ROW = 26
_WIDTH = 640
_MOST = 18  # rows
_VEIL = 150


def rows(area: Rect, ink: Ink, search: SceneSearch) -> tuple[Rect, list[tuple[int, Rect]]]:
    """The card, and place in `found` and rectangle of each scene that is shown, the chosen one among them."""
    pad, row = ink.px(_PAD), ink.px(_ROW)
    head = 2 * pad + ink.px(64)
    room = max(1, min(_MOST, (area.height - head - ink.px(16)) // row))
    card = Rect(0, 0, min(area.width - ink.px(16), ink.px(_WIDTH)), head + room * row)
    card.center = area.center
    count = len(search.found)
    first = min(max(0, search.row - room // 2), max(0, count - room))
    top = card.top + head - pad
    return card, [
        (i, Rect(card.left + pad, top + (i - first) * row, card.width - 2 * pad, row))
        for i in range(first, min(first + room, count))
    ]


def draw_scene_search(surface: pygame.Surface, ink: Ink, search: SceneSearch) -> None:
    """Draw the list over a dimmed window."""
    area = surface.get_rect()
    veil = pygame.Surface(area.size, pygame.SRCALPHA)
    veil.fill((0, 0, 0, _VEIL))
    surface.blit(veil, (0, 0))
    card, shown = rows(area, ink, search)
    pad = ink.px(_PAD)
    ink.plate(surface, card, PALETTE.panel, radius=10)
    ink.plate(surface, card, PALETTE.line, radius=10, border=1)
    left, right, top = card.left + pad, card.right - pad, card.top + pad + ink.px(8)
    title = ink.write(surface, "Find a scene", (left, top), size=TITLE, bold=True)
    hint = ink.elided(HINT, right - title.right - ink.px(16))
    ink.write(surface, hint, (right, top), PALETTE.muted, align="right")
    field = Rect(left, top + ink.px(20), right - left, ink.px(30))
    ink.plate(surface, field, PALETTE.raised, radius=6)
    typed, inside = search.query, field.width - ink.px(24)
    while ink.width(typed, BODY) > inside:  # its end counts
        typed = typed[1:]
    end = ink.write(surface, typed, (field.left + ink.px(10), field.centery), size=BODY).right if typed else 0
    cursor = max(end, field.left + ink.px(10)) + ink.px(2)
    surface.fill(PALETTE.accent, Rect(cursor, field.centery - ink.px(9), max(1, ink.px(2)), ink.px(18)))
    if not shown:
        at = (left, field.bottom + ink.px(_ROW))
        ink.write(surface, ink.elided("no scene has these words", inside), at, PALETTE.muted)
    for place, rect in shown:
        title_text, about = search.scenes[search.found[place]]
        lit = place == search.row
        if lit:
            ink.plate(surface, rect.inflate(ink.px(12), -ink.px(2)), PALETTE.raised, radius=5)
        text = ink.elided(title_text, rect.width, bold=lit)
        color = PALETTE.text if lit else PALETTE.muted
        end = ink.write(surface, text, (rect.left, rect.centery), color, bold=lit).right
        about = ink.elided(about, max(0, rect.right - end - ink.px(16)))
        ink.write(surface, about, (rect.right, rect.centery), PALETTE.muted, align="right")
