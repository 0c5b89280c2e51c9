"""Policy of continuous actions by a tanh-squashed Gaussian actor, base class of SAC: acting and weights."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Protocol

import gymnasium
import numpy as np
import torch
from torch import Tensor, nn

from agents.networks.continuous import (
    SIZES,
    SquashedGaussian,
    TwinCritics,
    action_bounds,
    flat_inputs,
    squash,
)
from agents.networks.normalize import BoundedReturnScale
from agents.pinned_buffers import PinnedBuffers
from sim.records import Array, Decision
from supervised.tensors import from_arrays, to_arrays


class SquashedConfig(Protocol):
    """Interface of the configurations of such policies."""

    @property
    def network(self) -> str:
        """A name of `agents.networks.continuous.SIZES`."""

    @property
    def gamma(self) -> float:
        """Discount of the returns that rewards are scaled by."""

    @property
    def bins(self) -> int:
        """Of each critic's distribution of the return; 1: its mean alone."""

    @property
    def largest_return(self) -> float:
        """Of the bins, and of scaled returns."""

    @property
    def normalize_returns(self) -> bool:
        """Whether rewards are scaled."""


class SquashedPolicy:
    """Stochastic policy tanh(μ + σ ε) in the bounds of a world's actions. Satisfies `sim.protocols.Policy`.

    The value that it tells is the smaller of two critics' means at the chosen action.

    Attributes:
        network: actor, critics and return scale: the content of a checkpoint. It acts in float32.
    """

    name: ClassVar[str]  # the agent's, for error messages

    def __init__(
        self,
        config: SquashedConfig,
        observation_space: gymnasium.Space[Any],
        action_space: gymnasium.Space[Any],
        *,
        seed: int,
        device: str,
    ) -> None:
        """Initialise the networks.

        Args:
            config: names the network and what its critics tell.
            observation_space: of one world.
            action_space: of one world.
            seed: of weights and sampling.
            device: of the networks.

        Raises:
            NetworkError: unless observations and actions are flat and continuous, actions with bounds.
        """
        self.low, self.high = action_bounds(self.name, action_space)
        inputs, actions = flat_inputs(self.name, observation_space), len(self.low)
        self.device = torch.device(device)
        self._to_device = PinnedBuffers(self.device)
        size, generator = SIZES[config.network], torch.Generator().manual_seed(seed)
        self.actor = SquashedGaussian(size, inputs, actions, generator)
        self.critics = TwinCritics(size, inputs + actions, config.bins, config.largest_return, generator)
        self.scale = BoundedReturnScale(config.gamma, config.largest_return)
        self._scaled = config.normalize_returns
        parts = {"actor": self.actor, "critics": self.critics, "returns": self.scale}
        self.network = nn.ModuleDict(parts).to(self.device)
        self.seed(seed)

    def seed(self, seed: int) -> None:
        """Seed the generator that samples actions in `act`."""
        self._acting = np.random.default_rng(seed)  # not the one that learning uses: watching changes nothing

    @torch.no_grad()
    def act(
        self, obs: Array, info: Mapping[str, Any], memory: Any = None, *, greedy: bool = False
    ) -> tuple[Decision, Any]:
        """Sample N actions, or take the tanh of the mean; see `sim.protocols.Policy`."""
        seen = self.observe(obs)
        mean, log_std = self.actor(seen)
        noise = torch.zeros_like(mean)
        if not greedy:
            noise = self.tensor(self._acting.standard_normal(mean.shape, np.float32))
        action, _ = squash(mean, log_std, noise)
        value = self.critics.mean(self.critics(seen, action)).amin(0) * self.divisor
        return Decision(self.to_world(action), value=value.cpu().numpy()), memory

    def observe(self, obs: Array) -> Tensor:
        """Observations (N, …) as the networks take them, (N, F) float32 on this policy's device."""
        return self.arrange(self.tensor(obs))

    @staticmethod
    def arrange(obs: Tensor) -> Tensor:
        """Flatten observations (N, …) to (N, F) float32."""
        return obs.flatten(1).float()

    def tensor(self, array: Array) -> Tensor:
        """Copy an array to this policy's device; for acting, where the worlds wait, not within an update."""
        return self._to_device.copy(array)

    def to_world(self, action: Tensor) -> Array:
        """Scale actions (N, D) in [−1, 1] to the world's bounds."""
        share = (action.cpu().numpy() + 1) / 2
        actions: Array = np.clip(self.low + share * (self.high - self.low), self.low, self.high)
        return actions

    @property
    def divisor(self) -> Tensor:
        """The divisor () of rewards, and so what multiplies the critics' values."""
        return self.scale.divisor if self._scaled else torch.ones((), device=self.device)

    def weights(self) -> dict[str, Array]:
        """Actor, critics and return scale by name: the content of a checkpoint."""
        return to_arrays(self.network.state_dict())

    def load_weights(self, weights: Mapping[str, Array]) -> None:
        """Load weights from a checkpoint.

        Raises:
            ValueError: if names or shapes differ from these networks'.
        """
        from_arrays(self.network, weights)
