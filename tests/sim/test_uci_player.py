"""UCI engines as players: names, strength, and engines that die, hang or cheat."""

import os
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from sim.catalog import make_world, make_worlds
from sim.chess import uci_player
from sim.chess.opponents import Forfeit
from sim.chess.rules.game import ChessGame
from sim.chess.uci_player import (
    NODES,
    EngineFaultError,
    EngineNameError,
    EngineSpec,
    MissingEngineError,
    UciPlayer,
    engine_spec,
    find_stockfish,
    is_engine_name,
)

FAKE = Path(__file__).parent.parent / "fake_engine.py"


def fake(mode, at=1, **options):
    """A player whose engine misbehaves from its move `at` on."""
    spec = EngineSpec(f"fake {mode}", (sys.executable, str(FAKE), mode, str(at)))
    return UciPlayer(spec, timeout=options.pop("timeout", 10.0), **options)


def running(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


@pytest.fixture(scope="module")
def stockfish():
    try:
        find_stockfish()
    except MissingEngineError as error:
        pytest.skip(str(error))


def test_names_say_strength_and_limit():
    assert engine_spec("stockfish") == EngineSpec("stockfish", None, (), NODES)
    assert engine_spec("stockfish:20").options == (("Skill Level", 20),)
    elo = engine_spec("stockfish:elo=1350@movetime=50")
    assert elo.options == (("UCI_LimitStrength", True), ("UCI_Elo", 1350))
    assert (elo.nodes, elo.movetime, elo.limit) == (None, 0.05, "50 ms")
    other = engine_spec('uci:"/a b/engine" -x @home@nodes=7')
    assert other.command == ("/a b/engine", "-x", "@home") and other.nodes == 7
    assert not is_engine_name("stockfishes") and not is_engine_name("scene:uci:x")


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("stockfish:99", "0…20"),
        ("stockfish:-1", "0…20"),
        ("stockfish:", "0…20"),
        ("stockfish:elo=strong", "elo=1350"),
        ("stockfish:3@nodes=0", "@nodes=N"),
        ("stockfish@depth=3", "@movetime=MILLISECONDS"),
        ("uci:", "names no program"),
        ('uci:"open', "no closing quotation"),
    ],
)
def test_a_name_that_cannot_be_is_refused_with_what_can(name, words):
    with pytest.raises(EngineNameError, match=words):
        engine_spec(name)


def test_a_missing_engine_is_told_with_what_installs_it(monkeypatch):
    monkeypatch.setattr(uci_player.shutil, "which", lambda name: None)
    monkeypatch.delenv("STOCKFISH", raising=False)
    with pytest.raises(MissingEngineError, match="apt install stockfish"):
        UciPlayer(engine_spec("stockfish")).start()
    monkeypatch.setenv("STOCKFISH", "/opt/none")
    with pytest.raises(MissingEngineError, match="STOCKFISH=/opt/none is no program"):
        find_stockfish()
    with pytest.raises(MissingEngineError, match="there is no program /none"):
        UciPlayer(engine_spec("uci:/none")).start()


def test_the_engine_is_told_every_move_of_a_game():
    with fake("babble") as player:
        player.start()
        assert player.title == "Fake 1.0, 5,000 nodes"
        game, other = ChessGame(), ChessGame("4k3/8/8/8/8/8/8/R3K3 w - - 0 1")
        for reply in ("e7e5", "g8f6"):
            own, away = player.reply([game, other], ())
            assert own == min(game.moves, key=lambda action: game.moves[action].uci())
            game, other = game.play(own), other.play(away)
            game, other = game.play(game.action(reply)), other.play(min(other.moves))
        player.reply([game], ())
        boards = list(player._boards.values())
        assert [len(board.move_stack) for board in boards] == [3, 5]  # one of each game: old ones have gone


@pytest.mark.parametrize(
    ("mode", "words"),
    [
        ("dies", "died in mid-game"),
        ("silent", "no move within 0.75 s"),
        ("illegal", "broke the protocol: illegal uci: 'a1a8'"),
        ("none", "answered no move"),
    ],
)
def test_a_failure_costs_one_game_and_the_next_gets_a_new_process(mode, words):
    said = []
    with fake(mode, at=2, say=said.append) as player:
        player.start()
        first = player._engine.pid
        player._timeout = 0.5 if mode == "silent" else player._timeout
        good, bad = player.reply([ChessGame()] * 2, ())
        assert isinstance(good, int) and isinstance(bad, Forfeit) and words in bad.reason
        assert not running(first) and len(said) == 1 and "started again" in said[0]
        player._timeout = 10.0
        assert player.reply([ChessGame()], ()) == [good]
        second = player._engine.pid
    assert second != first and not running(second)


def test_an_engine_that_fails_again_and_again_is_given_up():
    said = []
    with fake("exits", say=said.append) as player:
        replies = player.reply([ChessGame()] * 5, ())
    assert all(isinstance(reply, Forfeit) for reply in replies)
    assert "did not start" in replies[0].reason and "given up after 3 failures" in replies[-1].reason
    assert len(said) == 2 and "started again" in said[0] and "given up" in said[1]  # the same thing once


@pytest.mark.parametrize("mode", ["deaf", "garbage"])
def test_a_program_that_is_no_engine_does_not_hang(mode):
    began = time.monotonic()
    with fake(mode, timeout=0.3) as player, pytest.raises(EngineFaultError, match="did not start"):
        player.start()
    assert time.monotonic() - began < 5


def test_a_world_takes_an_engine_as_opponent_and_cuts_the_game_in_which_it_dies():
    with fake("dies", at=3) as player:
        worlds = make_worlds("chess", 1).config.make_batch(1, 0, player)
        obs, info = worlds.reset()
        for _ in range(3):
            action = np.flatnonzero(info["action_mask"][0])[:1]
            obs, _, terminated, truncated, info = worlds.step(action)
        assert truncated[0] and not terminated[0]
        assert info["final_info"]["reason"][0] == "opponent failed: died in mid-game"
        with pytest.raises(EngineFaultError, match="fake dies: died in mid-game"):
            for _ in range(3):
                player.act(obs, {"games": [ChessGame()]})


def test_stockfish_plays_and_refuses_an_elo_that_it_has_not(stockfish):
    with UciPlayer(engine_spec("stockfish:0@nodes=50")) as player:
        world = make_world("chess").config.make(0, player)
        _, info = world.reset()
        _, _, _, truncated, info = world.step(int(np.flatnonzero(info["action_mask"])[0]))
        assert info["ply"] == 2 and not truncated
        assert player.title.startswith("Stockfish") and "Skill Level 0, 50 nodes" in player.title
    with pytest.raises(EngineNameError, match=r"UCI_Elo of Stockfish .* is in 1\d\d\d…"):
        UciPlayer(engine_spec("stockfish:elo=100")).start()
