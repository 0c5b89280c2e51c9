"""Noise schedule of diffusion models, a variance-preserving cosine with shift; diffusers' solvers by name.

    x_t = α_t x_0 + σ_t ε,   α_t = cos φ_t,   σ_t = sin φ_t

The angle φ rises linearly (the cosine schedule of Nichol & Dhariwal 2021, in the angles of Salimans & Ho
2022) between two ends short of 0 and π/2: solvers in σ/α cannot start where α is 0, and at σ/α = 80 (Karras
et al. 2022) nothing of an image is left. A network predicts x_0, or the velocity v = α_t ε − σ_t x_0, which
has unit variance at every time.

Images of games are recognisable in more noise than photographs: in noise of six times their contrast a paddle
is still visible, so its position is learned in one time of ten and decided in the first step of ten. A
`shift` above 1 multiplies σ/α, between the same two ends, so that more times and steps are spent there
(Hoogeboom et al. 2023, "simple diffusion", section 3.1, who do it for larger images).

Times are whole numbers, 0 to 999: so every discrete scheduler of diffusers fits, and a checkpoint opens
there.
"""

from __future__ import annotations

import importlib
import inspect
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Literal, Protocol, TypeAlias

import numpy as np
import torch
from torch import Tensor

from sim.fields import nearest
from sim.records import Array

#: The network's parametrisation by diffusers' names: x_0 ("sample"), or the velocity.
Prediction: TypeAlias = Literal["sample", "v_prediction"]

TIMESTEPS = 1000
CLEANEST, NOISIEST = 0.01, 80.0  # σ/α at the first and the last time

#: Name → its class in diffusers and its own options. The first is the default.
SCHEDULERS: Mapping[str, tuple[str, dict[str, Any]]] = {
    "dpmsolver++": ("DPMSolverMultistepScheduler", {"algorithm_type": "dpmsolver++"}),  # Lu et al. 2022
    "sde-dpmsolver++": ("DPMSolverMultistepScheduler", {"algorithm_type": "sde-dpmsolver++"}),
    "unipc": ("UniPCMultistepScheduler", {}),  # Zhao et al. 2023
    "euler": ("EulerDiscreteScheduler", {}),  # Karras et al. 2022, algorithm 1 without correction
    "heun": ("HeunDiscreteScheduler", {}),  # Karras et al. 2022, algorithm 1; two evaluations a step
    "lms": ("LMSDiscreteScheduler", {}),
    "ddim": ("DDIMScheduler", {"clip_sample": False}),  # Song et al. 2020; best if steps divide 1000
    "ddpm": ("DDPMScheduler", {"clip_sample": False}),  # Ho et al. 2020
}
DEFAULT = next(iter(SCHEDULERS))


class Scheduler(Protocol):
    """Interface of a diffusers scheduler, as far as it is used here."""

    timesteps: Tensor
    init_noise_sigma: Any

    def set_timesteps(self, num_inference_steps: int) -> None:
        """Set that many times, from noise to image."""

    def scale_model_input(self, sample: Tensor, timestep: Tensor) -> Tensor:
        """Scale x_t to unit variance, as the network's input."""

    def step(self, model_output: Tensor, timestep: Tensor, sample: Tensor, **kwargs: Any) -> Any:
        """``prev_sample`` is x at the next time, with less noise."""

    def to_json_string(self) -> str:
        """Its configuration, as diffusers stores it."""


def angles(shift: float = 1.0) -> Array:
    """Angles φ_t (1000,) of the noise schedule, radians, rising; `shift` multiplies their tangent, σ/α.

    The share of times with noise above six times the contrast:

    >>> [float((angles(shift) > np.arctan(6)).mean()) for shift in (1.0, 4.0)]
    [0.099, 0.355]
    """
    straight = np.linspace(np.arctan(CLEANEST / shift), np.arctan(NOISIEST / shift), TIMESTEPS)
    return straight if shift == 1.0 else np.arctan(shift * np.tan(straight))


