"""Action distributions of policy networks: masked categorical and diagonal Gaussian heads.

A head turns parameters (N, outputs) into actions, log-probabilities and entropies, all float32.
Discrete worlds get `CategoricalHead`, with masks; continuous ones `GaussianHead`.
"""

from __future__ import annotations

import math
from typing import Any, Protocol

import gymnasium
import numpy as np
import torch
from gymnasium.spaces import Box, Discrete
from torch import Tensor, nn

from agents.networks.architectures import NetworkError
from sim.records import Array

NORMAL = 0.5 * math.log(2 * math.pi)  # a standard normal variable's density at 0, in nats, negated


class Head(Protocol):
    """Action distribution of a policy network; `mask` is (N, A) bool or None."""

    outputs: int

    def noise(self, n: int, generator: torch.Generator) -> Tensor:
        """Random numbers (n, outputs) for sampling, on the generator's device."""

    def choose(self, parameters: Tensor, mask: Tensor | None, noise: Tensor | None) -> tuple[Tensor, Tensor]:
        """Actions and their log-probabilities (N,): sampled by `noise`, or the mode without it."""

    def evaluate(self, parameters: Tensor, mask: Tensor | None, action: Tensor) -> tuple[Tensor, Tensor]:
        """Log-probabilities (N,) of given actions, and entropies (N,)."""

    def decide(
        self, parameters: Tensor, mask: Tensor | None, noise: Tensor | None
    ) -> tuple[Tensor, Tensor | None]:
        """Actions as `choose` gives them, and probabilities (N, A); None for continuous actions."""

    def to_world(self, action: Tensor) -> Array:
        """Convert actions to those of the world's action space."""


def head_for(space: gymnasium.Space[Any]) -> Any:
    """Make the head for an action space.

    Raises:
        NetworkError: for spaces other than Discrete from 0 and one-dimensional Box.
    """
    if isinstance(space, Discrete) and space.start == 0:
        return CategoricalHead(int(space.n))
    if isinstance(space, Box) and len(space.shape) == 1:
        return GaussianHead(space)
    raise NetworkError(f"actions of {space} are not supported: Discrete from 0 and flat Box are")


class CategoricalHead(nn.Module):
    """Categorical distribution over A actions; masked ones have probability exactly 0."""

    def __init__(self, actions: int) -> None:
        super().__init__()
        self.outputs = actions

    def noise(self, n: int, generator: torch.Generator) -> Tensor:
        """Exponential random numbers (n, A) of mean 1."""
        return torch.empty(n, self.outputs, device=generator.device).exponential_(generator=generator)

    def choose(self, parameters: Tensor, mask: Tensor | None, noise: Tensor | None) -> tuple[Tensor, Tensor]:
        """Actions (N,) int64 and their log-probabilities (N,).

        The smallest of exponential variables with rates p is i with probability p_i. Unlike
        `torch.multinomial`, which samples in the same way, this does not synchronise with the device.
        """
        log_probs = self._log_probs(parameters, mask)
        action = (log_probs if noise is None else log_probs.exp() / noise).argmax(-1)
        return action, log_probs.gather(-1, action[:, None]).squeeze(-1)

    def decide(self, parameters: Tensor, mask: Tensor | None, noise: Tensor | None) -> tuple[Tensor, Tensor]:
        """Actions (N,) as `choose` gives them, and probabilities (N, A)."""
        log_probs = self._log_probs(parameters, mask)
        probabilities = log_probs.exp()
        return (log_probs if noise is None else probabilities / noise).argmax(-1), probabilities

    def evaluate(self, parameters: Tensor, mask: Tensor | None, action: Tensor) -> tuple[Tensor, Tensor]:
        """Log-probabilities (N,) and entropies (N,) in nats."""
        log_probs = self._log_probs(parameters, mask)
        # 0 · log 0 counts as 0; the clamp keeps its gradient finite.
        entropy = -(log_probs.exp() * log_probs.clamp(min=-1e9)).sum(-1)
        return log_probs.gather(-1, action[:, None]).squeeze(-1), entropy

    def to_world(self, action: Tensor) -> Array:
        """Actions (N,) int64."""
        return np.asarray(action.cpu())

    @staticmethod
    def _log_probs(logits: Tensor, mask: Tensor | None) -> Tensor:
        if mask is not None:
            logits = logits.masked_fill(~mask, -torch.inf)
        return logits.log_softmax(-1)


class GaussianHead(nn.Module):
    """Diagonal Gaussian distribution with state-independent standard deviations.

    Samples are clipped to the bounds only when passed to the world, so that the log-probability stays that of
    the sample.
    """

    def __init__(self, space: Box) -> None:
        super().__init__()
        self.outputs = int(space.shape[0])
        self.log_std = nn.Parameter(torch.zeros(self.outputs))
        self._low, self._high = space.low, space.high

    def noise(self, n: int, generator: torch.Generator) -> Tensor:
        """Standard normal random numbers (n, D)."""
        return torch.randn(n, self.outputs, generator=generator, device=generator.device)

    def choose(self, parameters: Tensor, mask: Tensor | None, noise: Tensor | None) -> tuple[Tensor, Tensor]:
        """Actions (N, D), unclipped, and their log-densities (N,)."""
        action = parameters if noise is None else parameters + self.log_std.exp() * noise
        return action, self._log_density(parameters, action)

    def evaluate(self, parameters: Tensor, mask: Tensor | None, action: Tensor) -> tuple[Tensor, Tensor]:
        """Log-densities (N,) and differential entropies (N,) in nats."""
        entropy = self.log_std.sum() + self.outputs * (0.5 + NORMAL)
        return self._log_density(parameters, action), entropy.expand(len(parameters))

    def _log_density(self, parameters: Tensor, action: Tensor) -> Tensor:
        z = (action - parameters) / self.log_std.exp()
        return torch.sub(-self.outputs * NORMAL - self.log_std.sum(), z.square().sum(-1), alpha=0.5)

    def decide(self, parameters: Tensor, mask: Tensor | None, noise: Tensor | None) -> tuple[Tensor, None]:
        """Actions (N, D), unclipped, and None: they are continuous."""
        return self.choose(parameters, mask, noise)[0], None

    def to_world(self, action: Tensor) -> Array:
        """Actions (N, D) float32, clipped to the bounds."""
        return np.asarray(np.clip(action.cpu().numpy(), self._low, self._high))
