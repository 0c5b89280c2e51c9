"""Moves and planes: standard perft counts, cases by hand, and fuzz against python-chess."""

import chess
import numpy as np
import pytest

from sim.chess.opponents import action_masks
from sim.chess.rules import encoding
from sim.chess.rules.game import ChessGame, observations

KIWIPETE = "r3k2r/p1ppqpb1/bn2pnp1/3PN3/1p2P3/2N2Q1p/PPPBBPPP/R3K2R w KQkq - 0 1"
PROMOTIONS = "n1n5/PPPk4/8/8/8/8/4Kppp/5N1N b - - 0 1"

# Leaves by depth, from "Perft Results", chessprogramming.org.
PERFT = {
    "initial": (chess.STARTING_FEN, [20, 400, 8902, 197281, 4865609]),
    "kiwipete": (KIWIPETE, [48, 2039, 97862, 4085603]),
    "3": ("8/2p5/3p4/KP5r/1R3p1k/8/4P1P1/8 w - - 0 1", [14, 191, 2812, 43238, 674624]),
    "4": ("r3k2r/Pppp1ppp/1b3nbN/nP6/BBP1P3/q4N2/Pp1P2PP/R2Q1RK1 w kq - 0 1", [6, 264, 9467, 422333]),
    "5": ("rnbq1k1r/pp1Pbppp/2p5/8/2B5/8/PPP1NnPP/RNBQK2R w KQ - 1 8", [44, 1486, 62379, 2103487]),
    "6": (
        "r4rk1/1pp1qppp/p1np1n2/2b1p1B1/2B1P1b1/P1NP1N2/1PP1QPPP/R4RK1 w - - 0 10",
        [46, 2079, 89890, 3894594],
    ),
}
QUICK_LEAVES = 100_000


def perft(game, depth):
    """Leaves counted as set bits of our mask, interior moves played as our actions."""
    mask = action_masks([game])[0]
    if depth == 1:
        return int(mask.sum())
    return sum(perft(game.play(action), depth - 1) for action in np.flatnonzero(mask))


@pytest.mark.parametrize("name", PERFT)
def test_perft_counts_through_mask_and_actions(name):
    fen, counts = PERFT[name]
    for depth, count in enumerate(counts, 1):
        if count <= QUICK_LEAVES:
            assert perft(ChessGame(fen), depth) == count


@pytest.mark.slow
@pytest.mark.parametrize("name", PERFT)
def test_deep_perft_counts_through_mask_and_actions(name):
    fen, counts = PERFT[name]
    for depth, count in enumerate(counts, 1):
        if count > QUICK_LEAVES:
            assert perft(ChessGame(fen), depth) == count


BY_HAND = [  # FEN, move, plane, row, column; row and column of the from-square as the mover sees it
    (chess.STARTING_FEN, "e2e4", 1, 1, 4),  # N by two
    ("rnbqkbnr/pppppppp/8/8/4P3/8/PPPP1PPP/RNBQKBNR b KQkq - 0 1", "e7e5", 1, 1, 4),
    (chess.STARTING_FEN, "b1c3", 56, 0, 1),  # knight: one right, two ahead
    ("rnbqkbnr/pppppppp/8/8/4P3/8/PPPP1PPP/RNBQKBNR b KQkq - 0 1", "g8f6", 63, 0, 6),  # one left, two ahead
    ("4k3/8/8/8/8/8/8/Q3K3 w - - 0 1", "a1g7", 7 + 5, 0, 0),  # NE by six
    ("4k3/8/8/8/8/8/8/Q3K3 w - - 0 1", "a1d1", 14 + 2, 0, 0),  # E by three
    ("q3k3/8/8/8/8/8/8/4K3 b - - 0 1", "a8g2", 7 + 5, 0, 0),
    ("4k2r/8/8/8/8/8/8/4K3 b - - 0 1", "h8h1", 6, 0, 7),  # N by seven
    ("4k3/8/7q/8/8/8/8/4K3 b - - 0 1", "h6f8", 35 + 1, 2, 7),  # SW by two
    ("4k3/8/8/8/7R/8/8/4K3 w - - 0 1", "h4h1", 28 + 2, 3, 7),  # S by three
    ("4k3/8/8/8/7R/8/8/4K3 w - - 0 1", "h4a4", 42 + 6, 3, 7),  # W by seven
    ("7k/8/8/8/Q7/8/8/4K3 w - - 0 1", "a4c2", 21 + 1, 3, 0),  # SE by two
    ("r3k2r/8/8/8/8/8/8/R3K2R w KQkq - 0 1", "e1g1", 14 + 1, 0, 4),
    ("r3k2r/8/8/8/8/8/8/R3K2R w KQkq - 0 1", "e1c1", 42 + 1, 0, 4),
    ("r3k2r/8/8/8/8/8/8/R3K2R b KQkq - 0 1", "e8g8", 14 + 1, 0, 4),
    ("r3k2r/8/8/8/8/8/8/R3K2R b KQkq - 0 1", "e8c8", 42 + 1, 0, 4),
    ("4k3/8/8/3pP3/8/8/8/4K3 w - d6 0 1", "e5d6", 49, 4, 4),  # en passant NW
    ("4k3/8/8/8/3pP3/8/8/4K3 b - e3 0 1", "d4e3", 7, 4, 3),  # en passant NE
    ("1n1n4/2P5/8/8/8/8/8/k1K5 w - - 0 1", "c7c8q", 0, 6, 2),
    ("1n1n4/2P5/8/8/8/8/8/k1K5 w - - 0 1", "c7b8q", 49, 6, 2),
    ("1n1n4/2P5/8/8/8/8/8/k1K5 w - - 0 1", "c7b8n", 64, 6, 2),
    ("1n1n4/2P5/8/8/8/8/8/k1K5 w - - 0 1", "c7c8n", 65, 6, 2),
    ("1n1n4/2P5/8/8/8/8/8/k1K5 w - - 0 1", "c7d8n", 66, 6, 2),
    ("1n1n4/2P5/8/8/8/8/8/k1K5 w - - 0 1", "c7b8b", 67, 6, 2),
    ("1n1n4/2P5/8/8/8/8/8/k1K5 w - - 0 1", "c7c8b", 68, 6, 2),
    ("1n1n4/2P5/8/8/8/8/8/k1K5 w - - 0 1", "c7d8r", 72, 6, 2),
    ("k1K5/8/8/8/8/8/7p/6N1 b - - 0 1", "h2h1q", 0, 6, 7),
    ("k1K5/8/8/8/8/8/7p/6N1 b - - 0 1", "h2g1r", 70, 6, 7),
    ("k1K5/8/8/8/8/8/7p/6N1 b - - 0 1", "h2h1b", 68, 6, 7),
]


