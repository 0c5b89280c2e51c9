"""Search trees as arrays: nodes and edges of many trees in preallocated numpy arrays, grown by doubling.

A node is a position and has an index; its edges, the legal actions, lie side by side. Trees share no nodes:
a position that two lines lead to is two nodes. Values are for the side to move at the node they stand at.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from sim.protocols import Game
from sim.records import Array

NODES, WIDTH = 64, 32  # nodes to begin with, and edges of each


@dataclass(frozen=True, slots=True)
class Evaluation:
    """Network evaluation of N positions.

    Attributes:
        logits: (N, A) of all actions, legal or not.
        values: (N,) in [−1, 1] for the mover.
        draws: (N,) probability of a draw; None of a network that does not tell it.
    """

    logits: Array
    values: Array
    draws: Array | None = None


@dataclass(frozen=True, slots=True)
class EdgeRows:
    """Edges of one node, or of n nodes padded to the same number K; what selection reads.

    Attributes:
        logits: (…, K) of the network's policy; −∞ for padding.
        prior: (…, K) the network's policy; 0 for padding.
        visits: (…, K) finished visits.
        started: (…, K) finished visits and those in flight.
        q_values: (…, K) mean action values; 0 for unvisited actions.
        value: (…, 1) the network's value of the node.
        total: (…, 1) sum of `visits`.
        total_started: (…, 1) sum of `started`.
        most: (…, 1) largest of `started`.
        visited_prior: (…, 1) sum of the prior of visited actions.
    """

    logits: Array
    prior: Array
    visits: Array
    started: Array
    q_values: Array
    value: Array
    total: Array
    total_started: Array
    most: Array
    visited_prior: Array


class TreeArrays:
    """Nodes and edges of many search trees.

    Attributes:
        games: the positions, by node.
        size: number of nodes.
        edges: number of edges.
        first: (nodes,) the first edge of each node.
        width: (nodes,) its number of edges; 0 until it is expanded.
        over: (nodes,) bool, whether it is terminal.
        pending: (nodes,) bool, whether it waits for its evaluation.
        value: (nodes,) by the network, or by the rules if it is terminal.
        draw: (nodes,) probability of a draw, likewise; 0 of a network that does not tell it.
        action: (edges,) int64.
        child: (edges,) int64 node, −1 where not visited.
        totals: (edges,) sums of the simulations' values.
        draws: (edges,) sums of the simulations' draw probabilities.

    The other arrays are those of `EdgeRows`.
    """

    NODE_ARRAYS: ClassVar[dict[str, type]] = {
        "first": np.int64, "width": np.int64, "over": np.bool_, "pending": np.bool_, "value": np.float64,
        "draw": np.float64, "total": np.float64, "total_started": np.float64, "most": np.float64,
        "visited_prior": np.float64,
    }  # fmt: skip
    EDGE_ARRAYS: ClassVar[dict[str, type]] = {
        "action": np.int64, "child": np.int64, "logits": np.float64, "prior": np.float64,
        "visits": np.float64, "started": np.float64, "totals": np.float64, "draws": np.float64,
        "q_values": np.float64,
    }  # fmt: skip

    first: Array
    width: Array
    over: Array
    pending: Array
    value: Array
    draw: Array
    total: Array
    total_started: Array
    most: Array
    visited_prior: Array
    action: Array
    child: Array
    logits: Array
    prior: Array
    visits: Array
    started: Array
    totals: Array
    draws: Array
    q_values: Array

    def __init__(self, nodes: int = NODES) -> None:
        """Reserve memory for so many nodes."""
        self.games: list[Game] = []
        self.size = 0
        self.edges = 1  # edge 0 is the padding of `rows`
        for name, dtype in self.NODE_ARRAYS.items():
            setattr(self, name, np.zeros(nodes, dtype))
        for name, dtype in self.EDGE_ARRAYS.items():
            setattr(self, name, np.zeros(nodes * WIDTH, dtype))
        self.logits[0], self.child[0] = -np.inf, -1

    def add(self, game: Game) -> int:
        """Add a position; returns its node, which waits for `expand` unless it is terminal."""
        node, outcome = self.size, game.outcome()
        if node == len(self.first):
            self._grow(self.NODE_ARRAYS, 2 * node)
        self.size += 1
        self.games.append(game)
        if outcome is None:
            self.pending[node] = True
        else:
            self.end(node, outcome)
        return node

    def end(self, node: int, outcome: float) -> None:
        """Make a node terminal; `outcome` is for the side to move."""
        self.pending[node], self.over[node] = False, True
        self.value[node], self.draw[node] = outcome, outcome == 0

    def expand(self, nodes: Sequence[int], found: Evaluation, temperature: float = 1.0) -> None:
        """Expand nodes that are not terminal by the network's evaluation of their positions.

        Args:
            nodes: N of them.
            found: their evaluation.
            temperature: divides the logits; above 1 the policy is flatter.
        """
        legal = [self.games[node].legal_actions() for node in nodes]
        widths = np.array([len(actions) for actions in legal])
        actions = np.concatenate(legal)
        begin, end = self.edges, self.edges + len(actions)
        if end > len(self.action):
            self._grow(self.EDGE_ARRAYS, max(2 * len(self.action), end))
        starts = np.cumsum(widths) - widths
        logits = found.logits[np.repeat(np.arange(len(nodes)), widths), actions].astype(np.float64)
        if temperature != 1:
            logits /= temperature
        prior = np.exp(logits - np.repeat(np.maximum.reduceat(logits, starts), widths))
        prior /= np.repeat(np.add.reduceat(prior, starts), widths)
        self.edges = end
        self.action[begin:end], self.logits[begin:end], self.prior[begin:end] = actions, logits, prior
        self.child[begin:end] = -1
        index = np.asarray(nodes)
        self.first[index], self.width[index], self.pending[index] = begin + starts, widths, False
        self.value[index] = found.values
        if found.draws is not None:
            self.draw[index] = found.draws

    def span(self, node: int) -> slice:
        """The edges of a node."""
        first = int(self.first[node])
        return slice(first, first + int(self.width[node]))

    def row(self, node: int) -> EdgeRows:
        """Views of the edges of one node."""
        edges, one = self.span(node), slice(node, node + 1)
        return EdgeRows(
            self.logits[edges],
            self.prior[edges],
            self.visits[edges],
            self.started[edges],
            self.q_values[edges],
            self.value[one],
            self.total[one],
            self.total_started[one],
            self.most[one],
            self.visited_prior[one],
        )

    def rows(self, nodes: Array) -> EdgeRows:
        """Copies of the edges of n nodes."""
        widths = self.width[nodes, None]
        offsets = np.arange(widths.max())
        edges = np.where(offsets < widths, self.first[nodes, None] + offsets, 0)
        column = nodes[:, None]
        return EdgeRows(
            self.logits[edges],
            self.prior[edges],
            self.visits[edges],
            self.started[edges],
            self.q_values[edges],
            self.value[column],
            self.total[column],
            self.total_started[column],
            self.most[column],
            self.visited_prior[column],
        )

    def start(self, node: int, edge: int) -> None:
        """Begin a visit: it is in flight."""
        self.started[edge] = started = self.started[edge] + 1
        self.total_started[node] += 1
        if started > self.most[node]:
            self.most[node] = started

    def cancel(self, node: int, edge: int) -> None:
        """Take back a visit in flight."""
        self.started[edge] -= 1
        self.total_started[node] -= 1
        self.most[node] = self.started[self.span(node)].max()

    def finish(self, node: int, edge: int, value: float, draw: float) -> None:
        """End a visit that `start` began, with a value for the side to move at `node`."""
        self.visits[edge] = visits = self.visits[edge] + 1
        self.totals[edge] = total = self.totals[edge] + value
        self.draws[edge] += draw
        self.q_values[edge] = total / visits
        self.total[node] += 1
        if visits == 1:
            self.visited_prior[node] += self.prior[edge]

    def compacted(self, roots: Sequence[int]) -> TreeArrays:
        """Copy of the trees below `roots`, which become its first nodes in this order; nothing in flight."""
        kept, layer = [], np.asarray(roots, np.int64)
        while len(layer):
            kept.append(layer)
            children = self.child[self.edges_of(layer)]
            layer = children[children >= 0]
        old = np.concatenate(kept) if kept else np.zeros(0, np.int64)
        edges = self.edges_of(old)
        new = TreeArrays(max(NODES, 2 * len(old)))
        renamed = np.full(self.size + 1, -1)
        renamed[old] = np.arange(len(old))
        new.size, new.edges = len(old), 1 + len(edges)
        new.games = [self.games[node] for node in old.tolist()]
        if new.edges > len(new.action):
            new._grow(self.EDGE_ARRAYS, 2 * new.edges)
        for name in self.NODE_ARRAYS:
            getattr(new, name)[: len(old)] = getattr(self, name)[old]
        for name in self.EDGE_ARRAYS:
            getattr(new, name)[1 : new.edges] = getattr(self, name)[edges]
        new.first[: len(old)] = 1 + np.cumsum(self.width[old]) - self.width[old]
        new.child[1 : new.edges] = renamed[self.child[edges]]
        return new

    def edges_of(self, nodes: Array) -> Array:
        """The edges of n nodes, node by node."""
        widths = self.width[nodes]
        begins = np.repeat(self.first[nodes] - (np.cumsum(widths) - widths), widths)
        edges: Array = begins + np.arange(len(begins))
        return edges

    def _grow(self, names: dict[str, type], length: int) -> None:
        for name in names:
            old = getattr(self, name)
            new = np.zeros(length, old.dtype)
            new[: len(old)] = old
            setattr(self, name, new)


class Node:
    """View of a node: a position with its legal actions, prior, visit counts and value sums."""

    __slots__ = ("arrays", "index")

    def __init__(self, arrays: TreeArrays, index: int) -> None:
        self.arrays, self.index = arrays, index

    @property
    def game(self) -> Game:
        """The position."""
        return self.arrays.games[self.index]

    @property
    def over(self) -> bool:
        """Whether it is terminal."""
        return bool(self.arrays.over[self.index])

    @property
    def value(self) -> float:
        """By the network, or by the rules if it is terminal; for the side to move."""
        return float(self.arrays.value[self.index])

    @property
    def draw(self) -> float:
        """Probability of a draw, likewise."""
        return float(self.arrays.draw[self.index])

    @property
    def actions(self) -> Array:
        """(K,) int64 legal actions; none before it is expanded."""
        return self.arrays.action[self.arrays.span(self.index)]

    @property
    def logits(self) -> Array:
        """(K,) float64 of the network's policy."""
        return self.arrays.logits[self.arrays.span(self.index)]

    @property
    def prior(self) -> Array:
        """(K,) the network's policy."""
        return self.arrays.prior[self.arrays.span(self.index)]

    @property
    def visits(self) -> Array:
        """(K,) float64 visit counts of the actions."""
        return self.arrays.visits[self.arrays.span(self.index)]

    @property
    def totals(self) -> Array:
        """(K,) float64 sums of the simulations' values."""
        return self.arrays.totals[self.arrays.span(self.index)]

    @property
    def draws(self) -> Array:
        """(K,) float64 sums of the simulations' draw probabilities."""
        return self.arrays.draws[self.arrays.span(self.index)]

    @property
    def q_values(self) -> Array:
        """Mean action values (K,); 0 for unvisited actions."""
        return self.arrays.q_values[self.arrays.span(self.index)]

    @property
    def children(self) -> list[Node | None]:
        """K nodes, None where not visited."""
        found = self.arrays.child[self.arrays.span(self.index)].tolist()
        return [Node(self.arrays, child) if child >= 0 else None for child in found]

    def child(self, index: int) -> Node | None:
        """The node after action number `index`; None where not visited."""
        child = int(self.arrays.child[self.arrays.first[self.index] + index])
        return Node(self.arrays, child) if child >= 0 else None

    @property
    def rows(self) -> EdgeRows:
        """What selection reads."""
        return self.arrays.row(self.index)

    def only(self, actions: Sequence[int]) -> None:
        """Restrict the node to these actions; visits of the others are forgotten."""
        arrays, edges = self.arrays, self.arrays.span(self.index)
        kept = edges.start + np.flatnonzero(np.isin(arrays.action[edges], actions))
        rest = slice(edges.start, edges.start + len(kept))
        for name in arrays.EDGE_ARRAYS:
            column = getattr(arrays, name)
            column[rest] = column[kept]
        arrays.prior[rest] = softmax(arrays.logits[rest])
        arrays.width[self.index] = len(kept)
        visits = arrays.visits[rest]
        arrays.total[self.index] = arrays.total_started[self.index] = visits.sum()
        arrays.most[self.index] = visits.max()
        arrays.visited_prior[self.index] = arrays.prior[rest][visits > 0].sum()

    @property
    def mate(self) -> int | None:
        """The number of an action that wins at once, if one is in the tree."""
        arrays, edges = self.arrays, self.arrays.span(self.index)
        child = arrays.child[edges]
        wins = np.flatnonzero((child >= 0) & arrays.over[child] & (arrays.value[child] < 0))
        return int(wins[0]) if len(wins) else None

    def visit(self, index: int, value: float, draw: float = 0.0) -> None:
        """Record one visit of action number `index`."""
        edge = int(self.arrays.first[self.index]) + index
        self.arrays.start(self.index, edge)
        self.arrays.finish(self.index, edge, value, draw)


def softmax(logits: Array) -> Array:
    """Softmax of logits (…, K).

    >>> softmax(np.log([1.0, 3.0])).tolist()
    [0.25, 0.75]
    """
    weights: Array = np.exp(logits - logits.max(-1, keepdims=True))
    weights /= weights.sum(-1, keepdims=True)
    return weights
