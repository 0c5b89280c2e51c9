"""Reward of a continuation of a chess game, for the side to move at its start, by fixed rules.

| what happens | reward |
|---|---|
| an illegal move of that side | `ILLEGAL`, whatever came before |
| it mates, it is mated | `MATE`, −`MATE` |
| else | how far its material balance has risen, in pawns: 3 for knight and bishop, 5, 9 |
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import chess

VALUES = (1, 3, 3, 5, 9)  # of pawn, knight, bishop, rook and queen
ILLEGAL, MATE = -5.0, 10.0


def material_balance(board: chess.Board, side: bool) -> int:
    """What `side` has more than the other side, in pawns."""
    return sum(
        value * (len(board.pieces(kind, side)) - len(board.pieces(kind, not side)))
        for kind, value in enumerate(VALUES, 1)
    )


def continuation_reward(board: chess.Board, side: bool, before: int, *, legal: bool) -> float:
    """Reward of a continuation; see the module.

    Args:
        board: after the last legal move.
        side: True is white.
        before: its material balance at the start.
        legal: whether all its moves were.
    """
    if not legal:
        return ILLEGAL
    if board.is_checkmate():
        return -MATE if board.turn == side else MATE
    return float(material_balance(board, side) - before)
