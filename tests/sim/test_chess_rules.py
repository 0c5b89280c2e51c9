"""Endings, FENs and the promises of an immutable position."""

import pickle

import chess
import numpy as np
import pytest

from sim.chess.rules.game import ChessGame, IllegalMoveError, PositionError

BARE_CASTLING = "r3k2r/8/8/8/8/8/8/R3K2R w KQkq - 0 1"


def after(game, *moves):
    for uci in moves:
        assert game.reason is None
        game = game.play(game.action(uci))
    return game


def test_fools_mate_is_checkmate():
    game = after(ChessGame(), "f2f3", "e7e5", "g2g4", "d8h4")
    assert (game.reason, game.outcome(), game.to_play()) == ("checkmate", -1.0, 0)
    assert len(game.legal_actions()) == 0


def test_stalemate():
    game = after(ChessGame("7k/8/6K1/8/8/8/5Q2/8 w - - 0 1"), "f2f7")
    assert (game.reason, game.outcome()) == ("stalemate", 0.0)


SUFFICIENT = {
    "8/8/4k3/8/8/4K3/8/8 w - - 0 1": False,
    "8/8/4k3/8/8/4KB2/8/8 w - - 0 1": False,
    "8/8/4k3/8/8/4KN2/8/8 w - - 0 1": False,
    "8/5b2/4k3/8/8/4K1B1/8/8 w - - 0 1": True,  # f7 and g3: bishops on both colours, a mate exists
    "8/4b3/4k3/8/8/4K1B1/8/8 w - - 0 1": False,  # e7 and g3, both dark
    "8/8/4k3/8/8/4KNN1/8/8 w - - 0 1": True,
    "8/4n3/4k3/8/8/4KN2/8/8 w - - 0 1": True,
    "8/8/4k3/8/8/4KP2/8/8 w - - 0 1": True,
}


@pytest.mark.parametrize(("fen", "goes_on"), SUFFICIENT.items())
def test_insufficient_material(fen, goes_on):
    game = ChessGame(fen)
    assert game.reason == (None if goes_on else "insufficient material")
    assert game.outcome() == (None if goes_on else 0.0)


def test_a_capture_that_leaves_bare_kings_draws():
    assert after(ChessGame("7k/8/8/8/8/8/4r3/5K2 w - - 0 1"), "f1e2").reason == "insufficient material"


def test_the_third_occurrence_draws_at_once():
    there_and_back = ["g1f3", "g8f6", "f3g1", "f6g8"]
    game = after(ChessGame(), *there_and_back, *there_and_back[:3])
    assert game.reason is None
    game = after(game, "f6g8")
    assert (game.reason, game.outcome()) == ("threefold repetition", 0.0)


def test_other_castling_rights_are_another_position():
    cycle = ["e1e2", "e8e7", "e2e1", "e7e8"]
    game = after(ChessGame(BARE_CASTLING), *cycle, *cycle)  # the pieces stand here for the third time
    assert game.reason is None
    assert after(game, "e1e2", "e8e7").reason == "threefold repetition"  # without rights for the third time


def test_a_possible_en_passant_capture_makes_another_position():
    rounds = ["a8a7", "h1h2", "a7a8", "h2h1"] * 2  # after these the pieces stand for the third time
    possible = ChessGame("k7/8/8/8/3p4/8/4P3/7K w - - 0 1")
    assert after(possible, "e2e4", *rounds).reason is None
    impossible = ChessGame("k7/8/8/8/8/3p4/P7/7K w - - 0 1")
    assert after(impossible, "a2a4", *rounds).reason == "threefold repetition"


def test_fifty_moves_draw_at_once_unless_the_last_one_mates_or_takes():
    fen = "7k/8/6K1/8/8/8/8/R7 w - - 99 80"
    assert after(ChessGame(fen), "a1a2").reason == "fifty moves"
    assert after(ChessGame(fen), "a1a8").reason == "checkmate"
    assert after(ChessGame("r6k/8/6K1/8/8/8/8/R7 w - - 99 80"), "a1a8").reason == "checkmate"
    assert after(ChessGame("7k/p7/6K1/8/8/8/8/R7 w - - 99 80"), "a1a7").reason is None
    assert after(ChessGame("7k/8/6K1/8/8/8/8/R7 w - - 98 80"), "a1a2").reason is None


FAULTS = {
    "8/8/8/8/8/8/8/8 w - - 0 1": "no white king",
    "4k3/8/8/8/8/8/8/4K3 x - - 0 1": "cannot be read",
    "pawns": "cannot be read",
    "4k2P/8/8/8/8/8/8/4K3 w - - 0 1": "pawns on backrank",
    "4k3/8/8/8/8/8/4R3/4K3 w - - 0 1": "opposite check",
    "4k3/8/8/8/8/8/8/4K3 w K - 0 1": "bad castling rights",
    "4k3/8/8/8/8/8/8/4K3 w - e6 0 1": "invalid ep square",
    "4k3/pppppppp/p7/8/8/8/8/4K3 w - - 0 1": "too many black pawns",
}


@pytest.mark.parametrize(("fen", "fault"), FAULTS.items())
def test_an_illegal_fen_is_refused_with_what_is_wrong(fen, fault):
    with pytest.raises(PositionError, match=fault):
        ChessGame(fen)


def test_play_refuses_what_is_not_legal_and_names_it():
    game = ChessGame()
    with pytest.raises(IllegalMoveError, match="e2e5, is not legal here: rnbqkbnr/"):
        game.play(64 * 2 + 12)
    with pytest.raises(IllegalMoveError, match="action 5000"):
        game.play(5000)
    with pytest.raises(IllegalMoveError, match="leaves the board"):
        game.play(64 * 28)  # S from the first row
    over = after(game, "f2f3", "e7e5", "g2g4", "d8h4")
    with pytest.raises(IllegalMoveError, match="game's end by checkmate"):
        over.play(76)


def test_playing_changes_nothing_but_the_result():
    game = after(ChessGame(), "e2e4", "d7d5")
    before, planes = game.fen, game.planes()
    game.play(game.action("e4d5"))
    game.board.push_uci("e4d5")
    assert game.fen == before
    np.testing.assert_array_equal(game.planes(), planes)


def test_a_pickled_position_remembers_repetitions():
    game = after(ChessGame(), "g1f3", "g8f6", "f3g1", "f6g8", "g1f3", "g8f6", "f3g1")
    copy = pickle.loads(pickle.dumps(game))
    assert copy.play(copy.action("f6g8")).reason == "threefold repetition"
    np.testing.assert_array_equal(copy.planes(), game.planes())


def test_what_a_move_takes():
    game = ChessGame("4k3/8/8/2q1pP2/3P4/1n6/P7/R3K3 w Q e6 0 1")
    worth = {"d4c5": 9, "a2b3": 3, "d4e5": 1, "f5e6": 1, "a2a3": 0}
    assert {uci: game.taken(game.action(uci)) for uci in worth} == worth


def test_san_and_last_move():
    game = ChessGame()
    assert game.last_move is None
    assert game.san(game.action("g1f3")) == "Nf3"
    assert after(game, "g1f3").last_move == chess.Move.from_uci("g1f3")
