"""Record of how one kind of percept is drawn over a picture, and places for legends beside it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import pygame
from pygame import Rect

from sim.viewer.contract.moment import PerceptView
from sim.viewer.draw.theme import Ink
from sim.viewer.overlays.boxes import Tag

_GAP = 6


class Corners:
    """Placement of legends: from the top down at either side, beside `picture` where that fits in `area`."""

    def __init__(self, ink: Ink, area: Rect, picture: Rect) -> None:
        self.area, self.picture, self._gap = area, picture, ink.px(_GAP)
        self._tops = {"left": picture.top, "right": picture.top}

    def take(self, size: tuple[int, int], side: str) -> Rect | None:
        """A place of `size` at the ``"left"`` or ``"right"``, or None if there is no room left."""
        place, gap = Rect((0, self._tops[side]), size), self._gap
        room = (self.area.width - self.picture.width) // 2
        beside = size[0] + gap <= room
        if not beside:
            place.top = max(place.top, self.picture.top + gap)
        if side == "left":
            place.left = self.picture.left - gap - place.width if beside else self.picture.left + gap
        else:
            place.right = self.picture.right + gap + place.width if beside else self.picture.right - gap
        if not self.area.contains(place):
            return None
        self._tops[side] = place.bottom + gap
        return place


@dataclass(frozen=True)
class PerceptOverlay:
    """Drawing of one kind of percept over a picture, in three passes over all percepts.

    Attributes:
        under: (surface, picture, seen) draws over the picture, below everything else.
        over: (surface, ink, picture, factor, seen) draws what has a place in the picture; may return names
            to be written beside frames.
        beside: (surface, ink, corners, seen) draws a legend, a chip or an inset.
        legend: the same beside a split view, which shows the percept itself; None for `beside`.
        truth_in_words: whether a true text is written below a wrong one; else the drawing tells it.
    """

    under: Callable[[pygame.Surface, Rect, PerceptView], None] | None = None
    over: Callable[[pygame.Surface, Ink, Rect, float, PerceptView], Sequence[Tag] | None] | None = None
    beside: Callable[[pygame.Surface, Ink, Corners, PerceptView], None] | None = None
    legend: Callable[[pygame.Surface, Ink, Corners, PerceptView], None] | None = None
    truth_in_words: bool = True
