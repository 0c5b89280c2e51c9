"""List "Find a scene": what was typed, and the scenes that fit with their posters, drawn over the window."""

from __future__ import annotations

import numpy as np
import pygame
from pygame import Rect

from sim.viewer.contract.show import Poster
from sim.viewer.draw.theme import BODY, PALETTE, TITLE, Ink
from sim.viewer.playback.view import SceneSearch

HINT = "↑ ↓ choose, Enter goes there, Esc closes"

_PAD = 20
_ROW = 58
_LOW_ROW = 26  # without posters
_POSTER = (64, 48)
_WIDTH = 720
_MOST = 12  # rows
_VEIL = 150


def row_height(search: SceneSearch) -> int:
    """Height of a row at scale 1."""
    return _ROW if search.posters else _LOW_ROW


def rows(area: Rect, ink: Ink, search: SceneSearch) -> tuple[Rect, list[tuple[int, Rect]]]:
    """The card, and place in `found` and rectangle of each scene that is shown, the chosen one among them."""
    pad, row = ink.px(_PAD), ink.px(row_height(search))
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
    inside = Rect(card.left + pad, card.top + pad, card.width - 2 * pad, card.height - 2 * pad)
    field = _draw_head(surface, ink, inside, search)
    if not shown:
        at = (inside.left, field.bottom + ink.px(_LOW_ROW))
        ink.write(surface, ink.elided("no scene has these words", inside.width), at, PALETTE.muted)
    for place, rect in shown:
        draw_row = _draw_row if search.posters else _draw_line
        lit = place == search.row
        if lit:
            ink.plate(surface, rect.inflate(ink.px(16), -ink.px(2)), PALETTE.raised, radius=6)
        draw_row(surface, ink, rect, search, search.found[place], lit)


def _draw_head(surface: pygame.Surface, ink: Ink, inside: Rect, search: SceneSearch) -> Rect:
    """Draw the title, the keys and the field with what was typed; returns the field's rectangle."""
    left, right, top = inside.left, inside.right, inside.top + ink.px(8)
    title = ink.write(surface, "Find a scene", (left, top), size=TITLE, bold=True)
    hint = ink.elided(HINT, right - title.right - ink.px(16))
    ink.write(surface, hint, (right, top), PALETTE.muted, align="right")
    field = Rect(left, top + ink.px(20), right - left, ink.px(30))
    ink.plate(surface, field, PALETTE.raised, radius=6)
    typed = search.query
    while ink.width(typed, BODY) > field.width - ink.px(24):  # its end counts
        typed = typed[1:]
    end = ink.write(surface, typed, (field.left + ink.px(10), field.centery), size=BODY).right if typed else 0
    cursor = max(end, field.left + ink.px(10)) + ink.px(2)
    surface.fill(PALETTE.accent, Rect(cursor, field.centery - ink.px(9), max(1, ink.px(2)), ink.px(18)))
    return field


def _draw_row(
    surface: pygame.Surface, ink: Ink, rect: Rect, search: SceneSearch, scene: int, lit: bool
) -> None:
    """Draw a scene with its poster, its title, and a line about it below."""
    title, about = search.scenes[scene]
    frame = Rect(0, 0, ink.px(_POSTER[0]), ink.px(_POSTER[1]))
    frame.midleft = rect.midleft
    _draw_poster(surface, ink, frame, search.posters[scene])
    left = frame.right + ink.px(14)
    room, middle = rect.right - left, rect.centery
    color = PALETTE.text
    ink.write(
        surface, ink.elided(title, room, BODY, bold=lit), (left, middle - ink.px(10)), color, BODY, bold=lit
    )
    ink.write(surface, ink.elided(about, room), (left, middle + ink.px(11)), PALETTE.muted)


def _draw_line(
    surface: pygame.Surface, ink: Ink, rect: Rect, search: SceneSearch, scene: int, lit: bool
) -> None:
    """Draw a scene on one line, where there are no posters."""
    title, about = search.scenes[scene]
    text = ink.elided(title, rect.width, bold=lit)
    color = PALETTE.text if lit else PALETTE.muted
    end = ink.write(surface, text, (rect.left, rect.centery), color, bold=lit).right
    about = ink.elided(about, max(0, rect.right - end - ink.px(16)))
    ink.write(surface, about, (rect.right, rect.centery), PALETTE.muted, align="right")


def _draw_poster(surface: pygame.Surface, ink: Ink, frame: Rect, poster: Poster | None) -> None:
    """Draw a poster, whole, in the middle of its frame."""
    ink.plate(surface, frame, PALETTE.ground, radius=3)
    if poster is None:
        return
    height, width = poster.picture.shape[:2]
    factor = min(frame.width / width, frame.height / height)
    place = Rect(0, 0, max(1, round(width * factor)), max(1, round(height * factor)))
    place.center = frame.center
    picture = pygame.image.frombuffer(np.ascontiguousarray(poster.picture).data, (width, height), "RGB")
    surface.blit(pygame.transform.smoothscale(picture, place.size), place)
