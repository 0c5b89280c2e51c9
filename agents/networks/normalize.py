"""Running normalisation of observations, rewards and values, stored in the checkpoint with the weights.

Moments are merged batch by batch (Chan, Golub & LeVeque 1979) in float64, so that a resumed run has the same
numbers. They change between updates only: within a rollout and its epochs the normalisation is fixed, and the
probability ratio of the first minibatch is exactly one.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from supervised.distributed import moments, process_group

CLIP = 10.0  # deviations; as in Dhariwal et al. 2017 (OpenAI Baselines, VecNormalize)
PIXEL_CLIP = 5.0  # deviations; as in rl_games
WHITE = 255.0  # pictures are scaled by the first convolution: what it takes for 1
AT_ONCE = 64  # pictures that a processor's cache holds; sums of their squares are exact in float32


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
        self.merge(*moments(batch.double(), process_group()))

    @torch.no_grad()
    def merge(self, mean: Tensor, variance: Tensor, many: float) -> None:
        """Update the moments with those, float64, of a batch of `many`."""
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


class PixelMoments(RunningMoments):
    """Running mean and variance of each pixel of pictures (C, h, w), as the network takes them.

    What never changes becomes zero, and what seldom does, a ball, large. Kept in channels-last order, and
    worked on in parts that a processor's cache holds.
    """

    def __init__(self, shape: tuple[int, ...]) -> None:
        channels, height, width = shape
        super().__init__((height, width, channels))
        self.variance.fill_(WHITE**2)  # until something has been seen they stay as they are

    @torch.no_grad()
    def update(self, batch: Tensor) -> None:
        """Update the moments with pictures (B, C, h, w) uint8, of several ranks with all of theirs."""
        group = process_group()
        sums, squares = torch.zeros_like(self.mean), torch.zeros_like(self.mean)
        for part in torch.split(batch.permute(0, 2, 3, 1), AT_ONCE):
            pixels = part.float()
            sums += pixels.sum(0)
            squares += pixels.square_().sum(0)
        count = len(batch) * group.size
        mean = group.all_reduce(sums) / count
        self.merge(mean, (group.all_reduce(squares) / count - mean.square()).clamp_min(0), count)

    @torch.no_grad()
    def normalize(self, values: Tensor, dtype: torch.dtype = torch.float32) -> Tensor:
        """Standardise pictures (B, C, h, w) uint8 to mean 0 and deviation 255, clipped to ±5 of these."""
        mean, scale = self.mean.float(), WHITE * (self.variance + 1e-5).rsqrt().float()
        pictures = values.permute(0, 2, 3, 1)
        found = torch.empty(pictures.shape, dtype=dtype, device=values.device)
        step = AT_ONCE if values.device.type == "cpu" else max(1, len(values))
        for at in range(0, len(values), step):
            part = pictures[at : at + step].float().sub_(mean).mul_(scale)
            found[at : at + step] = part.clamp_(-PIXEL_CLIP * WHITE, PIXEL_CLIP * WHITE)
        return found.permute(0, 3, 1, 2)


class ValueScale(nn.Module):
    """Standardisation of value targets by the running moments of λ-returns.

    The network gives standardised values, as with rl_games' ``normalize_value``, and with PopArt (van Hasselt
    et al. 2016), whose correction of the weights it lacks.
    """

    def __init__(self) -> None:
        super().__init__()
        self.moments = RunningMoments()

    @property
    def deviation(self) -> Tensor:
        """() float32."""
        return (self.moments.variance + 1e-5).sqrt().float()

    def to_return(self, value: Tensor) -> Tensor:
        """Values of the network in the unit of rewards."""
        return value * self.deviation + self.moments.mean.float()

    def standardize(self, target: Tensor) -> Tensor:
        """Update the moments with returns (B,), and return them standardised, clipped to ±10."""
        self.moments.update(target)
        return self.moments.normalize(target)


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
    def update(self, reward: Tensor, ended: Tensor, running: Tensor) -> Tensor:
        """Update the moments with rewards (T, N); returns the discounted returns so far (T · N,) float64.

        Args:
            reward: (T, N).
            ended: (T, N) bool.
            running: (N,) float64 the discounted return so far of each world; updated in place.
        """
        steps = []
        for t in range(len(reward)):
            running.mul_(self.gamma).add_(reward[t])
            steps.append(running.clone())
            running.mul_(~ended[t])
        returns = torch.cat(steps)
        self.moments.update(returns)
        return returns

    def scale(self, reward: Tensor, ended: Tensor, running: Tensor) -> Tensor:
        """Update the moments with rewards (T, N), and return them scaled; see `update`."""
        self.update(reward, ended, running)
        return (reward.double() / self.deviation).clamp(-CLIP, CLIP).float()


class BoundedReturnScale(ReturnScale):
    """Reward scaling that also keeps the largest discounted return seen within a bound (FlashSAC, 2026).

    A distribution over bins can then express every return.
    """

    largest: Tensor

    def __init__(self, gamma: float, bound: float) -> None:
        super().__init__(gamma)
        self.bound = bound
        self.register_buffer("largest", torch.zeros((), dtype=torch.float64))

    @property
    def divisor(self) -> Tensor:
        """The divisor () float32 of rewards: the deviation, or what keeps every return within the bound."""
        return torch.maximum(self.deviation, self.largest / self.bound).float()

    @torch.no_grad()
    def update(self, reward: Tensor, ended: Tensor, running: Tensor) -> Tensor:
        """Update the moments and the largest return; see `ReturnScale`."""
        returns = super().update(reward, ended, running)
        torch.maximum(self.largest, returns.abs().max(), out=self.largest)
        return returns
