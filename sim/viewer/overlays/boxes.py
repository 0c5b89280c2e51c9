"""Bounding-box overlay: predicted boxes in solid frames, true ones dashed around them, and class names.

A frame lies around its pixels, never over them. Of a class with more than a dozen boxes, such as the
bricks of a wall, only thin outlines are drawn, no names, and of its truth only what was missed.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pygame
from pygame import Rect

from sim.records import Array, Percept
from sim.viewer.contract.moment import PerceptView
from sim.viewer.draw.theme import PALETTE, Color, Ink, class_color

CROWD = 12  # boxes of one class; of more only outlines are drawn
MISSED = 0.5  # IoU with every box of its class below which something true was missed

_LINE, _EDGE = 2, 1  # of a frame, and of the dark rim that makes it stand out on any ground
_DASH = 4


class Tag(NamedTuple):
    """A class name to write beside a box."""

    text: str
    color: Color
    frame: Rect


def draw_boxes(
    surface: pygame.Surface, ink: Ink, picture: Rect, factor: float, seen: PerceptView
) -> list[Tag]:
    """Draw one percept's boxes over `picture`, shown `factor` times as large; returns their names."""
    percept = seen.percept
    if percept.boxes is None or percept.fen is not None:  # of a board, `squares` marks the errors
        return []
    truth = seen.truth if seen.truth is not None and seen.truth.boxes is not None else None
    crowds = crowded(percept.labels) | (crowded(truth.labels) if truth else set())
    tags = []
    for k, frame in _frames(percept.boxes, picture, factor):
        label = percept.labels[k] if k < len(percept.labels) else ""
        color = class_color(label, seen.classes)
        if label in crowds:
            pygame.draw.rect(surface, color, frame, width=max(1, ink.px(1)))
            continue
        outer = _draw_frame(surface, ink, frame, color)
        score = "" if percept.scores is None else f" {share(percept.scores[k])}"
        tags.append(Tag(f"{label}{score}", color, outer))
    if truth is not None and truth.boxes is not None:
        lost = missed(percept, truth)
        around = 2 * (ink.px(_LINE) + ink.px(_EDGE) + max(1, ink.px(1)))  # outside a correct box's frame
        for k, frame in _frames(truth.boxes, picture, factor):
            if lost[k] or truth.labels[k] not in crowds:
                _draw_dashes(surface, ink, frame.inflate(around, around))
    return tags


def share(score: float) -> str:
    """Format a number in [0, 1] with two decimals in as few characters as possible.

    >>> share(0.714), share(1.0)
    ('.71', '1.00')
    """
    return f"{float(score):.2f}".removeprefix("0")


def crowded(labels: Sequence[str]) -> set[str]:
    """The classes with more boxes than are named one by one."""
    return {label for label, count in Counter(labels).items() if count > CROWD}


def missed(percept: Percept, truth: Percept) -> Array:
    """(K,) bool: false negatives, true boxes that no box of their class overlaps by an IoU of `MISSED`."""
    assert percept.boxes is not None and truth.boxes is not None
    same = np.array(truth.labels, object)[:, None] == np.array(percept.labels, object)[None]
    found: Array = ((_iou(truth.boxes, percept.boxes) >= MISSED) & same).any(axis=1)
    return ~found


def _iou(first: Array, second: Array) -> Array:
    """Intersection over union, (K, 4) and (L, 4) → (K, L)."""
    low = np.maximum(first[:, None, :2], second[None, :, :2])
    high = np.minimum(first[:, None, 2:], second[None, :, 2:])
    shared = np.clip(high - low, 0, None).prod(axis=2)
    areas = [(boxes[:, 2:] - boxes[:, :2]).prod(axis=1) for boxes in (first, second)]
    return np.asarray(shared / np.maximum(areas[0][:, None] + areas[1][None] - shared, 1e-9))


def _frames(boxes: Array, picture: Rect, factor: float) -> list[tuple[int, Rect]]:
    """The finite boxes in pixels of the window, by number."""
    scaled = np.clip(np.round(boxes * factor), -1e6, 1e6)
    found = []
    for k in np.flatnonzero(np.isfinite(scaled).all(axis=1)):
        x0, y0, x1, y1 = (int(edge) for edge in scaled[k])
        found.append((int(k), Rect(picture.left + x0, picture.top + y0, x1 - x0, y1 - y0)))
    return found


def _draw_frame(surface: pygame.Surface, ink: Ink, frame: Rect, color: Color) -> Rect:
    line, edge = ink.px(_LINE), ink.px(_EDGE)
    outer = frame.inflate(2 * (line + edge), 2 * (line + edge))
    pygame.draw.rect(surface, PALETTE.ground, outer, width=edge)
    pygame.draw.rect(surface, color, frame.inflate(2 * line, 2 * line), width=line)
    return outer


def _draw_dashes(surface: pygame.Surface, ink: Ink, frame: Rect) -> None:
    """Draw a thin line, light and dark in turn, so that it shows on any ground."""
    thick, dash = max(1, ink.px(1)), ink.px(_DASH)
    pygame.draw.rect(surface, PALETTE.ground, frame, width=thick)
    for x in range(frame.left, frame.right, 2 * dash):
        length = min(dash, frame.right - x)
        surface.fill(PALETTE.text, (x, frame.top, length, thick))
        surface.fill(PALETTE.text, (x, frame.bottom - thick, length, thick))
    for y in range(frame.top, frame.bottom, 2 * dash):
        length = min(dash, frame.bottom - y)
        surface.fill(PALETTE.text, (frame.left, y, thick, length))
        surface.fill(PALETTE.text, (frame.right - thick, y, thick, length))


def draw_tags(surface: pygame.Surface, ink: Ink, within: Rect, tags: Sequence[Tag]) -> None:
    """Write each name near its frame, where it covers no other name and, if it can be, no other frame.

    One that finds no place within the picture is left out.
    """
    taken: list[Rect] = []
    frames = [tag.frame for tag in tags]
    for text, color, frame in tags:
        width, height = ink.width(text) + ink.px(10), ink.px(18)
        corners = (
            (frame.left, frame.top - height),
            (frame.left, frame.bottom),
            (frame.right, frame.top),
            (frame.left - width, frame.top),
        )
        places = [Rect(corner, (width, height)).clamp(within) for corner in corners]
        free = [p for p in places if p.collidelist(taken) == -1 and not p.colliderect(frame)]
        if within.width < width or not free:
            continue
        place = next((p for p in free if p.collidelist(frames) == -1), free[0])
        surface.fill(PALETTE.ground, place)
        surface.fill(color, Rect(place.left, place.top, ink.px(3), place.height))
        ink.write(surface, text, (place.left + ink.px(6), place.centery))
        taken.append(place)
