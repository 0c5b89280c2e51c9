"""Acting by policies of Stable-Baselines3: actions with probabilities, Q-values and values.

Their own `predict` draws from torch's global generator; these functions have a generator of their own, so
that watching does not change the training.
"""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np
import torch
from gymnasium.spaces import Discrete
from torch import Tensor

from sim.records import Array, Decision


class Act(Protocol):
    """Function that acts in N worlds; `obs` (N, …) are network inputs, `mask` (N, A) is bool or None."""

    def __call__(
        self, policy: Any, obs: Tensor, mask: Array | None, generator: np.random.Generator, explore: float
    ) -> Decision:
        """Choose N actions; `explore` is 0 for greedy ones; else ε for Q-values, 1 for distributions."""


def by_distribution(
    policy: Any, obs: Tensor, mask: Array | None, generator: np.random.Generator, explore: float
) -> Decision:
    """Act by an actor-critic's distribution: samples, or the mode if greedy."""
    distribution = policy.get_distribution(obs) if mask is None else policy.get_distribution(obs, mask)
    value = policy.predict_values(obs).flatten().cpu().numpy()
    if isinstance(policy.action_space, Discrete):
        probabilities = distribution.distribution.probs.double().cpu().numpy()
        probabilities /= probabilities.sum(1, keepdims=True)
        actions = sample_indices(probabilities, generator) if explore else probabilities.argmax(1)
        return Decision(actions.astype(np.int64), probabilities=probabilities, value=value)
    normal = distribution.distribution
    mean, deviation = normal.mean.cpu().numpy(), normal.stddev.cpu().numpy()
    actions = mean + explore * deviation * generator.standard_normal(mean.shape)
    return Decision(clip_actions(policy, actions), value=value)


def by_q_values(
    policy: Any, obs: Tensor, mask: Array | None, generator: np.random.Generator, explore: float
) -> Decision:
    """Act ε-greedily by Q-values, with ε = `explore`."""
    if hasattr(policy, "quantile_net"):
        q = policy.quantile_net(obs).mean(1).cpu().numpy()  # (N, K, A) → (N, A)
    else:
        q = policy.q_net(obs).cpu().numpy()
    anything = generator.integers(q.shape[1], size=len(q))
    actions = np.where(generator.random(len(q)) < explore, anything, q.argmax(1))
    return Decision(actions, q_values=q, value=q.max(1))


def by_actor(
    policy: Any, obs: Tensor, mask: Array | None, generator: np.random.Generator, explore: float
) -> Decision:
    """Act by an actor of SAC, TQC or TD3, rescaled from [−1, 1]; the value is the critics' minimum."""
    actor = policy.actor
    if hasattr(actor, "get_action_dist_params"):  # SAC, TQC: tanh of a normal
        mean, log_std, _ = actor.get_action_dist_params(obs)
        noise = torch.from_numpy(generator.standard_normal(mean.shape)).to(mean)
        scaled = torch.tanh(mean + explore * log_std.exp() * noise)
    else:  # TD3
        scaled = actor(obs)
    critics = policy.critic(obs, scaled)
    if isinstance(critics, tuple):
        value = torch.cat(critics, 1).amin(1)
    else:  # TQC: (N, critics, quantiles)
        value = critics.mean(2).amin(1)
    actions = policy.unscale_action(scaled.cpu().numpy())
    return Decision(clip_actions(policy, actions), value=value.cpu().numpy())


def sample_indices(probabilities: Array, generator: np.random.Generator) -> Array:
    """Sample one index (N,) for each row of probabilities (N, A); never one of probability 0."""
    share = probabilities.cumsum(1)
    draw = generator.random((len(share), 1)) * share[:, -1:]  # rounding may leave the sum below 1
    return np.asarray((draw >= share).sum(1))


def clip_actions(policy: Any, actions: Array) -> Array:
    """Clip actions (N, D) to the world's bounds, float32."""
    space = policy.action_space
    return np.clip(actions, space.low, space.high).astype(np.float32)
