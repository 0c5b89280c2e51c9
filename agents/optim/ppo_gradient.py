"""Gradient of PPO's loss in closed form, for Gaussian policies of tanh MLPs on a CPU.

The loss is that of `agents.ppo.PPOLearner.loss`, and so is the gradient, but for rounding. Autograd gives it
in sixty operations forwards and as many back, each of which takes longer than what it computes on 256 rows of
a walker's observations. Written out they are a third of those.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from agents.networks.architectures import ActorCritic, Vector
from agents.networks.heads import NORMAL, GaussianHead
from agents.networks.tanh_mlp import TanhMLP


class GaussianPPOGradient:
    """Sets the gradients of an actor-critic of two MLPs; see the module.

    Args:
        network: the actor-critic; its parameters' `grad` are set, and stay where they are in memory.
        head: of its policy, likewise.
        vf_coef: weight of the value loss.
        clip_coef: () bound on how far the probability ratio counts; may be refilled.
        ent_coef: () weight of the entropy bonus; may be refilled.
    """

    def __init__(
        self, network: ActorCritic, head: GaussianHead, vf_coef: float, clip_coef: Tensor, ent_coef: Tensor
    ) -> None:
        assert isinstance(network.trunk, Vector) and isinstance(network.value_trunk, Vector)
        self._policy = TanhMLP([*_linear(network.trunk), *_linear(network.policy)])
        self._critic = TanhMLP([*_linear(network.value_trunk), *_linear(network.value)])
        self._log_std, self._slope = head.log_std.detach(), head.log_std.grad
        self._vf_coef, self._clip_coef, self._ent_coef = vf_coef, clip_coef, ent_coef

    @classmethod
    def of(
        cls, network: nn.Module, head: object, vf_coef: float, clip_coef: Tensor, ent_coef: Tensor
    ) -> GaussianPPOGradient | None:
        """Its like of two MLPs that read numbers, with Gaussian actions; None of other networks and heads."""
        if not isinstance(head, GaussianHead) or not isinstance(network, ActorCritic):
            return None
        if not isinstance(network.value_trunk, Vector) or network.value_trunk.one_hot:
            return None
        return cls(network, head, vf_coef, clip_coef, ent_coef)

    def forward(self, obs: Tensor) -> tuple[Tensor, Tensor]:
        """Normalised observations (N, …) → mean actions (N, D) and values (N,), as the network gives them."""
        flat = obs.flatten(1).float()
        return self._policy.forward(flat)[-1], self._critic.forward(flat)[-1].squeeze(1)

    @torch.no_grad()
    def __call__(
        self, obs: Tensor, action: Tensor, old_log_prob: Tensor, advantage: Tensor, target: Tensor
    ) -> Tensor:
        """Set all gradients of one minibatch's loss; returns the learner's `FIGURES` but the last, (5,).

        Args:
            obs: (B, …) normalised.
            action: (B, D).
            old_log_prob: (B,) when the actions were chosen.
            advantage: (B,) standardised.
            target: (B,) λ-returns.
        """
        flat = obs.flatten(1).float()
        policy, critic = self._policy.forward(flat), self._critic.forward(flat)
        rows, width = action.shape
        log_scale, inverse = self._log_std.sum(), torch.exp(-self._log_std)
        z = (action - policy[-1]).mul_(inverse)
        squares = z.square()
        log_prob = torch.sub(-NORMAL * width - log_scale, squares.sum(1), alpha=0.5)
        log_ratio = log_prob - old_log_prob
        ratio = log_ratio.exp()
        gain = ratio * advantage
        bounded = ratio.clamp(1 - self._clip_coef, 1 + self._clip_coef).mul_(advantage)
        # Of the loss by log_prob: where the bounded gain is the lesser one, the ratio does not count.
        slope = gain.masked_fill(gain > bounded, 0.0).mul_(-1 / rows)
        error = critic[-1].squeeze(1) - target

        self._policy.backward(policy, (slope[:, None] * z).mul_(inverse))
        self._critic.backward(critic, (error * (self._vf_coef / rows))[:, None])
        torch.mv(squares.sub_(1).t(), slope, out=self._slope).sub_(self._ent_coef)

        excess = ratio - 1
        kl = (excess - log_ratio).mean()
        clipped = (excess.abs_() > self._clip_coef).float().mean()
        losses = -torch.min(gain, bounded).mean(), 0.5 * error.square_().mean()
        return torch.stack([*losses, log_scale + width * (0.5 + NORMAL), kl, clipped])


def _linear(module: nn.Module) -> list[nn.Linear]:
    return [layer for layer in module.modules() if isinstance(layer, nn.Linear)]
