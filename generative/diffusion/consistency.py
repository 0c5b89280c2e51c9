"""Consistency distillation of a diffusion model into a one-step sampler (Song et al. 2023, algorithm 2).

The teacher takes one short solver step from x_t to x_r, and the student must predict the same x_0 at both. At
the cleanest time the target is the teacher's prediction, and from there consistency spreads to the noisiest,
where sampling begins. Both have the same network, and the student starts from the teacher's weights; no
gradient is taken of its prediction at x_r, and errors are measured by a pseudo-Huber norm (Song & Dhariwal
2023, "Improved Techniques for Training Consistency Models").

A checkpoint is that of a diffusion model: diffusers opens it and samples by one step of its DDIM scheduler.

Read from top to bottom: the keys, the loss, the model that is distilled from its teacher.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import torch
from torch import Tensor, nn

from generative.conditions import check_condition
from generative.diffusion.guidance import guided
from generative.diffusion.image_diffusion import (
    WITHHELD,
    Diffusion,
    DiffusionExamples,
    DiffusionModel,
    fit_options,
)
from generative.diffusion.pixel_maps import PixelMaps
from generative.diffusion.schedule import TIMESTEPS, add_noise, angles
from sim.records import Array, Condition, SampleOptions, Samples
from supervised.data.dataset import Dataset, Spec
from supervised.fit import Batch, Fit
from supervised.tensors import from_arrays

BEND = 0.00054  # constant c of the pseudo-Huber norm over √(number of values); ibid., section 3.3
ONE = SampleOptions(steps=1, scheduler="ddim")  # from noise to the network's prediction


@dataclass(frozen=True)
class OneStep(Diffusion):
    """Configuration of the ``one-step`` sampler, scene keys: those of its teacher, and three more."""

    teacher: str = "checkpoints/frames-diffusion"  # a checkpoint of ``diffusion``, relative to the scene file
    teacher_guidance: float = 1.0  # guidance weight of the teacher's predictions
    grid: int = 24  # the teacher's solver steps from noise to image
    steps: int = 1

    def __post_init__(self) -> None:
        """Refuse values out of range.

        Raises:
            ValueError: naming the field.
        """
        super().__post_init__()
        if not 1 <= self.grid < TIMESTEPS:
            raise ValueError(f"grid must be in 1…{TIMESTEPS - 1}, not {self.grid}")
        if self.steps != 1:
            raise ValueError(f"steps must be 1, not {self.steps}: for more there is diffusion")
        if self.prediction != "sample":
            raise ValueError('prediction must be "sample": consistency models predict x_0')

    def build(self, spec: Spec, *, seed: int, device: str = "cpu") -> OneStepModel:
        """An untrained student for images of this kind; call `OneStepModel.learn_from` before a fit.

        Raises:
            ValueError: if the data are no images, or their sides cannot be folded and halved evenly.
        """
        return OneStepModel(self, spec, seed, device)


def timesteps(grid: int) -> Array:
    """Times (grid + 1,) between the teacher's solver steps, the cleanest first.

    >>> timesteps(3).tolist()
    [0, 333, 666, 999]
    """
    return np.linspace(0, TIMESTEPS - 1, grid + 1).round().astype(np.int64)


def one_step_loss(
    network: nn.Module, batch: Batch, teacher: nn.Module, canvas: PixelMaps, grid: int, guidance: float
) -> tuple[Tensor, dict[str, Tensor]]:
    """Consistency loss: the student's predictions at x_t and, after the teacher's step, at x_r."""
    x_0, told = canvas.folded(batch["rgb"]), batch["told"]
    at = torch.from_numpy(timesteps(grid)).to(x_0.device)
    step = batch["t"] * grid // TIMESTEPS  # from stop `step + 1` to stop `step`
    t, r = at[step + 1], at[step]
    x_t, _ = add_noise(x_0, batch["noise"], t, canvas.shift)
    with torch.no_grad():
        picture = guided(teacher, told, batch["untold"], guidance)(x_t, t).float()
        x_r = solver_step(x_t, picture, t, r, canvas.shift)
        further = network(x_r, r, told).sample.float()
        goal = torch.where((step == 0).view(-1, 1, 1, 1), picture, further)
    said = network(x_t, t, told).sample.float()
    square = (said - goal).square().flatten(1).sum(1)
    bend = BEND * math.sqrt(x_0[0].numel())
    error = ((square + bend**2).sqrt() - bend) / math.sqrt(x_0[0].numel())
    first = t == TIMESTEPS - 1
    from_noise = grid * (error * first).mean()  # one example in `grid` is at that time, on average
    return (error * importance(grid, canvas.shift).to(error)[step]).mean(), {"from_noise": from_noise}


def importance(grid: int, shift: float = 1.0) -> Tensor:
    """Loss weights (grid,) of the steps, with mean 1: inversely proportional to a step's length in σ/α.

    Song & Dhariwal 2023, section 3.4: near the clean end, on which all else builds, steps are short.
    """
    far = np.diff(np.tan(angles(shift)[timesteps(grid)]))
    return torch.from_numpy(grid / far / (1 / far).sum())


def solver_step(x_t: Tensor, picture: Tensor, t: Tensor, r: Tensor, shift: float = 1.0) -> Tensor:
    """DDIM step to x_r from x_t (B, …) and the predicted x_0 (Song et al. 2020, equation 12, η = 0)."""
    phi = torch.from_numpy(angles(shift)).to(x_t)
    phi_t, phi_r = (phi[time].view(-1, *[1] * (x_t.dim() - 1)) for time in (t, r))
    noise = (x_t - phi_t.cos() * picture) / phi_t.sin()
    return phi_r.cos() * picture + phi_r.sin() * noise


class ConsistencyExamples(DiffusionExamples):
    """Training examples of consistency distillation: those of diffusion, and the null condition."""

    def batch(self, rows: Array, generator: np.random.Generator) -> dict[str, Array]:
        """See `DiffusionExamples`; ``untold`` is like ``told``."""
        drawn = super().batch(rows, generator)
        return drawn | {"untold": np.full_like(drawn["told"], self._untold)}


class OneStepModel(DiffusionModel):
    """Consistency-distilled one-step sampler of images: a `SamplerModel`, `Distillable`, and `Traces`."""

    config: OneStep

    def __init__(self, config: OneStep, spec: Spec, seed: int, device: str) -> None:
        super().__init__(config, spec, seed, device)
        self._teacher: nn.Module | None = None

    def learn_from(self, teacher: Mapping[str, Array]) -> None:
        """Set the teacher's weights, which are the student's initial ones, too.

        Raises:
            ValueError: if names or shapes differ from this network's.
        """
        from_arrays(self.network, teacher)
        self._teacher = copy.deepcopy(self.network).requires_grad_(False)

    def fit(self, train: Dataset, validation: Dataset, *, seed: int) -> Fit:
        """A fit of this student by consistency distillation from its teacher.

        Raises:
            ValueError: if it has no teacher yet.
        """
        if self._teacher is None:
            raise ValueError("a one-step sampler is distilled from a teacher: call learn_from first")
        self.measure(train)
        none, config = np.array(len(self.spec.label_names)), self.config
        examples = (
            ConsistencyExamples(train.values_by_row, train.labels, none, self.canvas, WITHHELD),
            ConsistencyExamples(validation.values_by_row, validation.labels, none, self.canvas, 0.0),
        )
        loss = partial(
            one_step_loss,
            teacher=self._teacher,
            canvas=self.canvas,
            grid=config.grid,
            guidance=config.teacher_guidance,
        )
        return Fit(self.network, loss, *examples, fit_options(config), seed=seed, device=str(self.device))

    def sample(self, n: int, condition: Condition, options: SampleOptions, seed: int) -> Samples:
        """`n` images (n, H, W, 3) uint8.

        Args:
            n: how many.
            condition: a `label`, else random labels; or a `latent` (H·W·3,) or (n, H·W·3), the initial noise.
            options: `guidance`; it takes one step.
            seed: of noise and labels; sample i depends on (seed, i) alone.

        Raises:
            ConditionError: for a condition that it does not support.
        """
        check_condition(condition, self.spec, {"label", "latent"})
        return super().sample(n, condition, replace(ONE, guidance=options.guidance), seed)

    def trace(self, n: int, condition: Condition, options: SampleOptions, seed: int) -> Iterator[Array]:
        """Denoising trajectory (n, H, W, 3) uint8: the noise, and the samples."""
        check_condition(condition, self.spec, {"label", "latent"})
        return super().trace(n, condition, replace(ONE, guidance=options.guidance), seed)
