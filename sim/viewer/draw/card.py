"""Common layout of the panels: lengths of a card, and the muted text of an empty one."""

from __future__ import annotations

from typing import TypeAlias

import pygame
from pygame import Rect

from sim.viewer.draw.layout import TITLE_ROW
from sim.viewer.draw.theme import PALETTE, Ink

ROW = 22  # height of a line of a list; all lengths are those at scale 1
PAD = 12  # left and right of a panel's content
BELOW = 10  # under it
KEYCAP = 18  # the key that folds a panel, drawn at its right

#: A few words, left out where narrow, and a figure.
Note: TypeAlias = tuple[str, str]


def height_of(rows: int) -> int:
    """Height of a card with `rows` lines, at scale 1."""
    return TITLE_ROW + rows * ROW + BELOW


def say(surface: pygame.Surface, ink: Ink, inside: Rect, text: str) -> None:
    """Write a muted line in a panel that has nothing to draw."""
    at = (inside.left, inside.top + ink.px(ROW) // 2)
    ink.write(surface, ink.elided(text, inside.width), at, PALETTE.muted)
