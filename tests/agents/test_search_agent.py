"""Search agents on chess: trees that are reused, positions that are thought about, win-draw-loss, options."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from agents.alphazero.puct import PUCTTree
from agents.alphazero.search_agent import SearchConfig
from agents.alphazero.train import AlphaZero
from agents.alphazero.tree import make_roots, simulate, win_draw_loss
from agents.alphazero.tree_arrays import Evaluation, Node, TreeArrays
from agents.alphazero.tree_reuse import TreeReuse, near
from sim.catalog import make_worlds
from sim.chess.rules import ChessGame

MATE_IN_ONE = "6k1/5ppp/8/8/8/8/8/R6K w - - 0 1"  # Ra8#


def agent_for(**fields):
    worlds = make_worlds("chess", 1, history=1)
    config = AlphaZero(**{"network": "board32", "precision": "float32", "num_simulations": 24} | fields)
    return config.build(worlds.single_observation_space, worlds.single_action_space, seed=0)


def act(agent, *games):
    obs = games[0].observe(games)
    return agent.act(obs, {"games": games}, greedy=True)[0]


def asked(agent):
    """Positions that the agent's network is asked for from now on."""
    seen, evaluate = [], agent.evaluate

    def noted(games):
        seen.append(len(games))
        return evaluate(games)

    agent.evaluate = noted
    return seen


def after(game, *moves):
    for move in moves:
        game = game.play(game.action(move) if isinstance(move, str) else move)
    return game


@pytest.mark.parametrize("search", ["gumbel", "puct"])
def test_a_reused_tree_is_the_subtree_of_the_moves_played(search):
    agent = agent_for(search=search, reuse_tree=True, num_considered=3, num_simulations=64, c_puct_init=0.05)
    start = ChessGame(history=1)
    line = act(agent, start).lines[0]
    assert len(line) > 2
    old = agent._reuse._roots[0]
    child = old.child(old.actions.tolist().index(line[0]))
    grandchild = child.child(child.actions.tolist().index(line[1]))
    visits, value = grandchild.visits.copy(), grandchild.value
    assert visits.sum() > 0
    seen = asked(agent)
    (root,) = agent._roots([after(start, *line[:2])])
    assert not seen, "nothing has to be asked again"
    assert root.visits.tolist() == visits.tolist() and root.value == value
    assert root.arrays.size < old.arrays.size
    decision = act(agent, after(start, *line[:2]))
    assert decision.visits.sum() == visits.sum() + 64


def test_a_reused_tree_goes_on_as_one_that_never_stopped():
    agent = agent_for(search="puct", reuse_tree=True, num_simulations=20, search_batch=1)
    game = ChessGame(history=1)
    twice = [act(agent, game) for _ in range(2)][-1]  # 20 simulations, and 20 more of the same position
    once = act(agent_for(search="puct", num_simulations=40, search_batch=1), game)
    np.testing.assert_array_equal(twice.visits, once.visits)
    np.testing.assert_allclose(twice.value, once.value, rtol=1e-6)


def test_games_side_by_side_each_go_on_with_a_tree_of_their_own():
    agent = agent_for(reuse_tree=True, num_simulations=32, num_considered=2)
    games = [ChessGame(history=1)] * 3
    lines = act(agent, *games).lines
    assert len(set(lines)) == 1, "the same search of the same position"
    games = [after(game, *line[:2]) for game, line in zip(games, lines, strict=True)]
    seen = asked(agent)
    roots = agent._roots(games)
    assert not seen, "all three are known"
    reached = [set(reachable(root)) for root in roots]
    assert all(not one & other for one, other in itertools.combinations(reached, 2)), "trees share no nodes"


def reachable(root):
    found = [root.index]
    for child in root.children if not root.over else ():
        if child is not None:
            found += reachable(child)
    return found


@pytest.mark.parametrize("change", ["weights", "temperature", "another game", "restricted", "off"])
def test_trees_that_do_not_fit_are_not_reused(change):
    agent = agent_for(reuse_tree=change != "off", num_considered=3, num_simulations=64)
    start = ChessGame(history=1)
    game = after(start, *act(agent, start).lines[0][:2])
    if change == "weights":
        agent.load_weights(agent_for(num_simulations=1).weights())
    elif change == "temperature":
        object.__setattr__(agent.config, "policy_temperature", 2.0)
    elif change == "another game":
        game = ChessGame("8/8/2k5/8/8/4K3/8/6Q1 w - - 0 1", 1)
    elif change == "restricted":
        next(agent.think(start, [start.action("a2a3")]))
        game = start
    (root,) = agent._roots([game])
    assert not root.visits.any() and len(root.actions) == len(game.legal_actions())


