"""Chess family: generated boards, decoded to FEN, checked for legality, used as initial states."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from scenes.data.families.family import Decoded, WorldFamily
from sim.records import Array

ENLARGED = 4  # times the size of the data's pictures


def world_of(data: str) -> str | None:
    """``chess`` for ``boards``."""
    return "chess" if data.partition("/")[0] == "boards" else None


def decode(variant: str, values: Array) -> list[Decoded]:
    """FEN of each picture, and whether such a position is legal."""
    from generative.data.boards import read_board
    from generative.metrics.truth import board_is_legal

    percepts = [read_board(rgb) for rgb in values]
    legal = [board_is_legal(percept) for percept in percepts]
    return [
        Decoded(f"{percept.fen}", holds, "legal" if holds else "not legal")
        for percept, holds in zip(percepts, legal, strict=True)
    ]


def positions(variant: str, values: Array, seed: int) -> Iterator[str]:
    """FENs of the boards that pictures show, White to move."""
    from generative.data.boards import read_board

    for rgb in values:
        yield f"{read_board(rgb).fen} w - - 0 1"


def enlarge(values: Array) -> Array:
    """Boards (n, 64, 64, 3) at four times their size, each piece drawn for that size.

    A picture that is not exactly a drawn board, such as a blurred one, is enlarged as it is.
    """
    return np.stack([_enlarged(rgb) for rgb in values]) if len(values) else values


def _enlarged(rgb: Array) -> Array:
    import chess

    from generative.data.boards import STYLE, draw_position, read_board
    from sim.chess.diagrams.draw import draw_board

    board = chess.Board(None)
    board.set_board_fen(read_board(rgb).fen or "")
    if np.array_equal(draw_position(board), rgb):
        return draw_board(board, ENLARGED * len(rgb), check=False, style=STYLE)
    return rgb.repeat(ENLARGED, 0).repeat(ENLARGED, 1)


FAMILY = WorldFamily(
    world_of,
    decode,
    positions,
    enlarge=enlarge,
    states_from="chess takes boards",
    verdict_names=("legal", "not legal"),
    views="games of unseen seeds between built-in players, in colours that were not learned from",
)
