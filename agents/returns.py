"""Returns and advantages (GAE, discounted returns, explained variance) as functions of time-first tensors.

A terminated episode has value 0 afterwards; a truncated one bootstraps from the value of its final
observation. The two flags are therefore never merged.
"""

from __future__ import annotations

import torch
from torch import Tensor


def generalized_advantage(
    reward: Tensor,
    value: Tensor,
    next_value: Tensor,
    terminated: Tensor,
    truncated: Tensor,
    gamma: float,
    gae_lambda: float,
) -> Tensor:
    """Generalised advantage estimation (Schulman et al. 2016, equation 16).

    Args:
        reward: (T, N).
        value: (T, N) V(s_t).
        next_value: (T, N) V(s_{t+1}); where an episode was truncated, V of its final observation,
            not of the next episode's first. Where it terminated any finite number will do.
        terminated: (T, N) bool.
        truncated: (T, N) bool.
        gamma: discount.
        gae_lambda: 0 gives the one-step TD error, 1 the Monte Carlo return less the value.

    Returns:
        (T, N) advantages; adding `value` gives the λ-returns.

    >>> one = torch.ones(1, 1)
    >>> no = torch.zeros(1, 1, dtype=torch.bool)
    >>> generalized_advantage(one, 2 * one, 10 * one, no, ~no, 0.5, 0.9).item()  # 1 + 0.5 * 10 - 2
    4.0
    """
    advantage = torch.zeros_like(reward)
    following = torch.zeros_like(reward[0])
    delta = reward + gamma * next_value * ~terminated - value
    carries_on = (~(terminated | truncated)).to(reward.dtype)
    for t in range(reward.shape[0] - 1, -1, -1):
        following = delta[t] + gamma * gae_lambda * carries_on[t] * following
        advantage[t] = following
    return advantage


def discounted_returns(reward: Tensor, alive: Tensor, final_value: Tensor, gamma: float) -> Tensor:
    """Discounted return from each step to the end of its episode.

    Args:
        reward: (T, N), 0 where an episode is over.
        alive: (T, N) bool, True while world n's one episode lasts.
        final_value: (N,) bootstrap value of truncated episodes, 0 for others.
        gamma: discount.

    Returns:
        (T, N) G_t = r_t + γ G_{t+1}; 0 where the episode is over.

    >>> alive = torch.tensor([[True], [True], [False]])
    >>> discounted_returns(torch.tensor([[1.0], [1.0], [0.0]]), alive, torch.tensor([4.0]), 0.5).T
    tensor([[2.5000, 3.0000, 0.0000]])
    """
    returns = torch.zeros_like(reward)
    following = final_value.to(reward.dtype)
    for t in range(reward.shape[0] - 1, -1, -1):
        following = torch.where(alive[t], reward[t] + gamma * following, following)
        returns[t] = following * alive[t]
    return returns


def explained_variance(target: Tensor, value: Tensor) -> Tensor:
    """Explained variance () of `target` (B,) by `value` (B,): 1 all, 0 none, negative worse than the mean.

    >>> target = torch.tensor([1.0, 2.0, 3.0])
    >>> explained_variance(target, target + 5).item(), explained_variance(target, 0 * target).item()
    (1.0, 0.0)
    """
    return 1 - (target - value).var() / target.var().clamp(min=1e-12)