def test_a_search_of_terminal_and_pending_children_keeps_only_what_is_expanded():
    arrays = TreeArrays()
    game = ChessGame(MATE_IN_ONE, 1)
    agent = agent_for()
    (root,) = make_roots([game], agent.evaluate)
    simulate([PUCTTree(root, 1.25, 1e4, None)], agent.evaluate, 60, 1.0)
    nodes = near(root)
    assert nodes[0] == root.index and all(root.arrays.width[node] for node in nodes)
    assert any(root.arrays.over[child.index] for child in root.children if child is not None)
    reuse = TreeReuse()
    assert reuse.nodes([game], "stamp")[1] == [0] and arrays.size == 0


def test_thinking_yields_often_counts_exactly_and_knows_its_limits():
    agent = agent_for(search_batch=8)
    game = ChessGame(history=1)
    counts = [tree.simulations for tree in agent.think(game, simulations=21)]
    assert counts[0] == 1 and counts[-1] == 21 and np.diff(counts).max() <= 8
    only = [game.action("a2a3"), game.action("h2h4")]
    *_, tree = agent.think(game, only, 10)
    assert sorted(tree.root.actions.tolist()) == sorted(only) and tree.root.visits.sum() == 10
    assert tree.line()[0] in only


def test_thinking_takes_smaller_batches_where_the_network_is_slow(monkeypatch):
    agent = agent_for(search_batch=16)
    clock = itertools.count()
    monkeypatch.setattr("agents.alphazero.search_agent.time.perf_counter", lambda: 0.01 * next(clock))
    fast = [tree.simulations for tree in agent.think(ChessGame(history=1), simulations=60)]
    assert np.diff(fast).max() == 16
    monkeypatch.setattr("agents.alphazero.search_agent.time.perf_counter", lambda: 0.04 * next(clock))
    slow = [tree.simulations for tree in agent.think(ChessGame(history=1), simulations=10)]
    assert np.diff(slow).max() == 1


def test_one_game_fills_a_batch_and_many_games_are_searched_one_simulation_at_a_time():
    game = ChessGame(history=1)
    agent = agent_for(search="puct", search_batch=8, num_simulations=32)
    seen = asked(agent)
    act(agent, game)
    assert len(seen) <= 10 and max(seen) == 8
    for count in (4, 8, 9):
        seen.clear()
        act(agent, *[game] * count)
        assert max(seen) == max(8, count) and len(seen) >= (17 if count == 4 else 33)


def test_a_decision_tells_win_draw_and_loss_where_the_network_does():
    game = ChessGame(history=1)
    assert act(agent_for(), game).wdl is None
    decision = act(agent_for(value_head="wdl", search="puct"), game)
    win, draw, loss = decision.wdl[0]
    assert win + draw + loss == pytest.approx(1) and 0 < draw < 1
    assert win - loss == pytest.approx(decision.value[0], abs=1e-5)


class Told:
    def __init__(self, value, draw):
        self.value, self.draw = lambda: value, lambda: draw


@pytest.mark.parametrize(
    ("value", "draw", "wdl"),
    [(0.0, 1.0, [0, 1, 0]), (0.5, 0.25, [0.625, 0.25, 0.125]), (-1.0, 0.0, [0, 0, 1]), (0.9, 0.4, [1, 0, 0])],
)
def test_win_draw_and_loss_from_value_and_draws(value, draw, wdl):
    if value == 0.9:  # more than draws leave room for: clipped
        wdl = np.array([0.75, 0.4, 0.0]) / 1.15
    np.testing.assert_allclose(win_draw_loss(Told(value, draw)), wdl)


def flat(games):
    return Evaluation(np.zeros((len(games), 4672)), np.full(len(games), -0.5), np.full(len(games), 0.25))