@pytest.mark.parametrize(("fen", "uci", "plane", "row", "column"), BY_HAND)
def test_a_move_has_the_action_that_the_table_says(fen, uci, plane, row, column):
    game = ChessGame(fen)
    action = 64 * plane + 8 * row + column
    assert game.action(uci) == action
    assert encoding.move_of(action, game.board).uci() == uci
    assert action_masks([game])[0, action]
    expected = game.board
    expected.push_uci(uci)
    assert game.play(action).fen == expected.fen()


def test_castling_through_check_or_without_the_right_is_masked():
    for fen in ("4kr2/8/8/8/8/8/8/R3K2R w KQ - 0 1", "4k3/8/8/8/8/8/8/R3K2R w Q - 0 1"):
        mask = action_masks([ChessGame(fen)])[0]
        assert not mask[64 * 15 + 4]
        assert mask[64 * 43 + 4]


def test_en_passant_is_masked_a_move_later_and_where_it_would_expose_the_king():
    later = ChessGame("4k3/8/8/3pP3/8/8/8/4K3 w - - 0 1")
    pinned = ChessGame("8/8/8/K2pP2r/8/8/8/4k3 w - d6 0 1")
    for game in (later, pinned):
        assert not action_masks([game])[0, game.action("e5d6")]


def test_every_geometric_move_has_one_action_and_the_rest_leave_the_board():
    board = chess.Board("4k3/8/8/8/8/8/8/4K3 w - - 0 1")
    moves = [encoding.move_of(action, board) for action in range(encoding.ACTIONS)]
    named = [move for move in moves if move is not None]
    assert len(set(named)) == len(named) == 1792 + 22 * 3  # queen and knight moves; underpromotions
    assert all(encoding.action_of(move, chess.WHITE) == moves.index(move) for move in named[::7])


def test_the_null_move_is_no_action():
    with pytest.raises(ValueError, match="0000 is no chess move"):
        encoding.action_of(chess.Move.null(), chess.WHITE)


def naive_planes(boards, view, length):
    """The plane table read square by square, without bits: the oracle. `boards` oldest first."""
    found = np.zeros((14 * length + 7, 8, 8), np.float32)
    for age, board in enumerate(boards[::-1][:length]):
        for square, piece in board.piece_map().items():
            row = square // 8 if view else 7 - square // 8
            offset = 0 if piece.color == view else 6
            found[14 * age + offset + piece.piece_type - 1, row, square % 8] = 1
        found[14 * age + 12] = board.is_repetition(2)
        found[14 * age + 13] = board.is_repetition(3)
    now = boards[-1]
    found[-7] = not view
    found[-6] = min(now.fullmove_number, 255) / 255
    found[-5:-1] = np.array(
        [
            now.has_kingside_castling_rights(view),
            now.has_queenside_castling_rights(view),
            now.has_kingside_castling_rights(not view),
            now.has_queenside_castling_rights(not view),
        ]
    )[:, None, None]
    found[-1] = min(now.halfmove_clock, 100) / 100
    return found


