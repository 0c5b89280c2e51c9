"""AlphaZero's tree searches, Gumbel and PUCT, by hand and by theory."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
from nim import Nim, ignorant

from agents.alphazero.gumbel import GumbelTree, Sigma, completed_q, halving
from agents.alphazero.puct import PUCTTree
from agents.alphazero.tree import likeliest_line, make_roots, simulate
from agents.alphazero.tree_arrays import Evaluation, Node, TreeArrays, softmax


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


def test_of_later_plies_the_most_visited_action_is_played():
    tree = PUCTTree(
        node([0, 0], [1, 3], [0, 0]), 1.25, 1e4, np.random.default_rng(2), 0.3, 0.25, sampled=False
    )
    assert {tree.choice() for _ in range(50)} == {1}


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
