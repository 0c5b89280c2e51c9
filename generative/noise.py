"""How much noise at which time, and the solvers that walk it back: diffusers' own, by name.

    x_t = α_t x_0 + σ_t ε,   α_t = cos φ_t,   σ_t = sin φ_t

The angle φ rises in a straight line (the cosine schedule of Nichol & Dhariwal 2021, in the angles of Salimans
& Ho 2022), between two ends of which neither is the very end: solvers that count in σ/α cannot start where α
is 0, and at σ/α = 80 (Karras et al. 2022) nothing of a picture is left. A network tells x_0, or the
velocity v = α_t ε − σ_t x_0, which stays of unit size at every time.

Pictures of games are easier to make out than photographs: in noise of six times their contrast a paddle is
still seen, so where it stands is learned in one time of ten and drawn in the first step of ten. A `shift`
above 1 multiplies σ/α, between the same two ends, so that more of the walk is spent where that is decided
(Hoogeboom et al. 2023, "simple diffusion", section 3.1, who do it for larger pictures).

Time is whole, 0 to 999: so every discrete scheduler of diffusers fits, and a checkpoint opens there.
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

#: What a network tells of x_t, in diffusers' words: x_0, or the velocity.
Prediction: TypeAlias = Literal["sample", "v_prediction"]

TIMESTEPS = 1000
CLEANEST, NOISIEST = 0.01, 80.0  # σ/α at the first and the last time

#: Name → its class in diffusers and its own options. The first is the one that is used unless told.
SCHEDULERS: Mapping[str, tuple[str, dict[str, Any]]] = {
    "dpmsolver++": ("DPMSolverMultistepScheduler", {"algorithm_type": "dpmsolver++"}),  # Lu et al. 2022
    "sde-dpmsolver++": ("DPMSolverMultistepScheduler", {"algorithm_type": "sde-dpmsolver++"}),
    "unipc": ("UniPCMultistepScheduler", {}),  # Zhao et al. 2023
    "euler": ("EulerDiscreteScheduler", {}),  # Karras et al. 2022, algorithm 1 without correction
    "heun": ("HeunDiscreteScheduler", {}),  # Karras et al. 2022, algorithm 1; asks the network twice a step
    "lms": ("LMSDiscreteScheduler", {}),
    "ddim": ("DDIMScheduler", {"clip_sample": False}),  # Song et al. 2020; best if steps divide 1000
    "ddpm": ("DDPMScheduler", {"clip_sample": False}),  # Ho et al. 2020
}
DEFAULT = next(iter(SCHEDULERS))


class Scheduler(Protocol):
    """What is used of a diffusers scheduler."""

    timesteps: Tensor
    init_noise_sigma: Any

    def set_timesteps(self, num_inference_steps: int) -> None:
        """Choose that many times, from noise to picture."""

    def scale_model_input(self, sample: Tensor, timestep: Tensor) -> Tensor:
        """x_t as the network knows it, of unit size."""

    def step(self, model_output: Tensor, timestep: Tensor, sample: Tensor, **kwargs: Any) -> Any:
        """``prev_sample`` is x at the next time, with less noise."""

    def to_json_string(self) -> str:
        """Its configuration, as diffusers stores it."""


def angles(shift: float = 1.0) -> Array:
    """(1000,) φ_t, radians, rising; with a `shift` its tangent is that many times what it would be.

    How much of the walk lies in noise of six times the contrast:

    >>> [float((angles(shift) > np.arctan(6)).mean()) for shift in (1.0, 4.0)]
    [0.099, 0.355]
    """
    straight = np.linspace(np.arctan(CLEANEST / shift), np.arctan(NOISIEST / shift), TIMESTEPS)
    return straight if shift == 1.0 else np.arctan(shift * np.tan(straight))


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
    """(1000,) the schedule as diffusers takes it: β_t = 1 − α_t² / α_{t−1}²."""
    kept = np.cos(angles(shift)) ** 2
    rates: list[float] = (1 - kept / np.concatenate([[1.0], kept[:-1]])).tolist()
    return rates


def scheduler(
    prediction: Prediction, name: str | None = None, steps: int | None = None, shift: float = 1.0
) -> Scheduler:
    """A scheduler of diffusers, on this schedule.

    Trailing spacing, because it begins at the noisiest time: a solver that begins earlier starts from
    something that training never showed the network (Lin et al. 2023). No clipping of what is predicted: a
    picture may come from a model that works in another range.

    Args:
        prediction: what the network tells.
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
    """Refuse names that are not in the list.

    Raises:
        ValueError: with the nearest ones.
    """
    if name not in SCHEDULERS:
        raise ValueError(f'there is no scheduler "{name}"; {nearest(name, SCHEDULERS)}')


@contextmanager
def quiet() -> Iterator[None]:
    """A block in which diffusers may hand tensors to numpy in a way that numpy 2 deprecates."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "__array__ implementation", DeprecationWarning)
        yield


def takes_noise(made: Scheduler) -> bool:
    """Whether its steps draw random numbers, from the generators that they are given."""
    return "generator" in inspect.signature(made.step).parameters
