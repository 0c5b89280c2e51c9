"""AlphaZero: its searches by hand and by theory, its games, and that it learns from them."""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import chess
import numpy as np
import pytest
import torch

from agents.alphazero.gumbel import GumbelTree, Sigma, completed_q, halving
from agents.alphazero.puct import PUCTTree
from agents.alphazero.selfplay import Move, PositionBuffer, ReplayChunk, SelfPlay
from agents.alphazero.train import AlphaZero, SearchError
from agents.alphazero.tree import likeliest_line, make_roots, simulate
from agents.alphazero.tree_arrays import Evaluation, Node, TreeArrays, softmax
from sim.catalog import make_world, make_worlds
from sim.chess.rules import ChessGame
from sim.records import Budget, Decision
from sim.vector import EnvWorlds

MATE_IN_ONE = "6k1/5ppp/8/8/8/8/8/R6K w - - 0 1"  # Ra8#
MATE_IN_TWO = "7k/8/8/8/8/8/R7/1R5K w - - 0 1"  # a rook to the seventh, the other to the eighth


@dataclass(frozen=True)
class Nim:
    """Take one to three from a heap; who takes the last wins. Heaps of 4, 8, 12, … are lost for the mover."""

    heap: int
    turn: int = 0

    def legal_actions(self):
        return np.arange(min(3, self.heap))

    def play(self, action):
        return Nim(self.heap - 1 - action, 1 - self.turn)

    def outcome(self):
        return None if self.heap else -1.0

    def to_play(self):
        return self.turn

    def observe(self, games):
        return np.array([[game.heap] for game in games], np.uint8)


STILL = np.zeros((1, 1), int), np.arange(3)[None]  # the symmetries of a heap: none but to leave it


def ignorant(games):
    """A network that knows nothing."""
    return Evaluation(np.zeros((len(games), 3)), np.zeros(len(games)))


@dataclass(frozen=True)
class Choices:
    """A position with so many actions."""

    count: int

    def legal_actions(self):
        return np.arange(self.count)

    def outcome(self):
        return None


def node(logits, visits, totals, value=0.0):
    arrays = TreeArrays()
    found = Node(arrays, arrays.add(Choices(len(logits))))
    arrays.expand([found.index], Evaluation(np.array([logits], float), np.array([value])))
    for index, (count, total) in enumerate(zip(visits, totals, strict=True)):
        for _ in range(int(count)):
            found.visit(index, total / count)
    return found


def searched(game, tree, simulations, gamma=1.0, evaluate=ignorant):
    (root,) = make_roots([game], evaluate)
    grown = tree(root)
    simulate([grown], evaluate, simulations, gamma)
    return grown


def gumbel(simulations, generator=None, considered=16):
    return lambda root: GumbelTree(root, simulations, considered, Sigma(), generator)


def puct(generator=None):
    return lambda root: PUCTTree(root, 1.25, 19_652.0, generator)


def test_every_simulation_is_shared_out_and_the_best_half_gets_as_many_again():
    # 32 simulations in four rounds: 8 for each of 16 is less than one visit, so all get one; then 1, 2 a move
    assert halving(16, 32) == (0,) * 16 + (1,) * 8 + (2,) * 4 + (3,) * 4
    for considered in range(1, 20):
        for simulations in range(1, 70):
            levels = halving(considered, simulations)
            assert len(levels) == simulations
            visits = dict.fromkeys(range(considered), 0)
            for level in levels:  # there is always an action with so many visits
                which = next(i for i, count in visits.items() if count == level)
                visits[which] += 1
            assert sum(visits.values()) == simulations


def test_completed_q_values_by_hand():
    # prior ¼, ½, ¼; the first came to 1 in two visits, the second to −1 in one; the network says 0.2
    tree = node(np.log([1, 2, 1]), [2, 1, 0], [2.0, -1.0, 0.0], value=0.2)
    mean = (0.25 * 1 + 0.5 * -1) / 0.75
    mixed = (0.2 + 3 * mean) / 4
    np.testing.assert_allclose(completed_q(tree.rows), [1, -1, mixed])
    np.testing.assert_allclose(completed_q(node([0, 0], [0, 0], [0, 0], value=0.3).rows), [0.3, 0.3])
    np.testing.assert_allclose(
        Sigma(50, 0.1).improved(tree.rows) - tree.logits, 52 * 0.1 * (completed_q(tree.rows) + 1) / 2
    )


