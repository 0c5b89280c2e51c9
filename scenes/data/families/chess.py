"""Chess family: generated boards, decoded to FEN, checked for legality, used as initial states."""

from __future__ import annotations

from collections.abc import Iterator

from scenes.data.families.family import Decoded, WorldFamily
from sim.records import Array


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


FAMILY = WorldFamily(
    world_of,
    decode,
    positions,
    states_from="chess takes boards",
    views="games of unseen seeds between built-in players, in colours that were not learned from",
)
