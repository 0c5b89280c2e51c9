"""Perception overlay on the world's picture: masks below, boxes and skeletons over them, names on top.

Legends, chips and insets stand beside the picture where there is room, else in its upper corners.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pygame
from pygame import Rect

from sim.records import Array
from sim.viewer.contract.moment import Seen
from sim.viewer.draw.theme import BODY, PALETTE, Color, Ink, class_color
from sim.viewer.overlays import boxes, depth
from sim.viewer.overlays.board_overlay import draw_board
from sim.viewer.overlays.skeleton import draw_skeleton

_TINT = 115  # opacity of a mask, of 255
_DASH = 4  # of the line around what the mask should cover
_GAP = 6
_TOLD = 2  # frames from which on the age of percepts is told
_LINES = 2  # of a sentence; what is longer is cut
FOOT = 94  # height kept under the picture for two sentences, where that takes nothing from the picture


class Corners:
    """Placement of legends: from the top down at either side, beside `picture` where that fits in `area`."""

    def __init__(self, ink: Ink, area: Rect, picture: Rect) -> None:
        self._area, self._picture, self._gap = area, picture, ink.px(_GAP)
        self._tops = {"left": picture.top, "right": picture.top}

    def take(self, size: tuple[int, int], side: str) -> Rect | None:
        """A place of `size` at the ``"left"`` or ``"right"``, or None if there is no room left."""
        place, gap = Rect((0, self._tops[side]), size), self._gap
        room = (self._area.width - self._picture.width) // 2
        beside = size[0] + gap <= room
        if not beside:
            place.top = max(place.top, self._picture.top + gap)
        if side == "left":
            place.left = self._picture.left - gap - place.width if beside else self._picture.left + gap
        else:
            place.right = self._picture.right + gap + place.width if beside else self._picture.right - gap
        if not self._area.contains(place):
            return None
        self._tops[side] = place.bottom + gap
        return place


def draw_seen(
    surface: pygame.Surface, ink: Ink, area: Rect, picture: Rect, factor: float, seen: Sequence[Seen]
) -> None:
    """Draw all percepts over `picture`, shown `factor` times as large, and nothing outside `area`.

    Pending ones are left out; of those of an older picture their age is told.
    """
    seen = [one for one in seen if not one.pending]
    surface.set_clip(area)
    corners, tags = Corners(ink, area, picture), list[boxes.Tag]()
    for one in seen:
        if one.percept.mask is not None:
            _draw_mask(surface, picture, one)
    for one in seen:
        tags += boxes.draw_boxes(surface, ink, picture, factor, one)
        draw_skeleton(surface, ink, picture, factor, one)
        draw_board(surface, ink, picture, factor, one)
    boxes.draw_tags(surface, ink, picture, tags)
    for one in seen:
        if one.percept.label and is_whole(one):
            _draw_label(surface, ink, corners, one)
        if one.percept.mask is not None:
            _draw_legend(surface, ink, corners, one)
        if one.percept.depth is not None:
            place = corners.take(depth.inset_size(ink, one, area, picture), "right")
            if place is not None:
                depth.draw_inset(surface, ink, place, one)
    if age := told_age(seen):
        _draw_age(surface, ink, corners, age)
    surface.set_clip(None)


def told_age(seen: Sequence[Seen]) -> str:
    """How old the oldest percept is, in words; "" if it is that of the picture or of the frame before.

    A percept of the frame before only stands until its own arrives, which is too short to be read.

    >>> from sim.records import Percept
    >>> told_age([Seen("detector", Percept("model"), age=3)])
    '3 frames ago'
    """
    age = max((one.age for one in seen), default=0)
    return f"{age} frames ago" if age >= _TOLD else ""


def _draw_age(surface: pygame.Surface, ink: Ink, corners: Corners, age: str) -> None:
    """Write how old the percepts are on a plate at the right."""
    age = f"seen {age}"
    place = corners.take((ink.width(age) + 2 * ink.px(8), ink.px(22)), "right")
    if place is not None:
        ink.plate(surface, place, PALETTE.panel, radius=4)
        ink.write(surface, age, place.center, PALETTE.muted, align="center")


def is_whole(seen: Seen) -> bool:
    """Whether the percept only classifies or describes the whole picture, and locates nothing in it."""
    percept = seen.percept
    return (
        percept.boxes is None
        and percept.fen is None
        and percept.mask is None
        and percept.depth is None
        and not percept.keypoints
    )


def _draw_mask(surface: pygame.Surface, picture: Rect, seen: Seen) -> None:
    """Draw a segmentation mask: tint every class but 0, the background, and dash the edges of the truth."""
    mask = seen.percept.mask
    assert mask is not None
    tint = _paletted(mask.astype(np.uint8), picture.size)
    tint.set_palette([_mask_color(seen, index) for index in range(int(mask.max(initial=0)) + 1)])
    tint.set_alpha(_TINT)
    surface.blit(tint, picture)
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


def _paletted(numbers: Array, size: tuple[int, int]) -> pygame.Surface:
    """A surface of (H, W) uint8, 0 left clear, at `size`; its palette is still to be set."""
    shape = (numbers.shape[1], numbers.shape[0])
    source = pygame.image.frombuffer(np.ascontiguousarray(numbers).tobytes(), shape, "P")
    scaled = pygame.transform.scale(source, size) if size != shape else source
    scaled.set_colorkey(0)
    return scaled


def _mask_color(seen: Seen, index: int) -> Color:
    """Colour of a mask's class by number; the background, 0, has none."""
    names = seen.classes[1:] if 0 < index < len(seen.classes) else ()
    return class_color(names[index - 1] if names else str(index), names)