def test_puct_by_hand():
    tree = node(np.log([1, 2, 1]), [3, 1, 0], [1.5, -1.0, 0.0])
    c_puct = np.log((1 + 4 + 19_652) / 19_652) + 1.25
    bounds = [0.5 + c_puct * 0.25 * 2 / 4, -1 + c_puct * 0.5 * 2 / 2, c_puct * 0.25 * 2 / 1]
    assert int(np.argmax(bounds)) == 0
    assert PUCTTree(tree, 1.25, 19_652.0, None).at_root() == 0
    tree = node(np.log([1, 2, 1]), [3, 1, 0], [1.0, -1.0, 0.0])  # worse: now the one that nobody tried
    assert PUCTTree(tree, 1.25, 19_652.0, None).at_root() == 2
    untouched = node(np.log([1, 2, 1]), [0, 0, 0], [0, 0, 0])
    assert PUCTTree(untouched, 1.25, 19_652.0, None).at_root() == 1


@dataclass(frozen=True)
class Fork:
    """Two actions at every position, which is named by those that led to it; never over."""

    path: str = ""

    def legal_actions(self):
        return np.arange(2)

    def play(self, action):
        return Fork(f"{self.path}{action}")

    def outcome(self):
        return None


#: Position: prior of its two actions, and value for the side to move.
FORKS = {
    "": ((2 / 3, 1 / 3), 0.1), "0": ((1 / 2, 1 / 2), 0.4), "1": ((1 / 4, 3 / 4), -0.2),
    "00": ((1 / 2, 1 / 2), 0.5), "01": ((1 / 2, 1 / 2), -0.6), "11": ((1 / 2, 1 / 2), -0.8),
    "110": ((1 / 2, 1 / 2), 0.6),
}  # fmt: skip


def forks(games):
    found = [FORKS[game.path] for game in games]
    return Evaluation(np.log([prior for prior, _ in found]), np.array([value for _, value in found]))


def assert_node(found, visits, totals):
    assert found.visits.tolist() == visits
    np.testing.assert_allclose(found.totals, totals, atol=1e-12)


def test_a_golden_puct_tree():
    """Five simulations of c_puct = 1 by hand, as bounds of (first, second) at the root.

    1. no visits: the higher prior, first; it is worth −0.4.
    2. −0.4 + ⅔·√1/2 = −0.07, ⅓·√1/1 = 0.33: second, 0.2.
    3. −0.4 + ⅔·√2/2 = 0.07, 0.2 + ⅓·√2/2 = 0.44: second, and there the higher prior, second: −0.8.
    4. −0.4 + ⅔·√3/2 = 0.18, −0.3 + ⅓·√3/3 = −0.11: first, and there of two alike the first: 0.5.
    5. 0.05 + ⅔·√4/3 = 0.49, −0.3 + ⅓·√4/3 = −0.08: first; there −0.5 + ½·√1/2 = −0.25, ½·√1/1 = 0.5:
       second: −0.6.
    """
    tree = searched(Fork(), lambda root: PUCTTree(root, 1.0, 1e12, None), 5, evaluate=forks)
    first, second = tree.root.children
    assert_node(tree.root, [3, 2], [-0.4 + 0.5 - 0.6, 0.2 - 0.8])
    assert_node(first, [1, 1], [-0.5, 0.6])
    assert_node(second, [0, 1], [0, 0.8])
    assert tree.policy().tolist() == [3 / 5, 2 / 5] and tree.choice() == 0
    assert tree.value() == pytest.approx((0.1 - 0.5 - 0.6) / 6)
    assert likeliest_line(tree.root) == [0, 0]


