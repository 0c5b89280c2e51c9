"""Gumbel search (Danihelka et al. 2022): tree search that improves the policy even with few simulations.

At the root actions are sampled without replacement by the Gumbel-top-k trick, and the simulations are
allocated by sequential halving: each action gets a few, then the better half as many again, and so on
(section 3). At other nodes visits follow the improved policy as closely as they can (section 5). The policy
target is

    π′ = softmax(logits + σ(completed Q))                              (eq. 11)
    σ(q) = (c_visit + max visits) · c_scale · (q + 1) / 2              (eq. 8)

which is a policy improvement for any number of simulations, if the Q-values are right.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from agents.alphazero.tree import Node, softmax
from sim.records import Array


@dataclass(frozen=True)
class Sigma:
    """The transformation σ of Q-values (eq. 8); `visit` and `scale` are the paper's for Go and chess."""

    visit: float = 50.0
    scale: float = 1.0

    def improved(self, node: Node) -> Array:
        """Logits (K,) of the improved policy π′ at a node."""
        weight = (self.visit + node.visits.max()) * self.scale
        improved: Array = node.logits + weight * (completed_q(node) + 1) / 2
        return improved


class GumbelTree:
    """Gumbel search of one position; a `agents.alphazero.tree.Tree`."""

    def __init__(
        self,
        root: Node,
        simulations: int,
        considered: int,
        sigma: Sigma,
        generator: np.random.Generator | None,
    ) -> None:
        """Sample the actions to consider.

        Args:
            root: the position.
            simulations: the planned number.
            considered: how many actions to consider at most.
            sigma: see the module.
            generator: of the Gumbel noise; None to play greedily, without any.
        """
        self.root, self._sigma = root, sigma
        count = len(root.actions)
        self._gumbel = np.zeros(count) if generator is None else generator.gumbel(size=count)
        self._levels = iter(halving(min(considered, count), simulations))

    def at_root(self) -> int:
        """Sequential halving: the best action with the visit count that this simulation considers.

        Simulations beyond the planned number follow `below`.
        """
        level = next(self._levels, None)
        return self.below(self.root) if level is None else self._best(self.root.visits == level)

    def below(self, node: Node) -> int:
        """The action whose visit share is furthest below the improved policy (eq. 14)."""
        lag = softmax(self._sigma.improved(node)) - node.visits / (1 + node.visits.sum())
        return int(lag.argmax())

    def policy(self) -> Array:
        """The improved policy π′ (K,)."""
        return softmax(self._sigma.improved(self.root))

    def value(self) -> float:
        """Expected value under π′; not the simulations' mean, for many visit actions that are dropped."""
        return float(self.policy() @ completed_q(self.root))

    def choice(self) -> int:
        """The best of the actions in the last round of sequential halving."""
        return self._best(self.root.visits == self.root.visits.max())

    def _best(self, among: Array) -> int:
        score = np.where(among, self._gumbel + self._sigma.improved(self.root), -np.inf)
        return int(score.argmax())


def completed_q(node: Node) -> Array:
    """Completed Q-values (K,): unvisited actions get the mixed value estimate (eq. 33).

    That is the network's value without any visits, and tends to the prior-weighted mean of the Q-values.
    """
    total = node.visits.sum()
    if not total:
        return np.full(len(node.actions), node.value)
    q, visited = node.q_values, node.visits > 0
    weights = np.where(visited, node.prior, 0.0)
    mixed = (node.value + total * (weights @ q) / weights.sum()) / (1 + total)
    return np.where(visited, q, mixed)


@lru_cache
def halving(considered: int, simulations: int) -> tuple[int, ...]:
    """Sequential halving schedule: for each simulation the visit count of the actions it considers.

    Four actions and eight simulations: one visit each, and the better two another two each.

    >>> halving(4, 8)
    (0, 0, 0, 0, 1, 1, 2, 2)
    >>> halving(1, 3)
    (0, 1, 2)
    """
    rounds = max(1, math.ceil(math.log2(considered)))
    levels: list[int] = []
    left, level = considered, 0
    while len(levels) < simulations:
        for _ in range(max(1, simulations // (rounds * left))):
            levels += [level] * left
            level += 1
        left = max(2, left // 2) if considered > 1 else 1
    return tuple(levels[:simulations])
