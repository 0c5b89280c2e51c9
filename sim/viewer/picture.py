"""The world's own picture, with what is perceived drawn over it; or all worlds side by side."""

from __future__ import annotations

import math
import zlib

import numpy as np
import pygame
from pygame import Rect

from sim.records import Array, Percept
from sim.viewer.attribution import Attributed
from sim.viewer.charts import number
from sim.viewer.heat import draw_heat
from sim.viewer.theme import PALETTE, Color, Ink, canvas
from sim.viewer.view import View

_CAPTION = 20  # height of the line under each picture of a grid
_GRID_GAP = 10
_MASK_OPACITY = 110  # of 255


def place(size: tuple[int, int], area: Rect, *, whole: bool = True) -> Rect:
    """Where a picture of `size` goes: centred, at the largest (whole) factor that fits, else shrunk.

    >>> place((160, 210), Rect(0, 0, 500, 500))
    Rect(90, 40, 320, 420)
    """
    factor = min(area.width / size[0], area.height / size[1])
    if factor >= 1 and whole:
        factor = math.floor(factor)
    rect = Rect(0, 0, max(1, int(size[0] * factor)), max(1, int(size[1] * factor)))
    rect.center = area.center
    return rect


def draw_world(surface: pygame.Surface, ink: Ink, area: Rect, view: View) -> Rect:
    """Draw the first world and what is perceived in it; returns the rectangle of its picture."""
    assert view.moment is not None
    picture = view.moment.pictures[0]
    rect = place((picture.shape[1], picture.shape[0]), area)
    _blit(surface, picture, rect, view.attributed)
    surface.set_clip(area)  # what is perceived may reach out of the picture
    _draw_percepts(surface, ink, rect, rect.width / picture.shape[1], view.moment.percepts)
    surface.set_clip(None)
    return rect