def test_a_golden_gumbel_tree():
    """Six simulations by hand, three for each action, σ(q) = (1 + most visits)·(q + 1)/2, no noise.

    1. and 2. each once, by its prior: −0.4, 0.2.
    3. ln ⅔ + 2·0.3 = 0.19, ln ⅓ + 2·0.6 = 0.10: first, and there of two alike the first: 0.5.
    4. second, and there the higher prior, second: −0.8.
    5. Q is 0.05 and −0.3: first. There Q of the first is −0.5, of the second the mixture of 0.4 and −0.5,
       −0.05: π′ = softmax(2·0.25, 2·0.475) = (0.39, 0.61), shares of visits (½, 0): second: −0.6.
    6. second. There the first is the mixture of −0.2 and 0.8, 0.3: π′ = softmax(ln ¼ + 1.3, ln ¾ + 1.8) =
       (0.17, 0.83), shares (0, ½): second again, and below it the first: 0.6, −0.6 for the root.
    """
    tree = searched(Fork(), lambda root: GumbelTree(root, 6, 2, Sigma(1.0, 1.0), None), 6, evaluate=forks)
    first, second = tree.root.children
    assert_node(tree.root, [3, 3], [-0.4 + 0.5 - 0.6, 0.2 - 0.8 - 0.6])
    assert_node(first, [1, 1], [-0.5, 0.6])
    assert_node(second, [0, 2], [0, 0.8 + 0.6])
    assert_node(second.children[1], [1, 0], [-0.6, 0])
    q = np.array([-0.5 / 3, -1.2 / 3])
    weights = np.array([2 / 3, 1 / 3]) * np.exp(4 * (q + 1) / 2)
    np.testing.assert_allclose(tree.policy(), weights / weights.sum())
    assert tree.choice() == 0 and tree.value() == pytest.approx(weights @ q / weights.sum())


def test_values_change_sides_and_fade_on_the_way_up():
    tree = searched(Nim(1), gumbel(4), 4, gamma=0.5)  # one move, and it wins
    assert tree.root.q_values.tolist() == [0.5]
    tree = searched(Nim(4), gumbel(300), 300, gamma=0.5)  # whatever is taken, the rest is taken next
    np.testing.assert_allclose(tree.root.q_values[tree.root.visits.argmax()], -0.25, atol=0.15)


@pytest.mark.parametrize("tree", [gumbel(400), puct()])
@pytest.mark.parametrize("heap", [5, 6, 7, 9, 10, 11])
def test_a_search_that_knows_nothing_but_the_rules_wins_at_nim(tree, heap):
    found = searched(Nim(heap), tree, 400)
    assert found.root.actions[found.choice()] == heap % 4 - 1
    assert found.policy().argmax() == found.choice()
    assert found.root.visits.sum() == 400
    assert found.value() > 0.4


@pytest.mark.parametrize(("simulations", "least"), [(1, 0.1), (2, 0.25), (5, 0.45), (16, 0.45)])
def test_the_improved_policy_gains_by_the_true_values_of_the_actions(simulations, least):
    # Danihelka et al. 2022, section 4, held against the actions' own values and not the completed ones,
    # by which any softmax that rises with them gains. Choosing the best action always would gain 0.65.
    generator, gains = np.random.default_rng(0), []
    for _ in range(50):
        logits, q = generator.normal(size=6), generator.uniform(-1, 1, 6)
        before = float(softmax(logits) @ q)
        root = node(logits, np.zeros(6), np.zeros(6), value=before)
        tree = GumbelTree(root, simulations, 4, Sigma(), None)
        for _ in range(simulations):
            index = tree.at_root()
            root.visit(index, q[index])
        gains.append(tree.policy() @ q - before)
    assert np.mean(gains) > least and min(gains) > -0.1


@pytest.mark.parametrize("simulations", [1, 3, 5, 16])
def test_where_the_network_has_no_opinion_the_best_of_what_was_tried_is_played(simulations):
    generator = np.random.default_rng(3)
    for _ in range(50):
        q = generator.uniform(-1, 1, 6)
        root = node(np.zeros(6), np.zeros(6), np.zeros(6))
        tree = GumbelTree(root, simulations, 4, Sigma(), None)
        for _ in range(simulations):
            index = tree.at_root()
            root.visit(index, q[index])
        assert (root.visits > 0).sum() == min(simulations, 4)
        assert q[tree.choice()] == q[root.visits > 0].max()


