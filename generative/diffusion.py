"""Diffusion: a network learns to take noise away, and pictures come from nothing but noise.

Ho et al. 2020, "Denoising Diffusion Probabilistic Models", on the schedule of `generative.noise`. The network
tells the picture and is held to the velocity v = α_t ε − σ_t x_0 (Salimans & Ho 2022) that follows from it: a
small network has not the width to pass noise on, which telling the velocity takes, but pictures are simple
(Li & He 2025, "Back to Basics: Let Denoising Generative Models Denoise"). Classes by classifier-free guidance
(Ho & Salimans 2022): in one example of ten the label is withheld, and sampling may go further from what the
network says without it to what it says with it.

Network and solvers are diffusers' own (`UNet2DModel` and its schedulers), and a checkpoint is at the same
time a folder of diffusers: `generative.pipeline` opens it there.

Read from top to bottom: the keys, the network, examples, the loss, the model that samples.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor, nn

from generative.canvas import Canvas, DenoiserOf, canvas_of, sampled, trace
from generative.collection import Collection, Spec
from generative.conditions import check_condition
from generative.denoising import Denoiser
from generative.noise import (
    DEFAULT,
    TIMESTEPS,
    Prediction,
    Scheduler,
    angles,
    check_scheduler,
    scheduler,
)
from sim.checkpoints import Layout
from sim.records import Array, Condition, SampleOptions, Samples
from supervised.fit import Batch, Fit, FitOptions
from supervised.learned import Learned
from supervised.numerics import Precision

VALIDATE_EVERY = 100  # updates; also where a fit can be stopped and saved
VALIDATE_ON = 400  # examples: all of many would take as long as the learning between
GROUPS = 8  # of channels that are normalised together; divides every width
LEAST_NOISE = 0.1  # σ; the error of a picture with less is weighed as with this
WEIGHTS = "diffusion_pytorch_model.safetensors"  # what diffusers calls them
WITHHELD = 0.1  # the share of examples that are learned without their label


@dataclass(frozen=True)
class Diffusion:
    """The scene keys of ``diffusion``."""

    data: str = "frames"
    examples: int = 12_000
    channels: tuple[int, ...] = (32, 64, 64)  # at the finest map, at half its size, and so on
    layers: int = 1  # residual blocks a size on the way down; one more on the way up
    fold: int = 2  # p × p pixels become one cell of the finest map
    prediction: Prediction = "sample"  # the network tells pictures, or velocities ("v_prediction")
    attention: bool = False  # at the coarsest map
    backdrop: bool = False  # the network tells what differs from its class's mean picture
    shift: float = 1.0  # of the noise schedule; above 1, more of it in strong noise: see `generative.noise`
    learning_rate: float = 1e-3
    batch_size: int = 16
    ema: float = 0.998
    precision: Precision = "auto"
    steps: int = 10  # of sampling, unless told otherwise
    guidance: float = 1.0  # likewise; 1: none
    scheduler: str = DEFAULT  # likewise; one of generative.noise.SCHEDULERS

    def __post_init__(self) -> None:
        """Refuse values out of range.

        Raises:
            ValueError: naming the field.
        """
        for name in ("examples", "layers", "fold", "batch_size", "steps"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, not {getattr(self, name)}")
        if not self.channels or any(width < GROUPS or width % GROUPS for width in self.channels):
            raise ValueError(f"channels must be multiples of {GROUPS}, not {list(self.channels)}")
        if not 0 < self.learning_rate:
            raise ValueError(f"learning_rate must be above 0, not {self.learning_rate}")
        if not 0.1 <= self.shift <= 100:
            raise ValueError(f"shift must be in 0.1…100, not {self.shift}")
        check_scheduler(self.scheduler)
        if self.backdrop and self.prediction != "sample":
            raise ValueError('a backdrop needs prediction = "sample": velocities have no mean picture')

    def canvas(self, spec: Spec) -> Canvas:
        """What a model of these keys draws on.

        Raises:
            ValueError: if the data are no pictures, or their sides cannot be folded and halved evenly.
        """
        return canvas_of(
            spec,
            self.fold,
            len(self.channels) - 1,
            prediction=self.prediction,
            shift=self.shift,
            scheduler=self.scheduler,
        )

    def solver(self) -> Scheduler:
        """The scheduler that a checkpoint's folder names."""
        return scheduler(self.prediction, self.scheduler, shift=self.shift)

    def build(self, spec: Spec, *, seed: int, device: str = "cpu") -> DiffusionModel:
        """A fresh model for pictures of this kind.

        Raises:
            ValueError: if the data are no pictures, or their sides cannot be folded and halved evenly.
        """
        return DiffusionModel(self, spec, seed, device)


