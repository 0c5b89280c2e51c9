"""Openings of chess matches from the book of master games, as `agents.evaluation.paired_match` plays them."""

from __future__ import annotations

import chess

from agents.evaluation.paired_match import Opening
from sim.chess.rules.encoding import action_of
from sim.chess.rules.game import ChessGame
from supervised.data.sources.chess_games.chess_openings import drawn_openings


def book_openings(pairs: int, seed: int, history: int, rival_history: int | None = None) -> list[Opening]:
    """So many lines of the book in random order, different ones as far as it goes.

    Args:
        pairs: how many.
        seed: of the order.
        history: positions in the planes of the first player.
        rival_history: the same of the second one; None: `history`.

    >>> opening, other = book_openings(2, seed=0, history=1)
    >>> len(opening.actions), opening.start.fen == other.start.fen, opening.actions != other.actions
    (8, True, True)
    """
    start = ChessGame(history=history)
    seen = None if rival_history in (None, history) else ChessGame(history=rival_history)
    lines = (
        tuple(action_of(chess.Move.from_uci(uci), ply % 2 == 0) for ply, uci in enumerate(line))
        for line in drawn_openings(pairs, seed)
    )
    return [Opening(start, line, seen) for line in lines]