def test_without_simulations_to_tell_them_apart_gumbel_noise_samples_the_policy():
    generator = np.random.default_rng(1)
    root = node(np.log([1, 2, 5]), [0, 0, 0], [0, 0, 0])
    drawn = [GumbelTree(root, 1, 1, Sigma(), generator).at_root() for _ in range(4000)]
    np.testing.assert_allclose(np.bincount(drawn) / 4000, [1 / 8, 2 / 8, 5 / 8], atol=0.03)


def test_dirichlet_noise_mixes_into_the_root_alone_and_self_play_draws_by_visits():
    generator = np.random.default_rng(2)
    policies = [
        PUCTTree(node(np.log([1, 3]), [0, 0], [0, 0]), 1.25, 1e4, generator).policy() for _ in range(500)
    ]
    np.testing.assert_allclose(np.mean(policies, 0), [0.75 / 4 + 0.125, 0.75 * 0.75 + 0.125], atol=0.02)
    assert np.std(policies, 0).min() > 0.05
    tree = PUCTTree(node([0, 0], [1, 3], [0, 0]), 1.25, 1e4, generator)
    np.testing.assert_allclose(np.mean([tree.choice() for _ in range(2000)]), 0.75, atol=0.03)


def test_of_later_plies_of_self_play_the_best_is_played_and_the_root_has_noise_all_the_same():
    tree = PUCTTree(
        node([0, 0], [1, 3], [0, 0]), 1.25, 1e4, np.random.default_rng(2), 0.3, 0.25, sampled=False
    )
    assert {tree.choice() for _ in range(50)} == {1}
    worlds = make_worlds("chess/kqk", 2, seed=3, history=1)
    agent = agent_for(worlds, search="puct", num_simulations=2, num_steps=3, sampled_plies=1)
    trees, make = [], agent.config.tree

    def noted(root, generator, **more):
        trees.append(make(root, generator, **more))
        return trees[-1]

    object.__setattr__(agent.config, "tree", noted)
    next(agent.learn(worlds, Budget(updates=1)))
    assert len(trees) == 3 * 2
    for tree in trees:
        mixed = (tree._prior - 0.75 * tree.root.prior) / 0.25
        assert mixed.min() >= 0 and mixed.sum() == pytest.approx(1) and mixed.max() > 2 / len(mixed)
    assert all(tree.choice() == tree.policy().argmax() for tree in trees[2:])


def test_trees_that_grow_side_by_side_are_the_trees_that_grow_alone():
    asked = []

    def knowing(games):
        asked.append(len(games))
        logits = np.tile(np.linspace(0, 1, 3), (len(games), 1))
        return Evaluation(logits, np.array([0.1 * (game.heap % 4 - 1.5) for game in games]))

    heaps = (5, 6, 11)
    roots = make_roots([Nim(heap) for heap in heaps], knowing)
    together = [gumbel(32)(root) for root in roots]
    simulate(together, knowing, 32, 0.9)
    assert max(asked) == 3 and len(asked) <= 33
    for tree, heap in zip(together, heaps, strict=True):
        alone = searched(Nim(heap), gumbel(32), 32, 0.9, knowing)
        assert tree.root.visits.tolist() == alone.root.visits.tolist()
        np.testing.assert_allclose(tree.root.totals, alone.root.totals)


def played(heap, actions, values=None, max_plies=99):
    game = SelfPlay(Nim(heap), max_plies)
    for i, action in enumerate(actions):
        legal = game.game.legal_actions()
        policy = np.full(len(legal), 1 / len(legal), np.float32)
        value = values[i] if values else 0.0
        game.play(Move(game.game.observe([game.game])[0], legal, policy, value, action))
    return game


def test_what_a_game_came_to_belongs_to_each_plys_mover():
    game = played(5, [0, 1, 1])  # 5 → 4 → 2 → 0: who moved first took the last
    assert game.over and game.episode().score == 1 and game.episode().outcome == "win"
    np.testing.assert_allclose(game.targets(1.0, 1.0), [1, -1, 1])
    np.testing.assert_allclose(game.targets(0.5, 1.0), [0.125, -0.25, 0.5])
    lost = played(5, [1, 2])
    assert lost.over and lost.episode().outcome == "loss" and not lost.episode().mate
    np.testing.assert_allclose(lost.targets(1.0, 1.0), [-1, 1])