def add_noise(x_0: Tensor, noise: Tensor, t: Tensor, shift: float = 1.0) -> tuple[Tensor, Tensor]:
    """Forward process: x_t and velocity, (B, …) like `x_0` each, at times t (B,) of a schedule of `shift`."""
    phi = torch.from_numpy(angles(shift)).to(x_0)[t].view(-1, *[1] * (x_0.dim() - 1))
    alpha, sigma = phi.cos(), phi.sin()
    return alpha * x_0 + sigma * noise, alpha * noise - sigma * x_0


def alpha_at(t: Tensor, alphas: Tensor) -> Tensor:
    """α of a schedule at times t, whole or between two, where log σ/α runs straight from one to the next.

    That is how diffusers' schedulers name the time at which they stand if their steps are counted in σ/α and
    end between two times (``_sigma_to_t``, after Karras et al. 2022).

    Args:
        t: of any shape and type, from 0 to 999.
        alphas: (1000,) α at each whole time, of a floating type.

    Returns:
        Of the shape of `t` and the type of `alphas`.
    """
    if not t.is_floating_point():
        return alphas[t]
    t = t.to(alphas.dtype)
    log_ratio = 0.5 * (alphas**-2 - 1).log()  # of σ/α
    between = torch.lerp(log_ratio[t.floor().long()], log_ratio[t.ceil().long()], t.frac())
    return torch.where(t.frac() == 0, alphas[t.long()], (1 + (2 * between).exp()).rsqrt())


def betas(shift: float = 1.0) -> list[float]:
    """Betas (1000,) of the noise schedule for diffusers: β_t = 1 − α_t² / α_{t−1}²."""
    kept = np.cos(angles(shift)) ** 2
    rates: list[float] = (1 - kept / np.concatenate([[1.0], kept[:-1]])).tolist()
    return rates


def scheduler(
    prediction: Prediction, name: str | None = None, steps: int | None = None, shift: float = 1.0
) -> Scheduler:
    """Make a scheduler of diffusers on this noise schedule.

    Trailing spacing, because it begins at the noisiest time: a solver that begins earlier starts from an
    input that the network was not trained on (Lin et al. 2023). Predictions are not clipped: a model may work
    in another range than [−1, 1].

    Args:
        prediction: the network's parametrisation.
        name: one of `SCHEDULERS`; the first where none is given.
        steps: how many; none where diffusers is to set them.
        shift: of the schedule, see `angles`.

    Raises:
        ValueError: for a name that is not in the list, with the nearest ones, and for fewer steps than 1 or
            more than there are times.
    """
    name = name or DEFAULT
    check_scheduler(name)
    cls, options = SCHEDULERS[name]
    if steps is not None and not 1 <= steps <= TIMESTEPS:
        raise ValueError(f"steps must be from 1 to {TIMESTEPS}, not {steps}")
    with quiet():
        made: Scheduler = getattr(importlib.import_module("diffusers"), cls)(
            num_train_timesteps=TIMESTEPS,
            trained_betas=betas(shift),
            prediction_type=prediction,
            timestep_spacing="trailing",
            **options,
        )
        if steps is not None:
            made.set_timesteps(steps)
    return made


def check_scheduler(name: str) -> None:
    """Check that a scheduler's name is among `SCHEDULERS`.

    Raises:
        ValueError: with the nearest ones.
    """
    if name not in SCHEDULERS:
        raise ValueError(f'there is no scheduler "{name}"; {nearest(name, SCHEDULERS)}')


@contextmanager
def quiet() -> Iterator[None]:
    """Context that silences numpy 2's deprecation of the way diffusers converts tensors."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "__array__ implementation", DeprecationWarning)
        yield


def takes_noise(made: Scheduler) -> bool:
    """Whether a scheduler is stochastic: its steps take random generators."""
    return "generator" in inspect.signature(made.step).parameters
