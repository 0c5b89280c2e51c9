"""Trees of positions, grown side by side, so that the network is asked for all of them at once.

A simulation walks down from the root, always to the move that the tree's rule picks, until it comes to a
position that is new or where the game is over; what the network or the rules say of it is carried back up
the way. The two sides move in turn, and what is good for one is as bad for the other: every value belongs
to the side to move, and changes its sign with each ply.
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
    """A position, and what the simulations through it found.

    Attributes:
        game: the position.
        over: whether the game has ended there.
        value: what the network says, or the rules where the game is over; for the side to move.
        actions: (K,) int64 legal actions.
        logits: (K,) float64 of the network's policy.
        visits: (K,) float64 how many simulations took each action.
        totals: (K,) float64 the sum of what they came to.
        children: K nodes, None where no simulation has been.
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
        """Take up what the network says; `logits` (A,) of all actions, legal or not."""
        self.actions = self.game.legal_actions()
        self.logits = logits[self.actions].astype(np.float64)
        self.value = float(value)
        self.visits = np.zeros(len(self.actions))
        self.totals = np.zeros(len(self.actions))
        self.children: list[Node | None] = [None] * len(self.actions)

    def only(self, actions: Sequence[int]) -> None:
        """Forget all actions but these, before the first simulation."""
        kept = np.isin(self.actions, actions)
        self.actions, self.logits = self.actions[kept], self.logits[kept]
        self.visits, self.totals = self.visits[kept], self.totals[kept]
        self.children = [None] * len(self.actions)

    @property
    def q_values(self) -> Array:
        """(K,) the mean of what each action came to; 0 where no simulation has been."""
        return self.totals / np.maximum(self.visits, 1)

    @property
    def prior(self) -> Array:
        """(K,) the network's policy."""
        return softmax(self.logits)


class Tree(Protocol):
    """One search: which action a simulation takes, and what is made of all of them."""

    root: Node

    def at_root(self) -> int:
        """The index of the action that the next simulation tries."""

    def below(self, node: Node) -> int:
        """The same at a position further down."""

    def policy(self) -> Array:
        """(K,) what the search would play, as probabilities: what the network learns."""

    def choice(self) -> int:
        """The index of the action to play."""

    def value(self) -> float:
        """What the mover may expect who plays `policy`."""


def likeliest_line(root: Node) -> list[int]:
    """The actions from `root` on that were visited most, as far as there are visits."""
    line, node = [], root
    while not node.over and node.visits.any():
        index = int(node.visits.argmax())
        line.append(int(node.actions[index]))
        child = node.children[index]
        assert child is not None
        node = child
    return line


def softmax(logits: Array) -> Array:
    """Logits (K,) as probabilities.

    >>> softmax(np.log([1.0, 3.0])).tolist()
    [0.25, 0.75]
    """
    weights: Array = np.exp(logits - logits.max())
    weights /= weights.sum()
    return weights


def planted(games: Sequence[Game], evaluate: Evaluate) -> list[Node]:
    """A root for each of N positions in which the game goes on."""
    nodes = [Node(game) for game in games]
    _expand(nodes, evaluate)
    return nodes


def grow(trees: Sequence[Tree], evaluate: Evaluate, simulations: int, gamma: float) -> None:
    """Send `simulations` through each tree; a ply later counts `gamma` times as much."""
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
    """The way to a position that is new or where the game is over, and that position."""
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
