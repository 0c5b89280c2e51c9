"""A game at the board: results in words, take-back, clocks, PGN out, FEN and PGN in."""

import io

import chess
import chess.pgn
import numpy as np
import pytest

from sim.chess.board.clock import ChessClock, TimeControl, TimeControlError, time_control
from sim.chess.board.notation import NotationError, read_game
from sim.chess.board.state import MoveList, arrows_of, evaluation_of, line_of, numbered, result_words
from sim.chess.board.table import TIME_FORFEIT, Ending, Table
from sim.chess.encoding import ACTIONS
from sim.chess.rules import ChessGame, IllegalMoveError
from sim.records import Decision

NAMES = {chess.WHITE: "You", chess.BLACK: "greedy"}


class Time:
    """Seconds that a test lets go by."""

    def __init__(self):
        self.now = 100.0

    def __call__(self):
        return self.now


@pytest.fixture
def at_table():
    def start(*moves, fen=chess.STARTING_FEN, control=None, colour=chess.WHITE):
        time = Time()
        table = Table(ChessGame(fen), colour, NAMES, control=control, now=time)
        table.time = time
        play(table, *moves)
        return table

    return start


def play(table, *moves):
    for uci in moves:
        table.play(table.game.action(uci))


def words(table):
    return result_words(*table.ending, table.colour, len(table.actions), white_began=table.first.turn)


def read(table):
    game = chess.pgn.read_game(io.StringIO(table.pgn("Test", {"You": "Human"})))
    assert not game.errors
    return game


@pytest.mark.parametrize(
    ("moves", "said", "result"),
    [
        (("f2f3", "e7e5", "g2g4", "d8h4"), "0–1, mate in 2 moves", "0-1"),
        (("g1f3", "g8f6", "f3g1", "f6g8") * 2, "½–½, threefold repetition", "1/2-1/2"),
    ],
)
def test_results_are_told_as_players_write_them(at_table, moves, said, result):
    table = at_table(*moves)
    assert words(table) == said and table.result == result
    assert read(table).headers["Result"] == result and read(table).headers["Termination"] == "normal"


def test_a_mate_counts_the_moves_of_whoever_mates(at_table):
    table = at_table("f2f3", "e7e5", "g2g4", "d8h4", fen=chess.STARTING_FEN, colour=chess.BLACK)
    assert words(table) == "0–1, mate in 2 moves" and table.outcome == "win"
    white = at_table("d1h5", fen="rnbqkbnr/ppppp2p/8/5pp1/4P3/8/PPPP1PPP/RNBQKBNR w KQkq - 0 3")
    assert words(white) == "1–0, mate in 1 move"
    assert result_words("", "max_plies", chess.WHITE, 9, white_began=True) == "unfinished: max plies"


def test_taken_back_moves_are_undone_and_recorded(at_table):
    table = at_table("e2e4", "e7e5", "g1f3")
    assert table.take_back(2) == 2
    assert table.game.fen == at_table("e2e4").game.fen
    play(table, "c7c5")
    game = read(table)
    assert [node.san() for node in game.mainline()] == ["e4", "c5"]
    assert game.end().comment == "taken back: e5 Nf3"
    assert table.take_back(9) == 2 and table.take_back(1) == 0
    assert table.game.fen == chess.STARTING_FEN


def test_a_move_taken_back_after_the_end_goes_on(at_table):
    table = at_table("f2f3", "e7e5", "g2g4", "d8h4")
    assert table.over and table.take_back(1) == 1 and not table.over
    table.end(Ending("1-0", "greedy resigned", "normal"))
    assert words(table) == "1–0, greedy resigned"
    with pytest.raises(IllegalMoveError):
        play(table, "d8h4")
    assert table.take_back(1) == 1 and table.result == "*"


def test_pgn_names_who_moved(at_table):
    table = at_table("e2e4")
    table.names[chess.WHITE] = "AlphaZero"
    assert read(table).headers["White"] == "Human"
    play(table, "e7e5", "d2d4")
    headers = read(table).headers
    assert headers["White"] == "Human, AlphaZero" and headers["Black"] == "greedy"
    assert headers["Event"] == "Test" and headers["TimeControl"] == "-"
    assert headers["Termination"] == "unterminated"


def test_the_clock_starts_with_the_second_move_and_adds_its_increment(at_table):
    table = at_table(control=TimeControl(60, 2))
    table.time.now += 30
    play(table, "e2e4")
    assert table.clock.left == {True: 60, False: 60}
    table.time.now += 30
    play(table, "e7e5")
    table.time.now += 10
    assert table.clock.left == {True: 50, False: 60} and table.clock.seconds_to_flag == 50
    play(table, "g1f3")
    table.time.now += 5
    assert table.clock.left == {True: 52, False: 55}
    assert table.clock.times().at(table.time.now + 5) == (52, 50)
    table.take_back(1)
    assert table.clock.left == {True: 50, False: 60}
    assert read(table).headers["TimeControl"] == "60+2"


def test_a_paused_clock_stands(at_table):
    table = at_table("e2e4", "e7e5", control=TimeControl(60, 0))
    table.time.now += 5
    table.clock.pause(True)
    table.time.now += 500
    assert table.clock.left[True] == 55 and table.clock.seconds_to_flag is None and not table.flag()
    table.clock.pause(False)
    table.time.now += 5
    assert table.clock.left[True] == 50


