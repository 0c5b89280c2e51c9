"""Dense prediction: base of the U-Net models for segmentation, depth and pose: keys, inputs and fit.

They differ in what their output maps mean, in their loss and in how the maps are decoded. Images of any size
are scaled to the network's height by nearest-pixel sampling, so that sharp edges stay sharp, as in training.
The input has a fourth channel, each pixel's vertical coordinate (Liu et al. 2018, "CoordConv"): the ground is
below, and the lower the nearer.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from sim.records import Array, Percept
from supervised.base_model import BaseModel
from supervised.data.dataset import Dataset
from supervised.fit import Fit, FitOptions, Loss
from supervised.tensors import Precision
from supervised.vision.unet import UNet, padded

LEVELS = 5
INPUTS = 4  # red, green, blue, height
VALIDATE_EVERY = 100  # updates; also where a fit can be stopped and saved


@dataclass(frozen=True)
class Grid:
    """Nearest-pixel sampling grid that scales an image without interpolation.

    Attributes:
        shape: (height, width) of the image.
        scaled: (height, width) after scaling.
    """

    shape: tuple[int, int]
    scaled: tuple[int, int]

    @classmethod
    def of_height(cls, shape: tuple[int, int], height: int) -> Grid:
        """The grid with `height` rows, and as many columns as keep the image's proportions."""
        return cls(shape, (height, max(1, round(shape[1] * height / shape[0]))))

    def taken(self, array: Array) -> Array:
        """Scale arrays (B, H, W, …) to (B, h, w, …) by picking pixels.

        >>> Grid((4, 4), (2, 2)).taken(np.arange(16).reshape(1, 4, 4)).tolist()
        [[[5, 7], [13, 15]]]
        """
        pairs = zip(self.shape, self.scaled, strict=True)
        rows, columns = ((2 * np.arange(few) + 1) * many // (2 * few) for many, few in pairs)
        return np.ascontiguousarray(array[:, rows][:, :, columns])


#: The truths of one batch, whether each image is mirrored (B,), and the sampling grid → targets by name.
Targets: TypeAlias = Callable[[Sequence[Percept], Array, Grid], dict[str, Array]]


@dataclass(frozen=True)
class DenseConfig:
    """Configuration that segmenter, depth and pose share; its fields are scene keys."""

    height: int = 128  # pixels that images are scaled to; walkers are rendered at 128
    channels: int = 16  # at half resolution; more at coarser ones, see `supervised.vision.unet`
    learning_rate: float = 3e-3
    batch_size: int = 16
    views: int = 4_000  # training images; a tenth as many more to validate
    as_watched: bool = False  # only the viewer's own camera and colours, not random ones
    precision: Precision = "auto"

    def __post_init__(self) -> None:
        """Refuse values out of range.

        Raises:
            ValueError: naming the field.
        """
        for name in ("batch_size", "views"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, not {getattr(self, name)}")
        if not 16 <= self.height <= 1024:
            raise ValueError(f"height must be in 16…1024, not {self.height}")
        if self.channels < 4 or self.channels % 4:
            raise ValueError(f"channels must be a multiple of 4, not {self.channels}")
        if not 0 < self.learning_rate:
            raise ValueError(f"learning_rate must be above 0, not {self.learning_rate}")


class DenseExamples:
    """Training examples of dense models: images and target maps, every second one mirrored in training.

    A mirrored walker is one that faces the other way: its right limbs keep their warm colours.
    """

    def __init__(self, views: Dataset, targets: Targets, height: int, *, mirror: bool) -> None:
        self._views, self._targets, self._mirror = views, targets, mirror
        tall, wide = views.values.shape[1:3]
        self._grid = Grid.of_height((tall, wide), height)

    def __len__(self) -> int:
        """How many pictures."""
        return len(self._views)

    def batch(self, rows: Array, generator: np.random.Generator) -> dict[str, Array]:
        """``rgb`` (B, h, w, 3) uint8 at the network's scale, and the targets by name."""
        mirrored = (generator.random(len(rows)) < 0.5) & self._mirror
        rgb = self._grid.taken(self._views.values[rows])
        rgb[mirrored] = rgb[mirrored, :, ::-1]
        truths = [self._views.truths[row] for row in rows]
        return {"rgb": rgb} | self._targets(truths, mirrored, self._grid)


class Dense(BaseModel[UNet]):
    """Base of U-Net models with `outputs` maps; segmenter, depth and pose add loss, targets and decoding."""

    reads = "rgb"

    def __init__(self, config: DenseConfig, outputs: int, seed: int, device: str) -> None:
        self.config = config
        super().__init__(lambda: UNet(INPUTS, config.channels, outputs, LEVELS), seed=seed, device=device)
        self.network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def fit_maps(
        self, loss: Loss, targets: Targets, train: Dataset, validation: Dataset, *, seed: int
    ) -> Fit:
        """A fit of the output maps to the `targets` of labelled images."""
        options = FitOptions(
            learning_rate=self.config.learning_rate,
            batch_size=self.config.batch_size,
            precision=self.config.precision,
            weight_decay=1e-4,
            max_grad_norm=5.0,
            validate_every=VALIDATE_EVERY,
        )
        height = self.config.height
        examples = (
            DenseExamples(train, targets, height, mirror=True),
            DenseExamples(validation, targets, height, mirror=False),
        )
        return Fit(self.network, loss, *examples, options, seed=seed, device=str(self.device))

    @torch.no_grad()
    def maps(self, rgb: Array) -> tuple[Tensor, tuple[int, int]]:
        """Output maps of images (N, H, W, 3) uint8 of any one size.

        Returns:
            (N, outputs, h, w) float32, and the size (height, width) of an image at the network's scale: h and
            w cover at least half of that, and what lies beyond is padding.
        """
        grid = Grid.of_height((rgb.shape[1], rgb.shape[2]), self.config.height)
        pictures = torch.from_numpy(grid.taken(rgb)).to(self.device)
        return self.network(inputs_of(pictures)).float(), grid.scaled


def inputs_of(rgb: Tensor) -> Tensor:
    """Network inputs: images (N, H, W, 3) uint8 → (N, 4, H', W') in channels-last memory.

    Colours in [0, 1], and the vertical coordinate in [−1, 1], up; padded with zeros at right and bottom.
    """
    count, height, width = rgb.shape[:3]
    up = torch.linspace(1, -1, height, device=rgb.device).view(1, 1, height, 1)
    x = torch.cat([rgb.permute(0, 3, 1, 2).float() / 255, up.expand(count, 1, height, width)], 1)
    divisor = 2**LEVELS
    x = functional.pad(x, (0, padded(width, divisor) - width, 0, padded(height, divisor) - height))
    return x.contiguous(memory_format=torch.channels_last)


def upscale(x: Tensor, scaled: tuple[int, int], shape: tuple[int, int]) -> Tensor:
    """Bilinear upscaling of maps (1, C, h, w) from the network's scale to the image's, (1, C, H, W)."""
    # In channels-last memory this and the argmax after it take a third of the time.
    x = x[:, :, : scaled[0], : scaled[1]].contiguous(memory_format=torch.channels_last)
    return x if scaled == shape else functional.interpolate(x, shape, mode="bilinear", align_corners=False)
