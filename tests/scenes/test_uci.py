"""The UCI engine: every command by hand, and clients that go away."""

from __future__ import annotations

import os
import signal
import sys
import threading
from io import StringIO

import chess
import pytest
from uci_engines import MATE_IN_ONE, Told, answers, engine_of, search_engine

from agents.alphazero.train import AlphaZero
from agents.random import Random
from scenes.cli.main import entry, main
from scenes.schema import load_scene
from scenes.signals import sigterm_as_ctrl_c
from scenes.uci.command import serve
from scenes.uci.player import PolicyOnly


def test_it_introduces_itself_and_is_ready():
    told = answers("uci", "isready")
    assert told[0].startswith("id name ") and told[-2:] == ["uciok", "readyok"]
    assert "option name Simulations type spin default 8 min 1 max 1000000" in told


def test_a_game_is_followed_move_by_move():
    looks_everywhere = AlphaZero(network="board32", num_simulations=64, num_considered=64)
    told = answers("position startpos moves f2f3 e7e5 g2g4", "go", agent=looks_everywhere)
    assert told.moves() == ["d8h4"], "fool's mate, which is there after these three moves alone"
    assert answers("position startpos moves f2f3 e7e5", "go searchmoves g2g4").moves() == ["g2g4"]


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("setoption name Hash value 64", 'there is no option "Hash"; there are Simulations, MultiPV'),
        ("setoption name Simulations value 0", "Simulations must be in 1…1000000, not 0"),
        ("castle", "unknown command: castle"),
    ],
)
def test_what_is_wrong_is_told_and_changes_nothing(line, words):
    told = answers(f"position fen {MATE_IN_ONE}", line, "go searchmoves a1a8")
    assert [text for text in told if text.startswith("info string") and words in text], told
    assert told.moves() == ["a1a8"]


@pytest.mark.parametrize("agent", [None, Random()])
@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("position startpos moves e2e5", "position: e2e5 is not legal in"),
        ("position startpos moves e2e4 nonsense", "position: "),
        ("position fen 8/8/8/8/8/8/8/8 w - - 0 1", "is no legal position"),
        ("position", "startpos or fen is missing"),
    ],
)
def test_after_a_refused_position_there_is_no_move_until_one_is_understood(line, words, agent):
    """A move from the position before, or from half of this one, would be illegal to the program."""
    told = answers(
        f"position fen {MATE_IN_ONE}", line, "go searchmoves a1a8", "go nodes 3", "position startpos", "go",
        agent=agent,
    )  # fmt: skip
    assert [text for text in told if text.startswith("info string") and words in text], told
    assert told.moves()[:2] == ["0000", "0000"]
    assert chess.Move.from_uci(told.moves()[2]) in chess.Board().legal_moves
    assert "info string go: the position is not known: the last one was refused" in told


@pytest.mark.parametrize("agent", [None, Random()])
@pytest.mark.parametrize(
    ("line", "words", "moves"),
    [
        ("go nodes many searchmoves a1a8", 'nodes wants a whole number, not "many"', ["a1a8"]),
        ("go nodes 3 searchmoves e2e5 a1a8 nonsense", "is not legal in", ["a1a8"]),
        ("go searchmoves e2e5", "is not legal in", ["0000"]),
    ],
)
def test_every_go_is_answered_and_what_is_wrong_in_it_left_out(line, words, moves, agent):
    told = answers(f"position fen {MATE_IN_ONE}", line, agent=agent)
    assert [text for text in told if text.startswith("info string go: ") and words in text], told
    assert told.moves() == moves


@pytest.mark.parametrize("fen", ["R5k1/5ppp/8/8/8/8/8/7K b - - 0 1", "7k/8/8/8/8/8/8/7K w - - 0 1"])
def test_an_endless_search_of_an_ended_game_waits_to_be_stopped(fen):
    def lines():
        yield f"position fen {fen}"
        yield "go infinite"
        assert not engine.wait(0.05)
        before.extend(told.moves())
        yield "stop"

    told, before = Told(), []
    engine = search_engine(told.append, Random())
    engine.run(lines())
    assert before == [] and len(told.moves()) == 1


def broken_pipe(after):
    """A program that goes away after so many lines."""
    said = []

    def say(line):
        if len(said) == after:
            raise BrokenPipeError
        said.append(line)

    return say, said


@pytest.mark.parametrize(
    ("agent", "command"),
    [
        (AlphaZero(network="board32", num_simulations=8), "go"),
        (AlphaZero(network="board32"), "go infinite"),
        (AlphaZero(network="board32"), "go nodes 1000000"),
        (Random(), "go"),
    ],
)
def test_a_program_that_dies_in_a_search_ends_it_without_a_word(agent, command):
    def lines():
        yield command
        assert engine.wait(30), "it does not search for nobody"
        yield "go"
        raise AssertionError("it reads on")

    say, said = broken_pipe(after=0)
    engine = search_engine(say, agent)
    engine.run(lines())
    assert said == []


