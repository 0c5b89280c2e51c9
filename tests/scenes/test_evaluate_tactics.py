"""Tactics in `evaluate`: shares by hand, and the second table where there is something to score."""

import json

import numpy as np
import pytest
from command_line import answer

from agents.alphazero.search_agent import SearchAgent
from agents.alphazero.train import AlphaZero
from scenes.cli.main import main
from scenes.evaluation.chess_tactics import scene_tactics, tactics_scores
from sim.catalog import make_worlds
from sim.chess.world import Chess
from sim.records import Decision
from supervised.data.sources.chess_tactics import Tactic

LADDER = "7k/R7/8/8/8/8/8/1R5K w - - 0 1"  # Rb8#
BACK_RANK = "6k1/5ppp/8/8/8/8/8/R6K w - - 0 1"  # Ra8#
MORPHY = "kbK5/pp6/1P6/8/8/8/8/R7 w - - 0 1"  # 1. Ra6, mate in two
POSITIONS = {
    1: [Tactic(LADDER, 1, ("b1b8",)), Tactic(BACK_RANK, 1, ("a1a8",))],
    2: [Tactic(MORPHY, 2, ("a1a6",))],
}


class Told(SearchAgent):
    """Plays the moves that it is told by position, and notes how it was asked."""

    def __init__(self, moves, config):
        self.moves, self.config, self.asked = moves, config, []

    def act(self, obs, info, memory=None, *, greedy=False):
        self.asked.append((self.config.search, self.config.num_simulations, greedy))
        actions = [game.action(self.moves[game.fen.split()[0]]) for game in info["games"]]
        return Decision(np.array(actions)), None


def told(config=None, **moves):
    played = {LADDER: "b1b8", BACK_RANK: "a1b1", MORPHY: "a1a6"} | moves
    return Told(
        {fen.split()[0]: uci for fen, uci in played.items()}, config or AlphaZero(num_simulations=700)
    )


def test_shares_are_of_the_moves_that_force_mate():
    agent = told()
    scores = tactics_scores([agent], 1, positions=POSITIONS)
    assert scores.shares == {"mate_in_1": 0.5, "mate_in_2": 1.0} and scores.counts == {
        "mate_in_1": 2,
        "mate_in_2": 1,
    }
    low, high = scores.intervals["mate_in_1"]
    assert (low, high) == pytest.approx((0.0945, 0.9055), abs=1e-4)  # Wilson, 1 of 2
    assert scores.chance["mate_in_2"] == pytest.approx(1 / 16)  # legal moves
    assert agent.asked == [("none", 700, True), ("gumbel", 100, True)]
    assert agent.config.num_simulations == 700


def test_of_several_seeds_all_answers_count():
    wrong = told(**{MORPHY: "a1a2"})
    assert tactics_scores([told(), wrong], 1, positions=POSITIONS).shares["mate_in_2"] == 0.5


def test_a_search_finds_mates_that_an_untrained_network_misses():
    worlds = make_worlds("chess", 1, history=1)
    agent = AlphaZero(num_simulations=400, num_considered=64, network="board32").build(
        worlds.single_observation_space, worlds.single_action_space, seed=0, device="cpu"
    )
    one = {1: POSITIONS[1], 2: POSITIONS[1]}  # mates in one, given to the search
    scores = tactics_scores([agent], 1, num_simulations=48, positions=one)
    assert scores.shares["mate_in_2"] == 1.0 and "48 simulations" in scores.table().title


def test_only_agents_that_search_whole_games_are_scored():
    assert scene_tactics(Chess(start="kqk"), [told()]) is None
    assert scene_tactics(Chess(), [object()]) is None
    assert scene_tactics(object(), [told()]) is None


def test_evaluate_prints_a_second_table(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("scenes.evaluation.chess_tactics.tactics", POSITIONS.__getitem__)
    own = tmp_path / "own.toml"
    own.write_text(
        'title = "Own"\nseed = 0\n[world]\nuse = "chess"\nmax_plies = 2\nhistory = 1\n'
        '[agent]\nuse = "alphazero"\nnetwork = "board32"\nnum_simulations = 2\n'
    )
    words = ["evaluate", str(own), "--episodes", "2", "--device", "cpu", "--json"]
    assert main(words) == 0
    out = capsys.readouterr().out
    assert "mate in 1, network alone" in out
    found = json.loads(out.splitlines()[-1])
    assert {"mate_in_1", "mate_in_2"} <= set(found["metrics"]) & set(found["ci95"]) & set(found["baseline"])
    kqk = answer(capsys, "evaluate", "chess-kqk", "--episodes", "2", "--set", "agent.num_simulations=2")
    assert "mate_in_1" not in kqk["metrics"]
