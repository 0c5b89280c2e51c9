"""Networks for continuous actions: tanh-squashed Gaussian actor, and critics of observation and action.

    mlp      two layers of 64 with ReLU, actor and critics each
    mlp256   two of 256 (Haarnoja et al. 2018)
    mlp512   critics of four layers of 512, actor of four of 256
    xqc256   critics of three layers of 256, actor of two, with batch normalisation and unit weights
    xqc      the same of the sizes of mlp512 (Palenicek et al. 2026, XQC)

With batch normalisation a layer is linear (no bias) → normalisation → ReLU, behind a normalisation of the
input. The rows of its linear weights are to be of norm 1 (`UnitWeights`): what is normalised does not depend
on their length, which else grows and lowers the effective learning rate (Lyle et al. 2024).
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise
from typing import Annotated, TypeAlias

import gymnasium
import numpy as np
import torch
from gymnasium.spaces import Box
from torch import Tensor, nn
from torch.nn import functional

from agents.networks.architectures import NetworkError
from sim.fields import OneOf

MOMENTUM = 0.01  # of the running statistics, a batch; as XQC and CrossQ (Bhatt et al. 2024)
EPSILON = 1e-3  # added to variances, as there
ALL = slice(None)
LOG_STD = (-5.0, 2.0)  # bounds of the log standard deviation, as in CleanRL


@dataclass(frozen=True)
class Size:
    """Widths of the hidden layers of actor and critics, and whether they are batch-normalised."""

    actor: tuple[int, ...]
    critic: tuple[int, ...]
    normalized: bool


SIZES = {
    "mlp": Size((64, 64), (64, 64), False),
    "mlp256": Size((256, 256), (256, 256), False),
    "mlp512": Size((256,) * 4, (512,) * 4, False),
    "xqc256": Size((256, 256), (256, 256, 256), True),
    "xqc": Size((256,) * 4, (512,) * 4, True),
}
ContinuousNetworkName: TypeAlias = Annotated[str, OneOf(tuple(SIZES))]


class BatchNorm(nn.Module):
    """Batch normalisation (Ioffe & Szegedy 2015) with explicit choice of statistics: (B, F) → (B, F)."""

    mean: Tensor
    variance: Tensor

    def __init__(self, features: int) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones(features))
        self.shift = nn.Parameter(torch.zeros(features))
        self.register_buffer("mean", torch.zeros(features))
        self.register_buffer("variance", torch.ones(features))

    def forward(self, x: Tensor, learning: bool) -> Tensor:
        """Standardise by the statistics of the batch, updating the running ones, or by the running ones."""
        return functional.batch_norm(
            x, self.mean, self.variance, self.scale, self.shift, learning, MOMENTUM, EPSILON
        )


class Linear(nn.Linear):
    """Linear layer with orthogonal weights and zero bias, in the number format of its weights.

    Attributes:
        exact: it stays float32 in a copy of half precision; see `agents.optim.mixed_precision`.
    """

    def __init__(
        self, inputs: int, outputs: int, generator: torch.Generator, *, bias: bool = True, exact: bool = False
    ) -> None:
        super().__init__(inputs, outputs, bias)
        self.exact = exact
        nn.init.orthogonal_(self.weight, 2**0.5, generator=generator)
        if bias:
            nn.init.zeros_(self.bias)

    def forward(self, x: Tensor) -> Tensor:
        """(B, inputs) → (B, outputs)."""
        return functional.linear(x.to(self.weight.dtype), self.weight, self.bias)


class Perceptron(nn.Module):
    """Multilayer perceptron of a `Size`: vectors (B, inputs) → (B, outputs) float32.

    A narrow last layer, of single numbers and not the logits of a distribution, is always float32.
    """

    def __init__(
        self,
        inputs: int,
        widths: tuple[int, ...],
        outputs: int,
        normalized: bool,
        generator: torch.Generator,
    ) -> None:
        super().__init__()
        self.linear = nn.ModuleList(
            Linear(wide, narrow, generator, bias=not normalized)
            for wide, narrow in pairwise((inputs, *widths))
        )
        self.input_norm = BatchNorm(inputs) if normalized else None
        self.norms = nn.ModuleList(BatchNorm(width) for width in widths) if normalized else None
        self.output = Linear(widths[-1], outputs, generator, exact=outputs < min(widths) / 4)

    def forward(self, x: Tensor, learning: bool, rows: slice = ALL) -> Tensor:
        """Outputs of some `rows`; the others count in the statistics of the batch alone."""
        if self.input_norm is not None:
            x = self.input_norm(x, learning)
        for i, layer in enumerate(self.linear):
            x = layer(x)
            if self.norms is not None:
                x = self.norms[i](x, learning)
            x = torch.relu_(x)
        outputs: Tensor = self.output(x[rows])
        return outputs.float()


class UnitWeights:
    """Scales each unit's weights of normalised networks to norm 1, in place; called after optimiser steps."""

    def __init__(self, networks: Iterable[nn.Module]) -> None:
        layers = [m for network in networks for m in network.modules() if isinstance(m, nn.Linear)]
        self._weights: list[Tensor] = [layer.weight for layer in layers]

    @torch.no_grad()
    def __call__(self) -> None:
        """Scale."""
        norms = [torch.linalg.vector_norm(weight, dim=1, keepdim=True) for weight in self._weights]
        if norms:
            torch._foreach_div_(self._weights, norms)


