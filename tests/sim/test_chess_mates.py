"""Forced mates in one and two: known positions, and an exhaustive search beside ours."""

import chess
import numpy as np
import pytest

from sim.chess.mates import mates_in_one, mates_in_two
from sim.chess.opponents import OPPONENTS
from sim.chess.rules import ChessGame


def ucis(moves):
    return sorted(move.uci() for move in moves)


def test_known_mates():
    ladder = chess.Board("7k/R7/8/8/8/8/8/1R5K w - - 0 1")
    assert ucis(mates_in_one(ladder)) == ["b1b8"]
    # Paul Morphy's problem of 1856.
    morphy = chess.Board("kbK5/pp6/1P6/8/8/8/8/R7 w - - 0 1")
    assert ucis(mates_in_one(morphy)) == [] and ucis(mates_in_two(morphy)) == ["a1a6"]


def test_stalemate_and_mate_in_one_are_no_mates_in_two():
    stalemates = chess.Board("7k/8/8/6Q1/8/8/8/K7 w - - 0 1")  # Qg6 leaves no reply
    assert "g5g6" not in ucis(mates_in_two(stalemates))
    assert "b1b8" not in ucis(mates_in_two(chess.Board("7k/R7/8/8/8/8/8/1R5K w - - 0 1")))


def mated(board, plies):
    """Whether the side to move can mate within so many plies; plain negamax."""
    if plies == 1:
        return any(after(board, move).is_checkmate() for move in board.legal_moves)
    return any(forced(after(board, move), plies - 1) for move in board.legal_moves)


def forced(board, plies):
    replies = list(board.legal_moves)
    return bool(replies) and all(mated(after(board, reply), plies - 1) for reply in replies)


def after(board, move):
    board = board.copy(stack=False)
    board.push(move)
    return board


@pytest.mark.parametrize("seed", range(3))
def test_the_same_is_found_as_by_plain_search(seed):
    generator = np.random.default_rng(seed)
    game = ChessGame("4k3/8/8/3q4/8/1R6/R7/4K3 w - - 0 1", 1)
    compared = 0
    while game.reason is None and compared < 6:
        board = game.board
        twos = [move for move in board.legal_moves if forced(after(board, move), 2)]
        assert ucis(mates_in_two(board)) == ucis(twos)
        checks = [move for move in twos if board.gives_check(move)]
        assert ucis(mates_in_two(board, checks_only=True)) == ucis(checks)
        assert bool(mates_in_one(board)) == mated(board, 1)
        compared += 1
        game = game.play(OPPONENTS["greedy"](game, generator))
    assert compared
