"""Residual denoising: the network predicts x_0 minus its class's mean image.

Nearly all of a game's image is the same in every frame. A small network that has to predict it each time has
little capacity left for what moves; with the mean image subtracted, its output is near zero wherever nothing
moves. Solvers do not know of it: the mean is added to the output again.

The mean images are a component of diffusers, so that a checkpoint's folder still opens there.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch
from diffusers import ConfigMixin, ModelMixin
from diffusers.configuration_utils import register_to_config
from torch import Tensor, nn

from generative.data.class_means import class_means, mean_of
from generative.diffusion.pixel_maps import PixelMaps
from generative.diffusion.schedule import alpha_at, angles
from sim.records import Array


class MeanImages(ModelMixin, ConfigMixin):  # type: ignore[misc]
    """Mean image of each class: class indices (n,) → maps (n, *shape); the last index is the mean of all.

    `shift` is that of the noise schedule.
    """

    pictures: Tensor

    @register_to_config  # type: ignore[untyped-decorator]
    def __init__(self, classes: int, shape: Sequence[int], shift: float = 1.0) -> None:
        super().__init__()
        self.register_buffer("pictures", torch.zeros(classes + 1, *shape))

    def measure(self, values: Array, labels: Array, canvas: PixelMaps) -> None:
        """Compute the means of images (N, H, W, 3) uint8 of classes (N,)."""
        of_all = len(self.pictures) - 1
        if of_all:
            for label, mean in class_means(values, labels):
                self.pictures[label] = canvas.folded(torch.from_numpy(mean)[None])[0]
        whole = torch.from_numpy(mean_of(values, np.arange(len(values))))
        self.pictures[of_all] = canvas.folded(whole[None])[0]

    def forward(self, told: Tensor) -> Tensor:
        """See the class."""
        return self.pictures[told]


class ResidualDenoiser(nn.Module):
    """Residual denoiser: x_t (n, …), t, class indices (n,) → ``.sample`` (n, …), class mean plus `unet`."""

    alphas: Tensor  # (1000,)

    def __init__(self, unet: nn.Module, backdrop: MeanImages) -> None:
        super().__init__()
        self.unet, self.backdrop = unet, backdrop
        alphas = torch.from_numpy(np.cos(angles(backdrop.config.shift))).float()
        self.register_buffer("alphas", alphas, persistent=False)  # follows from the schedule

    def forward(self, x: Tensor, t: Tensor, told: Tensor) -> Any:
        """See the class."""
        behind = self.backdrop(told)
        return SimpleNamespace(sample=self.unet(self.differing(x, t, behind), t, told).sample + behind)

    def differing(self, x: Tensor, t: Tensor, behind: Tensor) -> Tensor:
        """x_t without the mean image `behind` at this time's signal level α_t."""
        return x - alpha_at(t, self.alphas).view(-1, 1, 1, 1) * behind


def coordinates(height: int, width: int) -> Tensor:
    """Position encoding (14, `height`, `width`): y and x in [−1, 1], sines and cosines of 3 frequencies."""
    y, x = torch.linspace(-1, 1, height), torch.linspace(-1, 1, width)
    at = torch.stack(torch.meshgrid(y, x, indexing="ij"))
    turns = torch.cat([math.pi * k * at for k in (0.5, 1, 2)])
    return torch.cat([at, turns.sin(), turns.cos()])


class SketchResidualDenoiser(ResidualDenoiser):
    """Residual denoiser of sketches: x_t (n, c, h, w), t, sketches (n, c + k, h, w) → ``.sample`` like x_t.

    The first c channels of a sketch plus the mean of all images are subtracted; k more channels are for the
    network alone. The input of `unet` is the difference, the sketch and a position encoding; its output is a
    difference again.
    """

    places: Tensor  # (14, h, w)

    def __init__(self, unet: nn.Module, canvas: PixelMaps) -> None:
        super().__init__(unet, MeanImages(0, [canvas.channels, *canvas.cells], canvas.shift))
        self.register_buffer("places", coordinates(*canvas.cells), persistent=False)

    def forward(self, x: Tensor, t: Tensor, told: Tensor) -> Any:
        """See the class."""
        behind = self.backdrop.pictures + told[:, : x.shape[1]]
        places = self.places.to(x).expand(len(x), -1, -1, -1)
        seen = torch.cat([self.differing(x, t, behind), told, places], 1)
        return SimpleNamespace(sample=self.unet(seen, t).sample + behind)
