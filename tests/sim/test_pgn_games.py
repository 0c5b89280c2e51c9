"""Games of PGN files: what is read, what is refused, and in which words."""

import chess
import pytest

from sim.chess.pgn_games import PgnError, PgnFile

TWO = """[Event "first"]
[White "Müller"]

1. e4 e5 (1... c5 2. Nf3) 2. Nf3! {a comment
[%clk 1:00] with a bracket} Nc6 1-0

[Event "second"]
[White "?"]

1. d4 *
"""


def file(text):
    return PgnFile("games.pgn", text)


def refused(text, number=1):
    with pytest.raises(PgnError) as error:
        file(text).game(number)
    assert "\n" not in str(error.value)
    return str(error.value)


def test_the_main_line_is_read_without_comments_and_variations():
    games = file(TWO)
    first, second = games.game(1), games.game(2)
    assert first.sans == ("e4", "e5", "Nf3", "Nc6") and first.result == "1-0" and not first.fault
    assert first.player(chess.WHITE) == "Müller" and second.player(chess.WHITE) == "White"
    assert [move.uci() for move in second.moves] == ["d2d4"] and second.result == "*"
    assert [first.number(ply) for ply in (1, 2, 3)] == ["1.", "1…", "2."]
    assert first.positions[-1].fen == "r1bqkbnr/pppp1ppp/2n5/4p3/4P3/5N2/PPPP1PPP/RNBQKB1R w KQkq - 2 3"
    assert games.count == 2


def test_a_game_is_found_without_reading_those_after_it():
    games = file(TWO + '\n[Event "third"]\n\n1. c4 *\n')
    assert games.game(1).sans[0] == "e4" and games.count is None
    assert games.game(3).sans == ("c4",) and games.count == 3
    assert games.game(2).sans == ("d4",)


def test_windows_line_ends_are_read():
    assert file(TWO.replace("\n", "\r\n")).game(2).sans == ("d4",)


def test_a_position_of_its_own_is_begun_from():
    text = '[SetUp "1"]\n[FEN "4k3/8/8/8/8/8/4p3/R3K3 b Q - 3 40"]\n\n40... Kd7 41. O-O-O+ *\n'
    game = file(text).game(1, history=1)
    assert game.number(1) == "40…" and game.sans == ("Kd7",)
    assert "move 41, O-O-O" in game.fault  # the pawn attacks d1
    assert game.positions[0].planes().shape == (21, 8, 8)


def test_the_moves_before_a_fault_are_kept_and_the_fault_is_named():
    game = file("1. e4 e5 2. Nf3 Ke4 3. Bb5 a6 1-0").game(1)
    assert game.sans == ("e4", "e5", "Nf3") and game.fault == "move 2…, Ke4, is not legal there"
    assert "null move" in file("1. e4 -- 2. d4").game(1).fault
    assert "Nd2, is ambiguous" in file("1. Nf3 a6 2. d3 a5 3. Nd2 *").game(1).fault


def test_players_may_go_on_after_a_draw_that_nobody_claimed():
    shuffle = "Nf3 Nf6 Ng1 Ng8 " * 2
    game = file(shuffle + "e4 e5 1/2-1/2").game(1)
    assert game.sans[-2:] == ("e4", "e5") and not game.fault
    assert all(position.reason is None for position in game.positions)
    over = file('[FEN "4k3/8/8/8/8/8/4p3/4K3 w - - 0 1"]\n\n1. Kxe2 Kd7 *').game(1)
    assert over.sans == ("Kxe2",) and "insufficient material" in over.fault


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "no chess game"),
        ("hello there, this is prose", "no chess game"),
        ('[Event "x"]\n\n*\n', "has no moves"),
        ("1. Ke3 *", "move 1, Ke3, is not legal there"),
        ('[FEN "8/8/8/8/8/8/8/8 w - - 0 1"]\n\n1. e4 *', "no white king"),
        ('[FEN "nonsense"]\n\n1. e4 *', "cannot be read"),
        ('[Variant "Chess960"]\n\n1. e4 *', "Chess960"),
        ('[Variant "Atomic"]\n\n1. e4 *', "Atomic"),
    ],
)
def test_what_is_no_game_is_refused_in_a_line(text, words):
    assert words in refused(text)


def test_a_game_that_is_not_there_is_refused():
    assert "holds 2 games" in refused(TWO, 99)
    assert "there is no game 0" in refused(TWO, 0)
