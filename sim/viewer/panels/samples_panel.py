"""Samples panel (8) of a world: generated samples shown beside it."""

from __future__ import annotations

import zlib
from collections.abc import Hashable

import pygame
from pygame import Rect

from sim.viewer.contract.moment import Hung
from sim.viewer.draw.card import Note, say
from sim.viewer.draw.layout import Need
from sim.viewer.draw.theme import Ink
from sim.viewer.overlays.gallery_mosaic import places
from sim.viewer.overlays.world_picture import blit
from sim.viewer.playback.view import Choices, Facts, View

NEED = Need(104, 178, 300, urgent=True)

_GAP = 4  # at scale 1


def hung_of(view: View) -> Hung | None:
    """The samples beside the world, or None."""
    return view.moment.hung if view.moment else None


def note(facts: Facts, choices: Choices, view: View) -> Note:
    """Title note: the name of the sampler."""
    hung = hung_of(view)
    return (hung.name, "") if hung is not None else ("", "")


def key(facts: Facts, choices: Choices, view: View) -> Hashable:
    """Cache key: all that `draw` depends on."""
    hung = hung_of(view)
    if hung is None:
        return None
    return hung.trouble, tuple(zlib.crc32(picture.tobytes()) for picture in hung.pictures)


def draw(surface: pygame.Surface, ink: Ink, inside: Rect, facts: Facts, choices: Choices, view: View) -> None:
    """Draw the inside of the panel: as many as find room in their own size."""
    hung = hung_of(view)
    if hung is None or (hung.trouble and not hung.pictures):
        say(surface, ink, inside, hung.trouble if hung else "")
        return
    if not hung.pictures:
        say(surface, ink, inside, "sampling …")
        return
    height, width = hung.pictures[0].shape[:2]
    count = len(hung.pictures)
    while count > 1 and places(inside, (width, height), count, ink.px(_GAP), 0)[0].width < width:
        count -= 1
    rects = places(inside, (width, height), count, ink.px(_GAP), 0)
    for picture, rect in zip(hung.pictures, rects, strict=False):
        blit(surface, picture, rect)
