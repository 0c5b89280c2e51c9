"""A UCI search: variations, strength, limits and time, by a player that finds what the test tells it."""

from __future__ import annotations

import time
from itertools import pairwise

import chess
import pytest
from uci_engines import (
    MATE_IN_ONE,
    THREE,
    Scripted,
    Told,
    answers,
    engine_of,
    policy,
    search_engine,
    told_by,
)

from agents.alphazero.search_agent import SearchConfig
from agents.alphazero.train import AlphaZero
from agents.catalog import AGENTS, SEARCHERS
from scenes.uci.command import SIMULATIONS
from scenes.uci.player import player_of
from scenes.uci.positions import PositionTracker
from sim.catalog import load
from sim.chess.rules.game import ChessGame


def test_multipv_and_win_draw_loss():
    told = told_by(
        Scripted((100, THREE)),
        *("setoption name multipv value 2", "setoption name UCI_ShowWDL value true", "go nodes 100"),
    )
    first, second = told.infos()
    assert (first["multipv"], first["cp"], first["pv"]) == ("1", "29", ["e2e4", "e7e5", "g1f3"])
    assert " wdl 350 500 150 " in first["line"]
    assert (second["multipv"], second["pv"]) == ("2", ["d2d4", "d7d5"])
    assert first["depth"] == second["depth"] == "3"
    assert " wdl 350 400 250 " in second["line"]
    assert told[-1] == "bestmove e2e4 ponder e7e5"


def test_temperature_draws_the_move_that_is_played():
    player = Scripted((100, THREE))
    lines = ["setoption name Temperature value 1", *["go nodes 100", "stop"] * 60]
    moves = told_by(player, *lines).moves()
    assert set(moves) == {"e2e4", "d2d4", "a2a3"} and moves.count("e2e4") > moves.count("a2a3")
    assert set(told_by(player, "setoption name UCI_AnalyseMode value true", *lines).moves()) == {"e2e4"}


def test_limited_strength_is_a_limit_of_simulations_whatever_else_is_asked_for():
    stream = [(nodes, THREE) for nodes in range(1, 200)]
    limits = "setoption name UCI_LimitStrength value true", "setoption name UCI_Elo value 1000"
    for go in ("go nodes 150", "go wtime 600000 btime 600000", "go movetime 100000"):
        player = Scripted(*stream)
        told = told_by(player, *limits, go)
        assert told.infos()[-1]["nodes"] == "16" and player.planned[0] <= 16
    player = Scripted(*stream)
    assert told_by(player, "go nodes 150").infos()[-1]["nodes"] == "150" and player.planned == [150]


def test_mate_is_told_in_moves_and_ends_a_search_for_it():
    fools_mate = [("d8h4", 5, 0.4, None)]
    stream = [(1, [("a7a6", 5, 0.4, None)]), (2, fools_mate), (3, fools_mate)]
    told = told_by(Scripted(*stream), "position startpos moves f2f3 e7e5 g2g4", "go mate 1")
    assert " score mate 1 " in told.infos()[-1]["line"] and told.infos()[-1]["nodes"] == "2"


def test_depth_ends_a_search_at_the_games_end_too():
    told = answers(f"position fen {MATE_IN_ONE}", "go depth 30 searchmoves a1a8")
    assert told.moves() == ["a1a8"], "there is no depth beyond mate"


def test_a_second_go_answers_the_first():
    told = answers("go infinite", "go nodes 3")
    assert len(told.moves()) == 2 and told.infos()[-1]["nodes"] == "3"


def test_options_set_during_a_search_count_from_the_next_one():
    def lines():
        yield "go infinite"
        yield "setoption name Simulations value 3"
        assert not engine.wait(0.05), "it goes on"
        yield "isready"
        yield "stop"
        yield "go"
        engine.wait(30)

    told = Told()
    engine = search_engine(told.append)
    engine.run(lines())
    assert told.index("readyok") < next(i for i, line in enumerate(told) if line.startswith("bestmove"))
    assert told.infos()[-1]["nodes"] == "3"


def test_infos_come_soon_then_twice_a_second_and_at_the_end():
    stream = [(nodes, THREE) for nodes in range(1, 90)]
    told = told_by(Scripted(*stream, pause=0.01), "go nodes 85")
    times = [int(info["time"]) for info in told.infos()]
    assert len(times) > 2 and 50 <= times[0] < 400, times
    assert all(later - earlier >= 400 for earlier, later in pairwise(times[:-1])), times
    assert told.infos()[-1]["nodes"] == "85"


