"""Batched Monte Carlo tree search: many trees in parallel with one network evaluation for all their leaves.

A simulation descends from the root by the search's selection rule to a position that is new or terminal; its
value, by the network or the rules, is backed up along the path. The game is two-player and zero-sum: every
value is for the side to move, and changes its sign with each ply.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol, TypeAlias

import numpy as np

from sim.protocols import Game
from sim.records import Array

#: Of N positions: (N, A) logits of all actions, legal or not, and (N,) values in [−1, 1] for the mover.
Evaluate: TypeAlias = Callable[[Sequence[Game]], tuple[Array, Array]]


class Node:
    """Search node: a position with its legal actions, prior logits, visit counts and value sums.

    Attributes:
        game: the position.
        over: whether it is terminal.
        value: by the network, or by the rules if it is terminal; for the side to move.
        actions: (K,) int64 legal actions.
        logits: (K,) float64 of the network's policy.
        visits: (K,) float64 visit counts of the actions.
        totals: (K,) float64 sums of the simulations' values.
        children: K nodes, None where not visited.
    """

    __slots__ = ("actions", "children", "game", "logits", "over", "totals", "value", "visits")

    def __init__(self, game: Game) -> None:
        self.game = game
        outcome = game.outcome()
        self.over = outcome is not None
        self.value = outcome or 0.0
        self.actions: Array = np.zeros(0, np.int64)
        self.logits: Array = np.zeros(0)

    def expand(self, logits: Array, value: float) -> None:
        """Expand the node by the network's evaluation; `logits` (A,) of all actions, legal or not."""
        self.actions = self.game.legal_actions()
        self.logits = logits[self.actions].astype(np.float64)
        self.value = float(value)
        self.visits = np.zeros(len(self.actions))
        self.totals = np.zeros(len(self.actions))
        self.children: list[Node | None] = [None] * len(self.actions)

    def only(self, actions: Sequence[int]) -> None:
        """Restrict the node to these actions, before the first simulation."""
        kept = np.isin(self.actions, actions)
        self.actions, self.logits = self.actions[kept], self.logits[kept]
        self.visits, self.totals = self.visits[kept], self.totals[kept]
        self.children = [None] * len(self.actions)

    @property
    def q_values(self) -> Array:
        """Mean action values (K,); 0 for unvisited actions."""
        return self.totals / np.maximum(self.visits, 1)

    @property
    def prior(self) -> Array:
        """The network's policy (K,)."""
        return softmax(self.logits)


class Tree(Protocol):
    """Search rule for one position: action selection in the tree, and the resulting policy and value."""

    root: Node

    def at_root(self) -> int:
        """Select the next simulation's action at the root, by index."""

    def below(self, node: Node) -> int:
        """Select an action at another node, by index."""

    def policy(self) -> Array:
        """The search's policy (K,), which is the network's policy target."""

    def choice(self) -> int:
        """The index of the action to play."""

    def value(self) -> float:
        """The search's value of the position for the side to move."""


def likeliest_line(root: Node) -> list[int]:
    """Principal variation: the most visited actions from `root` on, as far as there are visits."""
    line, node = [], root
    while not node.over and node.visits.any():
        index = int(node.visits.argmax())
        line.append(int(node.actions[index]))
        child = node.children[index]
        assert child is not None
        node = child
    return line


def softmax(logits: Array) -> Array:
    """Softmax of logits (K,).

    >>> softmax(np.log([1.0, 3.0])).tolist()
    [0.25, 0.75]
    """
    weights: Array = np.exp(logits - logits.max())
    weights /= weights.sum()
    return weights


def make_roots(games: Sequence[Game], evaluate: Evaluate) -> list[Node]:
    """Make expanded root nodes of N positions that are not terminal."""
    nodes = [Node(game) for game in games]
    _expand(nodes, evaluate)
    return nodes


def simulate(trees: Sequence[Tree], evaluate: Evaluate, simulations: int, gamma: float) -> None:
    """Run `simulations` in each tree, as one batch; values are discounted by `gamma` a ply."""
    for _ in range(simulations):
        ways = [_descend(tree) for tree in trees]
        _expand([leaf for _, leaf in ways if not leaf.over], evaluate)
        for way, leaf in ways:
            value = leaf.value
            for node, index in reversed(way):
                value *= -gamma
                node.visits[index] += 1
                node.totals[index] += value


def _descend(tree: Tree) -> tuple[list[tuple[Node, int]], Node]:
    """Selection: the path to a node that is new or terminal, and that node."""
    node, index = tree.root, tree.at_root()
    way = [(node, index)]
    while (child := node.children[index]) is not None and not child.over:
        node, index = child, tree.below(child)
        way.append((node, index))
    if child is None:
        child = node.children[index] = Node(node.game.play(int(node.actions[index])))
    return way, child


def _expand(nodes: Sequence[Node], evaluate: Evaluate) -> None:
    if not nodes:
        return
    logits, values = evaluate([node.game for node in nodes])
    for node, row, value in zip(nodes, logits, values, strict=True):
        node.expand(row, value)
