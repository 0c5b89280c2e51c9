"""Losses of preferences: of a reward model, of direct preference optimisation, and a policy gradient.

A reward model r maximises the likelihood of Bradley and Terry (1952): a text is preferred with probability
σ(r(preferred) − r(other)). DPO (Rafailov et al. 2023, eq. 7) fits the language model itself as such a model:
β times the log-ratio of policy and base is a text's implicit reward. The policy gradient maximises
E[reward − β log(policy / base)] by REINFORCE, each sample's baseline the mean of the other samples of its
prompt (RLOO, Ahmadian et al. 2024).
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from supervised.language.generation.packing import IGNORED


def text_log_probabilities(log_odds: Tensor, targets: Tensor) -> Tensor:
    """Σ over the learned places of log p(target): (N,) from log-probabilities (N, T, V), targets (N, T)."""
    own = log_odds.gather(-1, targets.clamp_min(0)[..., None])[..., 0]
    return own.masked_fill(targets == IGNORED, 0).sum(-1)


def first_learned(targets: Tensor) -> int:
    """The first place T of targets (N, T) that some text is learned from.

    >>> first_learned(torch.tensor([[IGNORED, IGNORED, 5], [IGNORED, 7, IGNORED]]))
    1
    """
    return int((targets != IGNORED).any(0).int().argmax())


def ranked_right(margin: Tensor) -> Tensor:
    """1 where the margin of preferred and other is above 0, ½ where it is 0.

    >>> ranked_right(torch.tensor([2.0, 0.0, -1.0])).tolist()
    [1.0, 0.5, 0.0]
    """
    return (torch.sign(margin) + 1) / 2


def bradley_terry_loss(rewards: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
    """Mean −log σ(r(preferred) − r(other)) () of pairs, and metrics.

    Args:
        rewards: (B, 2) of the preferred and the other text.

    >>> loss, metrics = bradley_terry_loss(torch.tensor([[1.0, 0.0]]))
    >>> round(loss.item(), 4), metrics["accuracy"].item()
    (0.3133, 1.0)
    """
    margin = rewards[:, 0] - rewards[:, 1]
    metrics = {"accuracy": ranked_right(margin).mean(), "margin": margin.mean()}
    metrics = {name: value.detach() for name, value in metrics.items()}
    return -functional.logsigmoid(margin).mean(), metrics


def dpo_loss(
    policy: Tensor, base: Tensor, beta: float, anchor: float = 0.0
) -> tuple[Tensor, dict[str, Tensor]]:
    """Mean loss () of pairs, and metrics.

    Args:
        policy: (B, 2) log-probabilities of the preferred and the other text by the policy.
        base: (B, 2) by the base.
        beta: how dear it is to leave the base.
        anchor: weight of the preferred text's −log probability, without which that of both texts may fall
            (Pang et al. 2024, eq. 2).

    >>> loss, metrics = dpo_loss(torch.tensor([[-1.0, -3.0]]), torch.tensor([[-2.0, -2.0]]), beta=0.5)
    >>> round(loss.item(), 4), metrics["pair_accuracy"].item()  # −log σ(0.5 · 2)
    (0.3133, 1.0)
    """
    margin = (policy - base) @ policy.new_tensor([1.0, -1.0])  # (B,)
    preferred = (policy - base)[:, 0].mean()
    metrics = {"pair_accuracy": ranked_right(margin).mean(), "margin": margin.mean(), "preferred": preferred}
    metrics = {name: value.detach() for name, value in metrics.items()}
    return -functional.logsigmoid(beta * margin).mean() - anchor * policy[:, 0].mean(), metrics


def leave_one_out(rewards: Tensor) -> Tensor:
    """Advantages (P, K) of K ≥ 2 samples of each prompt: the reward less the mean of the others'.

    >>> leave_one_out(torch.tensor([[3.0, 1.0, 2.0]])).tolist()
    [[1.5, -1.5, 0.0]]
    """
    others = (rewards.sum(-1, keepdim=True) - rewards) / (rewards.shape[-1] - 1)
    return rewards - others


def policy_gradient_loss(policy: Tensor, base: Tensor, rewards: Tensor, beta: float) -> Tensor:
    """Loss () whose gradient is that of −E[reward − β log(policy / base)], of samples drawn by the policy.

    Args:
        policy: (P, K) log-probabilities of K samples of each prompt.
        base: (P, K) by the base.
        rewards: (P, K).
        beta: of the KL penalty.
    """
    penalised = rewards - beta * (policy.detach() - base)
    return -(leave_one_out(penalised) * policy).mean()


def kl_estimate(log_policy: Tensor, log_base: Tensor) -> Tensor:
    """Mean log-ratio () of samples drawn by the policy: without bias KL(policy ‖ base), in nats a text."""
    return torch.mean(log_policy - log_base)