def test_a_program_that_dies_leaves_no_traceback(monkeypatch, capfd):
    """What the engine still has to say goes into a pipe that nobody reads."""
    reading, writing = os.pipe()
    os.close(reading)
    monkeypatch.setattr(sys, "argv", ["playfield", "uci", "chess-kqk", "--device", "cpu"])
    monkeypatch.setattr(sys, "stdin", StringIO("position startpos\ngo nodes 1000000\n"))
    with os.fdopen(writing, "w") as stdout:
        monkeypatch.setattr(sys, "stdout", stdout)
        with pytest.raises(SystemExit) as ended:
            entry()
    assert ended.value.code == 0 and capfd.readouterr().err == ""


def test_a_broken_checkpoint_is_told_to_the_client_and_ends_with_1(tmp_path, monkeypatch, capfd):
    (tmp_path / "card.toml").write_text("kind = [")
    monkeypatch.setattr(sys, "argv", ["playfield", "uci", "chess-kqk", "--checkpoint", str(tmp_path)])
    monkeypatch.setattr(sys, "stdin", StringIO("uci\nposition startpos\ngo\n"))
    with pytest.raises(SystemExit) as ended:
        entry()
    out, err = capfd.readouterr()
    told = out.splitlines()
    assert "uciok" in told and any(line.startswith("info string ") and "card.toml" in line for line in told)
    assert ended.value.code == 1 and len(err.splitlines()) == 1 and "Traceback" not in err


def test_sigterm_ends_a_search(capsys):
    def lines():
        yield "position startpos"
        yield "go infinite"
        signal.raise_signal(signal.SIGTERM)

    with pytest.raises(KeyboardInterrupt), sigterm_as_ctrl_c():
        serve(load_scene("chess-kqk"), device="cpu", checkpoint=None, lines=lines())
    assert capsys.readouterr().out.splitlines()[-1].startswith("bestmove ")


def test_unknown_words_before_a_command_are_skipped():
    assert answers("joho isready") == ["readyok"]


def test_an_ended_game_has_no_move_and_a_drawn_one_goes_on():
    assert answers("position fen R5k1/5ppp/8/8/8/8/8/7K b - - 0 1", "go").moves() == ["0000"]
    shuffle = " ".join(["g1f3", "g8f6", "f3g1", "f6g8"] * 3)
    assert answers(f"position startpos moves {shuffle}", "go").moves() != ["0000"]
    fifty = "7k/8/8/8/8/8/R7/1R5K w - - 120 90"
    assert answers(f"position fen {fifty}", "go").moves() != ["0000"]
    dead = "7k/8/8/8/8/8/8/7K w - - 0 1"
    assert (
        chess.Move.from_uci(answers(f"position fen {dead}", "go").moves()[0]) in chess.Board(dead).legal_moves
    )


def test_it_ponders_until_the_move_is_played():
    def lines():
        yield f"position fen {MATE_IN_ONE}"
        yield "go ponder nodes 5"
        seen.append(moved.wait(0.1))  # five nodes take a hundredth of that
        yield "ponderhit"
        seen.append(moved.wait(10))

    def say(line):
        told.append(line)
        if line.startswith("bestmove"):
            moved.set()

    told, seen, moved = Told(), [], threading.Event()
    search_engine(say).run(lines())
    assert seen == [False, True] and len(told.moves()) == 1


def test_an_agent_that_does_not_search_answers_too():
    told = answers("uci", "go", agent=Random())
    assert chess.Move.from_uci(told.moves()[0]) in chess.Board().legal_moves
    assert not any("Simulations" in line for line in told)
    only = answers("go searchmoves e2e4", agent=Random())
    assert only.moves() == ["e2e4"]


def test_a_search_that_breaks_down_still_answers():
    class Broken:
        def act(self, *_, **__):
            raise RuntimeError("no idea")

    told = Told()
    engine_of(PolicyOnly(Broken(), history=1), told.append).run(["go"])
    assert "info string the search failed: RuntimeError: no idea" in told
    assert len(told.moves()) == 1


def test_a_scene_without_chess_is_refused(capsys):
    assert main(["uci", "cartpole"]) == 2
    assert "a UCI engine plays chess, and this scene plays gym/CartPole-v1" in capsys.readouterr().err


def test_an_agent_that_learned_from_captures_tells_pawns(capsys):
    lines = ["position fen 4k3/8/8/8/8/8/8/QQQQKQQQ w - - 0 1", "go"]
    serve(load_scene("chess-captures"), device="cpu", checkpoint=None, lines=lines)
    told = capsys.readouterr().out
    assert 0 < abs(int(told.split(" cp ")[1].split()[0])) < 5000
