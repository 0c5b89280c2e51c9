"""Mask overlay: a tint for each class over the picture, the edges of the true mask dashed, and a legend."""

from __future__ import annotations

import numpy as np
import pygame
from pygame import Rect

from sim.percept_kinds import class_name, classes_in
from sim.records import Array
from sim.viewer.contract.moment import PerceptView
from sim.viewer.draw.theme import PALETTE, Color, Ink, class_color
from sim.viewer.overlays import depth
from sim.viewer.overlays.kind_overlay import Corners

_TINT = 150  # opacity of a mask, of 255: over grey it still looks like its legend
_DASH = 4  # of the line around what the mask should cover


def draw_mask(surface: pygame.Surface, picture: Rect, seen: PerceptView) -> None:
    """Draw a segmentation mask: tint every class but 0, the background, and dash the edges of the truth."""
    mask = seen.percept.mask
    assert mask is not None
    draw_classes(surface, picture, seen, mask)
    if seen.truth is None or seen.truth.mask is None:
        return
    true = depth.nearest(seen.truth.mask, picture.size)
    edge = np.zeros(true.shape, np.uint8)
    edge[:, 1:] = true[:, 1:] != true[:, :-1]
    edge[1:] |= true[1:] != true[:-1]
    x, y = (np.arange(length) // _DASH % 2 == 1 for length in picture.size)
    edge += edge & (x ^ y[:, None])  # light and dark in turn
    line = _paletted(edge, picture.size)
    line.set_palette([PALETTE.ground, PALETTE.text, PALETTE.ground])
    surface.blit(line, picture)


def draw_classes(surface: pygame.Surface, picture: Rect, seen: PerceptView, mask: Array) -> None:
    """Tint every class of a mask (H, W) but 0, the background."""
    tint = _paletted(mask.astype(np.uint8), picture.size)
    tint.set_palette([_mask_color(seen, index) for index in range(int(mask.max(initial=0)) + 1)])
    tint.set_alpha(_TINT)
    surface.blit(tint, picture)


def _paletted(numbers: Array, size: tuple[int, int]) -> pygame.Surface:
    """A surface of (H, W) uint8, 0 left clear, at `size`; its palette is still to be set."""
    shape = (numbers.shape[1], numbers.shape[0])
    source = pygame.image.frombuffer(np.ascontiguousarray(numbers).tobytes(), shape, "P")
    scaled = pygame.transform.scale(source, size) if size != shape else source
    scaled.set_colorkey(0)
    return scaled


def _mask_color(seen: PerceptView, index: int) -> Color:
    """Colour of a mask's class by number; the background, 0, has none."""
    names = seen.classes[1:] if 0 < index < len(seen.classes) else ()
    return class_color(names[index - 1] if names else str(index), names)


def draw_legend(surface: pygame.Surface, ink: Ink, corners: Corners, seen: PerceptView) -> None:
    """Draw a swatch and a name for each class, in two columns where one is too high."""
    assert seen.percept.mask is not None
    names = [(number, class_name(number, seen.classes)) for number in classes_in(seen.percept.mask)]
    if not names:
        return
    pad, row, swatch = ink.px(8), ink.px(18), ink.px(10)
    width = max(ink.width(name) for _, name in names) + swatch + 3 * pad
    place = corners.take((width, row * len(names) + pad), "left")
    if place is None:
        return
    ink.plate(surface, place, PALETTE.panel, radius=6)
    for k, (index, name) in enumerate(names):
        y = place.top + pad // 2 + row * k + row // 2
        surface.fill(_mask_color(seen, index), Rect(place.left + pad, y - swatch // 2, swatch, swatch))
        ink.write(surface, name, (place.left + 2 * pad + swatch, y))