def unet(config: Diffusion, canvas: Canvas, beside: int = 0, **condition: Any) -> nn.Module:
    """The `UNet2DModel` of diffusers; `condition` says in its words what it is told beside the time.

    With `beside`, it is shown as many more channels behind those of the picture.

    (n, 3p², h, w), t, (n, …) → ``.sample`` (n, 3p², h, w). Time is told in sines ("positional"): diffusers'
    "fourier" embedding takes a logarithm of it, and time 0 has none.
    """
    from diffusers import UNet2DModel  # seconds of imports that listing and refusing do without

    levels = len(config.channels)
    network: nn.Module = UNet2DModel(
        sample_size=canvas.cells,
        in_channels=canvas.channels + beside,
        out_channels=canvas.channels,
        time_embedding_type="positional",
        block_out_channels=config.channels,
        down_block_types=("DownBlock2D",) * levels,
        up_block_types=("UpBlock2D",) * levels,
        layers_per_block=config.layers,
        norm_num_groups=GROUPS,
        resnet_time_scale_shift="scale_shift",
        add_attention=config.attention,
        **condition,
    )
    return network


def against_backdrop(config: Diffusion, network: nn.Module, canvas: Canvas, classes: int) -> nn.Module:
    """A network against a backdrop for each of `classes`, if so wished."""
    if not config.backdrop:
        return network
    from generative.backdrop import AgainstBackdrop, Backdrop  # imports diffusers

    return AgainstBackdrop(network, Backdrop(classes, [canvas.channels, *canvas.cells], canvas.shift))


class Noised:
    """Pictures as a fit draws them, with what is said of them, noise and how much of it."""

    def __init__(self, values: Array, told: Array, untold: Array, canvas: Canvas, withheld: float) -> None:
        """Prepare.

        Args:
            values: (N, H, W, 3) uint8.
            told: (N, …) int64, their labels or sentences.
            untold: (…) int64, what stands for none.
            canvas: that they are drawn on.
            withheld: the share of examples that are told nothing.
        """
        self._values, self._told, self._untold, self._withheld = values, told, untold, withheld
        self._map = canvas.channels, *canvas.cells

    def __len__(self) -> int:
        """How many pictures."""
        return len(self._values)

    def batch(self, rows: Array, generator: np.random.Generator) -> dict[str, Array]:
        """``rgb`` (B, H, W, 3) uint8, ``told`` (B, …) int64, ``noise`` maps float32, ``t`` (B,) int64."""
        told = self._told[rows].copy()
        told[generator.random(len(rows)) < self._withheld] = self._untold
        return {
            "rgb": self._values[rows],
            "told": told,
            "noise": generator.standard_normal((len(rows), *self._map), np.float32),
            "t": times(len(rows), generator),
        }


def times(n: int, generator: np.random.Generator) -> Array:
    """(n,) int64 times, one in each n-th part of all: evenly spread in every batch (Kingma et al. 2021)."""
    return ((np.arange(n) + generator.random()) / n * TIMESTEPS).astype(np.int64)


def noised(x_0: Tensor, noise: Tensor, t: Tensor, shift: float = 1.0) -> tuple[Tensor, Tensor]:
    """x_t and the velocity there, both (B, …) like `x_0`, at times t (B,) of a schedule of that `shift`."""
    phi = torch.from_numpy(angles(shift)).to(x_0)[t].view(-1, *[1] * (x_0.dim() - 1))
    alpha, sigma = phi.cos(), phi.sin()
    return alpha * x_0 + sigma * noise, alpha * noise - sigma * x_0


def diffusion_loss(network: nn.Module, batch: Batch, canvas: Canvas) -> tuple[Tensor, dict[str, Tensor]]:
    """Mean squared error of the velocity, whichever of the two the network tells.

    From a picture x the velocity is (α_t x_t − x) / σ_t, so that its error is that of the picture over σ_t;
    where there is next to no noise it counts as if there were a little.
    """
    x_0, t = canvas.folded(batch["rgb"]), batch["t"]
    x_t, velocity = noised(x_0, batch["noise"], t, canvas.shift)
    said = network(x_t, t, batch["told"]).sample.float()
    if canvas.prediction == "sample":
        sigma = torch.from_numpy(np.sin(angles(canvas.shift))).to(x_0)[t].clamp(min=LEAST_NOISE)
        error = (said - x_0).square().flatten(1).mean(1) / sigma.square()
    else:
        error = (said - velocity).square().flatten(1).mean(1)
    # Half of all times are in each half: twice its share is its mean, also where a batch has none of it.
    half = t < TIMESTEPS // 2
    return error.mean(), {"faint": 2 * (error * half).mean(), "strong": 2 * (error * ~half).mean()}


def fit_options(config: Diffusion) -> FitOptions:
    """How the keys want it fitted."""
    return FitOptions(
        learning_rate=config.learning_rate,
        batch_size=config.batch_size,
        ema=config.ema,
        precision=config.precision,
        validate_every=VALIDATE_EVERY,
        validate_on=VALIDATE_ON,
    )


