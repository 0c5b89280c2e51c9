"""Search trees in arrays: against a plain search of objects, in batches, and cut down to a subtree."""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass

import numpy as np
import pytest

from agents.alphazero.gumbel import GumbelTree, Sigma, halving
from agents.alphazero.puct import PUCTTree
from agents.alphazero.tree import make_roots, simulate
from agents.alphazero.tree_arrays import Evaluation


@dataclass(frozen=True)
class Maze:
    """A game of pseudo-random moves and endings, named by the moves so far; longer ones end more often."""

    path: str = ""

    def number(self, what, size):
        return int.from_bytes(hashlib.blake2b(f"{what}{self.path}".encode(), digest_size=4).digest()) % size

    def legal_actions(self):
        return np.arange(2 + self.number("moves", 6)) + self.number("first", 3)

    def play(self, action):
        return Maze(f"{self.path}{action}")

    def outcome(self):
        return self.number("outcome", 3) - 1.0 if self.number("over", 9) < len(self.path) - 1 else None

    def observe(self, games):
        return np.array([[game.number("seen", 256)] for game in games], np.uint8)


def opinion(game):
    """Logits (10,), value and draw probability of a position, by its name."""
    generator = np.random.default_rng(game.number("net", 2**31))
    return generator.normal(size=10), generator.uniform(-1, 1), generator.uniform(0, 1)


def opinions(games):
    logits, values, draws = zip(*map(opinion, games), strict=True)
    return Evaluation(np.array(logits), np.array(values), np.array(draws))


class Plain:
    """A node as an object, and both rules as their papers write them: what the arrays must equal."""

    def __init__(self, game):
        self.game, self.outcome = game, game.outcome()
        logits, self.value, _ = opinion(game)
        if self.outcome is not None:
            self.value = self.outcome
        self.actions = game.legal_actions()
        self.logits = logits[self.actions]
        self.prior = np.exp(self.logits) / np.exp(self.logits).sum()
        self.visits, self.totals = np.zeros(len(self.actions)), np.zeros(len(self.actions))
        self.children = {}

    def simulate(self, choose, gamma):
        if self.outcome is not None:
            return self.value
        index = choose(self)
        if index in self.children:
            value = -gamma * self.children[index].simulate(choose.below, gamma)
        else:
            self.children[index] = Plain(self.game.play(int(self.actions[index])))
            value = -gamma * self.children[index].value
        self.visits[index] += 1
        self.totals[index] += value
        return value

    def improved(self):
        q = self.totals / np.maximum(self.visits, 1)
        seen = self.visits > 0
        mixed = self.value
        if seen.any():
            mean = (self.prior * q)[seen].sum() / self.prior[seen].sum()
            mixed = (self.value + self.visits.sum() * mean) / (1 + self.visits.sum())
        return self.logits + (50 + self.visits.max()) * (np.where(seen, q, mixed) + 1) / 2


class PlainPUCT:
    def __call__(self, node):
        total = node.visits.sum()
        if not total:
            return int(node.prior.argmax())
        c_puct = math.log((1 + total + 19_652) / 19_652) + 1.25
        q = node.totals / np.maximum(node.visits, 1)
        return int((q + c_puct * node.prior * math.sqrt(total) / (1 + node.visits)).argmax())

    below = property(lambda self: self)


class PlainGumbel:
    def __init__(self, considered, simulations):
        self.levels = iter(halving(considered, simulations))

    def __call__(self, node):
        score = np.where(node.visits == next(self.levels), node.improved(), -np.inf)
        return int(score.argmax())

    @staticmethod
    def below(node):
        policy = np.exp(node.improved() - node.improved().max())
        return int((policy / policy.sum() - node.visits / (1 + node.visits.sum())).argmax())


PlainGumbel.below.below = PlainGumbel.below
SIMULATIONS = 60


def rule(search, root, considered=8):
    if search == "gumbel":
        return GumbelTree(root, SIMULATIONS, considered, Sigma(), None)
    return PUCTTree(root, 1.25, 19_652.0, None)


def starts(count):
    return [Maze(name) for name in map(str, range(1000, 1000 + count)) if Maze(name).outcome() is None]


def grown(search, games, *, leaves=1, simulations=SIMULATIONS):
    trees = [rule(search, root) for root in make_roots(games, opinions)]
    simulate(trees, opinions, simulations, 0.9, leaves=leaves)
    return trees


def assert_same(node, plain):
    assert node.over == (plain.outcome is not None) and node.value == pytest.approx(plain.value)
    if node.over:
        return
    assert node.visits.tolist() == plain.visits.tolist()
    np.testing.assert_allclose(node.totals, plain.totals, atol=1e-12)
    for index, child in enumerate(node.children):
        assert (child is None) == (index not in plain.children)
        if child is not None:
            assert_same(child, plain.children[index])


