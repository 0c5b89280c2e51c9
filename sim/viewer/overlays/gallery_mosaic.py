"""Grid of a gallery's pictures in the place of the world, as large as the area allows."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import pygame
from pygame import Rect

from sim.records import Array
from sim.viewer.contract.gallery_page import GalleryPage
from sim.viewer.draw import hud
from sim.viewer.draw.theme import PALETTE, Color, Ink
from sim.viewer.overlays.world_picture import blit, place
from sim.viewer.playback.view import View

GAP = 8  # between pictures; all lengths are those at scale 1
NOTE = 18  # height of the words under a picture
FOOT = 20  # height of a line below the grid
WIDE = 600  # a narrower grid has two lines there

_FILLED = 0.85  # of the largest factor: a whole one that is less leaves too much of the area empty
_LEGIBLE = 44  # a narrower picture has no words under it
_LARGE = 0.62  # share of the room that a picture has which is painted over
_PAINT = 0.8  # how much the paint covers


def room(area: Rect, ink: Ink) -> tuple[Rect, Rect]:
    """Split an area into the grid of pictures and the lines of text below it."""
    foot = ink.px(FOOT) * (1 if area.width >= ink.px(WIDE) else 2) + ink.px(6)
    above = Rect(area.left, area.top, area.width, max(1, area.height - foot))
    return above, Rect(area.left, above.bottom, area.width, foot)


def places(area: Rect, size: tuple[int, int], total: int, gap: int, note: int) -> list[Rect]:
    """Rectangles of `total` pictures of `size`: in rows, at the largest factor for which all find room.

    It is a whole one where that does not leave much of the area empty.

    Args:
        area: to be filled.
        size: width and height of each.
        total: how many.
        gap: pixels between two of them.
        note: pixels under each, for words.

    >>> places(Rect(0, 0, 208, 100), (32, 32), 3, 8, 0)[0].size
    (64, 64)
    """

    def factor(columns: int) -> float:
        rows = -(-total // columns)
        width, height = (area.width + gap) / columns - gap, (area.height + gap) / rows - gap - note
        found = min(width / size[0], height / size[1])
        return float(math.floor(found)) if math.floor(found) >= _FILLED * found else max(found, 1 / max(size))

    def fullness(columns: int) -> float:
        return total / (columns * -(-total // columns))

    columns = max(range(1, total + 1), key=lambda count: (factor(count), fullness(count)))
    rows, scale = -(-total // columns), factor(columns)
    width, height = max(1, int(size[0] * scale)), max(1, int(size[1] * scale))
    block = Rect(0, 0, columns * (width + gap) - gap, rows * (height + note + gap) - gap)
    block.center = area.center
    return [
        Rect(
            block.left + i % columns * (width + gap),
            block.top + i // columns * (height + note + gap),
            width,
            height,
        )
        for i in range(total)
    ]


def places_of(area: Rect, ink: Ink, page: GalleryPage) -> list[Rect]:
    """Rectangles of a page's pictures in the world's `area`."""
    above, _ = room(area, ink)
    gap = ink.px(GAP)
    if page.mode != "fill":
        note = ink.px(NOTE) if any(page.notes) else 0
        found = places(above, page.size, page.total, gap, note)
        if note and found[0].width < ink.px(_LEGIBLE):
            found = places(above, page.size, page.total, gap, 0)
        return found
    wide = above.width * page.size[1] >= above.height * page.size[0]
    large, rest = above.copy(), above.copy()
    if wide:
        large.width = int(above.width * _LARGE)
        rest.left, rest.width = large.right + 2 * gap, above.right - large.right - 2 * gap
    else:
        large.height = int(above.height * _LARGE)
        rest.top, rest.height = large.bottom + 2 * gap, above.bottom - large.bottom - 2 * gap
    return [place(page.size, large), *places(rest, page.size, max(1, page.total - 1), gap, 0)]


def draw_page(surface: pygame.Surface, ink: Ink, area: Rect, view: View, message: str = "") -> None:
    """Draw the page of the view's moment, and below it `message` or the page's own line."""
    assert view.moment is not None and view.moment.page is not None
    page, pictures = view.moment.page, view.moment.pictures
    above, foot = room(area, ink)
    _draw_foot(surface, ink, foot, page, message)
    if page.trouble and not pictures:
        hud.draw_card(surface, ink, above, "No samples", page.trouble, "N tries again.")
        return
    rects = places_of(area, ink, page)
    for i, rect in enumerate(rects):
        if i >= len(pictures):
            ink.plate(surface, rect, PALETTE.panel, radius=3)
        elif i == 0 and page.mask is not None:
            blit(surface, over(pictures[0], page.mask), rect)
        else:
            blit(surface, pictures[i], rect)
    if page.mode == "fill":
        _draw_brush(surface, ink, rects[0], page)
    else:
        _draw_notes(surface, ink, rects[: len(pictures)], page.notes)
        _draw_choice(surface, ink, rects, page, len(pictures))


def over(picture: Array, mask: Array) -> Array:
    """The picture (H, W, 3) with the mask over it, chequered in two shades of the accent."""
    rows, columns = np.indices(mask.shape)
    shade = np.where((rows + columns) % 2, 1.0, 0.72)[..., None]
    paint = shade * np.array(PALETTE.accent)
    mixed = (1 - _PAINT) * picture + _PAINT * paint
    return np.where(mask[..., None], mixed, picture).astype(np.uint8)


def _draw_brush(surface: pygame.Surface, ink: Ink, rect: Rect, page: GalleryPage) -> None:
    factor = rect.width / page.size[0]
    x, y, radius = (factor * length for length in page.brush)
    at = rect.left + round(x), rect.top + round(y)
    clip = surface.get_clip()
    surface.set_clip(rect)
    for color, wider in ((PALETTE.ground, 1), (PALETTE.text, 0)):
        pygame.draw.aacircle(surface, color, at, max(2, round(radius) + wider), max(1, ink.px(2)))
    surface.set_clip(clip)
    _frame(surface, ink, rect, PALETTE.accent)


def _draw_notes(surface: pygame.Surface, ink: Ink, rects: Sequence[Rect], notes: Sequence[str]) -> None:
    for rect, note in zip(rects, notes, strict=False):
        if note and rect.width >= ink.px(_LEGIBLE):
            text = ink.elided(note, rect.width)
            ink.write(surface, text, (rect.left, rect.bottom + ink.px(NOTE) // 2 + ink.px(1)), PALETTE.muted)


def _draw_choice(
    surface: pygame.Surface, ink: Ink, rects: Sequence[Rect], page: GalleryPage, count: int
) -> None:
    """Draw frames around the chosen picture, the start of an interpolation, and the end of a drag."""
    if page.chosen >= count:
        return
    if 0 <= page.start < count:
        _frame(surface, ink, rects[page.start], PALETTE.text)
    _frame(surface, ink, rects[page.chosen], PALETTE.accent)
    if 0 <= page.aim < count:
        _frame(surface, ink, rects[page.aim], PALETTE.text)
        start, end = rects[page.chosen].center, rects[page.aim].center
        pygame.draw.line(surface, PALETTE.ground, start, end, ink.px(6))
        pygame.draw.line(surface, PALETTE.accent, start, end, ink.px(3))


def _frame(surface: pygame.Surface, ink: Ink, rect: Rect, color: Color) -> None:
    """Draw a line around a picture, in the gap."""
    width = max(2, ink.px(3))
    pygame.draw.rect(surface, color, rect.inflate(2 * width, 2 * width), width)


def _draw_foot(surface: pygame.Surface, ink: Ink, area: Rect, page: GalleryPage, message: str) -> None:
    """Write the message, error, work in progress or help, whichever is first."""
    text, dot = message or page.line, None
    if message:
        dot = PALETTE.series[0]
    elif page.trouble:
        text, dot = page.trouble, PALETTE.negative
    elif page.busy:
        text, dot = page.busy, PALETTE.accent
    left = area.left + (ink.px(16) if dot else 0)
    row = ink.px(FOOT)
    lines = ink.wrapped(text, area.right - left)[: max(1, area.height // row)]
    for i, line in enumerate(lines):
        y = area.top + ink.px(6) + i * row + row // 2
        if dot and i == 0:
            pygame.draw.aacircle(surface, dot, (area.left + ink.px(6), y), ink.px(4))
        ink.write(surface, line, (left, y), PALETTE.text if dot else PALETTE.muted)
