"""Returns and advantages as functions of time-first tensors; projection of return distributions onto bins.

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


def categorical_projection(probability: Tensor, position: Tensor) -> Tensor:
    """Distribution over bins of atoms that lie between them (Bellemare et al. 2017, algorithm 1).

    Each atom's probability is shared by its two neighbours, so that the mean is kept.

    Args:
        probability: (B, K) of K atoms; rows sum to 1.
        position: (B, K) of the atoms in bins, in [0, K − 1].

    Returns:
        (B, K) probabilities of the bins.

    >>> categorical_projection(torch.tensor([[0.5, 0.5, 0.0]]), torch.tensor([[0.25, 2.0, 2.0]]))
    tensor([[0.3750, 0.1250, 0.5000]])
    """
    if probability.device.type == "cuda":  # its scatter_add_ adds in any order, and no run could be repeated
        return projection_by_distance(probability, position)
    lower = position.floor()
    share = probability * (position - lower)
    below = lower.long()
    bins = torch.zeros_like(probability).scatter_add_(1, below, probability - share)
    return bins.scatter_add_(1, (below + 1).clamp_max_(probability.shape[1] - 1), share)


def projection_by_distance(probability: Tensor, position: Tensor) -> Tensor:
    """`categorical_projection` by sums in a fixed order, of K² shares a row."""
    bins = torch.arange(probability.shape[1], device=position.device)
    share = (1 - (position[:, None, :] - bins[:, None]).abs()).clamp_min(0)  # (B, K bins, K atoms)
    return (share @ probability[:, :, None]).squeeze(2)


def categorical_td_target(
    probability: Tensor, support: Tensor, reward: Tensor, discount: Tensor, bonus: Tensor
) -> tuple[Tensor, Tensor]:
    """Distribution of r + γ (Z + b) on the bins of Z, what lies beyond them at the outermost ones.

    Args:
        probability: (B, K) of the return Z from the next step on.
        support: (K,) values of the bins, at equal distances.
        reward: (B,).
        discount: (B,) γ, 0 where the episode terminated.
        bonus: (B,) added to Z, such as that of entropy.

    Returns:
        (B, K) probabilities, and the share () of them that lay beyond the bins.
    """
    low, high, last = support[0], support[-1], len(support) - 1
    atoms = reward[:, None] + discount[:, None] * (support + bonus[:, None])
    clipped = (probability * ((atoms < low) | (atoms > high))).sum(1).mean()
    position = ((atoms - low) * (last / (high - low))).clamp(0, last)
    return categorical_projection(probability, position), clipped