class SquashedGaussian(nn.Module):
    """Actor: the tanh of a diagonal Gaussian whose mean and deviation depend on the observation."""

    def __init__(self, size: Size, inputs: int, actions: int, generator: torch.Generator) -> None:
        super().__init__()
        self.network = Perceptron(inputs, size.actor, 2 * actions, size.normalized, generator)

    def forward(self, obs: Tensor, learning: bool = False) -> tuple[Tensor, Tensor]:
        """Means and log standard deviations, (B, D) each, before the tanh."""
        mean, raw = self.network(obs, learning).chunk(2, dim=1)
        low, high = LOG_STD
        return mean, low + 0.5 * (high - low) * (1 + torch.tanh(raw))


def squash(mean: Tensor, log_std: Tensor, noise: Tensor) -> tuple[Tensor, Tensor]:
    """Actions tanh(μ + σ ε) in (−1, 1), and their log-densities (Haarnoja et al. 2018, appendix C).

    log(1 − tanh² u) = 2 (log 2 − u − softplus(−2 u)), which is exact where tanh u rounds to 1.

    Args:
        mean: (B, D) μ.
        log_std: (B, D) log σ.
        noise: (B, D) standard normal ε.

    Returns:
        (B, D) and (B,), in nats.
    """
    raw = mean + log_std.exp() * noise
    gaussian = -0.5 * noise.square() - log_std - 0.5 * math.log(2 * math.pi)
    volume = 2 * (math.log(2) - raw - functional.softplus(-2 * raw))
    return torch.tanh(raw), (gaussian - volume).sum(1)


class TwinCritics(nn.Module):
    """Two critics of (observation, action), each with the distribution of the return over bins, or its mean.

    Attributes:
        support: (bins,) the bins' values, or None of critics that give the mean alone.
    """

    support: Tensor | None

    def __init__(
        self, size: Size, inputs: int, bins: int, largest: float, generator: torch.Generator
    ) -> None:
        super().__init__()
        self.critics = nn.ModuleList(
            Perceptron(inputs, size.critic, bins, size.normalized, generator) for _ in range(2)
        )
        support = torch.linspace(-largest, largest, bins) if bins > 1 else None
        self.register_buffer("support", support, persistent=False)

    def forward(self, obs: Tensor, action: Tensor, learning: bool = False, rows: slice = ALL) -> Tensor:
        """Logits (2, B, bins), or means (2, B, 1), of the chosen `rows`; see `Perceptron`."""
        both = torch.cat([obs, action], 1)
        return torch.stack([critic(both, learning, rows) for critic in self.critics])

    def mean(self, outputs: Tensor) -> Tensor:
        """Expected returns (2, B) of what `forward` gave."""
        return outputs.squeeze(2) if self.support is None else outputs.softmax(2) @ self.support


def action_bounds(name: str, space: gymnasium.Space[object]) -> tuple[np.ndarray, np.ndarray]:
    """Lower and upper bounds (D,) float32 of a world's actions.

    Raises:
        NetworkError: unless `space` is a flat Box with finite bounds.
    """
    if not isinstance(space, Box) or len(space.shape) != 1 or not space.is_bounded():
        raise NetworkError(
            f"{name} needs actions in a flat Box with finite bounds, but the world takes {space}"
        )
    return space.low.astype(np.float32), space.high.astype(np.float32)


def flat_inputs(name: str, space: gymnasium.Space[object]) -> int:
    """How many numbers an observation of `space` has.

    Raises:
        NetworkError: unless they are the floating-point numbers of a Box.
    """
    if not isinstance(space, Box) or not np.issubdtype(space.dtype, np.floating):
        raise NetworkError(
            f"{name} reads observations of floating-point numbers, but the world gives {space}"
        )
    return math.prod(space.shape)
