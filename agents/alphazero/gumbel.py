"""Gumbel search (Danihelka et al. 2022): few simulations, and still a better policy than the network's.

At the root some actions are drawn without replacement by the Gumbel-top-k trick, and the simulations are
shared out by sequential halving: all of them get a few, the better half of them as many again, and so on
(section 3). Further down visits follow the improved policy as closely as they can (section 5). What the
network learns is

    π′ = softmax(logits + σ(completed Q))                              (eq. 11)
    σ(q) = (c_visit + max visits) · c_scale · (q + 1) / 2              (eq. 8)

which is better than the network's own policy whatever the number of simulations, if the Q-values are right.
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
    """How much Q-values count against logits; `scale` is the paper's for Go and chess."""

    visit: float = 50.0
    scale: float = 1.0

    def improved(self, node: Node) -> Array:
        """(K,) the logits of the improved policy."""
        weight = (self.visit + node.visits.max()) * self.scale
        improved: Array = node.logits + weight * (completed_q(node) + 1) / 2
        return improved


class GumbelTree:
    """One Gumbel search; a `agents.alphazero.tree.Tree`."""

    def __init__(
        self,
        root: Node,
        simulations: int,
        considered: int,
        sigma: Sigma,
        generator: np.random.Generator | None,
    ) -> None:
        """Draw the actions to consider.

        Args:
            root: the position.
            simulations: how many will come.
            considered: how many actions to consider at most.
            sigma: see the module.
            generator: of the Gumbel noise; None to play greedily, without any.
        """
        self.root, self._sigma = root, sigma
        count = len(root.actions)
        self._gumbel = np.zeros(count) if generator is None else generator.gumbel(size=count)
        self._levels = iter(halving(min(considered, count), simulations))

    def at_root(self) -> int:
        """The best action among those that were visited as often as it is this simulation's turn.

        Simulations beyond the number that was announced go where those further down do.
        """
        level = next(self._levels, None)
        return self.below(self.root) if level is None else self._best(self.root.visits == level)

    def below(self, node: Node) -> int:
        """The action that lags most behind the improved policy (eq. 14)."""
        lag = softmax(self._sigma.improved(node)) - node.visits / (1 + node.visits.sum())
        return int(lag.argmax())

    def policy(self) -> Array:
        """(K,) π′."""
        return softmax(self._sigma.improved(self.root))

    def value(self) -> float:
        """What π′ comes to; not the simulations' mean, for halving sends many to moves that it drops."""
        return float(self.policy() @ completed_q(self.root))

    def choice(self) -> int:
        """The best of the actions that came to the last round."""
        return self._best(self.root.visits == self.root.visits.max())

    def _best(self, among: Array) -> int:
        score = np.where(among, self._gumbel + self._sigma.improved(self.root), -np.inf)
        return int(score.argmax())


def completed_q(node: Node) -> Array:
    """(K,) Q-values; actions without a visit get the mixed value of those that have some (eq. 33).

    It is v̂ where nothing was visited, and tends to the Q-values' mean by the network's policy.
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
    """For each simulation, how many visits the action that it goes to must have had (sequential halving).

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