def test_lambda_returns_by_hand():
    game = played(5, [0, 1, 1], values=[0.5, -0.25, 0.75])
    last = 0.5  # −γ · −1
    middle = -0.5 * (0.25 * 0.75 + 0.75 * last)
    np.testing.assert_allclose(game.targets(0.5, 0.75), [-0.5 * (0.25 * -0.25 + 0.75 * middle), middle, last])
    np.testing.assert_allclose(game.targets(0.5, 0.0), [0.125, -0.375, 0.5])


def test_a_game_that_was_cut_bootstraps_from_its_last_search():
    game = played(9, [0, 0], values=[0.1, 0.4], max_plies=2)
    assert game.over and game.episode().outcome == "" and game.episode().score == 0
    np.testing.assert_allclose(game.targets(0.5, 1.0), [-0.2, 0.4])


def resigning(values, actions, *, heap=9, played_through=False):
    game = SelfPlay(Nim(heap), 99, resign_below=-0.8)
    game.played_through = played_through
    for value, action in zip(values, actions, strict=True):
        if not game.over:
            legal = game.game.legal_actions()
            game.play(Move(np.zeros(1, np.uint8), legal, np.ones(len(legal)) / len(legal), value, action))
    return game


def test_a_side_resigns_where_its_search_gives_it_up():
    game = resigning([0.1, -0.8, 0.5, -0.81, 0.9], [0, 0, 0, 0, 0])
    assert game.over and game.resigned and game.gave_up == 1 and len(game.moves) == 4
    assert game.game.heap == 6, "the move that was not made is kept to learn from"
    assert game.episode().score == 1 and game.episode().outcome == "win" and not game.episode().mate
    np.testing.assert_allclose(game.targets(0.5, 1.0), [0.5**4, -(0.5**3), 0.5**2, -0.5])
    assert game.falsely_resigned is None, "nobody knows"
    assert not resigning([-0.8, -0.1], [0, 0]).over


@pytest.mark.parametrize(
    ("actions", "false"), [([0, 0, 1, 2], True), ([0, 0, 2, 1], True), ([0, 2, 2], False)]
)
def test_of_games_played_through_it_is_told_whether_resigning_would_have_been_false(actions, false):
    heap = sum(actions) + len(actions)
    # player 1 gives up at its first move: with four moves it takes the last and wins, with three it loses
    game = resigning([0.0, -0.9, 0.9, -0.9][: len(actions)], actions, heap=heap, played_through=True)
    assert game.over and not game.resigned and game.gave_up == 1 and game.game.heap == 0
    assert game.falsely_resigned is false
    again = SelfPlay(Nim(heap), 99, resign_below=-0.8)
    again.restore(resigning([0.0, -0.9], actions[:2], heap=heap, played_through=True).state())
    assert again.played_through and again.gave_up == 1 and not again.over


def test_self_play_resigns_audits_and_resumes_exactly():
    def learner(share):
        worlds = make_worlds("chess/kqk", 6, seed=3, history=1)
        fields = {"num_simulations": 2, "num_steps": 6, "minibatch_size": 64, "cut_after": 10}
        agent = agent_for(worlds, resign_below=-0.02, resign_playthrough=share, **fields)
        return worlds, agent, agent.learn(worlds, Budget(updates=4))

    _, agent, progress = learner(0.0)
    episodes = [episode for step in itertools.islice(progress, 2) for episode in step.episodes]
    assert any(episode.outcome and not episode.mate and episode.length < 10 for episode in episodes)
    assert not agent._audited and "false_resignations" not in next(progress).metrics
    _, agent, progress = learner(0.5)
    assert len(list(itertools.islice(progress, 2))) == 2
    state = agent.state()
    (last, *_) = [step for step in progress if step.updates == 4]
    _, again, resumed = learner(0.5)
    again.restore(state)
    (same, *_) = [step for step in resumed if step.updates == 4]
    assert list(again._audited) == list(agent._audited)
    assert last.metrics == same.metrics
    through = [game.played_through for game in again._playing]
    assert through == [game.played_through for game in agent._playing] and {*through} == {True, False}


