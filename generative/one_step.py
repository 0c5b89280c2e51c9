"""One step: a student draws with one look of its network what a diffusion model draws with many.

Song et al. 2023, "Consistency Models", algorithm 2: a teacher walks one short step from x_t to x_r, and the
student must say the same picture at both ends. At the cleanest end that is the teacher's own, and from there
agreement spreads to the noisiest, where walks begin. Both have the same network, and the student starts from
the teacher's weights; of what it says at x_r no gradient is taken, and errors are measured by a pseudo-Huber
norm (Song & Dhariwal 2023, "Improved Techniques for Training Consistency Models").

A checkpoint is that of a diffusion model: diffusers opens it, and one step of its DDIM scheduler draws.

Read from top to bottom: the keys, the loss, the model that learns from its teacher.
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

from generative.canvas import Canvas
from generative.collection import Collection, Spec
from generative.conditions import check_condition
from generative.diffusion import WITHHELD, Diffusion, DiffusionModel, Noised, fit_options, guided, noised
from generative.noise import TIMESTEPS, angles
from sim.records import Array, Condition, SampleOptions, Samples
from supervised.fit import Batch, Fit
from supervised.numerics import from_arrays

BEND = 0.00054  # of the pseudo-Huber norm, for each root of the number of values; ibid., section 3.3
ONE = SampleOptions(steps=1, scheduler="ddim")  # from noise straight to what the network says


@dataclass(frozen=True)
class OneStep(Diffusion):
    """The scene keys of ``one-step``: those of its teacher, and three more."""

    teacher: str = "checkpoints/frames-diffusion"  # a checkpoint of ``diffusion``, relative to the scene file
    teacher_guidance: float = 1.0  # of the teacher while it teaches
    grid: int = 24  # steps that the teacher's whole walk is cut into
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
            raise ValueError('prediction must be "sample": a student tells pictures')

    def build(self, spec: Spec, *, seed: int, device: str = "cpu") -> OneStepModel:
        """A fresh student for pictures of this kind; it learns after `OneStepModel.learn_from`.

        Raises:
            ValueError: if the data are no pictures, or their sides cannot be folded and halved evenly.
        """
        return OneStepModel(self, spec, seed, device)


def stops(grid: int) -> Array:
    """(grid + 1,) times of the teacher's walk, the cleanest first.

    >>> stops(3).tolist()
    [0, 333, 666, 999]
    """
    return np.linspace(0, TIMESTEPS - 1, grid + 1).round().astype(np.int64)


def one_step_loss(
    network: nn.Module, batch: Batch, teacher: nn.Module, canvas: Canvas, grid: int, guidance: float
) -> tuple[Tensor, dict[str, Tensor]]:
    """How far what the student says at x_t is from what it says one step of the teacher further."""
    x_0, told = canvas.folded(batch["rgb"]), batch["told"]
    at = torch.from_numpy(stops(grid)).to(x_0.device)
    step = batch["t"] * grid // TIMESTEPS  # from stop `step + 1` to stop `step`
    t, r = at[step + 1], at[step]
    x_t, _ = noised(x_0, batch["noise"], t, canvas.shift)
    with torch.no_grad():
        picture = guided(teacher, told, batch["untold"], guidance)(x_t, t).float()
        x_r = walked(x_t, picture, t, r, canvas.shift)
        further = network(x_r, r, told).sample.float()
        goal = torch.where((step == 0).view(-1, 1, 1, 1), picture, further)
    said = network(x_t, t, told).sample.float()
    square = (said - goal).square().flatten(1).sum(1)
    bend = BEND * math.sqrt(x_0[0].numel())
    error = ((square + bend**2).sqrt() - bend) / math.sqrt(x_0[0].numel())
    first = t == TIMESTEPS - 1
    from_noise = grid * (error * first).mean()  # one step in `grid` is that, in the mean over many batches
    return (error * importance(grid, canvas.shift).to(error)[step]).mean(), {"from_noise": from_noise}


def importance(grid: int, shift: float = 1.0) -> Tensor:
    """(grid,) what an error counts at each step, in the mean 1: the less the farther it goes.

    How far is counted in σ/α (ibid., section 3.4): near the clean end, on which all builds, steps are short.
    """
    far = np.diff(np.tan(angles(shift)[stops(grid)]))
    return torch.from_numpy(grid / far / (1 / far).sum())


def walked(x_t: Tensor, picture: Tensor, t: Tensor, r: Tensor, shift: float = 1.0) -> Tensor:
    """x_r from x_t (B, …) and the picture in it: a step of DDIM (Song et al. 2020, equation 12, η = 0)."""
    phi = torch.from_numpy(angles(shift)).to(x_t)
    phi_t, phi_r = (phi[time].view(-1, *[1] * (x_t.dim() - 1)) for time in (t, r))
    noise = (x_t - phi_t.cos() * picture) / phi_t.sin()
    return phi_r.cos() * picture + phi_r.sin() * noise


class TaughtPictures(Noised):
    """Pictures as a fit draws them, with what stands for no label."""

    def batch(self, rows: Array, generator: np.random.Generator) -> dict[str, Array]:
        """See `Noised`; ``untold`` is like ``told``."""
        drawn = super().batch(rows, generator)
        return drawn | {"untold": np.full_like(drawn["told"], self._untold)}


class OneStepModel(DiffusionModel):
    """Draws pictures out of noise in one step. Satisfies `SamplerModel`, `Taught` and `Traces`."""

    config: OneStep

    def __init__(self, config: OneStep, spec: Spec, seed: int, device: str) -> None:
        super().__init__(config, spec, seed, device)
        self._teacher: nn.Module | None = None

    def learn_from(self, teacher: Mapping[str, Array]) -> None:
        """Take a diffusion model's weights as those of the teacher, and to start from.

        Raises:
            ValueError: if names or shapes differ from this network's.
        """
        from_arrays(self.network, teacher)
        self._teacher = copy.deepcopy(self.network).requires_grad_(False)

    def fit(self, train: Collection, validation: Collection, *, seed: int) -> Fit:
        """A fit of this student to what its teacher makes of noisy pictures.

        Raises:
            ValueError: if it has no teacher yet.
        """
        if self._teacher is None:
            raise ValueError("a one-step sampler learns from a teacher: call learn_from first")
        self.measure(train)
        none, config = np.array(len(self.spec.label_names)), self.config
        examples = (
            TaughtPictures(train.values, train.labels, none, self.canvas, WITHHELD),
            TaughtPictures(validation.values, validation.labels, none, self.canvas, 0.0),
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
        """`n` pictures.

        Args:
            n: how many.
            condition: a `label`, or each sample draws its own; or a `latent` (H·W·3,) or (n, H·W·3), the
                noise that becomes the picture.
            options: `guidance`; it takes one step.
            seed: of noise and labels; sample i depends on (seed, i) alone.

        Raises:
            ConditionError: for a condition that it cannot honour.
        """
        check_condition(condition, self.spec, {"label", "latent"})
        return super().sample(n, condition, replace(ONE, guidance=options.guidance), seed)

    def trace(self, n: int, condition: Condition, options: SampleOptions, seed: int) -> Iterator[Array]:
        """The noise (n, H, W, 3) uint8, and the pictures."""
        check_condition(condition, self.spec, {"label", "latent"})
        return super().trace(n, condition, replace(ONE, guidance=options.guidance), seed)
