"""Diffusion model of images: a class-conditional UNet denoiser with classifier-free guidance.

Ho et al. 2020, "Denoising Diffusion Probabilistic Models", on the schedule of
`generative.diffusion.schedule`. The network predicts x_0 and is trained on the error of the velocity
v = α_t ε − σ_t x_0 (Salimans & Ho 2022) that follows from it: a small network has not the width to carry
noise through to its output, which predicting the velocity takes, but images are simple (Li & He 2025, "Back
to Basics: Let Denoising Generative Models Denoise"). Classes by classifier-free guidance (Ho & Salimans
2022): the label is dropped in one example of ten, and sampling may extrapolate from the unconditional to the
conditional prediction.

Network and solvers are those of diffusers (`UNet2DModel` and its schedulers), and a checkpoint is at the same
time a diffusers folder: `generative.diffusion.pipeline` opens it there.

Read from top to bottom: the keys, the network, examples, the loss, the model that samples.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor, nn

from generative.conditions import check_condition
from generative.diffusion.guidance import guided, labels_of
from generative.diffusion.pixel_maps import DenoiserOf, PixelMaps, pixel_maps, sample_images, trace
from generative.diffusion.schedule import (
    DEFAULT,
    TIMESTEPS,
    Prediction,
    Scheduler,
    add_noise,
    angles,
    check_scheduler,
    scheduler,
)
from sim.records import Array, Condition, SampleOptions, Samples
from sim.storage.checkpoints import CheckpointLayout
from supervised.base_model import BaseModel
from supervised.data.dataset import Dataset, Spec
from supervised.fit import Batch, Fit, FitOptions
from supervised.tensors import Precision

VALIDATE_EVERY = 100  # updates; also where a fit can be stopped and saved
VALIDATE_ON = 400  # examples: all of a large set would take as long as the training in between
GROUPS = 8  # of group normalisation; divides every width
LEAST_NOISE = 0.1  # σ; the loss weight 1/σ² is clamped here
WEIGHTS = "diffusion_pytorch_model.safetensors"  # diffusers' file name
WITHHELD = 0.1  # the share of examples whose label is dropped


@dataclass(frozen=True)
class Diffusion:
    """Configuration of the ``diffusion`` sampler; its fields are scene keys."""

    data: str = "frames"
    examples: int = 12_000
    channels: tuple[int, ...] = (32, 64, 64)  # at the finest map, at half its size, and so on
    layers: int = 1  # residual blocks a level on the way down; one more on the way up
    fold: int = 2  # p × p pixels become one cell of the finest map
    prediction: Prediction = "sample"  # the network predicts x_0, or the velocity ("v_prediction")
    attention: bool = False  # at the coarsest map
    block_attention: bool = False  # after each residual block
    backdrop: bool = False  # the network predicts the difference from its class's mean image
    codebook: str = ""  # cells are classes: patterns of this codebook (generative.data.codebooks)
    shift: float = (
        1.0  # of the noise schedule; above 1, more of it in strong noise: see `generative.diffusion.schedule`
    )
    learning_rate: float = 1e-3
    batch_size: int = 16
    ema: float = 0.998
    precision: Precision = "auto"
    steps: int = 10  # of sampling, by default
    guidance: float = 1.0  # weight of classifier-free guidance, by default; 1: none
    scheduler: str = DEFAULT  # by default; one of generative.diffusion.schedule.SCHEDULERS

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
            raise ValueError('a backdrop needs prediction = "sample": velocities have no mean image')
        if self.codebook and (self.backdrop or self.prediction != "sample"):
            raise ValueError('a codebook needs prediction = "sample" and no backdrop: classes are predicted')

    def canvas(self, spec: Spec) -> PixelMaps:
        """The image space of a model with these keys.

        Raises:
            ValueError: if the data are no images, their sides cannot be folded and halved evenly, or there
                is no such codebook of them.
        """
        size = spec, self.fold, len(self.channels) - 1
        more: dict[str, Any] = {
            "prediction": self.prediction,
            "shift": self.shift,
            "scheduler": self.scheduler,
        }
        if not self.codebook:
            return pixel_maps(*size, **more)
        from generative.diffusion.categorical import categorical_maps  # imports diffusers

        return categorical_maps(*size, self.codebook, **more)

    def solver(self) -> Scheduler:
        """The default scheduler, which a checkpoint's folder names."""
        return scheduler(self.prediction, self.scheduler, shift=self.shift)

    def build(self, spec: Spec, *, seed: int, device: str = "cpu") -> DiffusionModel:
        """An untrained model for images of this kind.

        Raises:
            ValueError: if the data are no images, or their sides cannot be folded and halved evenly.
        """
        return DiffusionModel(self, spec, seed, device)