def draw_grid(surface: pygame.Surface, ink: Ink, area: Rect, view: View) -> list[Rect]:
    """Draw all worlds, each with its running return; returns the rectangles of the pictures."""
    assert view.moment is not None
    pictures = view.moment.pictures
    height, width = pictures[0].shape[:2]
    caption, gap = ink.px(_CAPTION), ink.px(_GRID_GAP)

    def tiles(columns: int) -> tuple[float, Rect]:
        rows = -(-len(pictures) // columns)
        tile = Rect(0, 0, (area.width + gap) // columns - gap, (area.height + gap) // rows - gap - caption)
        return min(tile.width / width, tile.height / height), tile

    columns = max(range(1, len(pictures) + 1), key=lambda count: tiles(count)[0])
    tile = tiles(columns)[1]
    if tile.width < 1 or tile.height < 1:
        return []
    size = place((width, height), tile, whole=False).size  # packed closely, however wide the tiles are
    rows = -(-len(pictures) // columns)
    block = Rect(0, 0, columns * (size[0] + gap) - gap, rows * (size[1] + caption + gap) - gap)
    block.center = area.center
    rects = []
    for i, picture in enumerate(pictures):
        row, column = divmod(i, columns)
        rect = Rect(block.left + column * (size[0] + gap), block.top + row * (size[1] + caption + gap), *size)
        _blit(surface, picture, place((picture.shape[1], picture.shape[0]), rect, whole=False))
        text = ink.elided(f"{i + 1}", rect.width)
        ink.write(surface, text, (rect.left, rect.bottom + caption // 2), PALETTE.muted)
        score = number(float(view.moment.score[i]))
        if ink.width(text) + ink.width(score) + ink.px(8) <= rect.width:
            ink.write(surface, score, (rect.right, rect.bottom + caption // 2), align="right")
        rects.append(rect)
    return rects


def _blit(surface: pygame.Surface, picture: Array, rect: Rect, attributed: Attributed | None = None) -> None:
    """Draw a picture; one that is explained in grey, so that all colours are those of the maps."""
    height, width = picture.shape[:2]
    source = pygame.image.frombuffer(np.ascontiguousarray(picture).data, (width, height), "RGB")
    if rect.size == (width, height) and attributed is None:
        surface.blit(source, rect)
        return
    same_format = canvas((width, height))
    if attributed is None:
        same_format.blit(source, (0, 0))
    else:
        same_format.blit(pygame.transform.grayscale(source), (0, 0))
        draw_heat(same_format, attributed)  # before it is enlarged, which is far less work
    whole = rect.width % width == 0 and rect.height % height == 0
    scaled = pygame.transform.scale if whole else pygame.transform.smoothscale
    scaled(same_format, rect.size, surface.subsurface(rect))


def _draw_percepts(
    surface: pygame.Surface, ink: Ink, rect: Rect, factor: float, percepts: tuple[Percept, ...]
) -> None:
    """Masks below, frames over them, points over those, and labels on top."""
    for percept in percepts:
        if percept.mask is not None:
            _draw_mask(surface, rect, percept.mask)
    models = [percept for percept in percepts if percept.origin != "truth"]
    tags: list[tuple[str, Color, Rect]] = []
    for percept in percepts:
        truth = percept.origin == "truth"
        for k, box in enumerate(() if percept.boxes is None else percept.boxes):
            label = percept.labels[k] if k < len(percept.labels) else ""
            x0, y0, x1, y1 = (round(float(edge) * factor) for edge in box)
            frame = Rect(rect.left + x0, rect.top + y0, x1 - x0, y1 - y0)
            color = PALETTE.text if truth else _color_of(label)
            outer = _draw_frame(surface, frame, color, ink.px(1 if truth else 2), ink.px(1))
            if label and not (truth and models):  # the truth's boxes lie on the model's: name them once
                score = "" if percept.scores is None else f" {float(percept.scores[k]):.2f}"
                tags.append((f"{label}{score}", color, outer))
        for name, (x, y, visible) in percept.keypoints.items():
            if visible > 0:
                center = (rect.left + round(x * factor), rect.top + round(y * factor))
                pygame.draw.aacircle(surface, PALETTE.ground, center, ink.px(5))
                pygame.draw.aacircle(surface, _color_of(name), center, ink.px(4))
    _draw_tags(surface, ink, rect, tags)


def _draw_frame(surface: pygame.Surface, frame: Rect, color: Color, line: int, edge: int) -> Rect:
    """Draw a frame around, not over, the pixels meant; its dark edge stands out on any ground."""
    outer = frame.inflate(2 * (line + edge), 2 * (line + edge))
    pygame.draw.rect(surface, PALETTE.ground, outer, width=edge)
    pygame.draw.rect(surface, color, frame.inflate(2 * line, 2 * line), width=line)
    return outer


def _draw_tags(surface: pygame.Surface, ink: Ink, within: Rect, tags: list[tuple[str, Color, Rect]]) -> None:
    """Write each label above its frame or, where that is taken, below; where both are, not at all."""
    taken: list[Rect] = []
    for text, color, frame in tags:
        size = (ink.width(text) + ink.px(10), ink.px(18))
        above = Rect((frame.left, frame.top - size[1]), size).clamp(within)
        below = Rect(frame.bottomleft, size).clamp(within)
        for tag in (above, below):
            if tag.collidelist(taken) == -1 and not tag.colliderect(frame):
                surface.fill(PALETTE.ground, tag)
                surface.fill(color, Rect(tag.left, tag.top, ink.px(3), tag.height))
                ink.write(surface, text, (tag.left + ink.px(6), tag.centery))
                taken.append(tag)
                break


def _draw_mask(surface: pygame.Surface, rect: Rect, mask: Array) -> None:
    """Tint every class but 0, the background."""
    colors = np.zeros((int(mask.max(initial=0)) + 1, 4), np.uint8)
    for index in range(1, len(colors)):
        colors[index] = (*PALETTE.series[(index - 1) % len(PALETTE.series)], _MASK_OPACITY)
    tint = pygame.image.frombuffer(colors[mask].tobytes(), (mask.shape[1], mask.shape[0]), "RGBA")
    surface.blit(pygame.transform.scale(tint, rect.size), rect)


def _color_of(name: str) -> Color:
    """The same colour for the same name, in every run."""
    return PALETTE.series[zlib.crc32(name.encode()) % (len(PALETTE.series) - 1)]  # the last is too dark here
