"""Gated self-play: only a network that wins its match plays, openings differ, and a resume is exact."""

from __future__ import annotations

import numpy as np
import pytest

from agents.alphazero.gated_play import OPENING_PLIES, sampled_openings
from agents.alphazero.search_agent import SearchError
from agents.alphazero.train import AlphaZero
from sim.catalog import make_worlds
from sim.chess.rules import ChessGame
from sim.records import Budget

SHORT = {
    "network": "board32", "num_simulations": 2, "num_considered": 2, "cut_after": 3, "num_steps": 3,
    "minibatch_size": 8, "precision": "float32", "gate_games": 2, "gate_every": 1, "learning_rate": 0.01,
}  # fmt: skip


def learner(seed=0, **changes):
    worlds = make_worlds("chess/kqk", 4, seed=3, history=1)
    spaces = worlds.single_observation_space, worlds.single_action_space
    return AlphaZero(**(SHORT | changes)).build(*spaces, seed=seed), worlds


def same(one, other):
    return all(np.array_equal(one[name], other[name]) for name in one)


@pytest.mark.parametrize(("threshold", "passes"), [(0.0, True), (1.0, False)])
def test_the_newest_network_plays_only_after_a_match_that_it_wins(threshold, passes):
    agent, worlds = learner(gate_threshold=threshold)
    first = agent.weights()
    *_, last = agent.learn(worlds, Budget(updates=2))
    assert last.metrics["gate_passed"] == passes and 0 <= last.metrics["gate_score"] <= 1
    learned = agent.state()["network"]
    assert not same(learned, first)
    assert same(agent.weights(), learned if passes else first)


def test_it_acts_by_the_network_that_plays():
    agent, worlds = learner(gate_threshold=1.0)
    games = worlds.reset()[1]["games"]
    before = agent.evaluate(games).logits
    for _ in agent.learn(worlds, Budget(updates=1)):
        pass
    np.testing.assert_array_equal(agent.evaluate(games).logits, before)


def test_a_run_that_was_stopped_ends_in_the_same_incumbent():
    whole, worlds = learner(gate_threshold=0.5)
    for _ in whole.learn(worlds, Budget(updates=3)):
        pass
    stopped, worlds = learner(gate_threshold=0.5)
    next(stopped.learn(worlds, Budget(updates=3)))
    other, worlds = learner(seed=9, gate_threshold=0.5)
    other.restore(stopped.state())
    for _ in other.learn(worlds, Budget(updates=3)):
        pass
    assert same(whole.weights(), other.weights())
    assert same(whole.state()["network"], other.state()["network"])


def test_openings_are_different_and_can_be_played_on():
    agent, _ = learner()
    worlds = make_worlds("chess", 1, seed=0, history=1)
    found = sampled_openings(agent, worlds.reset()[1]["games"], 8, np.random.default_rng(0))
    assert len({opening.actions for opening in found}) == 8
    for opening in found:
        game = opening.start
        for action in opening.actions:
            game = game.play(action)
        assert game.outcome() is None and len(opening.actions) == OPENING_PLIES


def test_an_opening_ends_before_the_game_does():
    agent, _ = learner()
    almost = ChessGame("k7/8/1K6/8/8/8/8/6Q1 b - - 98 60", history=1)  # two plies to the fifty moves
    (found,) = sampled_openings(agent, [almost], 1, np.random.default_rng(0))
    assert len(found.actions) <= 1


def test_self_play_needs_a_search_that_teaches():
    agent, worlds = learner(search="none")
    with pytest.raises(SearchError, match='search must be gumbel or puct, not "none"'):
        next(agent.learn(worlds, Budget(updates=1)))