def test_a_game_in_progress_is_told_and_taken_up_again():
    start = ChessGame(MATE_IN_TWO)
    game = SelfPlay(start, 50)
    for uci in ("a2a7", "h8g8"):
        now = game.game
        legal = now.legal_actions()
        policy = softmax(np.arange(len(legal), dtype=np.float32))
        game.play(Move(now.observe([now])[0], legal, policy, 0.25, now.action(uci)))
    again = SelfPlay(start, 50)
    again.restore(game.state())
    assert again.game.fen == game.game.fen
    for one, other in zip(again.moves, game.moves, strict=True):
        assert one.action == other.action and one.value == other.value
        for key in ("obs", "legal", "policy"):
            np.testing.assert_array_equal(getattr(one, key), getattr(other, key))


def test_the_newest_games_are_remembered_and_drawn_evenly():
    memory = PositionBuffer(10)
    for number in range(6):
        memory.add(ReplayChunk.of(f"games-{number}", [played(12 - number, [2, 2, 0])], 1.0, 1.0))
    assert len(memory) == 12, "four games of three plies: the fewest that are at least ten"
    positions = memory.sample(6000, STILL, np.random.default_rng(0), torch.device("cpu"))
    heaps, counts = np.unique(positions.obs.numpy(), return_counts=True)
    expected_heaps = [heap for number in range(2, 6) for heap in (12 - number, 9 - number, 6 - number)]
    assert sorted(set(expected_heaps)) == heaps.tolist()
    shares = [expected_heaps.count(heap) * 500 for heap in heaps]
    np.testing.assert_allclose(counts, shares, rtol=0.2)
    assert positions.mask.sum(1).unique().tolist() == [1, 2, 3] and not positions.mask[:, 3:].any()
    np.testing.assert_allclose(positions.policy.sum(1), 1, rtol=1e-6)
    other = PositionBuffer(10)
    other.restore(memory.state())
    again = other.sample(6000, STILL, np.random.default_rng(0), torch.device("cpu"))
    assert torch.equal(again.obs, positions.obs) and torch.equal(again.value, positions.value)


def test_a_turned_board_has_the_turned_moves():
    game = ChessGame("8/8/2k5/8/8/4K3/8/6Q1 w - - 0 1", 1)
    squares, actions = make_worlds("chess/kqk", 1, history=1).symmetries
    assert squares.shape == (8, 64) and len({row.tobytes() for row in squares}) == 8
    assert len(make_worlds("chess/kpk", 1).symmetries[0]) == len(make_worlds("chess", 1).symmetries[0]) == 1
    for to, moves in zip(squares, actions, strict=True):
        board = chess.Board.empty()
        for square, source in enumerate(to):
            board.set_piece_at(square, game.board.piece_at(int(source)))
        turned = ChessGame(board.fen(), 1)
        assert turned.legal_actions().tolist() == sorted(moves[game.legal_actions()].tolist())
        memory = PositionBuffer(1)
        one = SelfPlay(game, 1)
        legal = game.legal_actions()
        one.play(Move(game.observe([game])[0], legal, softmax(legal / 1000.0), 0.5, int(legal[0])))
        memory.add(ReplayChunk.of("one", [one], 1.0, 1.0))
        only = (to[None], moves[None])
        drawn = memory.sample(1, only, np.random.default_rng(0), torch.device("cpu"))
        np.testing.assert_array_equal(drawn.obs[0], turned.observe([turned])[0])
        assert drawn.legal[drawn.mask].tolist() == moves[legal].tolist()


def agent_for(worlds, **fields):
    config = AlphaZero(**{"network": "board32", "precision": "float32"} | fields)
    return config.build(worlds.single_observation_space, worlds.single_action_space, seed=0)


