"""Colour themes of boards and pieces, by name; some are held out of training to measure generalisation.

A theme is a `sim.chess.diagrams.draw.BoardStyle`. Any theme goes with any piece set: `board_style`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from sim.chess.diagrams.draw import STYLES, BoardStyle
from sim.chess.diagrams.pieces import Inks
from sim.chess.diagrams.sets import PIECE_SETS
from sim.errors import RequestError
from sim.fields import nearest

THEMES: Mapping[str, BoardStyle] = {
    "sage": STYLES["sage"],
    "walnut": BoardStyle(
        light=(240, 218, 184),
        dark=(178, 130, 94),
        rim=(70, 46, 32),
        white=Inks(fill=(252, 242, 224), outline=(88, 60, 40), detail=(128, 96, 70)),
        black=Inks(fill=(78, 48, 34), outline=(34, 20, 14), detail=(224, 192, 158)),
    ),
    "harbour": BoardStyle(
        light=(226, 234, 241),
        dark=(116, 150, 182),
        rim=(34, 46, 60),
        white=Inks(fill=(253, 254, 255), outline=(44, 56, 72), detail=(88, 104, 124)),
        black=Inks(fill=(48, 58, 76), outline=(18, 24, 34), detail=(186, 204, 222)),
        last_move=(250, 216, 92),
    ),
    "tournament": BoardStyle(
        light=(240, 240, 216),
        dark=(110, 150, 86),
        rim=(40, 54, 34),
        white=Inks(fill=(254, 254, 250), outline=(60, 62, 54), detail=(96, 100, 88)),
        black=Inks(fill=(74, 72, 68), outline=(26, 26, 24), detail=(206, 206, 196)),
        last_move=(246, 240, 96),
    ),
    "newsprint": BoardStyle(
        light=(250, 249, 245),
        dark=(192, 190, 184),
        rim=(250, 249, 245),
        white=Inks(fill=(255, 255, 254), outline=(24, 24, 24), detail=(60, 60, 60)),
        black=Inks(fill=(42, 42, 42), outline=(12, 12, 12), detail=(238, 238, 234)),
        last_move=(206, 178, 120),
    ),
    "sand": BoardStyle(
        light=(246, 235, 210),
        dark=(214, 182, 136),
        rim=(118, 92, 62),
        white=Inks(fill=(255, 252, 244), outline=(96, 74, 50), detail=(140, 116, 88)),
        black=Inks(fill=(104, 62, 42), outline=(54, 30, 20), detail=(240, 214, 180)),
        last_move=(150, 196, 170),
    ),
    "slate": BoardStyle(
        light=(186, 192, 200),
        dark=(118, 127, 140),
        rim=(40, 44, 52),
        white=Inks(fill=(250, 250, 252), outline=(40, 44, 52), detail=(92, 98, 108)),
        black=Inks(fill=(38, 41, 48), outline=(10, 11, 14), detail=(178, 184, 194)),
        last_move=(122, 178, 208),
    ),
    "night": BoardStyle(
        light=(104, 113, 130),
        dark=(66, 73, 88),
        rim=(22, 25, 31),
        white=Inks(fill=(240, 240, 236), outline=(28, 31, 38), detail=(96, 102, 114)),
        black=Inks(fill=(20, 22, 27), outline=(150, 158, 172), detail=(172, 180, 194)),
        last_move=(86, 140, 170),
    ),
    "lagoon": BoardStyle(
        light=(222, 240, 232),
        dark=(86, 158, 150),
        rim=(24, 58, 58),
        white=Inks(fill=(252, 255, 252), outline=(30, 66, 66), detail=(82, 120, 118)),
        black=Inks(fill=(34, 66, 70), outline=(10, 30, 34), detail=(180, 218, 210)),
        last_move=(244, 196, 108),
    ),
    "antique": BoardStyle(
        light=(236, 224, 192),
        dark=(168, 150, 114),
        rim=(60, 48, 36),
        white=Inks(fill=(252, 244, 220), outline=(82, 66, 40), detail=(130, 108, 74)),
        black=Inks(fill=(140, 38, 34), outline=(62, 12, 12), detail=(240, 196, 170)),
        last_move=(128, 160, 190),
    ),
    "plum": BoardStyle(
        light=(236, 228, 242),
        dark=(152, 124, 176),
        rim=(52, 38, 64),
        white=Inks(fill=(254, 251, 255), outline=(66, 48, 82), detail=(112, 92, 130)),
        black=Inks(fill=(66, 42, 84), outline=(28, 14, 38), detail=(212, 192, 226)),
        last_move=(244, 206, 120),
    ),
    "ember": BoardStyle(
        light=(244, 220, 200),
        dark=(196, 112, 84),
        rim=(66, 30, 24),
        white=Inks(fill=(255, 248, 240), outline=(92, 42, 30), detail=(142, 90, 74)),
        black=Inks(fill=(54, 40, 44), outline=(22, 14, 16), detail=(226, 186, 168)),
        last_move=(248, 206, 96),
    ),
    "meadow": BoardStyle(
        light=(246, 240, 200),
        dark=(162, 176, 98),
        rim=(58, 66, 24),
        white=Inks(fill=(255, 255, 246), outline=(70, 78, 34), detail=(116, 124, 76)),
        black=Inks(fill=(40, 60, 98), outline=(14, 24, 48), detail=(196, 212, 240)),
        last_move=(238, 150, 104),
    ),
}

#: Colours of boards and of pieces that training never sees.
HELD_OUT = ("plum", "ember", "meadow")
TRAINING = tuple(name for name in THEMES if name not in HELD_OUT)


def board_style(theme: str, pieces: str) -> BoardStyle:
    """The `BoardStyle` of a theme's colours with a piece set.

    Args:
        theme: a name in `THEMES`.
        pieces: a name in `sim.chess.diagrams.sets.PIECE_SETS`.

    Raises:
        RequestError: for an unknown name.

    >>> board_style("night", "tokens").pieces
    'tokens'
    """
    for name, known, what in ((theme, THEMES, "board theme"), (pieces, PIECE_SETS, "piece set")):
        if name not in known:
            raise RequestError(f'there is no {what} "{name}"; {nearest(name, known)}')
    return replace(THEMES[theme], pieces=pieces)


def styles(themes: Sequence[str] = TRAINING, sets: Sequence[str] = tuple(PIECE_SETS)) -> list[BoardStyle]:
    """Every theme on every piece set, in order of the two."""
    return [board_style(theme, pieces) for theme in themes for pieces in sets]
