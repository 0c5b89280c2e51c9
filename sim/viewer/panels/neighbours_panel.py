"""Nearest-neighbours panel (3) of a gallery: the training examples closest to the chosen picture."""

from __future__ import annotations

import zlib
from collections.abc import Hashable

import pygame
from pygame import Rect

from sim.viewer.draw.card import Note, say
from sim.viewer.draw.layout import Need
from sim.viewer.draw.theme import PALETTE, Ink
from sim.viewer.overlays.gallery_mosaic import places
from sim.viewer.overlays.world_picture import blit
from sim.viewer.panels.latent_sliders import page_of
from sim.viewer.playback.view import Choices, Facts, View

NEED = Need(104, 150, 260)

_WORDS = 18  # height of the words under a picture, at scale 1


def note(facts: Facts, choices: Choices, view: View) -> Note:
    """Title note: that they are those of the chosen picture."""
    page = page_of(view)
    return ("of the chosen picture", "") if page is not None and page.neighbours else ("", "")


def key(facts: Facts, choices: Choices, view: View) -> Hashable:
    """Cache key: all that `draw` depends on."""
    page = page_of(view)
    if page is None:
        return None
    near = tuple((zlib.crc32(one.picture.tobytes()), one.words) for one in page.neighbours)
    return page.walking, near


def draw(surface: pygame.Surface, ink: Ink, inside: Rect, facts: Facts, choices: Choices, view: View) -> None:
    """Draw the inside of the panel: the nearest one first, as many as find room at a whole factor."""
    page = page_of(view)
    if page is None or not page.neighbours:
        walking = page is not None and page.walking
        say(surface, ink, inside, "not computed during a latent walk" if walking else "not computed yet")
        return
    height, width = page.neighbours[0].picture.shape[:2]
    gap, words = ink.px(6), ink.px(_WORDS)
    count = len(page.neighbours)
    while count > 1 and (inside.width + gap) / count - gap < min(width, ink.px(44)):
        count -= 1
    rects = places(inside, (width, height), count, gap, words)
    for rect, (picture, text) in zip(rects, page.neighbours, strict=False):
        blit(surface, picture, rect)
        ink.write(surface, ink.elided(text, rect.width), (rect.left, rect.bottom + words // 2), PALETTE.muted)