def fuzz(plies):
    """Random games side by side with python-chess: moves, masks, FEN, endings and planes agree."""
    rng = np.random.default_rng(7)
    starts = [chess.STARTING_FEN, KIWIPETE, PROMOTIONS, "8/8/4k3/8/8/3QK3/8/8 b - - 80 90"]
    endings = set()
    game_number = played = 0
    while played < plies:
        game = ChessGame(starts[game_number % len(starts)], history=3)
        board = chess.Board(game.fen)
        boards = [board.copy()]
        game_number += 1
        while game.reason is None:
            check_moves(game, board, thorough=played % 60 == 0)
            if played % 12 == 0:
                expected = naive_planes(boards, board.turn, 3)
                np.testing.assert_allclose(game.planes(), expected, atol=1e-2 / 5)
                np.testing.assert_array_equal(game.planes()[:-1], expected[:-1])
            action = int(rng.choice(game.legal_actions()))
            game, move = game.play(action), encoding.move_of(action, board)
            board.push(move)
            boards.append(board.copy())
            played += 1
            assert game.fen == board.fen()
            assert game.last_move == move
            drawn = board.is_insufficient_material() or board.halfmove_clock >= 100 or board.is_repetition(3)
            over = not any(board.legal_moves) or drawn
            assert (game.reason is not None) == over, board.fen()
        assert (game.outcome() == -1) == board.is_checkmate()
        assert len(game.legal_actions()) == 0
        endings.add(game.reason)
    return endings


def check_moves(game, board, thorough):
    legal = list(board.legal_moves)
    actions = {encoding.action_of(move, board.turn): move for move in legal}
    mask = action_masks([game])[0]
    assert len(actions) == len(legal)
    assert sorted(actions) == np.flatnonzero(mask).tolist() == game.legal_actions().tolist()
    for action, move in actions.items():
        assert encoding.move_of(action, board) == move
    if thorough:
        others = (encoding.move_of(int(action), board) for action in np.flatnonzero(~mask))
        assert not set(legal) & set(others)  # not `in legal_moves`: that takes e1h1 for castling, too


def test_random_games_agree_with_python_chess():
    assert len(fuzz(800)) >= 2


@pytest.mark.slow
def test_many_random_games_agree_with_python_chess():
    assert fuzz(20_000) >= {"checkmate", "fifty moves", "insufficient material", "threefold repetition"}


def squares(plane):
    """The squares of a plane that are 1, as "column,row" in reading order."""
    return [(int(column), int(row)) for row, column in np.argwhere(plane == 1)]


def test_planes_by_hand_after_one_move_are_those_of_the_mover():
    planes = ChessGame().play(76).planes()  # 1. e4, seen by Black
    assert planes.shape == (119, 8, 8)
    assert planes.dtype == np.float32
    assert squares(planes[0]) == [(column, 1) for column in range(8)]  # Black's pawns on its second row
    assert squares(planes[5]) == [(4, 0)]  # Black's king on e8
    assert squares(planes[4]) == [(3, 0)]  # its queen on d8: files are not mirrored
    assert squares(planes[6]) == [(4, 4), *[(c, 6) for c in range(8) if c != 4]]  # White's pawns; e4 far away
    assert squares(planes[14 + 6]) == [(column, 6) for column in range(8)]  # one position ago: e2
    assert not planes[28:112].any()  # before the game there was nothing
    assert (planes[112] == 1).all()  # Black moves
    assert (planes[113] == np.float32(1 / 255)).all()
    assert (planes[114:118] == 1).all()
    assert (planes[118] == 0).all()


def test_planes_by_hand_of_an_endgame():
    game = ChessGame("8/5k2/8/8/1p6/8/6R1/R3K3 w Q - 50 60", history=1)
    planes = game.planes()
    assert planes.shape == (21, 8, 8)
    assert squares(planes[3]) == [(0, 0), (6, 1)]
    assert squares(planes[5]) == [(4, 0)]
    assert squares(planes[6]) == [(1, 3)]
    assert squares(planes[11]) == [(5, 6)]
    assert not planes[[0, 1, 2, 4, 7, 8, 9, 10, 12, 13, 14]].any()
    np.testing.assert_allclose(planes[15], 60 / 255)
    assert [plane.mean() for plane in planes[16:20]] == [0, 1, 0, 0]
    np.testing.assert_allclose(planes[20], 0.5, atol=1 / 255)


def test_repetition_planes_count_occurrences():
    game = ChessGame(history=2)
    for uci in ["g1f3", "g8f6", "f3g1", "f6g8"]:
        assert not game.planes()[[12, 13, 26, 27]].any()
        game = game.play(game.action(uci))
    assert (game.planes()[12] == 1).all()
    assert not game.planes()[13].any()
    game = game.play(game.action("g1f3"))
    planes = game.planes()
    assert (planes[[12, 26]] == 1).all()  # this position and the one before, both for the second time


def test_batched_observations_equal_single_planes():
    games = [ChessGame(fen) for fen, _ in PERFT.values()]
    batch = observations([game.packed(game.turn) for game in games], games)
    assert batch.dtype == np.uint8
    for obs, game in zip(batch, games, strict=True):
        np.testing.assert_array_equal(obs / np.float32(255), game.planes())
    first = batch[0].copy()
    batch[1] = 0
    np.testing.assert_array_equal(batch[0], first)
