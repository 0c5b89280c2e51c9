"""Perception overlay on the world's picture: masks below, boxes and skeletons over them, names on top.

Legends, chips and insets stand beside the picture where there is room, else in its upper corners.
"""

from __future__ import annotations

from collections.abc import Sequence

import pygame
from pygame import Rect

from sim.percept_kind import Kind, field_of
from sim.percept_kinds import kinds_in, most_specific_kinds
from sim.viewer.contract.moment import PerceptView
from sim.viewer.draw.theme import BODY, PALETTE, Ink, class_color
from sim.viewer.overlays import boxes, depth
from sim.viewer.overlays.board_overlay import draw_board
from sim.viewer.overlays.kind_overlay import Corners, PerceptOverlay
from sim.viewer.overlays.mask import draw_legend, draw_mask
from sim.viewer.overlays.skeleton import draw_skeleton

_TOLD = 2  # frames from which on the age of percepts is told
_LIKELY = 156, 27  # width of the list of the likeliest labels, height of a row


def draw_percept_overlay(
    surface: pygame.Surface,
    ink: Ink,
    area: Rect,
    picture: Rect,
    factor: float,
    seen: Sequence[PerceptView],
    split: PerceptView | None = None,
) -> None:
    """Draw all percepts over `picture`, shown `factor` times as large, and nothing outside `area`.

    Pending ones are left out; of those of an older picture their age is told. Of the one that a split view
    shows (`split`) only the legend is drawn.
    """
    seen = [one for one in seen if not one.pending]
    surface.set_clip(area)
    corners, tags = Corners(ink, area, picture), list[boxes.Tag]()
    told = [
        (one, overlay) for one in seen for kind, overlay in OVERLAYS.items() if kind in kinds_in(one.percept)
    ]
    for one, overlay in told:
        if overlay.under is not None and one is not split:
            overlay.under(surface, picture, one)
    for one, overlay in told:
        if overlay.over is not None:
            tags += overlay.over(surface, ink, picture, factor, one) or ()
    boxes.draw_tags(surface, ink, picture, tags)
    for one, overlay in told:
        if overlay.beside is not None:
            beside = overlay.legend if one is split and overlay.legend is not None else overlay.beside
            beside(surface, ink, corners, one)
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


def _draw_label(surface: pygame.Surface, ink: Ink, corners: Corners, seen: PerceptView) -> None:
    """Draw the predicted label of the whole picture, its score, and the true label if it differs.

    A label beside something that has a place in the picture is no more than its heading, and not drawn.
    """
    if not seen.percept.label or "label" not in most_specific_kinds(seen.percept):
        return
    if len(field_of(seen.percept, "likeliest") or ()) > 1:
        _draw_likeliest(surface, ink, corners, seen)
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


def _draw_likeliest(surface: pygame.Surface, ink: Ink, corners: Corners, seen: PerceptView) -> None:
    """Draw the likeliest labels with a bar and a probability each; the true one has a check mark."""
    likeliest = field_of(seen.percept, "likeliest")
    true = seen.truth.label if seen.truth is not None else None
    wrong = true is not None and true != likeliest[0][0]
    missing = wrong and all(label != true for label, _ in likeliest)
    pad = ink.px(8)
    width, row = map(ink.px, _LIKELY)
    place = corners.take((width, row * len(likeliest) + (ink.px(20) if missing else 0) + pad), "left")
    if place is None:
        return
    ink.plate(surface, place, PALETTE.panel, radius=4)
    for k, (label, share) in enumerate(likeliest):
        top, words = place.top + pad // 2 + row * k, label.replace("_", " ")
        color = PALETTE.negative if wrong and k == 0 else class_color(label, seen.classes)
        track = Rect(place.left + pad, top + row - ink.px(7), width - 2 * pad, ink.px(4))
        surface.fill(PALETTE.raised, track)
        surface.fill(color, Rect(track.topleft, (round(track.width * share), track.height)))
        y = top + (row - ink.px(7)) // 2
        end = ink.write(surface, boxes.share(share), (track.right, y), PALETTE.muted, align="right")
        words = f"✓ {words}" if label == true else words
        fitting = ink.elided(words, end.left - ink.px(6) - track.left)
        ink.write(surface, fitting, (track.left, y), PALETTE.text if k == 0 else PALETTE.muted)
    if missing:
        y = place.bottom - pad // 2 - ink.px(10)
        ink.write(surface, f"truth: {true}".replace("_", " "), (place.left + pad, y), PALETTE.muted)


def _draw_depth(surface: pygame.Surface, ink: Ink, corners: Corners, seen: PerceptView) -> None:
    """Draw the depth map's inset where there is room."""
    place = corners.take(depth.inset_size(ink, seen, corners.area, corners.picture), "right")
    if place is not None:
        depth.draw_inset(surface, ink, place, seen)


#: Kind → how it is drawn, from below to the top; kinds that are not here are told in words only.
OVERLAYS: dict[Kind, PerceptOverlay] = {
    "label": PerceptOverlay(beside=_draw_label),
    "mask": PerceptOverlay(under=draw_mask, beside=draw_legend),
    "depth": PerceptOverlay(beside=_draw_depth, legend=depth.draw_scale),
    "boxes": PerceptOverlay(over=boxes.draw_boxes),
    "keypoints": PerceptOverlay(over=draw_skeleton),
    "fen": PerceptOverlay(over=draw_board, truth_in_words=False),
}
