"""Ends of a chess game: reasons, draws by material on bitboards, and the error of an illegal move.

Shared by both rules cores, `sim.chess.rules.game` (python-chess) and `sim.chess.rules.fast_rules`
(rust-chess). Bitboards are ints with a1 in the lowest bit, as python-chess's.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence

import chess

FIFTY_MOVES = 100  # plies
THREEFOLD_BEFORE = 2  # earlier occurrences with which a position stands for the third time

#: How a game can end by the rules.
CHECKMATE, STALEMATE, INSUFFICIENT = "checkmate", "stalemate", "insufficient material"
THREEFOLD, FIFTY = "threefold repetition", "fifty moves"


class IllegalMoveError(ValueError):
    """A move that the rules forbid in the position where it was played."""


class Terminates(ABC):
    """Base class of positions that know how their game ends; one with `turn` and a cached `_ending`."""

    __slots__ = ("_ending", "turn")

    turn: chess.Color
    _ending: str | None  # "" while it goes on, None until it is looked for

    @abstractmethod
    def _find_ending(self) -> str:
        """Reason of the game's end, or "" if it goes on."""

    def outcome(self) -> float | None:
        """−1 if the player to move is mated, 0 for a draw, None while the game goes on."""
        reason = self.reason
        if reason is None:
            return None
        return -1.0 if reason == CHECKMATE else 0.0

    @property
    def reason(self) -> str | None:
        """Reason of the game's end, such as ``"stalemate"``; None while it goes on."""
        if self._ending is None:
            self._ending = self._find_ending()
        return self._ending or None

    def to_play(self) -> int:
        """0: White moves, 1: Black."""
        return 0 if self.turn else 1


def insufficient_material(kinds: Sequence[int]) -> bool:
    """Whether no sequence of legal moves can mate because of the pieces alone (Laws of Chess 2023, 5.2.2).

    Args:
        kinds: bitboards of both sides' pawns, knights, bishops, rooks, queens, kings.
    """
    pawns, knights, bishops, rooks, queens, kings = kinds
    if pawns | rooks | queens:
        return False
    if knights:
        return (knights | bishops | kings).bit_count() <= 3
    return not bishops & chess.BB_LIGHT_SQUARES or not bishops & chess.BB_DARK_SQUARES


def refusal(action: int, move: chess.Move | None, reason: str | None, fen: str) -> str:
    """Why `action` cannot be played, in words.

    Args:
        action: any integer.
        move: that it stands for; None where it leaves the board.
        reason: of the game's end, None while it goes on.
        fen: of the position, for the message.
    """
    what = f"action {action}" if move is None else f"action {action}, {move.uci()},"
    if reason is not None:
        return f"{what} comes after the game's end by {reason}"
    why = "leaves the board" if move is None else "is not legal here"
    return f"{what} {why}: {fen}"