@pytest.mark.parametrize(
    ("fen", "moves", "result", "reason"),
    [
        (chess.STARTING_FEN, ("e2e4", "e7e5"), "0-1", "White's time is up"),
        (
            "4k3/8/8/8/8/8/4P3/4K3 b - - 0 1",
            ("e8e7", "e2e4"),
            "1-0",
            "Black's time is up",
        ),
        (
            "4k3/8/8/8/8/8/4P3/4K3 w - - 0 1",
            ("e2e4", "e8e7"),
            "1/2-1/2",
            "White's time is up, Black cannot mate",
        ),
    ],
)
def test_a_flag_that_falls_ends_the_game(at_table, fen, moves, result, reason):
    table = at_table(*moves, fen=fen, control=TimeControl(60, 0))
    table.time.now += 59.9
    assert not table.flag()
    table.time.now += 0.2
    assert table.flag() and table.result == result and table.reason == reason
    assert not table.flag() and table.termination == TIME_FORFEIT
    game = read(table)
    assert game.headers["Termination"] == "time forfeit" and game.end().comment == reason
    table.time.now += 100
    assert table.clock.times().running == -1


@pytest.mark.parametrize("text", ["5", "five", "0+3", "999+0", "5+999", "", "-5+3"])
def test_what_is_no_time_control_is_named(text):
    with pytest.raises(TimeControlError, match="no time control"):
        time_control(text)


def test_time_controls_are_minutes_and_seconds():
    assert time_control("3+2") == TimeControl(180, 2) and TimeControl(180, 0).pgn == "180"
    assert ChessClock(TimeControl(180, 2), Time()).flagged is None


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (" ", "nothing to read"),
        ("hello there", "neither a FEN nor a PGN"),
        ("8/8/8/8/8/8/8/8 w - - 0 1", "no white king"),
        ("rnbqkbnr/ppp/8/8", "cannot be read"),
        ("1. e4 e5 2. Ke4", "illegal san: 'Ke4'"),
        ('[FEN "8/8/8/8 w - - 0 1"]\n\n1. e4', "expected 8 rows"),
        ('[FEN "8/8/8/8/8/8/8/8 w - - 0 1"]\n[SetUp "1"]\n\n*', "no white king"),
        ('[Variant "Crazyhouse"]\n\n1. e4', "chess variant"),
        ("x" * 200_001, "too long"),
    ],
)
def test_what_cannot_be_read_is_told_in_a_line(text, why):
    with pytest.raises(NotationError, match=why) as caught:
        read_game(text)
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 220


def test_a_pgn_comes_back_as_it_went(at_table):
    table = at_table("e2e4", "c7c5", "f1b5")
    found = read_game(table.pgn())
    assert found.actions == tuple(table.actions) and found.names == ("You", "greedy")
    typed = read_game('[White "A"] [Black "?"] 1. e4 c5 *')
    assert len(typed.actions) == 2 and typed.names == ("A", "")
    fen = "4k3/8/8/8/8/8/8/4K2R w K - 0 1"
    assert read_game(f"  {fen}\n") == (fen, (), ("", ""))


def decision(game, visits, **fields):
    row = np.zeros((1, ACTIONS), np.int64)
    for uci, count in visits.items():
        row[0, game.action(uci)] = count
    return Decision(np.array([game.action(next(iter(visits)))]), visits=row, **fields)


def test_evaluation_is_whites_whoever_moves():
    white = ChessGame()
    black = white.play(white.action("e2e4"))
    wdl = np.array([[0.5, 0.3, 0.2]])
    found = evaluation_of(decision(white, {"e2e4": 8}, wdl=wdl), white, outcome_values=True)
    assert found[:3] == (0.5, 0.3, 0.2) and found.score == pytest.approx(0.65)
    assert found.source == "search, 8 visits"
    found = evaluation_of(decision(black, {"e7e5": 1}, wdl=wdl), black, outcome_values=True)
    assert found[:3] == (0.2, 0.3, 0.5) and found.source == "search, 1 visit"
    value = Decision(np.array([0]), value=np.array([-0.5], np.float32))
    assert evaluation_of(value, white, outcome_values=True)[:3] == (0.25, 0.0, 0.75)
    assert evaluation_of(value, white, outcome_values=False) is None, "pawns are no probability"
    assert evaluation_of(None, white, outcome_values=True) is None


def test_arrows_are_the_three_most_visited_moves():
    game = ChessGame()
    visits = {"e2e4": 50, "d2d4": 30, "g1f3": 15, "a2a3": 5}
    found = arrows_of(decision(game, visits), game)
    assert [(a.start, a.end, a.visits) for a in found] == [
        (chess.E2, chess.E4, 50),
        (chess.D2, chess.D4, 30),
        (chess.G1, chess.F3, 15),
    ]
    assert found[0].share == pytest.approx(0.5)
    assert arrows_of(Decision(np.array([0])), game) == ()
    assert len(arrows_of(decision(game, {"e2e4": 1}), game)) == 1


def test_a_line_is_san_with_numbers_and_stops_at_what_is_not_legal():
    game = ChessGame()
    actions, after = [], game
    for uci in ("e2e4", "e7e5", "g1f3"):
        actions.append(after.action(uci))
        after = after.play(actions[-1])
    line = (*actions, 4671)
    assert line_of(decision(game, {"e2e4": 1}, lines=(line,)), game) == "1. e4 e5 2. Nf3"
    assert line_of(Decision(np.array([0])), game) == ""
    assert numbered(["Kd2"], 7, black_begins=True) == "7… Kd2"


def test_the_move_list_keeps_the_moment_of_each_move_and_forgets_what_was_taken_back(at_table):
    table, moves = at_table("e2e4", "e7e5"), MoveList()
    assert moves.update(table.first, table.actions, 4) == (("e4", 4), ("e5", 4))
    play(table, "g1f3")
    assert moves.update(table.first, table.actions, 5)[-1] == ("Nf3", 5)
    table.take_back(2)
    play(table, "c7c5")
    assert [move.san for move in moves.update(table.first, table.actions, 9)] == ["e4", "c5"]
