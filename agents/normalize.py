"""Running normalisation of observations and rewards, kept in the checkpoint with the weights.

Moments are merged batch by batch (Chan, Golub & LeVeque 1979) in float64, so that a resumed run sees the same
numbers. They move between updates only: within a rollout and the epochs on it everything is
normalised alike, and the ratio of the first minibatch is exactly one.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

CLIP = 10.0  # deviations; as in Dhariwal et al. 2017 (OpenAI Baselines, VecNormalize)


class RunningMoments(nn.Module):
    """Mean and variance of everything seen, by element."""

    mean: Tensor
    variance: Tensor
    count: Tensor

    def __init__(self, shape: tuple[int, ...] = ()) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(shape, dtype=torch.float64))
        self.register_buffer("variance", torch.ones(shape, dtype=torch.float64))
        self.register_buffer("count", torch.zeros((), dtype=torch.float64))

    @torch.no_grad()
    def update(self, batch: Tensor) -> None:
        """Take in (B, *shape) more."""
        batch = batch.double()
        many = float(len(batch))
        mean, variance = batch.mean(0), batch.var(0, correction=0)
        total = self.count + many
        delta = mean - self.mean
        spread = self.variance * self.count + variance * many + delta.square() * self.count * many / total
        self.mean += delta * many / total
        self.variance.copy_(spread / total)
        self.count.copy_(total)

    def normalize(self, values: Tensor) -> Tensor:
        """(…, *shape) at mean 0 and deviation 1, clipped to ±10, float32."""
        shifted = (values.double() - self.mean) / (self.variance + 1e-8).sqrt()
        return shifted.clamp(-CLIP, CLIP).float()


class ReturnScale(nn.Module):
    """Scales rewards by the deviation of the discounted return, so that values stay near one."""

    def __init__(self, gamma: float) -> None:
        super().__init__()
        self.gamma = gamma
        self.moments = RunningMoments()

    @property
    def deviation(self) -> Tensor:
        """() what rewards are divided by; 1 before anything was seen."""
        return (self.moments.variance + 1e-8).sqrt()

    @torch.no_grad()
    def scale(self, reward: Tensor, ended: Tensor, running: Tensor) -> Tensor:
        """Rewards (T, N) scaled, after taking them in.

        Args:
            reward: (T, N).
            ended: (T, N) bool.
            running: (N,) float64 the discounted return so far of each world; brought up to date in place.
        """
        seen = []
        for t in range(len(reward)):
            running.mul_(self.gamma).add_(reward[t])
            seen.append(running.clone())
            running.mul_(~ended[t])
        self.moments.update(torch.cat(seen))
        return (reward.double() / self.deviation).clamp(-CLIP, CLIP).float()
