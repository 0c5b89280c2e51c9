"""Split view: the picture or the truth on the left of a movable divider, a percept's map on the right.

Maps are masks and depth maps: percepts with a value for every pixel. Both sides have the size of the picture.
"""

from __future__ import annotations

from collections.abc import Sequence

import pygame
from pygame import Rect

from sim.records import Array, Percept
from sim.viewer.contract.moment import PerceptView
from sim.viewer.draw.theme import PALETTE, Ink, canvas
from sim.viewer.overlays import depth
from sim.viewer.overlays.mask import draw_classes
from sim.viewer.playback.view import Split

_REACH = 10  # pixels beside the divider where it can be taken
_GRIP = 22  # of the handle
_LINE = 2


def dense(seen: Sequence[PerceptView]) -> PerceptView | None:
    """The first percept with a value for every pixel that is not pending; None without one."""
    told = (one for one in seen if not one.pending)
    return next((one for one in told if one.percept.mask is not None or one.percept.depth is not None), None)


def divider_x(picture: Rect, divider: float) -> int:
    """Where the divider stands in a picture's rectangle."""
    return picture.left + round(divider * picture.width)


def is_on_divider(ink: Ink, picture: Rect, divider: float, at: tuple[int, int]) -> bool:
    """Whether a place of the window is so near to the divider that a drag moves it."""
    return picture.collidepoint(at) and abs(at[0] - divider_x(picture, divider)) <= ink.px(_REACH)


def draw_split(
    surface: pygame.Surface,
    ink: Ink,
    picture: Rect,
    rgb: Array,
    seen: PerceptView,
    split: Split,
    divider: float,
) -> None:
    """Draw the sides of a split view over `picture`, where its own pixels already stand.

    Args:
        surface: drawn on.
        ink: for the text.
        picture: the rectangle of the picture.
        rgb: the picture (H, W, 3) uint8.
        seen: the percept, with a mask or a depth map.
        split: what stands on the left; the truth needs one, else the picture stays.
        divider: share of the width.
    """
    x = divider_x(picture, divider)
    left = Rect(picture.topleft, (x - picture.left, picture.height))
    right = Rect(x, picture.top, picture.right - x, picture.height)
    metres = depth.span([one.depth for one in (seen.percept, seen.truth) if one and one.depth is not None])
    true = seen.truth if split == "truth" else None
    if true is not None:
        _draw_map(surface, picture, left, rgb, seen, true, metres)
    _draw_map(surface, picture, right, rgb, seen, seen.percept, metres)
    line = max(2, ink.px(_LINE))
    surface.fill(PALETTE.text, Rect(x - line // 2, picture.top, line, picture.height))
    grip = Rect(0, 0, ink.px(_GRIP), ink.px(_GRIP))
    grip.center = x, picture.centery
    ink.plate(surface, grip, PALETTE.text, radius=_GRIP / 2)
    ink.write(surface, "↔", grip.center, PALETTE.ground, align="center")
    name = "depth" if seen.percept.depth is not None else "mask"
    _draw_name(surface, ink, left, "picture" if true is None else f"{name}, {true.origin}", "right")
    _draw_name(surface, ink, right, f"{name}, {seen.percept.origin}", "left")


def _draw_map(
    surface: pygame.Surface,
    picture: Rect,
    side: Rect,
    rgb: Array,
    seen: PerceptView,
    percept: Percept,
    metres: depth.Span | None,
) -> None:
    """Draw one side: a depth map in its colours, a mask over the picture in grey."""
    if side.width < 1:
        return
    whole = canvas(picture.size)
    if percept.depth is not None:
        if metres is None:
            whole.fill(PALETTE.raised)
        else:
            colours = depth.colour_depth(depth.nearest(percept.depth, picture.size), metres)
            whole.blit(pygame.image.frombuffer(colours.tobytes(), picture.size, "RGB"), (0, 0))
    elif percept.mask is not None:
        height, width = rgb.shape[:2]
        source = pygame.image.frombuffer(rgb.tobytes(), (width, height), "RGB")
        whole.blit(pygame.transform.scale(pygame.transform.grayscale(source), picture.size), (0, 0))
        draw_classes(whole, whole.get_rect(), seen, percept.mask)
    surface.blit(whole, side, side.move(-picture.left, -picture.top))


def _draw_name(surface: pygame.Surface, ink: Ink, side: Rect, words: str, edge: str) -> None:
    """Write what a side is, at its lower end beside the divider, where it is wide enough."""
    plate = Rect(0, 0, ink.width(words) + 2 * ink.px(8), ink.px(22))
    gap = ink.px(8)
    if side.width < plate.width + 2 * gap:
        return
    plate.bottom = side.bottom - gap
    if edge == "right":
        plate.right = side.right - gap
    else:
        plate.left = side.left + gap
    ink.plate(surface, plate, PALETTE.panel, radius=4)
    ink.write(surface, words, plate.center, PALETTE.text, align="center")
