"""Batched Monte Carlo tree search: many trees in parallel with one network evaluation for all their leaves.

A simulation descends from the root by the search's selection rule to a position that is new or terminal; its
value, by the network or the rules, is backed up along the path. The game is two-player and zero-sum: every
value is for the side to move, and changes its sign with each ply.

Several simulations of one tree can be in flight at once, so that a single game also fills a batch: until its
value is known, a simulation counts as a visit without a value (virtual loss as Lc0's visits in flight).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeAlias

import numpy as np

from agents.alphazero.tree_arrays import EdgeRows, Evaluation, Node, TreeArrays
from sim.protocols import Game
from sim.records import Array

#: Network evaluation of N positions, one call for all.
Evaluate: TypeAlias = Callable[[Sequence[Game]], Evaluation]

LOCKSTEP = 4  # trees from which on their paths are selected side by side, not one by one


class Tree(Protocol):
    """Search of one position: the resulting policy and value."""

    root: Node

    @property
    def simulations(self) -> int:
        """Finished simulations of this search; a tree that is reused has more visits."""

    def policy(self) -> Array:
        """The search's policy (K,), which is the network's policy target."""

    def choice(self) -> int:
        """The index of the action to play."""

    def value(self) -> float:
        """The search's value of the position for the side to move."""

    def draw(self) -> float:
        """The search's probability of a draw; 0 of a network that does not tell it."""

    def line(self) -> list[int]:
        """Principal variation: the action to play, and the moves expected after it."""


class SimulatedTree(Tree, Protocol):
    """Monte Carlo tree search of one position, and its selection rule."""

    def at_root(self) -> int:
        """Select the next simulation's action at the root, by index."""

    def undo(self, index: int) -> None:
        """Take back the last `at_root`, which selected `index`: its simulation is not run."""

    def room(self) -> int:
        """Simulations that may be in flight before the rule needs their values."""

    def below(self, rows: EdgeRows) -> Array:
        """Select actions (…,) at other nodes, by index."""


def win_draw_loss(tree: Tree) -> Array:
    """Probabilities (3,) of win, draw and loss for the side to move, by a search's value and draws."""
    value, draw = tree.value(), min(max(tree.draw(), 0.0), 1.0)
    found = np.clip([(1 - draw + value) / 2, draw, (1 - draw - value) / 2], 0.0, 1.0)
    probabilities: Array = found / found.sum()
    return probabilities


def likeliest_line(root: Node) -> list[int]:
    """The most visited actions from `root` on, as far as there are visits."""
    line: list[int] = []
    node: Node | None = root
    while node is not None and not node.over and node.visits.any():
        index = int(node.visits.argmax())
        line.append(int(node.actions[index]))
        node = node.child(index)
    return line


def chosen_line(root: Node, index: int) -> list[int]:
    """Action number `index`, and from there on the most visited ones."""
    child = root.child(index)
    return [int(root.actions[index]), *(likeliest_line(child) if child is not None else [])]


def make_roots(games: Sequence[Game], evaluate: Evaluate, temperature: float = 1.0) -> list[Node]:
    """Make expanded root nodes, in arrays of their own, of N positions that are not terminal."""
    arrays = TreeArrays()
    return expanded(arrays, [arrays.add(game) for game in games], evaluate, temperature)


def expanded(
    arrays: TreeArrays, nodes: Sequence[int], evaluate: Evaluate, temperature: float = 1.0
) -> list[Node]:
    """Expand those of N nodes that wait for their evaluation."""
    new = [node for node in nodes if arrays.pending[node]]
    if new:
        arrays.expand(new, evaluate([arrays.games[node] for node in new]), temperature)
    return [Node(arrays, node) for node in nodes]


