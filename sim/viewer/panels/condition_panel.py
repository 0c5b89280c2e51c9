"""Condition panel (4) of a gallery: the conditions that can be sampled, and the chosen one."""

from __future__ import annotations

from collections.abc import Hashable

import pygame
from pygame import Rect

from sim.viewer.contract.gallery_page import GalleryPage
from sim.viewer.draw.card import ROW, Note, height_of
from sim.viewer.draw.layout import Need
from sim.viewer.draw.theme import PALETTE, Ink
from sim.viewer.panels.latent_sliders import page_of
from sim.viewer.playback.view import Choices, Facts, View

_BUTTON = 28  # height

NEED = Need(height_of(2), height_of(5), height_of(14))


def note(facts: Facts, choices: Choices, view: View) -> Note:
    """Title note: number of the chosen condition, and how many there are."""
    page = page_of(view)
    return ("", f"{page.condition + 1} of {len(page.conditions)}") if page is not None else ("", "")


def key(facts: Facts, choices: Choices, view: View) -> Hashable:
    """Cache key: all that `draw` depends on."""
    page = page_of(view)
    return None if page is None else (page.conditions, page.condition)


def button(inside: Rect, ink: Ink, page: GalleryPage) -> Rect | None:
    """Rectangle of the button at the lower edge where a person may type a sentence; None if none is taken."""
    if not page.words or inside.height < ink.px(ROW + _BUTTON):
        return None
    return Rect(inside.left, inside.bottom - ink.px(_BUTTON), inside.width, ink.px(_BUTTON))


def visible_rows(inside: Rect, ink: Ink, page: GalleryPage) -> range:
    """Numbers of the conditions that find room, the chosen one among them."""
    place = button(inside, ink, page)
    height = inside.height if place is None else place.top - ink.px(4) - inside.top
    rows = max(1, height // ink.px(ROW))
    first = min(max(0, page.condition - rows // 2), max(0, len(page.conditions) - rows))
    return range(first, min(first + rows, len(page.conditions)))


def draw(surface: pygame.Surface, ink: Ink, inside: Rect, facts: Facts, choices: Choices, view: View) -> None:
    """Draw the inside of the panel."""
    page = page_of(view)
    if page is None:
        return
    if (place := button(inside, ink, page)) is not None:
        ink.plate(surface, place, PALETTE.raised)
        ink.write(surface, "Type a prompt", (place.left + ink.px(10), place.centery))
        ink.write(surface, "Enter", (place.right - ink.px(10), place.centery), PALETTE.muted, align="right")
    for row, i in enumerate(visible_rows(inside, ink, page)):
        place = Rect(inside.left, inside.top + row * ink.px(ROW), inside.width, ink.px(ROW))
        lit = i == page.condition
        if lit:
            ink.plate(surface, place.inflate(ink.px(12), -ink.px(2)), PALETTE.raised, radius=5)
            surface.fill(
                PALETTE.accent,
                Rect(place.left - ink.px(6), place.top + ink.px(3), ink.px(3), place.height - ink.px(6)),
            )
        text = ink.elided(page.conditions[i].replace("_", " "), place.width - ink.px(6))
        ink.write(
            surface, text, (place.left + ink.px(4), place.centery), PALETTE.text if lit else PALETTE.muted
        )
