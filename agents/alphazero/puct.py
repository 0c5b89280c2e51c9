"""PUCT search, AlphaZero's own (Silver et al. 2018, Methods): prior-weighted upper confidence bounds.

    a = argmax Q(s, a) + c(s) · P(s, a) · √N(s) / (1 + N(s, a))
    c(s) = log((1 + N(s) + c_base) / c_base) + c_init

In self-play the root's prior is mixed with Dirichlet noise at every move, and the action is drawn by visits
in the opening and then the most visited one; the network learns the visits' shares. It needs more
simulations than there are legal moves to teach anything: see `gumbel` for fewer.
"""

from __future__ import annotations

import numpy as np

from agents.alphazero.tree import chosen_line
from agents.alphazero.tree_arrays import EdgeRows, Node
from sim.records import Array


class PUCTTree:
    """PUCT search of one position; a `agents.alphazero.tree.SimulatedTree`."""

    def __init__(
        self,
        root: Node,
        c_init: float,
        c_base: float,
        generator: np.random.Generator | None,
        alpha: float = 0.3,
        fraction: float = 0.25,
        *,
        sampled: bool = True,
        fpu_reduction: float | None = None,
    ) -> None:
        """Mix noise into the root's prior.

        Args:
            root: the position.
            c_init: see the module.
            c_base: see the module.
            generator: of noise and choice; None to play greedily and without noise.
            alpha: of the Dirichlet noise; about 10 over the usual number of legal moves.
            fraction: the noise's share.
            sampled: draw the action by its share of the visits (temperature 1), or take the most visited
                one (temperature 0) in spite of the noise.
            fpu_reduction: first-play urgency as in Lc0: unvisited actions are worth the node's mean value
                less this times the root of the visited prior; None: they are worth 0, a draw.
        """
        self.root, self._c_init, self._c_base = root, c_init, c_base
        self._choosing, self._fpu_reduction = generator if sampled else None, fpu_reduction
        self._before = root.visits.sum()
        self._prior = root.prior
        if generator is not None:
            noise = generator.dirichlet(np.full(len(root.actions), alpha))
            self._prior = (1 - fraction) * self._prior + fraction * noise

    def at_root(self) -> int:
        """The action with the highest upper confidence bound."""
        return int(self._best(self.root.rows, self._prior))

    def undo(self, index: int) -> None:
        """Nothing: visits are all that this rule knows."""

    def room(self) -> int:
        """As many as wanted: no decision needs all values."""
        return len(self.root.actions)

    def below(self, rows: EdgeRows) -> Array:
        """The same at other nodes, without Dirichlet noise."""
        return self._best(rows, rows.prior)

    @property
    def simulations(self) -> int:
        """Finished simulations of this search."""
        return int(self.root.visits.sum() - self._before)

    def policy(self) -> Array:
        """Visit distribution (K,); the prior before the first simulation."""
        visits = self.root.visits
        total = visits.sum()
        return visits / total if total else self._prior

    def line(self) -> list[int]:
        """Principal variation."""
        return chosen_line(self.root, self.choice())

    def value(self) -> float:
        """Mean value of the simulations and the root's own evaluation."""
        return float((self.root.value + self.root.totals.sum()) / (1 + self.root.visits.sum()))

    def draw(self) -> float:
        """Mean probability of a draw, likewise."""
        return float((self.root.draw + self.root.draws.sum()) / (1 + self.root.visits.sum()))

    def choice(self) -> int:
        """The action visited most or a mate that is found, or where it is sampled one by share of visits."""
        if self._choosing is None:
            mate = self.root.mate
            return int(self.policy().argmax()) if mate is None else mate
        return int(self._choosing.choice(len(self.root.actions), p=self.policy()))

    def _best(self, rows: EdgeRows, prior: Array) -> Array:
        total = rows.total_started
        c_puct = np.log((1 + total + self._c_base) / self._c_base) + self._c_init
        bound = self._q_values(rows) + c_puct * prior * np.sqrt(total) / (1 + rows.started)
        # Before the first visit every bound is 0: the action with the highest prior goes first.
        bound = np.where(total > 0, bound, prior)
        if bound.ndim > 1:
            bound = np.where(rows.logits > -np.inf, bound, -np.inf)
        best: Array = bound.argmax(-1)
        return best

    def _q_values(self, rows: EdgeRows) -> Array:
        """Mean action values, of unvisited actions the first-play urgency."""
        if self._fpu_reduction is None:
            return rows.q_values
        mean = (rows.value + (rows.q_values * rows.visits).sum(-1, keepdims=True)) / (1 + rows.total)
        urgency = mean - self._fpu_reduction * np.sqrt(rows.visited_prior)
        return np.where(rows.visits > 0, rows.q_values, urgency)