def test_the_loss_is_over_legal_moves_alone():
    worlds = make_worlds("chess", 1, fen=MATE_IN_ONE, history=1)
    agent = agent_for(worlds)
    game = ChessGame(MATE_IN_ONE, 1)
    legal = game.legal_actions()
    policy = np.zeros(len(legal), np.float32)
    policy[3], policy[5] = 0.25, 0.75
    other = SelfPlay(game, 1)
    other.play(Move(game.observe([game])[0], legal, policy, 0.5, int(legal[3])))
    memory = PositionBuffer(1)
    memory.add(ReplayChunk.of("one", [other], 1.0, 1.0))
    with torch.no_grad():
        loss, figures = agent.loss(
            memory.sample(2, worlds.symmetries, np.random.default_rng(0), torch.device("cpu"))
        )
    found = agent.evaluate([game])
    (logits,), value = found.logits, found.values
    log_policy = np.log(softmax(logits[legal].astype(np.float64)))
    by_hand = [-(policy @ log_policy), (value[0] - 0.5) ** 2, -(np.exp(log_policy) @ log_policy)]
    np.testing.assert_allclose(figures, by_hand, rtol=1e-4)
    np.testing.assert_allclose(loss, by_hand[0] + by_hand[1], rtol=1e-4)


def mates_in_two(game):
    """The moves after which every reply allows a mate."""

    def mated(position):
        return position.outcome() == -1

    def mates(position):
        return any(mated(position.play(action)) for action in position.moves)

    after = {game.san(action): game.play(action) for action in game.moves}
    return {
        san for san, now in after.items() if now.moves and all(mates(now.play(reply)) for reply in now.moves)
    }


@pytest.mark.parametrize("search", ["gumbel", "puct"])
def test_an_untrained_player_finds_a_mate_in_one_and_in_two(search):
    worlds = make_worlds("chess", 2, fen=MATE_IN_ONE, history=1)
    fields = {"search": search, "num_considered": 64, "gamma": 0.9}
    agent = agent_for(worlds, num_simulations=100, **fields)
    obs, info = worlds.reset()
    decision, _ = agent.act(obs, info, greedy=True)
    assert info["games"][0].san(int(decision.actions[0])) == "Ra8#"
    assert decision.visits.sum(1).tolist() == [100, 100]
    worlds = make_worlds("chess", 1, fen=MATE_IN_TWO, history=1)
    agent = agent_for(worlds, num_simulations=900, **fields)
    obs, info = worlds.reset()
    (action,) = agent.act(obs, info, greedy=True)[0].actions
    assert 1 < len(mates_in_two(info["games"][0])) < 8
    assert info["games"][0].san(int(action)) in mates_in_two(info["games"][0])


def test_it_learns_a_mate_by_heart_until_the_network_alone_sees_it():
    worlds = make_worlds("chess", 8, fen=MATE_IN_ONE, history=1, max_plies=4)
    agent = agent_for(
        worlds, num_simulations=12, num_steps=4, minibatch_size=16, learning_rate=3e-3, num_epochs=4
    )
    game = ChessGame(MATE_IN_ONE, 1)
    legal = game.legal_actions()
    mating = legal.tolist().index(game.action("a1a8"))
    first = agent.evaluate([game])
    (before,), value_before = first.logits, first.values
    progress = list(agent.learn(worlds, Budget(updates=8)))
    last = agent.evaluate([game])
    (after,), value_after = last.logits, last.values
    assert softmax(before[legal])[mating] < 0.2 and softmax(after[legal])[mating] > 0.7
    assert abs(value_before[0]) < 0.6 and value_after[0] > 0.7
    assert [p.env_steps for p in progress] == [32 * (i + 1) for i in range(8)]
    episodes = progress[-1].episodes
    assert {episode.outcome for episode in episodes} == {"win"} and all(e.mate for e in episodes)


def test_a_traced_loss_teaches_the_same_and_is_traced_once():
    traced = torch._dynamo.utils.counters["stats"]
    before, learned = traced["unique_graphs"], []
    for compiled in (False, True):
        worlds = make_worlds("chess/kpk", 4, seed=0, history=1)  # never more than 32 moves
        agent = agent_for(
            worlds, num_simulations=2, num_steps=12, minibatch_size=16, cut_after=6, compile=compiled
        )
        agent.gradient_step.backend = "eager"
        *_, progress = agent.learn(worlds, Budget(updates=3))
        learned.append(agent.weights())
    assert progress.metrics["policy_loss"] > 0
    assert traced["unique_graphs"] - before == 1 and not torch._dynamo.utils.counters["graph_break"]
    for name, weight in learned[0].items():
        np.testing.assert_allclose(learned[1][name], weight, rtol=1e-5, atol=1e-6)


