"""Alpha-beta search with a policy-value network: iterative deepening, moves ordered by the policy.

Negamax over the network's values of the positions at the horizon. A node that is searched has all its
children evaluated in one network call, so that the horizon costs one call for each of the positions before
it. Moves come in the order of the policy, the best one of the iteration before first; those after the first
few are searched a ply less deep, and again at full depth where they turn out best (late move reductions).
There is no quiescence search: a network that has learned from games knows of captures to come.

A win that comes sooner is worth more, also where values are not discounted.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence
from typing import NamedTuple, TypeAlias

import numpy as np

from agents.alphazero.tree import Evaluate, add_leaf, expanded
from agents.alphazero.tree_arrays import Node
from sim.records import Array

DEEPEST = 64  # plies
SLOWEST_DISCOUNT = 0.9999  # a ply, where the agent's own is nearer to 1
BREATH = 200  # nodes searched between two yields where no network call comes between


class Found(NamedTuple):
    """Result of searching a node.

    Attributes:
        value: for the side to move, exact or a bound.
        draw: probability of a draw at the end of `line`.
        line: the actions expected from there on.
        index: number of the best action; −1 at the horizon.
    """

    value: float
    draw: float
    line: tuple[int, ...] = ()
    index: int = -1


#: Yields the nodes to evaluate before it goes on, at times none.
Searching: TypeAlias = Generator[list[int], None, Found]


class AlphaBetaTree:
    """Alpha-beta search of one position; a `agents.alphazero.tree.Tree`.

    Its root's visits count the positions evaluated below each action, and a simulation is one evaluation.

    Attributes:
        simulations: positions evaluated so far.
        depth: plies of the last iteration that was finished.
        wanted: nodes to evaluate next; None once there is nothing to search any more.
    """

    def __init__(self, root: Node, gamma: float, reduced_after: int, *, two_fold_draws: bool = False) -> None:
        """Begin with the root's own evaluation.

        Args:
            root: the position, expanded.
            gamma: discount of values a ply.
            reduced_after: how many moves are searched at full depth at once.
            two_fold_draws: see `agents.alphazero.tree.simulate`.
        """
        self.root, self.simulations, self.depth = root, 0, 0
        self._discount = max(min(gamma, SLOWEST_DISCOUNT), 1e-3)
        self._reduced_after, self._two_fold_draws = reduced_after, two_fold_draws
        self._best = Found(root.value, root.draw, index=int(root.prior.argmax()))
        self._favourites: dict[int, int] = {}
        self._horizon = False  # whether this iteration has stopped anywhere for its depth alone
        self._nodes = 0
        self._deepening = self._deepen()
        self.wanted: list[int] | None = next(self._deepening, None)

    def proceed(self) -> None:
        """Go on after the nodes `wanted` were evaluated."""
        self.simulations += len(self.wanted or ())
        self.wanted = next(self._deepening, None)

    def policy(self) -> Array:
        """The choice alone (K,): alpha-beta tells of other moves only that they are no better."""
        policy = np.zeros(len(self.root.actions))
        policy[self.choice()] = 1.0
        return policy

    def choice(self) -> int:
        """The index of the best action so far."""
        return self._best.index

    def value(self) -> float:
        """The minimax value of the deepest iteration that has searched an action."""
        return self._best.value

    def draw(self) -> float:
        """The network's probability of a draw at the end of the expected line."""
        return self._best.draw

    def line(self) -> list[int]:
        """Principal variation."""
        return list(self._best.line) or [int(self.root.actions[self._best.index])]

    def _deepen(self) -> Iterator[list[int]]:
        """Search one ply deeper each time, until a win is found or the game is searched to its end."""
        for depth in range(1, DEEPEST + 1):
            self._horizon = False
            found = yield from self._search_root(depth)
            self.depth = depth
            if not self._horizon or self._wins(found):
                return

    def _wins(self, found: Found) -> bool:
        """Whether a line ends in a win by the rules."""
        node: Node | None = self.root
        for action in found.line:
            assert node is not None
            node = node.child(node.actions.tolist().index(action))
        return node is not None and node.over and found.value > 0

    def _search_root(self, depth: int) -> Searching:
        """Search the root; each action that turns out best is taken up at once."""
        arrays, root = self.root.arrays, self.root.index
        first = int(arrays.first[root])
        yield from self._open(root)
        best = Found(-np.inf, 0.0)
        for rank, index in enumerate(self._order(root)):
            before = self.simulations
            found = yield from self._follow(root, index, rank, depth, best.value, np.inf)
            arrays.visits[first + index] += self.simulations - before
            arrays.q_values[first + index] = found.value
            if found.value > best.value:
                best = self._best = found
        self._favourites[root] = best.index
        return best

    def _search(self, node: int, depth: int, alpha: float, beta: float) -> Searching:
        """Fail-soft negamax below the root."""
        arrays = self.root.arrays
        self._nodes += 1
        if self._nodes % BREATH == 0:
            yield []
        if depth <= 0 or arrays.over[node]:
            self._horizon |= not arrays.over[node]
            return Found(float(arrays.value[node]), float(arrays.draw[node]))
        yield from self._open(node)
        best = Found(-np.inf, 0.0)
        for rank, index in enumerate(self._order(node)):
            found = yield from self._follow(node, index, rank, depth, max(alpha, best.value), beta)
            if found.value > best.value:
                best = found
            if best.value >= beta:
                break
        self._favourites[node] = best.index
        return best

    def _follow(self, node: int, index: int, rank: int, depth: int, alpha: float, beta: float) -> Searching:
        """Search an action of a node: late ones less deep, and again where they turn out best."""
        arrays, discount = self.root.arrays, self._discount
        edge = int(arrays.first[node]) + index
        child, action = int(arrays.child[edge]), int(arrays.action[edge])
        reduced = rank >= self._reduced_after and depth > 1
        for less in (2, 1) if reduced else (1,):
            reply = yield from self._search(child, depth - less, -beta / discount, -alpha / discount)
            found = Found(-discount * reply.value, reply.draw, (action, *reply.line), index)
            if found.value <= alpha:
                break
        return found

    def _open(self, node: int) -> Generator[list[int], None, None]:
        """Add the positions after all actions of a node, and have them evaluated."""
        arrays = self.root.arrays
        edges = arrays.span(node)
        for edge in range(edges.start, edges.stop):
            if arrays.child[edge] < 0:
                add_leaf(arrays, node, edge, self._two_fold_draws)
        children = arrays.child[edges]
        waiting = children[arrays.pending[children]].tolist()
        if waiting:
            yield waiting
            if node == self.root.index:
                arrays.visits[edges] += np.isin(children, waiting)

    def _order(self, node: int) -> list[int]:
        """The actions by policy, the best one of the last iteration first."""
        arrays = self.root.arrays
        order: list[int] = np.argsort(-arrays.prior[arrays.span(node)], kind="stable").tolist()
        favourite = self._favourites.get(node)
        if favourite is not None:
            order.remove(favourite)
            order.insert(0, favourite)
        return order


def deepen(
    trees: Sequence[AlphaBetaTree],
    evaluate: Evaluate,
    evaluations: int,
    *,
    temperature: float = 1.0,
    calls: int | None = None,
) -> bool:
    """Search on in trees with roots in the same arrays, in one network call for all.

    Args:
        trees: to search.
        evaluate: the network.
        evaluations: of each tree in all, at most; children of a node are evaluated together or not at all.
        temperature: of the network's policy, see `agents.alphazero.tree_arrays.TreeArrays.expand`.
        calls: network calls at most; None: as many as it takes.

    Returns:
        Whether any can go on within `evaluations`.
    """
    while calls is None or calls > 0:
        going = [t for t in trees if t.wanted is not None and t.simulations + len(t.wanted) <= evaluations]
        if not going:
            return False
        nodes = [node for tree in going for node in tree.wanted or ()]
        expanded(trees[0].root.arrays, nodes, evaluate, temperature)
        for tree in going:
            tree.proceed()
        calls = None if calls is None else calls - 1
    return True