def unet(config: Diffusion, canvas: PixelMaps, beside: int = 0, **condition: Any) -> nn.Module:
    """Denoising UNet: diffusers' `UNet2DModel` with `beside` more input channels.

    (n, 3p² + `beside`, h, w), t, (n, …) → ``.sample`` (n, 3p², h, w). `condition` are further arguments of
    `UNet2DModel`, such as ``num_class_embeds``. The time embedding is sinusoidal ("positional"): diffusers'
    "fourier" embedding takes the logarithm of t, and time 0 has none.
    """
    from diffusers import UNet2DModel  # seconds of imports that listing and refusing do without

    levels, attended = len(config.channels), "Attn" * config.block_attention
    network: nn.Module = UNet2DModel(
        sample_size=canvas.cells,
        in_channels=canvas.channels + beside,
        out_channels=canvas.channels,
        time_embedding_type="positional",
        block_out_channels=config.channels,
        down_block_types=(f"{attended}DownBlock2D",) * levels,
        up_block_types=(f"{attended}UpBlock2D",) * levels,
        layers_per_block=config.layers,
        norm_num_groups=GROUPS,
        resnet_time_scale_shift="scale_shift",
        add_attention=config.attention,
        **condition,
    )
    return network


def residual_denoiser(config: Diffusion, network: nn.Module, canvas: PixelMaps, classes: int) -> nn.Module:
    """Wrap a network as a residual denoiser with a mean image for each of `classes`, if `config.backdrop`."""
    if not config.backdrop:
        return network
    from generative.diffusion.mean_image import MeanImages, ResidualDenoiser  # imports diffusers

    return ResidualDenoiser(network, MeanImages(classes, [canvas.channels, *canvas.cells], canvas.shift))


def categorical_denoiser(config: Diffusion, canvas: PixelMaps, **condition: Any) -> nn.Module:
    """Denoiser of the classes of a codebook, around a UNet with its further inputs."""
    from generative.diffusion.categorical import CategoricalDenoiser, CategoricalMaps, beside

    assert isinstance(canvas, CategoricalMaps)
    alphas = np.cos(angles(canvas.shift))
    return CategoricalDenoiser(unet(config, canvas, beside(canvas), **condition), canvas, alphas)


