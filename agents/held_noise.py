"""Held exploration noise: each world's Gaussian noise stays for a random number of steps.

Noise that changes with every step mostly cancels out before a body has moved. The number of steps is zeta
distributed, P(n) ∝ n⁻², up to a largest one (FlashSAC, 2026; Dabney et al. 2021 hold actions in this way).
"""

from __future__ import annotations

import numpy as np

from sim.records import Array, State


class HeldNoise:
    """Standard normal noise (N, D) of N worlds, each held for a number of steps of its own.

    >>> noise = HeldNoise(worlds=2, actions=3, longest=1)
    >>> noise.step(np.random.default_rng(0)).shape
    (2, 3)
    """

    def __init__(self, worlds: int, actions: int, longest: int) -> None:
        """Hold nothing yet.

        Args:
            worlds: N.
            actions: D.
            longest: the most steps that noise is held for; 1: new noise in each.
        """
        self._values = np.zeros((worlds, actions), np.float32)
        self._left = np.zeros(worlds, np.int64)  # steps that it is still held for
        weight = np.arange(1.0, longest + 1) ** -2
        self._probabilities = weight / weight.sum()

    def step(self, generator: np.random.Generator) -> Array:
        """The noise (N, D) float32 of the next step."""
        over = self._left <= 0
        fresh = generator.standard_normal(self._values.shape, np.float32)
        steps = 1 + generator.choice(len(self._probabilities), len(over), p=self._probabilities)
        self._values = np.where(over[:, None], fresh, self._values)
        self._left = np.where(over, steps, self._left) - 1
        return self._values

    def state(self) -> State:
        """What is held, and for how long."""
        return {"values": self._values.copy(), "left": self._left.copy()}

    def restore(self, state: State) -> None:
        """Restore a state."""
        self._values, self._left = np.array(state["values"]), np.array(state["left"])
