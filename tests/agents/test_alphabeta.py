"""Alpha-beta search: against plain minimax, on mates, within its budget, and as an agent."""

from __future__ import annotations

import numpy as np
import pytest
from test_search_trees import Maze, opinions

from agents.alphazero.alphabeta import SLOWEST_DISCOUNT, AlphaBetaTree, deepen
from agents.alphazero.train import AlphaZero
from agents.alphazero.tree import make_roots
from agents.alphazero.tree_arrays import Evaluation
from sim.catalog import make_worlds
from sim.chess.rules import ChessGame

MATE_IN_TWO = "7k/8/8/8/8/8/R7/1R5K w - - 0 1"  # a rook to the seventh, the other to the eighth


def minimax(game, depth, discount):
    """Value of a position for the mover, without any pruning."""
    if game.outcome() is not None:
        return game.outcome()
    if not depth:
        return float(opinions([game]).values[0])
    actions = game.legal_actions().tolist()
    return max(-discount * minimax(game.play(action), depth - 1, discount) for action in actions)


def searched_to(depth, game, gamma=0.9, reduced_after=99):
    (root,) = make_roots([game], opinions)
    tree = AlphaBetaTree(root, gamma, reduced_after)
    while tree.wanted is not None and tree.depth < depth:
        deepen([tree], opinions, 10**9, calls=1)
    return tree


class Long(Maze):
    """A maze that seldom ends, and with no win at once."""

    def play(self, action):
        return Long(f"{self.path}{action}")

    def outcome(self):
        return self.number("outcome", 3) - 1.0 if len(self.path) > 6 and not self.number("over", 9) else None


STARTS = [Long(str(name)) for name in range(1000, 1012)]


@pytest.mark.parametrize("gamma", [0.9, 1.0])
def test_pruning_changes_neither_value_nor_line(gamma):
    discount = min(gamma, SLOWEST_DISCOUNT)
    pruned = 0
    for game in STARTS[:8]:
        tree = searched_to(4, game, gamma)
        assert tree.depth == 4 and tree.value() == pytest.approx(minimax(game, 4, discount))
        value, at, sign = tree.value(), game, 1.0
        for action in tree.line():
            assert action in at.legal_actions()
            at, sign = at.play(action), -discount * sign
        end = at.outcome() if at.outcome() is not None else float(opinions([at]).values[0])
        assert value == pytest.approx(sign * end), "the line leads to the value"
        pruned += positions(game, 4) - tree.simulations
    assert pruned > 500


def positions(game, depth):
    """Positions after up to `depth` plies that are not terminal."""
    if not depth or game.outcome() is not None:
        return 0
    after = [game.play(action) for action in game.legal_actions().tolist()]
    return sum((a.outcome() is None) + positions(a, depth - 1) for a in after)


def test_late_moves_that_turn_out_best_are_searched_at_full_depth():
    exact = 0
    for game in STARTS:
        tree = searched_to(2, game, reduced_after=1)
        best = minimax(game, 2, 0.9)
        assert tree.value() <= best + 1e-9, "a move is taken up only once it was searched at full depth"
        exact += tree.value() == pytest.approx(best)
    assert exact >= 4


def flat(games):
    return Evaluation(np.zeros((len(games), 4672)), np.zeros(len(games)), np.full(len(games), 0.5))


def test_a_mate_in_two_is_found_with_its_line_and_then_it_stops():
    (root,) = make_roots([ChessGame(MATE_IN_TWO, 1)], flat)
    tree = AlphaBetaTree(root, 1.0, 99)
    deepen([tree], flat, 100_000)
    assert tree.wanted is None and tree.depth == 3 and tree.simulations < 20_000
    game = root.game
    for action in tree.line():
        game = game.play(action)
    assert len(tree.line()) == 3 and game.outcome() == -1
    assert tree.value() == pytest.approx(SLOWEST_DISCOUNT**3) and tree.draw() == 0


@pytest.mark.parametrize("budget", [1, 19, 20, 100])
def test_the_budget_of_evaluations_is_kept_and_there_is_always_a_move(budget):
    asked = []

    def noted(games):
        asked.append(len(games))
        return flat(games)

    (root,) = make_roots([ChessGame(history=1)], flat)
    tree = AlphaBetaTree(root, 1.0, 16)
    assert not deepen([tree], noted, budget)
    assert sum(asked) == tree.simulations == root.visits.sum() <= budget
    assert tree.simulations >= (20 if budget >= 20 else 0)
    assert tree.line()[0] == root.actions[tree.choice()] and tree.policy().sum() == 1


def test_games_side_by_side_share_their_calls_and_find_what_they_find_alone():
    roots = make_roots(STARTS[:5], opinions)
    together = [AlphaBetaTree(root, 0.9, 99) for root in roots]
    calls = []

    def noted(games):
        calls.append(len(games))
        return opinions(games)

    deepen(together, noted, 150)
    assert max(calls) > 8
    for tree, game in zip(together, STARTS, strict=False):
        (root,) = make_roots([game], opinions)
        alone = AlphaBetaTree(root, 0.9, 99)
        deepen([alone], opinions, 150)
        assert (alone.value(), alone.line(), alone.simulations) == (
            tree.value(),
            tree.line(),
            tree.simulations,
        )


def test_an_agent_plays_and_thinks_by_alpha_beta():
    worlds = make_worlds("chess", 2, history=1)
    config = AlphaZero(network="board32", precision="float32", search="alphabeta", num_simulations=60)
    agent = config.build(worlds.single_observation_space, worlds.single_action_space, seed=0)
    decision, _ = agent.act(*worlds.reset(), greedy=True)
    assert (decision.visits.sum(1) <= 60).all() and (decision.visits.sum(1) > 20).all()
    assert [line[0] for line in decision.lines] == decision.actions.tolist()
    assert decision.probabilities[0, decision.actions[0]] == 1
    game = ChessGame(MATE_IN_TWO, 1)
    counts = [tree.simulations for tree in agent.think(game, simulations=80)]
    assert 0 < counts[0] <= counts[-1] <= 80 and len(counts) > 2
    only = [game.action("h1g1")]
    *_, tree = agent.think(game, only, 60)
    assert tree.line()[0] == only[0]