class DiffusionModel(Learned[nn.Module]):
    """Draws pictures out of noise. Satisfies `sim.protocols.SamplerModel` and `Traces`."""

    def __init__(self, config: Diffusion, spec: Spec, seed: int, device: str) -> None:
        self.config, self.spec = config, spec
        self.canvas = config.canvas(spec)
        classes = len(spec.label_names)  # and one number more, for none of them

        def network() -> nn.Module:
            told_classes = unet(config, self.canvas, num_class_embeds=classes + 1)
            return against_backdrop(config, told_classes, self.canvas, classes)

        super().__init__(network, seed=seed, device=device)
        self.network.eval()

    def fit(self, train: Collection, validation: Collection, *, seed: int) -> Fit:
        """A fit of this model to pictures; what is kept are averaged weights."""
        self.measure(train)
        none, canvas = np.array(len(self.spec.label_names)), self.canvas
        examples = (
            Noised(train.values, train.labels, none, canvas, WITHHELD),
            Noised(validation.values, validation.labels, none, canvas, 0.0),
        )
        options, loss = fit_options(self.config), partial(diffusion_loss, canvas=canvas)
        return Fit(self.network, loss, *examples, options, seed=seed, device=str(self.device))

    def measure(self, train: Collection) -> None:
        """Take the backdrop, if there is one, from what is learned from."""
        if self.config.backdrop:
            network: Any = self.network
            network.backdrop.measure(train.values, train.labels, self.canvas)

    def sample(self, n: int, condition: Condition, options: SampleOptions, seed: int) -> Samples:
        """`n` pictures.

        Args:
            n: how many.
            condition: a `label`, or each sample draws its own; a `frame` with a `mask`, of which what is
                hidden is filled in; or a `latent` (H·W·3,) or (n, H·W·3), the noise to start from.
            options: all of them; filling in has its own scheduler.
            seed: of noise and labels; sample i depends on (seed, i) alone.

        Raises:
            ConditionError: for a condition that it cannot honour.
            ValueError: for an unknown scheduler.
        """
        denoisers = self._denoisers(n, condition, options, seed)
        return Samples(
            sampled(self.canvas, denoisers, n, condition, options, seed, self.device), seed, condition
        )

    def trace(self, n: int, condition: Condition, options: SampleOptions, seed: int) -> Iterator[Array]:
        """The same pictures (n, H, W, 3) uint8 in the making: the noise, then one yield a step."""
        denoisers = self._denoisers(n, condition, options, seed)
        return trace(self.canvas, denoisers, n, condition, options, seed, self.device)

    def layout(self) -> Layout:
        """A checkpoint's files: those of diffusers."""
        from generative.pipeline import PicturePipeline

        solver = self.config.solver()
        network, backdrop = cast(Any, self.network), None
        files = {"": f"unet/{WEIGHTS}"}
        if self.config.backdrop:
            network, backdrop = network.unet, network.backdrop
            files = {"unet.": f"unet/{WEIGHTS}", "backdrop.": f"backdrop/{WEIGHTS}"}
        pipeline = PicturePipeline(network, solver, backdrop, self.config.fold, self.spec.label_names)
        told = {
            "model_index.json": pipeline.to_json_string(),
            "unet/config.json": pipeline.unet.to_json_string(),
            "scheduler/scheduler_config.json": pipeline.scheduler.to_json_string(),
        }
        if backdrop is not None:
            told["backdrop/config.json"] = backdrop.to_json_string()
        return Layout(files, told)

    def _denoisers(self, n: int, condition: Condition, options: SampleOptions, seed: int) -> DenoiserOf:
        """Numbers of samples → what the network says of those."""
        check_condition(condition, self.spec, {"label", "frame", "mask", "latent"})
        names = self.spec.label_names
        labels = torch.tensor(labels_of(names, condition.label, n, seed), device=self.device)
        none = torch.full_like(labels, len(names))
        return lambda rows: guided(
            self.network, labels[rows.start : rows.stop], none[rows.start : rows.stop], options.guidance
        )


def labels_of(names: Sequence[str], label: str | None, n: int, seed: int) -> list[int]:
    """The numbers of n samples' classes: all of `label`, or each its own by chance."""
    if label is not None:
        return [names.index(label)] * n
    return [int(np.random.default_rng((seed, i)).integers(len(names))) for i in range(n)]


def guided(network: nn.Module, told: Tensor, untold: Tensor, weight: float) -> Denoiser:
    """What the network says of n samples of which it is told something, and further from when it is not.

    Args:
        network: as `unet`.
        told: (n, …) labels or whatever it takes in their place.
        untold: (n, …) what stands for none.
        weight: 1 is just what it says when told; 0 when not.
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