@pytest.mark.parametrize("search", ["gumbel", "puct"])
def test_trees_in_arrays_are_the_trees_of_a_plain_search(search):
    games = starts(40)[:12]
    depths = []
    for games_at_once in (games, games[:1]):  # side by side, and by itself
        for tree in grown(search, games_at_once):
            plain = Plain(tree.root.game)
            choose = PlainPUCT() if search == "puct" else PlainGumbel(min(8, len(plain.actions)), SIMULATIONS)
            for _ in range(SIMULATIONS):
                plain.simulate(choose, 0.9)
            assert_same(tree.root, plain)
            depths.append(max(len(game.path) for game in tree.root.arrays.games) - 4)
    assert max(depths) > 4, "trees so flat tell little"


@pytest.mark.parametrize("leaves", [1, 3, 8, 64])
@pytest.mark.parametrize("search", ["gumbel", "puct"])
def test_whatever_is_in_flight_at_once_each_simulation_is_counted_and_backed_up(search, leaves):
    for tree in grown(search, starts(40)[:5], leaves=leaves):
        arrays, root = tree.root.arrays, tree.root
        assert root.visits.sum() == SIMULATIONS == root.rows.total_started
        np.testing.assert_array_equal(arrays.visits, arrays.started)
        assert not arrays.pending[: arrays.size].any()
        for node in range(arrays.size):
            rows = arrays.row(node)
            if not arrays.width[node]:
                continue
            assert rows.total == rows.visits.sum() == rows.total_started and rows.most == rows.visits.max()
            np.testing.assert_allclose(rows.visited_prior, rows.prior[rows.visits > 0].sum())
            edges = arrays.span(node)
            columns = (arrays.child, arrays.visits, arrays.totals, arrays.draws)
            for child, visits, total, draws in zip(*(column[edges] for column in columns), strict=True):
                assert (child >= 0) == (visits > 0)
                if child < 0:
                    continue
                inner = arrays.span(int(child))  # the child's own value, and its simulations'
                own = visits - arrays.visits[inner].sum()
                assert own == (visits if arrays.over[child] else 1)
                value = own * arrays.value[child] + arrays.totals[inner].sum()
                np.testing.assert_allclose(total, -0.9 * value, atol=1e-9)
                draw = own * arrays.draw[child] + arrays.draws[inner].sum()
                np.testing.assert_allclose(draws, draw, atol=1e-9)


def test_gumbel_search_is_the_same_in_batches_as_one_by_one_but_for_fewer_calls():
    calls = []

    def noted(games):
        calls.append(len(games))
        return opinions(games)

    for game in [game for game in starts(60) if len(game.legal_actions()) > 4][:8]:
        visits = []
        for leaves in (1, 64):
            calls.clear()
            (root,) = make_roots([game], opinions)
            simulate([GumbelTree(root, 40, 4, Sigma(), None)], noted, 40, 0.9, leaves=leaves)
            visits.append(root.visits.tolist())
        assert visits[0] == visits[1]
        assert len(calls) <= len(set(halving(4, 40))), "a call for each level"


@pytest.mark.parametrize(("search", "same"), [("gumbel", 1.0), ("puct", 0.9)])
def test_with_eight_in_flight_nearly_the_same_action_is_chosen(search, same):
    games = starts(150)[:60]
    one = [tree.choice() for tree in grown(search, games)]
    other = [tree.choice() for tree in grown(search, games, leaves=8)]
    assert np.mean(np.equal(one, other)) >= same


@pytest.mark.parametrize("search", ["gumbel", "puct"])
def test_a_subtree_that_is_kept_is_whole(search):
    trees = grown(search, starts(40)[:8])
    arrays = trees[0].root.arrays
    children = [child for tree in trees for child in tree.root.children if child is not None]
    kept = [child for child in children if child.visits.sum() > 3][:3]
    new = arrays.compacted([node.index for node in kept])

    def told(arrays, node):
        rows = arrays.span(node)
        children = arrays.child[rows].tolist()
        return (
            arrays.games[node],
            *(getattr(arrays, name)[node] for name in ("value", "draw", "total", "most", "visited_prior")),
            *(getattr(arrays, name)[rows].tolist() for name in ("action", "prior", "visits", "totals")),
            [told(arrays, child) if child >= 0 else None for child in children],
        )  # fmt: skip

    assert len(kept) == 3 and new.size < arrays.size
    for i, node in enumerate(kept):
        assert told(new, i) == told(arrays, node.index)
    new.expand([new.add(Maze("77"))], opinions([Maze("77")]))  # and there is room for more
    assert told(new, 0) == told(arrays, kept[0].index)


@dataclass(frozen=True)
class Shuffle(Maze):
    """A game where the second move of each line repeats a position."""

    @property
    def repetitions(self):
        return int(len(self.path) == 2)

    def play(self, action):
        return Shuffle(f"{self.path}{action}")

    def outcome(self):
        return None


def test_with_two_fold_draws_a_repetition_in_the_tree_is_a_draw():
    for two_fold in (False, True):
        (root,) = make_roots([Shuffle()], opinions)
        tree = rule("puct", root)
        simulate([tree], opinions, 40, 1.0, two_fold_draws=two_fold)
        children = [child for child in root.children if child is not None]
        repeated = [node for child in children for node in child.children if node is not None]
        assert repeated and all(node.over == two_fold for node in repeated)
        if two_fold:
            assert {(node.value, node.draw) for node in repeated} == {(0.0, 1.0)}