def test_games_begin_before_anyone_has_moved_and_are_cut_after_so_many_plies():
    worlds = make_worlds("chess", 3, seed=0, history=1, colour="black", max_plies=7)
    for cut_after, longest in ((4, 4), (9, 7)):
        agent = agent_for(worlds, num_simulations=2, num_steps=longest, cut_after=cut_after)
        (progress,) = agent.learn(worlds, Budget(updates=1))
        assert [episode.length for episode in progress.episodes] == [longest] * 3
        positions = agent._memory.sample(50, worlds.symmetries, np.random.default_rng(0), torch.device("cpu"))
        first = ChessGame(history=1).observe([ChessGame(history=1)])[0]
        assert (positions.obs.numpy() == first).all((1, 2, 3)).any(), "White's first move is learned too"


def test_playing_does_not_change_what_is_learned():
    finals = []
    for watched in (False, True):
        worlds = make_worlds("chess/kqk", 2, seed=3, history=1)
        agent = agent_for(worlds, num_simulations=4, num_steps=12, minibatch_size=8)
        for _ in agent.learn(worlds, Budget(updates=3)):
            if watched:
                agent.seed(5)
                agent.act(*make_worlds("chess/kqk", 2, history=1).reset())
        finals.append(agent.weights())
    assert all(np.array_equal(finals[0][key], finals[1][key]) for key in finals[0])


def test_it_plays_in_single_worlds_side_by_side():
    made = [make_world("chess/kqk", seed=seed, history=1) for seed in range(3)]
    worlds = EnvWorlds([lambda world=world: world for world in made], seed=0)
    obs, info = worlds.reset()
    assert [game.fen for game in info["games"]] == [world.game.fen for world in made]
    actions = agent_for(worlds, num_simulations=4).act(obs, info)[0].actions
    worlds.step(actions)
    assert [world.plies for world in made] == [2, 2, 2]


def test_it_plays_for_the_other_side_too():
    worlds = make_worlds("chess/kqk", 2, seed=0, history=1)
    player = agent_for(worlds, num_simulations=4)
    config = worlds.config.against(player, "alphazero")
    games = config.make_batch(2, seed=1)
    obs, info = games.reset()
    for _ in range(3):
        legal = [np.flatnonzero(mask)[0] for mask in info["action_mask"]]
        obs, _, _, truncated, info = games.step(np.array(legal))
        assert not truncated.any(), info


def test_worlds_without_positions_are_refused_by_name():
    worlds = make_worlds("gym/CartPole-v1", 1)
    agent = agent_for(worlds, network="mlp")
    with pytest.raises(SearchError, match="alphazero searches positions, which .* does not show; chess does"):
        next(agent.learn(worlds, Budget(updates=1)))
    with pytest.raises(SearchError, match='info has no "games"'):
        agent.act(*worlds.reset())
    box = make_worlds("gym/Pendulum-v1", 1)
    with pytest.raises(SearchError, match="alphazero plays games of moves"):
        agent_for(box, network="mlp")


@pytest.mark.parametrize(
    ("field", "value"),
    [("num_simulations", 0), ("gamma", 1.5), ("learning_rate", 0.0), ("c_visit", -1.0), ("network", "bord")],
)
def test_values_out_of_range_are_refused(field, value):
    with pytest.raises(ValueError, match=f"^{field} must"):
        AlphaZero(**{field: value})


def test_a_decision_is_whole():
    worlds = make_worlds("chess", 2, history=1, seed=0)
    decision, _ = agent_for(worlds, num_simulations=8).act(*worlds.reset())
    assert isinstance(decision, Decision)
    np.testing.assert_allclose(decision.probabilities.sum(1), 1, rtol=1e-5)
    assert (np.abs(decision.value) <= 1).all()
