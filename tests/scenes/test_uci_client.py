"""The UCI engine as a process: a real chess program's client (python-chess), start and end."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time

import chess
import chess.engine
import pytest
from uci_clock_games import clock_game, engine
from uci_engines import MATE_IN_ONE

PLAYFIELD = [sys.executable, "-c", "import sys; from scenes.cli.main import entry; entry()"]
UCI = [*PLAYFIELD, "uci", "chess-kqk", "--device", "cpu"]


@pytest.fixture(scope="module")
def program():
    """The engine as a chess program sees it."""
    command = [*UCI, "--set", "agent.num_considered=64"]
    with chess.engine.SimpleEngine.popen_uci(command, timeout=120) as engine:
        yield engine


def test_a_chess_program_plays_a_game_with_it(program):
    board = chess.Board(MATE_IN_ONE)
    result = program.play(board, chess.engine.Limit(nodes=200), info=chess.engine.INFO_ALL)
    assert board.san(result.move) == "Ra8#"
    assert result.info["nodes"] == 200 and result.info["score"].white() == chess.engine.Mate(1)
    assert result.info["pv"][0] == result.move
    board = chess.Board()
    for _ in range(6):
        board.push(program.play(board, chess.engine.Limit(nodes=4)).move)  # raises for an illegal move
    assert program.id["name"].startswith("Playfield ") and "alphazero" in program.id["name"]


def test_movetime_is_kept_and_an_endless_search_ends_when_it_is_told_to(program):
    began = time.monotonic()
    program.play(chess.Board(), chess.engine.Limit(time=0.5))
    assert 0.2 < time.monotonic() - began < 3
    with program.analysis(chess.Board()) as analysis:
        assert next(info["nodes"] for info in analysis if "nodes" in info) > 1
        began = time.monotonic()
        analysis.stop()
        best = analysis.wait()
    assert best.move in chess.Board().legal_moves and time.monotonic() - began < 1


def test_only_the_moves_that_are_asked_for_are_searched(program):
    board = chess.Board(MATE_IN_ONE)
    only = [chess.Move.from_uci("h1g1"), chess.Move.from_uci("h1g2")]
    for nodes in (1, 60):
        assert program.play(board, chess.engine.Limit(nodes=nodes), root_moves=only).move in only


def test_the_number_of_simulations_is_an_option(program):
    program.configure({"Simulations": 7})
    with program.analysis(chess.Board(), chess.engine.Limit(mate=1)) as analysis:
        analysis.wait()
    assert analysis.info["nodes"] == 7


def test_the_options_have_their_types_and_bounds(program):
    options = program.options
    assert (options["MultiPV"].type, options["MultiPV"].min, options["MultiPV"].max) == ("spin", 1, 218)
    assert (options["UCI_Elo"].type, options["UCI_Elo"].default) == ("spin", 1200)
    assert options["UCI_ShowWDL"].type == "check" and options["UCI_ShowWDL"].default is False
    assert options["Clear Hash"].type == "button" and options["Temperature"].type == "string"
    program.configure({"Clear Hash": None, "Temperature": "0.5", "Move Overhead": 10})
    program.configure({"Temperature": "0"})


def test_several_variations_with_win_draw_loss(program):
    board = chess.Board("8/8/8/8/8/2k5/8/KQ6 w - - 0 1")
    program.configure({"UCI_ShowWDL": True})
    lines = program.analyse(board, chess.engine.Limit(nodes=100), multipv=4)
    assert len({line["pv"][0] for line in lines}) == 4
    assert [line["multipv"] for line in lines] == [1, 2, 3, 4]
    assert all(line["wdl"].relative.total() == 1000 and line["seldepth"] >= line["depth"] for line in lines)
    everything = program.analyse(board, chess.engine.Limit(nodes=100), multipv=100)
    assert len(everything) == board.legal_moves.count()


def test_it_ponders_with_a_program(program):
    board = chess.Board()
    limit = chess.engine.Limit(white_clock=20, black_clock=20, white_inc=0.1, black_inc=0.1)
    for guess_right in (True, False):
        result = program.play(board, limit, ponder=True)
        board.push(result.move)
        replies = list(board.legal_moves)
        guess = result.ponder if guess_right and result.ponder else replies[-1]
        board.push(guess)
        assert program.play(board, limit).move in board.legal_moves
        board = chess.Board()


def test_a_game_in_which_strength_is_limited(program):
    program.configure({"UCI_LimitStrength": True, "UCI_Elo": 700})
    board = chess.Board()
    for _ in range(4):
        result = program.play(board, chess.engine.Limit(time=5), info=chess.engine.INFO_ALL)
        assert result.info["nodes"] <= 2
        board.push(result.move)
    program.configure({"UCI_LimitStrength": False})


def test_it_introduces_itself_before_anything_heavy_is_imported():
    script = """
import sys, json
from scenes.cli.main import main
from scenes.uci import command
heard = []
def lines():
    yield "uci"
    yield "setoption name MultiPV value 2"
    heard.extend(name for name in ("torch", "chess", "gymnasium") if name in sys.modules)
command.stdin_lines = lines
main(["uci", "chess-kqk"])
print(json.dumps(heard))
"""
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=120, check=True
    )
    told = done.stdout.splitlines()
    assert "uciok" in told and json.loads(told[-1]) == [] and done.stderr == ""


@pytest.mark.slow  # it starts three processes
@pytest.mark.parametrize("end", ["quit", "eof", "sigterm", "pipe"])
def test_it_ends_with_its_client(end):
    program = subprocess.Popen(
        UCI, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    program.stdin.write("isready\nposition startpos\ngo infinite\n")
    program.stdin.flush()
    while "info depth" not in program.stdout.readline():
        pass
    began = time.monotonic()
    if end == "quit":
        program.stdin.write("quit\n")
        program.stdin.flush()
    elif end == "eof":
        program.stdin.close()
    elif end == "sigterm":
        program.send_signal(signal.SIGTERM)
    else:
        program.stdout.close()
        time.sleep(1)
        program.stdin.write("isready\n")
        program.stdin.flush()
    code = program.wait(30)
    assert time.monotonic() - began < 10
    assert code == (130 if end == "sigterm" else 0)
    assert "Traceback" not in program.stderr.read()
    for stream in (program.stdin, program.stdout, program.stderr):
        try:
            stream.close()
        except BrokenPipeError:
            pass


@pytest.mark.slow
def test_games_on_a_short_clock_are_not_lost_on_time():
    """Two of them; `uci_clock_games` plays a hundred."""
    with engine("chess-kqk") as black, engine("chess-kqk") as white:
        for _ in range(2):
            game = clock_game((black, white), 5.0, 0.05, plies=80)
            assert game.least > 0 and game.plies > 20
