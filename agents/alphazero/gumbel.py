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
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np

from agents.alphazero.tree import line_after
from agents.alphazero.tree_arrays import EdgeRows, Node, softmax
from sim.records import Array

TINY = np.finfo(float).tiny


@dataclass(frozen=True)
class Sigma:
    """The transformation σ of Q-values (eq. 8); `visit` and `scale` are the paper's for Go and chess."""

    visit: float = 50.0
    scale: float = 1.0

    def improved(self, rows: EdgeRows) -> Array:
        """Logits (…, K) of the improved policy π′ at nodes."""
        weight = (self.visit + rows.most) * self.scale
        improved: Array = rows.logits + weight * (completed_q(rows) + 1) / 2
        return improved


class GumbelTree:
    """Gumbel search of one position; a `agents.alphazero.tree.SimulatedTree`."""

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
            root: the position; visits that it has already tell its Q-values, and count for nothing else.
            simulations: the planned number.
            considered: how many actions to consider at most.
            sigma: see the module.
            generator: of the Gumbel noise; None to play greedily, without any.
        """
        self.root, self._sigma = root, sigma
        count = len(root.actions)
        self._gumbel = np.zeros(count) if generator is None else generator.gumbel(size=count)
        self._levels = halving(min(considered, count), simulations)
        self._greedy = generator is None
        self._before = root.visits.copy()
        self._turn = 0  # simulations so far
        self._queue: list[int] = []  # the next actions of this level, last first

    def at_root(self) -> int:
        """Sequential halving: the best action with the visit count that this simulation considers.

        Simulations beyond the planned number follow `below`.
        """
        self._turn += 1
        if self._turn > len(self._levels):
            return int(self.below(self.root.rows))
        if not self._queue:
            self._queue = self._level(self._levels[self._turn - 1])
        return self._queue.pop()

    def undo(self, index: int) -> None:
        """Take back the last `at_root`; see `agents.alphazero.tree.SimulatedTree`."""
        self._turn -= 1
        if self._turn < len(self._levels):
            self._queue.append(index)

    def room(self) -> int:
        """The rest of this level: its simulations go to different actions, and are the same one by one."""
        if self._turn >= len(self._levels):
            return len(self.root.actions)
        return self._level_size(self._turn)

    def below(self, rows: EdgeRows) -> Array:
        """The action whose visit share is furthest below the improved policy (eq. 14)."""
        lag = softmax(self._sigma.improved(rows)) - rows.started / (1 + rows.total_started)
        best: Array = lag.argmax(-1)
        return best

    @property
    def simulations(self) -> int:
        """Finished simulations of this search."""
        return int(self.root.visits.sum() - self._before.sum())

    def policy(self) -> Array:
        """The improved policy π′ (K,)."""
        return softmax(self._sigma.improved(self.root.rows))

    def line(self) -> list[int]:
        """Principal variation."""
        return line_after(self.root, self.choice())

    def value(self) -> float:
        """Expected value under π′; not the simulations' mean, for many visit actions that are dropped."""
        return float(self.policy() @ completed_q(self.root.rows))

    def draw(self) -> float:
        """Probability of a draw under π′; unvisited actions have the root's own."""
        root, visits = self.root, self.root.visits
        return float(self.policy() @ np.where(visits > 0, root.draws / np.maximum(visits, 1), root.draw))

    def choice(self) -> int:
        """The best of the actions in the last round of sequential halving; greedily a mate that is found."""
        if self._greedy and (mate := self.root.mate) is not None:
            return mate
        visits = self.root.visits - self._before
        return self._best(visits == visits.max())

    def _best(self, among: Array) -> int:
        score = np.where(among, self._gumbel + self._sigma.improved(self.root.rows), -np.inf)
        return int(score.argmax())

    def _level(self, level: int) -> list[int]:
        """The actions of a level, last first, as if each were selected after the visit of the one before.

        That visit changes no Q-value of the others, but it can be the first of so many, which σ depends on.
        """
        rows, count = self.root.rows, self._level_size(self._turn - 1)
        visits = rows.started - self._before
        first = self._best(visits == level)
        most = np.maximum(rows.most, rows.started[first] + 1)
        among = visits == level
        among[first] = False
        score = self._gumbel + self._sigma.improved(replace(rows, most=most))
        others = np.flatnonzero(among)
        ranked = others[np.argsort(-score[others], kind="stable")][: count - 1]
        return [*ranked[::-1].tolist(), first]

    def _level_size(self, turn: int) -> int:
        """How many simulations from this one on consider the same level."""
        rest = self._levels[turn:]
        return next((i for i, other in enumerate(rest) if other != rest[0]), len(rest))


def completed_q(rows: EdgeRows) -> Array:
    """Completed Q-values (…, K): unvisited actions get the mixed value estimate (eq. 33).

    That is the network's value without any visits, and tends to the prior-weighted mean of the Q-values.
    """
    q = rows.q_values  # 0 where unvisited
    mean = (rows.prior * q).sum(-1, keepdims=True) / np.maximum(rows.visited_prior, TINY)
    mixed = (rows.value + rows.total * mean) / (1 + rows.total)
    completed: Array = np.where(rows.visits > 0, q, mixed)
    return completed


@lru_cache
def halving(considered: int, simulations: int) -> tuple[int, ...]:
    """Sequential halving schedule: for each simulation the visit count of the actions it considers.

    Four actions and eight simulations: one visit each, and the better two another two each.

    >>> halving(4, 8)
    (0, 0, 0, 0, 1, 1, 2, 2)
    >>> halving(1, 3)
    (0, 1, 2)
    """
    return tuple(level for levels in _rounds(considered, simulations) for level in levels)


def _rounds(considered: int, simulations: int) -> list[list[int]]:
    """The schedule by rounds, between which actions are dropped."""
    rounds = max(1, math.ceil(math.log2(considered)))
    schedule: list[list[int]] = []
    left, level, rest = considered, 0, simulations
    while rest > 0:
        levels: list[int] = []
        for _ in range(max(1, simulations // (rounds * left))):
            levels += [level] * left
            level += 1
        schedule.append(levels[:rest])
        rest -= len(levels)
        left = max(2, left // 2) if considered > 1 else 1
    return schedule
