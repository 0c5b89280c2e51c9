"""Decisions from their policies, with what an audience may see, from a generator of our own.

Their own `predict` draws from torch's global generator; these functions never do, so watching
changes nothing that is learned.
"""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np
import torch
from gymnasium.spaces import Discrete
from torch import Tensor

from sim.records import Array, Decision


class Act(Protocol):
    """Decides in N worlds; `obs` (N, …) is what the network reads, `mask` (N, A) bool or None."""

    def __call__(
        self, policy: Any, obs: Tensor, mask: Array | None, generator: np.random.Generator, explore: float
    ) -> Decision:
        """`explore` is 0 for the best actions; for Q-values the chance of a random one, else 1."""


def by_distribution(
    policy: Any, obs: Tensor, mask: Array | None, generator: np.random.Generator, explore: float
) -> Decision:
    """Samples of an actor-critic's own distribution, or its likeliest actions."""
    distribution = policy.get_distribution(obs) if mask is None else policy.get_distribution(obs, mask)
    value = policy.predict_values(obs).flatten().cpu().numpy()
    if isinstance(policy.action_space, Discrete):
        probabilities = distribution.distribution.probs.double().cpu().numpy()
        probabilities /= probabilities.sum(1, keepdims=True)
        actions = drawn(probabilities, generator) if explore else probabilities.argmax(1)
        return Decision(actions.astype(np.int64), probabilities=probabilities, value=value)
    normal = distribution.distribution
    mean, deviation = normal.mean.cpu().numpy(), normal.stddev.cpu().numpy()
    actions = mean + explore * deviation * generator.standard_normal(mean.shape)
    return Decision(bounded(policy, actions), value=value)


def by_q_values(
    policy: Any, obs: Tensor, mask: Array | None, generator: np.random.Generator, explore: float
) -> Decision:
    """The actions of the highest Q-values, each replaced with chance `explore` by a random one."""
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
    """An actor's actions in [−1, 1], scaled to the world's; the value is the least of the critics'."""
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
    return Decision(bounded(policy, actions), value=value.cpu().numpy())


def drawn(probabilities: Array, generator: np.random.Generator) -> Array:
    """(N,) one index a row of (N, A) in proportion; never one of probability 0."""
    share = probabilities.cumsum(1)
    draw = generator.random((len(share), 1)) * share[:, -1:]  # rounding may leave the sum below 1
    return np.asarray((draw >= share).sum(1))


def bounded(policy: Any, actions: Array) -> Array:
    """Actions (N, D) float32 within the world's bounds."""
    space = policy.action_space
    return np.clip(actions, space.low, space.high).astype(np.float32)
