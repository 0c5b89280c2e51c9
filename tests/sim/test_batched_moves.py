"""Legal moves of many positions at once: those of python-chess, position by position."""

from __future__ import annotations

import chess
import numpy as np
import pytest

from sim.chess.rules.batched_moves import Sides, legal_planes, padded_actions
from sim.chess.rules.encoding import action_of

#: Pins along every line, double checks, castling out of, through and into attack, en passant that is pinned
#: along the row or the diagonal or answers a check, and promotions by taking.
POSITIONS = [
    "r3k2r/p1ppqpb1/bn2pnp1/3PN3/1p2P3/2N2Q1p/PPPBBPPP/R3K2R w KQkq - 0 1",
    "8/2p5/3p4/KP5r/1R3p1k/8/4P1P1/8 w - - 0 1",
    "r3k2r/Pppp1ppp/1b3nbN/nP6/BBP1P3/q4N2/Pp1P2PP/R2Q1RK1 w kq - 0 1",
    "rnbq1k1r/pp1Pbppp/2p5/8/2B5/8/PPP1NnPP/RNBQK2R w KQ - 1 8",
    "8/8/8/K2pP2r/8/8/8/7k w - d6 0 1",
    "8/8/8/2k5/3Pp3/8/8/4K2B b - d3 0 1",
    "8/8/8/8/k2Pp2Q/8/8/4K3 b - d3 0 1",
    "8/8/4k3/8/2pP4/8/B7/4K3 b - d3 0 1",
    "4k3/8/8/2ppP3/4K3/8/8/8 w - d6 0 2",
    "rnb1kbnr/pppp1ppp/8/4p3/5PPq/8/PPPPP2P/RNBQKBNR w KQkq - 1 3",
    "4k3/8/4r3/8/8/3n4/8/R3K2R w KQ - 0 1",
    "4k3/8/8/8/1b6/8/3N4/R3K2R w KQ - 0 1",
    "5k2/8/8/8/8/8/5r2/R3K2R w KQ - 0 1",
    "3rk3/8/8/8/8/8/8/R3K2R w KQ - 0 1",
    "1r2k3/8/8/8/8/8/8/R3K2R w KQ - 0 1",
    "r3k2r/8/8/8/8/8/8/1R2K1R1 b kq - 0 1",
    "rn2k1nr/P6P/8/8/8/8/p6p/RN2K1NR w - - 0 1",
    "rn2k1nr/P6P/8/8/8/8/p6p/RN2K1NR b - - 0 1",
    "4k3/4r3/8/b6q/8/2P1R1P1/3PPP2/r2QKB1q w - - 0 1",
]


def planes_of(boards):
    """`legal_planes` of boards, each seen from its mover's side."""

    def seen(board, squares):
        return squares if board.turn else chess.flip_vertical(squares)

    def pieces(board, color):
        return [seen(board, board.pieces_mask(kind, color)) for kind in chess.PIECE_TYPES]

    mine = np.array([pieces(board, board.turn) for board in boards], np.uint64)
    theirs = np.array([pieces(board, not board.turn) for board in boards], np.uint64)
    rights = [
        (board.has_kingside_castling_rights(board.turn), board.has_queenside_castling_rights(board.turn))
        for board in boards
    ]
    squares = [0 if board.ep_square is None else seen(board, 1 << board.ep_square) for board in boards]
    return legal_planes(Sides(mine, theirs), np.array(rights), np.array(squares, np.uint64))


def check(boards):
    """Compare with python-chess; returns how many moves there were."""
    legal, mask = padded_actions(planes_of(boards), 32)
    assert legal.shape[1] % 32 == 0 and not legal[~mask].any()
    for board, actions, own in zip(boards, legal, mask, strict=True):
        assert actions[own].tolist() == sorted(action_of(move, board.turn) for move in board.legal_moves), (
            board.fen()
        )
    return int(mask.sum())


def test_difficult_positions_and_all_that_follow_them():
    boards = []
    for fen in POSITIONS:
        board = chess.Board(fen)
        assert board.is_valid(), fen
        boards.append(board)
        for move in board.legal_moves:
            boards.append(board.copy(stack=False))
            boards[-1].push(move)
    assert len(boards) > 300
    check(boards)


@pytest.mark.parametrize("seed", range(3))
def test_games_of_random_moves(seed):
    generator = np.random.default_rng(seed)
    boards = []
    while len(boards) < 700:
        board = chess.Board()
        while not board.is_game_over() and len(board.move_stack) < 200:
            boards.append(board.copy(stack=False))
            moves = list(board.legal_moves)
            board.push(moves[generator.integers(len(moves))])
        boards.append(board.copy(stack=False))
    assert check(boards) > 10 * len(boards)


def test_mated_and_stalemated_sides_have_no_moves():
    boards = [chess.Board("7k/5Q2/6K1/8/8/8/8/8 b - - 0 1"), chess.Board("R5k1/5ppp/8/8/8/8/8/K7 b - - 0 1")]
    assert not planes_of(boards).any()
    legal, mask = padded_actions(planes_of(boards), 32)
    assert legal.shape == (2, 32) and not mask.any()


def test_most_moves_of_any_known_position_fit():
    board = chess.Board("R6R/3Q4/1Q4Q1/4Q3/2Q4Q/Q4Q2/pp1Q4/kBNN1KB1 w - - 0 1")  # 218 (Petrović 1964)
    legal, mask = padded_actions(planes_of([board]), 32)
    assert mask.sum() == 218 and legal.shape == (1, 224)