def simulate(
    trees: Sequence[SimulatedTree],
    evaluate: Evaluate,
    simulations: int,
    gamma: float,
    *,
    leaves: int = 1,
    temperature: float = 1.0,
    two_fold_draws: bool = False,
) -> None:
    """Run `simulations` in each tree, as one batch.

    Args:
        trees: of one rule, with roots in the same arrays.
        evaluate: the network.
        simulations: in each tree.
        gamma: discount of values a ply.
        leaves: simulations of a tree in flight at most; with 1 each knows the values of all before it.
        temperature: of the network's policy, see `TreeArrays.expand`.
        two_fold_draws: whether a position in the tree that occurred before counts as a draw, as in Lc0: who
            is ahead need not repeat it, and who is behind can do so again.
    """
    arrays = trees[0].root.arrays
    left = [simulations] * len(trees)
    while any(left):
        flights = _in_flight(trees, left, leaves, two_fold_draws)
        expanded(arrays, [flight.leaf for flight in flights], evaluate, temperature)
        for flight in flights:
            _back_up(arrays, flight, gamma)


@dataclass(slots=True)
class Flight:
    """Simulation in flight.

    Attributes:
        tree: number of its tree.
        path: nodes and edges from the root on.
        leaf: the node where it ends; −1 if that is new.
    """

    tree: int
    path: list[tuple[int, int]]
    leaf: int = -1


def _in_flight(
    trees: Sequence[SimulatedTree], left: list[int], leaves: int, two_fold_draws: bool
) -> list[Flight]:
    """Descend up to `leaves` times in each tree, as far as its rule has room; counted down in `left`."""
    flights: list[Flight] = []
    room = [
        min(n, leaves, tree.room()) if leaves > 1 else min(n, 1) for n, tree in zip(left, trees, strict=True)
    ]
    while any(room):
        for flight in _descend(trees, [number for number, n in enumerate(room) if n]):
            if flights and _collides(trees[flight.tree], flight):
                room[flight.tree] = 0
                continue
            if flight.leaf < 0:
                flight.leaf = add_leaf(trees[0].root.arrays, *flight.path[-1], two_fold_draws)
            flights.append(flight)
            room[flight.tree] -= 1
            left[flight.tree] -= 1
    return flights


def _descend(trees: Sequence[SimulatedTree], numbers: Sequence[int]) -> list[Flight]:
    """Selection: for each of these trees the path to a node that is new, terminal or pending."""
    arrays, below = trees[0].root.arrays, trees[0].below
    first, child_of, over, pending = arrays.first, arrays.child, arrays.over, arrays.pending
    flights = []
    for number in numbers:
        root = trees[number].root.index
        flights.append(Flight(number, [(root, int(first[root]) + trees[number].at_root())]))
    going = flights
    while going:
        inner, nodes = [], []
        for flight in going:
            node, edge = flight.path[-1]
            arrays.start(node, edge)
            child = int(child_of[edge])
            if child < 0 or over[child] or pending[child]:
                flight.leaf = child
            else:
                inner.append(flight)
                nodes.append(child)
        if len(nodes) < LOCKSTEP:
            picks = [int(below(arrays.row(node))) for node in nodes]
        else:
            picks = below(arrays.rows(np.array(nodes))).tolist()
        for flight, node, pick in zip(inner, nodes, picks, strict=True):
            flight.path.append((node, int(first[node]) + pick))
        going = inner
    return flights


def add_leaf(arrays: TreeArrays, node: int, edge: int, two_fold_draws: bool) -> int:
    """Add the position after an edge."""
    game = arrays.games[node].play(int(arrays.action[edge]))
    leaf = arrays.add(game)
    if two_fold_draws and arrays.pending[leaf] and game.repetitions:
        arrays.end(leaf, 0.0)
    arrays.child[edge] = leaf
    return leaf


def _collides(tree: SimulatedTree, flight: Flight) -> bool:
    """Whether a simulation ends where another one is in flight; it is taken back then."""
    arrays = tree.root.arrays
    if flight.leaf < 0 or not arrays.pending[flight.leaf]:
        return False
    for node, edge in flight.path:
        arrays.cancel(node, edge)
    node, edge = flight.path[0]
    tree.undo(edge - int(arrays.first[node]))
    return True


def _back_up(arrays: TreeArrays, flight: Flight, gamma: float) -> None:
    """Give a simulation's value to all nodes on its path."""
    value, draw = float(arrays.value[flight.leaf]), float(arrays.draw[flight.leaf])
    for node, edge in reversed(flight.path):
        value *= -gamma
        arrays.finish(node, edge, value, draw)
