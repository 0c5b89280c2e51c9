"""Samples panel (8) of a world: generated samples shown beside it."""

from __future__ import annotations

import zlib
from collections.abc import Hashable

import pygame
from pygame import Rect

from sim.viewer.contract.moment import SamplePanelState
from sim.viewer.draw.card import Note, say
from sim.viewer.draw.layout import Need
from sim.viewer.draw.theme import Ink
from sim.viewer.overlays.gallery_mosaic import places
from sim.viewer.overlays.world_picture import blit
from sim.viewer.playback.view import Choices, Facts, View

NEED = Need(104, 178, 300, urgent=True)

_GAP = 4  # at scale 1


def samples_of(view: View) -> SamplePanelState | None:
    """The samples beside the world, or None."""
    return view.moment.samples if view.moment else None


def note(facts: Facts, choices: Choices, view: View) -> Note:
    """Title note: the name of the sampler."""
    samples = samples_of(view)
    return (samples.name, "") if samples is not None else ("", "")


def key(facts: Facts, choices: Choices, view: View) -> Hashable:
    """Cache key: all that `draw` depends on."""
    samples = samples_of(view)
    if samples is None:
        return None
    return samples.trouble, tuple(zlib.crc32(picture.tobytes()) for picture in samples.pictures)


def draw(surface: pygame.Surface, ink: Ink, inside: Rect, facts: Facts, choices: Choices, view: View) -> None:
    """Draw the inside of the panel: as many as find room in their own size."""
    samples = samples_of(view)
    if samples is None or (samples.trouble and not samples.pictures):
        say(surface, ink, inside, samples.trouble if samples else "")
        return
    if not samples.pictures:
        say(surface, ink, inside, "sampling …")
        return
    height, width = samples.pictures[0].shape[:2]
    count = len(samples.pictures)
    while count > 1 and places(inside, (width, height), count, ink.px(_GAP), 0)[0].width < width:
        count -= 1
    rects = places(inside, (width, height), count, ink.px(_GAP), 0)
    for picture, rect in zip(samples.pictures, rects, strict=False):
        blit(surface, picture, rect)
