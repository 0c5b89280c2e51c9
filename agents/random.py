"""Random agent, the baseline of every score: uniform over legal actions, or samples of the action space."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import gymnasium
import numpy as np
from gymnasium.spaces import Discrete
from gymnasium.vector.utils import batch_space

from sim.records import Array, Decision


@dataclass(frozen=True)
class Random:
    """Configuration of the ``random`` agent, which has no keys of its own."""

    greedy: bool = False  # there is no best action; every agent has the key

    def build(
        self,
        observation_space: gymnasium.Space[Any],
        action_space: gymnasium.Space[Any],
        *,
        seed: int,
        device: str = "cpu",
    ) -> RandomPolicy:
        """A random policy on `action_space`."""
        return RandomPolicy(action_space, seed)


class RandomPolicy:
    """Random policy: uniform over unmasked discrete actions, else samples of the action space."""

    def __init__(self, action_space: gymnasium.Space[Any], seed: int) -> None:
        self._space = action_space
        self.seed(seed)

    def seed(self, seed: int) -> None:
        """Seed the generator."""
        self._generator = np.random.default_rng(seed)

    def act(
        self, obs: Array, info: Mapping[str, Any], memory: Any = None, *, greedy: bool = False
    ) -> tuple[Decision, Any]:
        """Draw N actions; see `sim.protocols.Policy`."""
        n = len(obs)
        if not isinstance(self._space, Discrete):
            space = batch_space(self._space, n)
            space.seed(int(self._generator.integers(2**31)))
            return Decision(np.asarray(space.sample())), memory
        mask = np.asarray(info.get("action_mask", np.ones((n, int(self._space.n)), bool)))
        probabilities = mask / mask.sum(axis=1, keepdims=True)
        draws = self._generator.random((n, 1))
        actions = (draws >= probabilities.cumsum(axis=1)).sum(axis=1)
        last = mask.shape[1] - 1 - mask[:, ::-1].argmax(axis=1)  # where rounding leaves the sum below 1
        return Decision(self._space.start + np.minimum(actions, last), probabilities), memory
