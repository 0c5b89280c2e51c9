"""Classifier-free guidance (Ho & Salimans 2022), and the class labels of samples."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn

from generative.diffusion.sampling import Denoiser


def labels_of(names: Sequence[str], label: str | None, n: int, seed: int) -> list[int]:
    """Class indices of n samples: all of `label`, or random ones, sample i's from (seed, i)."""
    if label is not None:
        return [names.index(label)] * n
    return [int(np.random.default_rng((seed, i)).integers(len(names))) for i in range(n)]


def guided(network: nn.Module, told: Tensor, untold: Tensor, weight: float) -> Denoiser:
    """Classifier-free guidance: a denoiser that extrapolates from the unconditional to the conditional one.

    Args:
        network: (x_t, t, condition) → an output with ``.sample``, as diffusers' UNets.
        told: (n, …) labels or other conditions.
        untold: (n, …) the null condition.
        weight: 1 is the conditional prediction, 0 the unconditional one.
    """

    def denoiser(x: Tensor, t: Tensor) -> Tensor:
        if weight == 1.0:
            said: Tensor = network(x, t, told).sample
            return said
        times = t if t.dim() == 0 else torch.cat([t, t])
        both = network(torch.cat([x, x]), times, torch.cat([told, untold])).sample
        knowing, guessing = both.chunk(2)
        further: Tensor = guessing + weight * (knowing - guessing)
        return further

    return denoiser
