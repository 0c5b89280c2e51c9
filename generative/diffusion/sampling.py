"""Diffusion sampling loop over a diffusers scheduler, with RePaint inpainting.

A `Denoiser` predicts x_0 from x_t, or the velocity v = α_t ε − σ_t x_0: a trained network, or in tests a
formula. Each sample has random generators of its own, so that it does not depend on the batch it is drawn in.

Does not know: images, networks, conditions.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TypeAlias

import numpy as np
import torch
from torch import Tensor

from generative.diffusion.schedule import TIMESTEPS, Prediction, Scheduler, angles, takes_noise

#: (x_t (n, …) of unit size, t ()) → x_0 or v (n, …)
Denoiser: TypeAlias = Callable[[Tensor, Tensor], Tensor]

RESAMPLINGS = 4  # repetitions of an inpainting step, so that both sides of the mask's edge agree


def generators(seed: int, first: int, n: int) -> list[torch.Generator]:
    """Random generators of samples `first` to `first + n` of a seed: independent of each other and of `n`."""
    made = []
    for i in range(first, first + n):
        state = np.random.SeedSequence((seed, i)).generate_state(1, np.uint64)
        made.append(torch.Generator().manual_seed(int(state[0])))
    return made


def gaussian_noise(shape: Sequence[int], each: Sequence[torch.Generator], device: torch.device) -> Tensor:
    """Standard normal noise (n, *shape), row i from generator i; drawn on the CPU, the same on any device."""
    return torch.stack([torch.randn(tuple(shape), generator=generator) for generator in each]).to(device)


@torch.no_grad()
def denoise(
    denoiser: Denoiser, scheduler: Scheduler, noise: Tensor, each: Sequence[torch.Generator]
) -> Iterator[Tensor]:
    """Denoise from noise to samples by a scheduler's steps.

    Args:
        denoiser: see `Denoiser`.
        scheduler: from `generative.diffusion.schedule.scheduler`, with its steps set; for one use.
        noise: (n, …) standard normal.
        each: n generators, for stochastic solvers.

    Yields:
        (n, …) scaled to unit variance: the noise, then x after each step; the last is the sample.
    """
    yield noise
    random = {"generator": list(each)} if takes_noise(scheduler) else {}
    x = noise * scheduler.init_noise_sigma
    times = scheduler.timesteps.to(noise.device)
    for i, t in enumerate(times):
        told = denoiser(scheduler.scale_model_input(x, t), t)
        x = scheduler.step(told, t, x, **random).prev_sample
        # x has the solver's scale for the next time; after the last step there is no noise left.
        yield x if i + 1 == len(times) else scheduler.scale_model_input(x, times[i + 1])


@torch.no_grad()
def inpaint(
    denoiser: Denoiser,
    known: Tensor,
    hidden: Tensor,
    steps: int,
    each: Sequence[torch.Generator],
    prediction: Prediction,
    resamplings: int = RESAMPLINGS,
    shift: float = 1.0,
) -> Iterator[Tensor]:
    """Inpaint the hidden part by RePaint (Lugmayr et al. 2022).

    Each step is an ancestral one (Ho et al. 2020) after which the known part is replaced by itself with fresh
    noise of that time; and each is repeated several times, with noise added back in between, so that the
    hidden part adapts to the known one.

    Args:
        denoiser: see `Denoiser`.
        known: (n, …) or (1, …) clean; its values in the hidden part are not used.
        hidden: of the same shape, bool.
        steps: from noise to image.
        each: n generators.
        prediction: the denoiser's parametrisation, x_0 or velocity.
        resamplings: repetitions of each step.
        shift: of the noise schedule.

    Yields:
        (n, …) the noise, then x after each step; in the last, the known part is exactly as it was given.
    """
    phi = torch.from_numpy(angles(shift))
    times = torch.linspace(TIMESTEPS, 0, steps + 1).round().long() - 1  # the last, −1, is without noise

    def fresh() -> Tensor:
        return gaussian_noise(known.shape[1:], each, known.device)

    def level(t: Tensor) -> tuple[float, float]:
        return (float(phi[t].cos()), float(phi[t].sin())) if t >= 0 else (1.0, 0.0)

    x = fresh()
    yield x
    for t, after in zip(times[:-1], times[1:], strict=True):
        (alpha_t, sigma_t), (alpha_s, sigma_s) = level(t), level(after)
        for walk in range(resamplings if after >= 0 else 1):
            if walk:  # forward again, from the time after to t
                ratio = alpha_t / alpha_s
                x = ratio * x + (sigma_t**2 - (ratio * sigma_s) ** 2) ** 0.5 * fresh()
            told = denoiser(x, t.to(known.device))
            x_0 = told if prediction == "sample" else alpha_t * x - sigma_t * told
            x_0 = torch.where(hidden, x_0, known)
            epsilon = (x - alpha_t * x_0) / sigma_t
            # Variance of the ancestral step, in the form of Song et al. 2020, equation 16 with η = 1.
            spread = sigma_s / sigma_t * (1 - (alpha_t / alpha_s) ** 2) ** 0.5
            x = alpha_s * x_0 + (sigma_s**2 - spread**2) ** 0.5 * epsilon + spread * fresh()
            x = torch.where(hidden, x, alpha_s * known + sigma_s * fresh())
        yield x