def test_draws_are_backed_up_beside_values():
    game = ChessGame("7k/8/8/8/8/8/8/KR6 b - - 0 1", 1)
    (root,) = make_roots([game], flat)
    tree = PUCTTree(root, 1.25, 1e4, None)
    simulate([tree], flat, 9, 1.0)
    assert tree.draw() == pytest.approx(0.25)
    stalemate = ChessGame("7k/8/5KQ1/8/8/8/8/8 b - - 0 1", 1)
    assert stalemate.outcome() == 0
    arrays = TreeArrays()
    drawn = Node(arrays, arrays.add(stalemate))
    assert drawn.over and drawn.draw == 1 and drawn.value == 0


@pytest.mark.parametrize("search", ["gumbel", "puct"])
def test_a_mate_in_one_that_is_found_is_played_however_rarely_it_was_visited(search):
    game = ChessGame(MATE_IN_ONE, 1)
    mate = game.action("a1a8")

    def promising(games):
        logits = np.zeros((len(games), 4672))
        logits[:, mate] = 1.0
        return Evaluation(logits, np.full(len(games), -0.9))

    (root,) = make_roots([game], promising)
    tree = SearchConfig(search=search, num_simulations=64, num_considered=64).tree(root, None)
    index = root.actions.tolist().index(mate)
    assert root.mate is None
    simulate([tree], promising, 1, 1.0)
    for _ in range(3):
        root.visit(index + 1, 1.0)
    assert root.visits[index] == 1 and root.mate == index
    assert tree.choice() == index and tree.line() == [mate]
    drawn = SearchConfig(search=search, num_simulations=8).tree(root, np.random.default_rng(0))
    assert drawn.policy().argmax() != index or search == "gumbel", "the policy target is as it was"


def test_first_play_urgency_by_hand():
    # the node is worth 0.5, one action of prior ¼ came to −0.4: unvisited ones are worth 0.05 − 0.6·√¼
    arrays = TreeArrays()
    root = Node(arrays, arrays.add(ChessGame("8/8/2k5/8/8/4K3/8/6Q1 w - - 0 1", 1)))
    logits = np.full((1, 4672), -50.0)
    actions = root.game.legal_actions()[:3]
    logits[0, actions] = np.log([1, 2, 1])
    arrays.expand([root.index], Evaluation(logits, np.array([0.5])))
    root.only(actions.tolist())
    root.visit(0, -0.4)
    tree = PUCTTree(root, 1.0, 1e12, None, fpu_reduction=0.6)
    urgency = (0.5 - 0.4) / 2 - 0.6 * 0.5
    np.testing.assert_allclose(tree._q_values(root.rows), [-0.4, urgency, urgency])
    bounds = [-0.4 + 0.25 / 2, urgency + 0.5, urgency + 0.25]
    assert tree.at_root() == int(np.argmax(bounds)) == 1


def test_a_policy_temperature_flattens_the_policy_of_every_node():
    game = ChessGame(history=1)
    logits = np.random.default_rng(0).normal(size=(1, 4672)) * 3

    def fixed(games):
        return Evaluation(np.repeat(logits, len(games), 0), np.zeros(len(games)))

    (sharp,), (wide,) = make_roots([game], fixed), make_roots([game], fixed, 2.0)
    np.testing.assert_allclose(wide.prior, np.sqrt(sharp.prior) / np.sqrt(sharp.prior).sum())
    tree = PUCTTree(wide, 1.25, 1e4, None)
    simulate([tree], fixed, 3, 1.0, temperature=2.0)
    child = next(child for child in wide.children if child is not None)
    np.testing.assert_allclose(child.logits, logits[0, child.actions] / 2)


@pytest.mark.parametrize("fast", [True, False])
def test_positions_that_occurred_before_are_draws_in_the_tree_where_that_is_asked_for(fast):
    start = ChessGame("7k/8/8/8/8/8/R7/1R5K w - - 0 1", 1)
    game = after(start, "a2a3", "h8g8", "a3a2")  # Black can repeat the first position by g8h8
    game = game.for_search() if fast else game
    repeat = game.play(after(start, "a2a3").action("g8h8"))
    assert repeat.repetitions == 1 and repeat.outcome() is None and game.repetitions == 0
    (root,) = make_roots([game], flat)
    tree = PUCTTree(root, 1.25, 1e4, None)
    simulate([tree], flat, 6, 1.0, two_fold_draws=True)
    ended = {
        child.game.repetitions: (child.over, child.value) for child in root.children if child is not None
    }
    assert ended == {0: (False, -0.5), 1: (True, 0.0)}