def test_the_clock_ends_a_search():
    stream = [(nodes, THREE) for nodes in range(1, 1000)]
    told = told_by(Scripted(*stream, pause=0.005), "go wtime 1000 btime 100 winc 0 binc 0")
    assert int(told.infos()[-1]["time"]) < 400
    told = told_by(Scripted(*stream, pause=0.005), "go wtime -100 btime 100")
    assert told.infos()[-1]["nodes"] == "1", "one look at least, however late it is"


def test_a_ponder_hit_starts_the_clock():
    def lines():
        yield "position startpos moves e2e4"
        yield "go ponder wtime 1000 btime 2000"
        time.sleep(0.1)
        assert told.moves() == []
        yield "ponderhit"
        assert engine.wait(10)

    told = Told()
    stream = [(nodes, [("e7e5", 1, 0.0, None)]) for nodes in range(1, 2000)]
    engine = engine_of(Scripted(*stream, pause=0.002), told.append)
    engine.run(lines())
    assert told.moves() == ["e7e5"]


def test_a_game_goes_on_from_the_last_position_without_being_played_again(monkeypatch):
    def counted(game, action):
        played.append(action)
        return play(game, action)

    play, played = ChessGame.play, []
    monkeypatch.setattr(ChessGame, "play", counted)
    positions = PositionTracker(history=8)
    moves = "e2e4 e7e5 g1f3 b8c6 f1b5".split()
    for count in (2, 3, 5, 4):
        played.clear()
        positions.set(None, tuple(moves[:count]))
        assert len(played) == {2: 2, 3: 1, 5: 2, 4: 4}[count]
        board = chess.Board()
        for move in moves[:count]:
            board.push_uci(move)
        assert positions.game.fen == board.fen()
    positions.set(MATE_IN_ONE, ())
    assert positions.game.fen == MATE_IN_ONE
    with pytest.raises(ValueError, match="e2e5 is not legal"):
        positions.set(None, ("e2e5",))
    assert positions.game is None


def test_the_default_simulations_and_the_agents_that_search_are_known_without_torch():
    assert SIMULATIONS == SearchConfig.num_simulations
    searching = {
        name
        for name in AGENTS
        if name[:4] != "sb3/" and issubclass(load(AGENTS, name, "agent"), SearchConfig)
    }
    assert searching == set(SEARCHERS) & set(AGENTS)


@pytest.mark.parametrize("search", ["gumbel", "puct", "alphabeta", "none"])
def test_every_kind_of_search_plays_with_draws_depth_and_variations(search):
    agent = AlphaZero(network="board32", value_head="wdl", search=search, num_simulations=60)
    told = answers(
        *("setoption name UCI_ShowWDL value true", "setoption name MultiPV value 3"),
        *(f"position fen {MATE_IN_ONE}", "go nodes 200"),
        agent=agent,
    )
    last = told.infos()[-3:]
    assert [info["multipv"] for info in last] == ["1", "2", "3"]
    assert len({info["pv"][0] for info in last}) == 3 and last[0]["pv"][0] == told.moves()[0]
    for info in last:
        win, draw, loss = (int(word) for word in info["line"].partition(" wdl ")[2].split()[:3])
        assert win + draw + loss == 1000 and (draw > 0 or "score mate" in info["line"])
    if search != "none":
        assert "score mate 1" in last[0]["line"] and last[0]["pv"] == ["a1a8"]


def test_the_next_search_goes_on_with_the_tree_until_that_is_cleared():
    def lines():
        for between in ("isready", "isready", "setoption name Clear Hash", "ucinewgame"):
            yield between
            yield "go nodes 3"
            assert engine.wait(30)
            visits.append(int(trees[-1].root.visits.sum()))

    def think(*args):
        for tree in thinking(*args):
            trees.append(tree)
            yield tree

    player, visits, trees = player_of(policy(), history=1), [], []
    thinking = player.agent.think
    player.agent.think = think
    engine = engine_of(player, Told().append)
    engine.run(lines())
    assert visits == [3, 6, 3, 3]
