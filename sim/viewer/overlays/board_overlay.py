"""Chess-board overlay: outlines the squares whose predicted piece differs from the ground truth.

The prediction is the first field of Forsyth–Edwards notation, rank 8 first; a wrong square shows the
predicted letter, or a dash for an empty one.
"""

from __future__ import annotations

import pygame
from pygame import Rect

from sim.viewer.contract.moment import PerceptView
from sim.viewer.draw.theme import PALETTE, Ink

NOTHING = "–"

_SIDE = 8


def letters(fen: str) -> list[str]:
    """FEN letters of the squares a8, b8, … h1; "" for an empty one.

    >>> letters("8/8/8/8/8/8/8/k1K5")[-8:]
    ['k', '', 'K', '', '', '', '', '']
    """
    found: list[str] = []
    for letter in fen.split()[0].replace("/", "") if fen.strip() else "":
        found += [""] * int(letter) if letter in "12345678" else [letter]
    return found


def misread(seen: PerceptView) -> dict[int, str]:
    """The wrongly predicted squares by number, a8 is 0, with the piece predicted there.

    Empty where the truth is unknown, or where the prediction does not have 64 squares.
    """
    if seen.percept.fen is None or seen.truth is None or seen.truth.fen is None:
        return {}
    said, true = letters(seen.percept.fen), letters(seen.truth.fen)
    if not len(said) == len(true) == _SIDE**2:
        return {}
    return {k: one for k, (one, other) in enumerate(zip(said, true, strict=True)) if one != other}


def draw_board(surface: pygame.Surface, ink: Ink, picture: Rect, factor: float, seen: PerceptView) -> None:
    """Outline the misread squares in `picture`, shown `factor` times as large, if the board is located."""
    if seen.board is None or seen.truth is None:
        return
    left, top, right, bottom = (edge * factor for edge in seen.board)
    width, height = (right - left) / _SIDE, (bottom - top) / _SIDE
    turned = seen.truth.facts.get("white_at_bottom", 1) == 0
    line = ink.px(3)
    for k, letter in misread(seen).items():
        row, column = divmod(_SIDE**2 - 1 - k if turned else k, _SIDE)
        x, y = round(left + column * width), round(top + row * height)
        size = round(left + (column + 1) * width) - x, round(top + (row + 1) * height) - y
        frame = Rect((picture.left + x, picture.top + y), size)
        pygame.draw.rect(surface, PALETTE.ground, frame, width=line + ink.px(1))
        pygame.draw.rect(surface, PALETTE.negative, frame, width=line)
        said = letter or NOTHING
        plate = Rect(0, 0, ink.width(said, bold=True) + ink.px(10), ink.px(18))
        plate.bottomleft = frame.left + line, frame.bottom - line
        surface.fill(PALETTE.ground, plate)
        ink.write(surface, said, plate.center, bold=True, align="center")