def classes_in(seen: Seen) -> list[int]:
    """Numbers of the classes that occur in the mask, without the background."""
    assert seen.percept.mask is not None
    return [int(index) for index in np.flatnonzero(np.bincount(seen.percept.mask.ravel())) if index]


def _draw_legend(surface: pygame.Surface, ink: Ink, corners: Corners, seen: Seen) -> None:
    """Draw a swatch and a name for each class, in two columns where one is too high."""
    names = [(i, seen.classes[i] if i < len(seen.classes) else f"class {i}") for i in classes_in(seen)]
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


def _draw_label(surface: pygame.Surface, ink: Ink, corners: Corners, seen: Seen) -> None:
    """Draw the predicted label of the whole picture, its score, and the true label if it differs."""
    label, scores, truth = seen.percept.label or "", seen.percept.scores, seen.truth
    score = "" if scores is None or not len(scores) else boxes.share(scores[0])
    wrong = truth is not None and truth.label not in (None, label)
    right = f"truth: {truth.label}" if truth is not None and wrong else ""
    pad, row = ink.px(8), ink.px(20)
    width = max(ink.width(label, BODY) + pad + ink.width(score), ink.width(right)) + ink.px(3) + 2 * pad
    place = corners.take((width, row * (2 if right else 1) + ink.px(6)), "left")
    if place is None:
        return
    ink.plate(surface, place, PALETTE.panel, radius=4)
    color = PALETTE.negative if wrong else class_color(label, seen.classes)
    surface.fill(color, Rect(place.left, place.top, ink.px(3), place.height))
    left, y = place.left + ink.px(3) + pad, place.top + ink.px(3) + row // 2
    end = ink.write(surface, label, (left, y), size=BODY).right
    ink.write(surface, score, (end + pad, y), PALETTE.muted)
    ink.write(surface, right, (left, y + row), PALETTE.muted)


def speaks(seen: Sequence[Seen]) -> bool:
    """Whether any percept has a caption or a FEN."""
    return any(one.percept.caption or one.percept.fen for one in seen)


def draw_captions(surface: pygame.Surface, ink: Ink, area: Rect, seen: Sequence[Seen]) -> int:
    """Write captions and FENs along the lower edge of `area`, and the true captions where they differ.

    Returns the height that they take.
    """
    pad, row = ink.px(10), ink.px(20)
    lines: list[tuple[str, Color]] = []
    for one in seen:
        if one.pending:
            continue
        said = one.percept.caption or one.percept.fen
        true = None if one.truth is None else one.truth.caption  # of a board the squares show it
        for text, color in ((said, PALETTE.text), (true and f"truth: {true}", PALETTE.muted)):
            if text and (color is PALETTE.text or true != said):
                wrapped = ink.wrapped(text, area.width - 2 * pad)
                if len(wrapped) > _LINES:
                    wrapped = [
                        *wrapped[: _LINES - 1],
                        ink.elided(f"{wrapped[_LINES - 1]} …", area.width - 2 * pad),
                    ]
                lines += [(line, color) for line in wrapped]
    if not lines:
        return 0
    width = max(ink.width(line) for line, _ in lines) + 2 * pad
    box = Rect(0, 0, width, row * len(lines) + pad)
    box.midbottom = area.midbottom
    ink.plate(surface, box, PALETTE.panel, radius=8)
    for k, (line, color) in enumerate(lines):
        y = box.top + pad // 2 + row * k + row // 2
        ink.write(surface, line, (box.centerx, y), color, align="center")
    return box.height
