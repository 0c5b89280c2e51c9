"""Chess-board overlay: squares whose predicted piece differs from the truth, and how sure each square is.

The prediction is the first field of Forsyth–Edwards notation, rank 8 first; a wrong square is outlined and
shows the predicted letter, or a dash for an empty one. A square that is not quite sure shows its probability.
"""

from __future__ import annotations

import pygame
from pygame import Rect

from sim.percept_kind import field_of
from sim.viewer.contract.moment import PerceptView
from sim.viewer.draw.theme import PALETTE, Ink
from sim.viewer.overlays.boxes import share

NOTHING = "–"
SURE = 0.99  # from this probability on a square is sure, and shows no number
DOUBTFUL = 0.9  # below it the number stands out

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
    """Draw doubtful and misread squares in `picture`, shown `factor` times as large, on a located board."""
    if seen.board is None or seen.truth is None:
        return
    line, doubts = ink.px(3), doubtful(seen)
    for k, certainty in doubts.items():
        frame = _square(seen, picture, factor, k)
        text, color = share(certainty), PALETTE.accent if certainty < DOUBTFUL else PALETTE.text
        plate = Rect(0, 0, ink.width(text) + ink.px(6), ink.px(16))
        plate.topright = frame.right, frame.top
        surface.fill(PALETTE.ground, plate)
        ink.write(surface, text, plate.center, color, align="center")
    for k, letter in misread(seen).items():
        frame = _square(seen, picture, factor, k)
        pygame.draw.rect(surface, PALETTE.ground, frame, width=line + ink.px(1))
        pygame.draw.rect(surface, PALETTE.negative, frame, width=line)
        said = letter or NOTHING
        plate = Rect(0, 0, ink.width(said, bold=True) + ink.px(10), ink.px(18))
        plate.bottomleft = frame.left + line, frame.bottom - line
        surface.fill(PALETTE.ground, plate)
        ink.write(surface, said, plate.center, bold=True, align="center")


def doubtful(seen: PerceptView) -> dict[int, float]:
    """The squares by number, a8 is 0, whose piece is read with a probability below `SURE`, with that."""
    certainty = field_of(seen.percept, "certainty")
    if certainty is None or len(certainty) != _SIDE**2:
        return {}
    return {k: float(certainty[k]) for k in range(_SIDE**2) if certainty[k] < SURE}


def certainty_in_words(seen: PerceptView) -> str:
    """How sure the least sure square is, in words; "" if it is not known.

    >>> from sim.records import Percept
    >>> certainty = [0.5] + 63 * [1.0]
    >>> certainty_in_words(PerceptView("reader", Percept("model", extras={"certainty": certainty})))
    'least sure a8 .50'
    """
    if field_of(seen.percept, "certainty") is None:
        return ""
    worst = min(doubtful(seen).items(), key=lambda square: square[1], default=None)
    if worst is None:
        return f"every square ≥ {share(SURE)}"
    return f"least sure {'abcdefgh'[worst[0] % _SIDE]}{_SIDE - worst[0] // _SIDE} {share(worst[1])}"


def _square(seen: PerceptView, picture: Rect, factor: float, k: int) -> Rect:
    """The rectangle of a square by number, a8 is 0, in `picture`, shown `factor` times as large."""
    assert seen.board is not None and seen.truth is not None
    left, top, right, bottom = (edge * factor for edge in seen.board)
    width, height = (right - left) / _SIDE, (bottom - top) / _SIDE
    turned = seen.truth.facts.get("white_at_bottom", 1) == 0
    row, column = divmod(_SIDE**2 - 1 - k if turned else k, _SIDE)
    x, y = round(left + column * width), round(top + row * height)
    size = round(left + (column + 1) * width) - x, round(top + (row + 1) * height) - y
    return Rect((picture.left + x, picture.top + y), size)