class DiffusionExamples:
    """Training examples of diffusion models: images, conditions, noise and times."""

    def __init__(self, values: Array, told: Array, untold: Array, canvas: PixelMaps, withheld: float) -> None:
        """Prepare.

        Args:
            values: images (N, H, W, 3) uint8.
            told: conditions (N, …) int64, labels or tokens.
            untold: (…) int64, the null condition.
            canvas: the image space.
            withheld: the share of examples with the null condition.
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
    """Stratified times (n,) int64, one in each n-th part of the schedule (Kingma et al. 2021)."""
    return ((np.arange(n) + generator.random()) / n * TIMESTEPS).astype(np.int64)


def diffusion_loss(network: nn.Module, batch: Batch, canvas: PixelMaps) -> tuple[Tensor, dict[str, Tensor]]:
    """Mean squared error of the velocity, for networks that predict x_0 or the velocity.

    From x_0 the velocity is (α_t x_t − x_0) / σ_t, so that its error is that of x_0 over σ_t; σ_t is clamped
    to `LEAST_NOISE`.
    """
    x_0, t = canvas.folded(batch["rgb"]), batch["t"]
    x_t, velocity = add_noise(x_0, batch["noise"], t, canvas.shift)
    said = network(x_t, t, batch["told"]).sample.float()
    if canvas.prediction == "sample":
        sigma = torch.from_numpy(np.sin(angles(canvas.shift))).to(x_0)[t].clamp(min=LEAST_NOISE)
        error = (said - x_0).square().flatten(1).mean(1) / sigma.square()
    else:
        error = (said - velocity).square().flatten(1).mean(1)
    # Each half has half of all times: twice its share is its mean, also where a batch has none of it.
    half = t < TIMESTEPS // 2
    return error.mean(), {"faint": 2 * (error * half).mean(), "strong": 2 * (error * ~half).mean()}


def fit_options(config: Diffusion) -> FitOptions:
    """Fitting options of a configuration."""
    return FitOptions(
        learning_rate=config.learning_rate,
        batch_size=config.batch_size,
        ema=config.ema,
        precision=config.precision,
        validate_every=VALIDATE_EVERY,
        validate_on=VALIDATE_ON,
    )


class DiffusionModel(BaseModel[nn.Module]):
    """Diffusion sampler of images. Satisfies `sim.protocols.SamplerModel` and `Traces`."""

    def __init__(self, config: Diffusion, spec: Spec, seed: int, device: str) -> None:
        self.config, self.spec = config, spec
        self.canvas = config.canvas(spec)
        classes = len(spec.label_names)  # and one more, the null class

        def network() -> nn.Module:
            if config.codebook:
                return categorical_denoiser(config, self.canvas, num_class_embeds=classes + 1)
            told_classes = unet(config, self.canvas, num_class_embeds=classes + 1)
            return residual_denoiser(config, told_classes, self.canvas, classes)

        super().__init__(network, seed=seed, device=device)
        self.network.eval()

    def fit(self, train: Dataset, validation: Dataset, *, seed: int) -> Fit:
        """A fit of this model to images; its averaged weights (EMA) are kept."""
        self.measure(train)
        none, canvas = np.array(len(self.spec.label_names)), self.canvas
        examples = (
            DiffusionExamples(train.values_by_row, train.labels, none, canvas, WITHHELD),
            DiffusionExamples(validation.values_by_row, validation.labels, none, canvas, 0.0),
        )
        loss: Any = diffusion_loss
        if self.config.codebook:
            from generative.diffusion.categorical import categorical_loss as loss
        options, loss = fit_options(self.config), partial(loss, canvas=canvas)
        return Fit(self.network, loss, *examples, options, seed=seed, device=str(self.device))

    def measure(self, train: Dataset) -> None:
        """Compute the mean images, if they are used, from the training data."""
        if self.config.backdrop:
            network: Any = self.network
            network.backdrop.measure(train.values_by_row, train.labels, self.canvas)

    def sample(self, n: int, condition: Condition, options: SampleOptions, seed: int) -> Samples:
        """`n` images (n, H, W, 3) uint8.

        Args:
            n: how many.
            condition: a `label`, else random labels; a `frame` with a `mask`, whose True part is inpainted;
                or a `latent` (H·W·3,) or (n, H·W·3), the initial noise.
            options: all of them; inpainting has its own scheduler.
            seed: of noise and labels; sample i depends on (seed, i) alone.

        Raises:
            ConditionError: for a condition that it does not support.
            ValueError: for an unknown scheduler.
        """
        denoisers = self._denoisers(n, condition, options, seed)
        return Samples(
            sample_images(self.canvas, denoisers, n, condition, options, seed, self.device), seed, condition
        )

    def trace(self, n: int, condition: Condition, options: SampleOptions, seed: int) -> Iterator[Array]:
        """Denoising trajectory of the same images (n, H, W, 3) uint8: the noise, then one yield a step."""
        denoisers = self._denoisers(n, condition, options, seed)
        return trace(self.canvas, denoisers, n, condition, options, seed, self.device)

    def layout(self) -> CheckpointLayout:
        """A checkpoint's files, in the layout of diffusers."""
        from generative.diffusion.pipeline import PicturePipeline

        solver = self.config.solver()
        network, backdrop = cast(Any, self.network), None
        files = {"": f"unet/{WEIGHTS}"}
        if self.config.backdrop:
            network, backdrop = network.unet, network.backdrop
            files = {"unet.": f"unet/{WEIGHTS}", "backdrop.": f"backdrop/{WEIGHTS}"}
        elif self.config.codebook:
            network, files = network.unet, {"unet.": f"unet/{WEIGHTS}"}
        pipeline = PicturePipeline(
            network, solver, backdrop, self.config.fold, self.spec.label_names, self.config.codebook
        )
        told = {
            "model_index.json": pipeline.to_json_string(),
            "unet/config.json": pipeline.unet.to_json_string(),
            "scheduler/scheduler_config.json": pipeline.scheduler.to_json_string(),
        }
        if backdrop is not None:
            told["backdrop/config.json"] = backdrop.to_json_string()
        return CheckpointLayout(files, told)

    def _denoisers(self, n: int, condition: Condition, options: SampleOptions, seed: int) -> DenoiserOf:
        """A range of sample indices → the guided denoiser with the labels of those."""
        check_condition(condition, self.spec, {"label", "frame", "mask", "latent"})
        names = self.spec.label_names
        labels = torch.tensor(labels_of(names, condition.label, n, seed), device=self.device)
        none = torch.full_like(labels, len(names))
        return lambda rows: guided(
            self.network, labels[rows.start : rows.stop], none[rows.start : rows.stop], options.guidance
        )
