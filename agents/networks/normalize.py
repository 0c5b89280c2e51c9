"""Running normalisation of observations and rewards, stored in the checkpoint with the weights.

Moments are merged batch by batch (Chan, Golub & LeVeque 1979) in float64, so that a resumed run has the same
numbers. They change between updates only: within a rollout and its epochs the normalisation is fixed, and the
probability ratio of the first minibatch is exactly one.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from supervised.distributed import moments, process_group

CLIP = 10.0  # deviations; as in Dhariwal et al. 2017 (OpenAI Baselines, VecNormalize)


class RunningMoments(nn.Module):
    """Running mean and variance of all batches so far, by element."""

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
        """Update the moments with a batch (B, *shape), of several ranks with all of theirs."""
        mean, variance, many = moments(batch.double(), process_group())
        total = self.count + many
        delta = mean - self.mean
        spread = self.variance * self.count + variance * many + delta.square() * self.count * many / total
        self.mean += delta * many / total
        self.variance.copy_(spread / total)
        self.count.copy_(total)

    def normalize(self, values: Tensor) -> Tensor:
        """Standardise values (…, *shape) to mean 0 and deviation 1, clipped to ±10, float32."""
        shifted = (values.double() - self.mean) / (self.variance + 1e-8).sqrt()
        return shifted.clamp(-CLIP, CLIP).float()


class ReturnScale(nn.Module):
    """Reward scaling by the running standard deviation of the discounted return."""

    def __init__(self, gamma: float) -> None:
        super().__init__()
        self.gamma = gamma
        self.moments = RunningMoments()

    @property
    def deviation(self) -> Tensor:
        """The divisor () of rewards; 1 before the first update."""
        return (self.moments.variance + 1e-8).sqrt()

    @torch.no_grad()
    def scale(self, reward: Tensor, ended: Tensor, running: Tensor) -> Tensor:
        """Update the moments with rewards (T, N), and return them scaled.

        Args:
            reward: (T, N).
            ended: (T, N) bool.
            running: (N,) float64 the discounted return so far of each world; updated in place.
        """
        seen = []
        for t in range(len(reward)):
            running.mul_(self.gamma).add_(reward[t])
            seen.append(running.clone())
            running.mul_(~ended[t])
        self.moments.update(torch.cat(seen))
        return (reward.double() / self.deviation).clamp(-CLIP, CLIP).float()
