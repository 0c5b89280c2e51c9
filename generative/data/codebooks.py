"""Codebooks by name: the patterns that the cells of a data set's images are made of.

An image whose cells are each one of K known patterns is a grid of K classes, and can be sampled as one
(`generative.diffusion.categorical`). A codebook is looked up by name, like a data set in `catalog`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

import numpy as np

from sim.catalog import load
from sim.records import Array

#: Name → ``"module:function"`` that makes the codebook.
CODEBOOKS = {"boards": "generative.data.codebooks:board_codebook"}


@dataclass(frozen=True)
class Codebook:
    """Patterns of the cells of one kind of image.

    Attributes:
        pictures: (K, H, W, 3) uint8, the image with pattern k in every cell; a cell may look different in
            another place, as a piece does on a dark square.
        cell: pixels on a side of a cell.
        once: the two patterns of which every image has exactly one each.
        never: (K, H/p, W/p) bool, cells in which a pattern never is.
        most: sets of patterns, and how many cells of an image have one of the set at most.
    """

    pictures: Array
    cell: int
    once: tuple[int, int]
    never: Array
    most: tuple[tuple[tuple[int, ...], int], ...] = ()


@cache
def codebook(name: str) -> Codebook:
    """The codebook of that name.

    Raises:
        CatalogError: if there is none, with the nearest names.
    """
    make: Callable[[], Codebook] = load(CODEBOOKS, name, "codebook")
    return make()


def board_codebook() -> Codebook:
    """Chess boards: the empty square and twelve pieces (`generative.data.boards.MEN`).

    A side has one king, at most eight pawns and fifteen men beside the king; no pawn is on the first or last
    rank.
    """
    import chess

    from generative.data.boards import CELL, MEN, patterns

    light, dark = patterns().astype(np.uint8).swapaxes(0, 1)  # (13, 8, 8, 3) each
    rows = [np.concatenate(pair * 4, 2) for pair in ([light, dark], [dark, light])]
    kings, most = [], []
    never = np.zeros((len(MEN), 8, 8), bool)
    for color in (chess.WHITE, chess.BLACK):
        kings.append(MEN.index(chess.Piece(chess.KING, color)))
        pawn = MEN.index(chess.Piece(chess.PAWN, color))
        men = [i for i, man in enumerate(MEN) if man and man.color == color and i != kings[-1]]
        most += [((pawn,), 8), (tuple(men), 15)]
        never[pawn, [0, -1]] = True
    return Codebook(np.concatenate(rows * 4, 1), CELL, (kings[0], kings[1]), never, tuple(most))
