"""Perception overlay on the world's picture: masks below, boxes and skeletons over them, names on top.

Legends, chips and insets stand beside the picture where there is room, else in its upper corners.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pygame
from pygame import Rect

from sim.percept_kind import Kind
from sim.percept_kinds import PERCEPT_KINDS, class_name, classes_in, kinds_in, most_specific_kinds
from sim.records import Array
from sim.viewer.contract.moment import PerceptView
from sim.viewer.draw.theme import BODY, PALETTE, Color, Ink, class_color
from sim.viewer.overlays import boxes, depth
from sim.viewer.overlays.board_overlay import draw_board
from sim.viewer.overlays.kind_overlay import Corners, PerceptOverlay
from sim.viewer.overlays.skeleton import draw_skeleton

_TINT = 150  # opacity of a mask, of 255: over grey it still looks like its legend
_DASH = 4  # of the line around what the mask should cover
_GAP = 6
_TOLD = 2  # frames from which on the age of percepts is told
_LINES = 2  # of a sentence; what is longer is cut
FOOT = 94  # height kept under the picture for two sentences, where that takes nothing from the picture


def draw_percept_overlay(
    surface: pygame.Surface, ink: Ink, area: Rect, picture: Rect, factor: float, seen: Sequence[PerceptView]
) -> None:
    """Draw all percepts over `picture`, shown `factor` times as large, and nothing outside `area`.

    Pending ones are left out; of those of an older picture their age is told.
    """
    seen = [one for one in seen if not one.pending]
    surface.set_clip(area)
    corners, tags = Corners(ink, area, picture), list[boxes.Tag]()
    told = [
        (one, overlay) for one in seen for kind, overlay in OVERLAYS.items() if kind in kinds_in(one.percept)
    ]
    for one, overlay in told:
        if overlay.under is not None:
            overlay.under(surface, picture, one)
    for one, overlay in told:
        if overlay.over is not None:
            tags += overlay.over(surface, ink, picture, factor, one) or ()
    boxes.draw_tags(surface, ink, picture, tags)
    for one, overlay in told:
        if overlay.beside is not None:
            overlay.beside(surface, ink, corners, one)
    if age := percept_age(seen):
        _draw_age(surface, ink, corners, age)
    surface.set_clip(None)


def covers(seen: Sequence[PerceptView]) -> bool:
    """Whether a mask tints the picture, which is drawn in grey then: all colours are those of the classes."""
    return any("mask" in kinds_in(one.percept) for one in seen if not one.pending)


def percept_age(seen: Sequence[PerceptView]) -> str:
    """Age of the oldest percept in words; "" if it is that of the picture or of the frame before.

    A percept of the frame before only stands until its own arrives, which is too short to be read.

    >>> from sim.records import Percept
    >>> percept_age([PerceptView("detector", Percept("model"), age=3)])
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


def _draw_mask(surface: pygame.Surface, picture: Rect, seen: PerceptView) -> None:
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


def _mask_color(seen: PerceptView, index: int) -> Color:
    """Colour of a mask's class by number; the background, 0, has none."""
    names = seen.classes[1:] if 0 < index < len(seen.classes) else ()
    return class_color(names[index - 1] if names else str(index), names)


def _draw_legend(surface: pygame.Surface, ink: Ink, corners: Corners, seen: PerceptView) -> None:
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


def _draw_label(surface: pygame.Surface, ink: Ink, corners: Corners, seen: PerceptView) -> None:
    """Draw the predicted label of the whole picture, its score, and the true label if it differs.

    A label beside something that has a place in the picture is no more than its heading, and not drawn.
    """
    if not seen.percept.label or "label" not in most_specific_kinds(seen.percept):
        return
    label, scores, truth = seen.percept.label or "", seen.percept.scores, seen.truth
    words = label.replace("_", " ")
    score = "" if scores is None or not len(scores) else boxes.share(scores[0])
    wrong = truth is not None and truth.label not in (None, label)
    right = f"truth: {truth.label}".replace("_", " ") if truth is not None and wrong else ""
    pad, row = ink.px(8), ink.px(20)
    width = max(ink.width(words, BODY) + pad + ink.width(score), ink.width(right)) + ink.px(3) + 2 * pad
    place = corners.take((width, row * (2 if right else 1) + ink.px(6)), "left")
    if place is None:
        return
    ink.plate(surface, place, PALETTE.panel, radius=4)
    color = PALETTE.negative if wrong else class_color(label, seen.classes)
    surface.fill(color, Rect(place.left, place.top, ink.px(3), place.height))
    left, y = place.left + ink.px(3) + pad, place.top + ink.px(3) + row // 2
    end = ink.write(surface, words, (left, y), size=BODY).right
    ink.write(surface, score, (end + pad, y), PALETTE.muted)
    ink.write(surface, right, (left, y + row), PALETTE.muted)


def _draw_depth(surface: pygame.Surface, ink: Ink, corners: Corners, seen: PerceptView) -> None:
    """Draw the depth map's inset where there is room."""
    place = corners.take(depth.inset_size(ink, seen, corners.area, corners.picture), "right")
    if place is not None:
        depth.draw_inset(surface, ink, place, seen)


#: Kind → how it is drawn, from below to the top; kinds that are not here are told in words only.
OVERLAYS: dict[Kind, PerceptOverlay] = {
    "label": PerceptOverlay(beside=_draw_label),
    "mask": PerceptOverlay(under=_draw_mask, beside=_draw_legend),
    "depth": PerceptOverlay(beside=_draw_depth),
    "boxes": PerceptOverlay(over=boxes.draw_boxes),
    "keypoints": PerceptOverlay(over=draw_skeleton),
    "fen": PerceptOverlay(over=draw_board, truth_in_words=False),
}


def texts(seen: PerceptView) -> tuple[str, str]:
    """A percept's text, such as a caption or a FEN, and the true one where it differs and is written."""
    for name, kind in PERCEPT_KINDS.items():
        if kind.text is not None and (said := kind.text(seen.percept)):
            written = OVERLAYS.get(name, PerceptOverlay()).truth_in_words
            true = kind.text(seen.truth) if written and seen.truth is not None else ""
            return said, true if true != said else ""
    return "", ""


def has_text(seen: Sequence[PerceptView]) -> bool:
    """Whether any percept has a text, such as a caption or a FEN."""
    return any(texts(one)[0] for one in seen)


def draw_captions(surface: pygame.Surface, ink: Ink, area: Rect, seen: Sequence[PerceptView]) -> int:
    """Write captions and FENs along the lower edge of `area`, and the true captions where they differ.

    Returns the height that they take.
    """
    pad, row = ink.px(10), ink.px(20)
    lines: list[tuple[str, Color]] = []
    for said, true in map(texts, seen):
        for text, color in ((said, PALETTE.text), (true and f"truth: {true}", PALETTE.muted)):
            if text:
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
