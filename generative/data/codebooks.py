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
    """

    pictures: Array
    cell: int
    once: tuple[int, int]


@cache
def codebook(name: str) -> Codebook:
    """The codebook of that name.

    Raises:
        UnknownNameError: if there is none, with the nearest names.
    """
    make: Callable[[], Codebook] = load(CODEBOOKS, name, "codebook")
    return make()


def board_codebook() -> Codebook:
    """Chess boards: the empty square and twelve pieces (`generative.data.boards.MEN`), with a king a side."""
    import chess

    from generative.data.boards import CELL, MEN, patterns

    light, dark = patterns().astype(np.uint8).swapaxes(0, 1)  # (13, 8, 8, 3) each
    rows = [np.concatenate(pair * 4, 2) for pair in ([light, dark], [dark, light])]
    kings = [MEN.index(chess.Piece(chess.KING, color)) for color in (chess.WHITE, chess.BLACK)]
    return Codebook(np.concatenate(rows * 4, 1), CELL, (kings[0], kings[1]))
