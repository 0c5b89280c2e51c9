"""What stands still: the mean picture of each class, of which a diffusion network tells only what differs.

Nearly all of a game's picture is the same in every frame. A small network that has to say it over and over
has little left for what moves; against a backdrop it says next to nothing where nothing moves. Solvers do not
know of it: what comes out is the whole picture.

It is a component of diffusers, so that a checkpoint's folder still opens there.
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

from generative.canvas import Canvas
from generative.collection import class_means
from generative.noise import alpha_at, angles
from sim.records import Array


class Backdrop(ModelMixin, ConfigMixin):  # type: ignore[misc]
    """(n,) numbers of classes → their mean pictures as maps (n, *shape); the last is that of all pictures.

    `shift` is that of the noise schedule.
    """

    pictures: Tensor

    @register_to_config  # type: ignore[untyped-decorator]
    def __init__(self, classes: int, shape: Sequence[int], shift: float = 1.0) -> None:
        super().__init__()
        self.register_buffer("pictures", torch.zeros(classes + 1, *shape))

    def measure(self, values: Array, labels: Array, canvas: Canvas) -> None:
        """Take the means of pictures (N, H, W, 3) uint8 of classes (N,)."""
        of_all = len(self.pictures) - 1
        if of_all:
            for label, mean in class_means(values, labels):
                self.pictures[label] = canvas.folded(torch.from_numpy(mean)[None])[0]
        self.pictures[of_all] = canvas.folded(torch.from_numpy(values.mean(0, dtype=np.float64))[None])[0]

    def forward(self, told: Tensor) -> Tensor:
        """See the class."""
        return self.pictures[told]


class AgainstBackdrop(nn.Module):
    """x_t (n, …), t, what is told (n, …) → ``.sample`` (n, …), whole pictures; `unet` tells what differs."""

    alphas: Tensor  # (1000,)

    def __init__(self, unet: nn.Module, backdrop: Backdrop) -> None:
        super().__init__()
        self.unet, self.backdrop = unet, backdrop
        alphas = torch.from_numpy(np.cos(angles(backdrop.config.shift))).float()
        self.register_buffer("alphas", alphas, persistent=False)  # follows from the schedule

    def forward(self, x: Tensor, t: Tensor, told: Tensor) -> Any:
        """See the class."""
        behind = self.backdrop(told)
        return SimpleNamespace(sample=self.unet(self.differing(x, t, behind), t, told).sample + behind)

    def differing(self, x: Tensor, t: Tensor, behind: Tensor) -> Tensor:
        """What of x_t is neither noise nor `behind`, and the noise."""
        return x - alpha_at(t, self.alphas).view(-1, 1, 1, 1) * behind


def coordinates(height: int, width: int) -> Tensor:
    """(14, `height`, `width`): y and x from −1 to 1, and sines and cosines of a half, one and two turns."""
    y, x = torch.linspace(-1, 1, height), torch.linspace(-1, 1, width)
    at = torch.stack(torch.meshgrid(y, x, indexing="ij"))
    turns = torch.cat([math.pi * k * at for k in (0.5, 1, 2)])
    return torch.cat([at, turns.sin(), turns.cos()])


class AgainstSketch(AgainstBackdrop):
    """x_t (n, c, h, w), t, sketches (n, c + k, h, w) → ``.sample`` (n, c, h, w), whole pictures.

    A sketch lies on the mean of all pictures: its first c channels tell how it differs from that, and k more
    are for the network alone. `unet` is shown what differs from both, the sketch and the places, and tells
    what differs.
    """

    places: Tensor  # (14, h, w)

    def __init__(self, unet: nn.Module, canvas: Canvas) -> None:
        super().__init__(unet, Backdrop(0, [canvas.channels, *canvas.cells], canvas.shift))
        self.register_buffer("places", coordinates(*canvas.cells), persistent=False)

    def forward(self, x: Tensor, t: Tensor, told: Tensor) -> Any:
        """See the class."""
        behind = self.backdrop.pictures + told[:, : x.shape[1]]
        places = self.places.to(x).expand(len(x), -1, -1, -1)
        seen = torch.cat([self.differing(x, t, behind), told, places], 1)
        return SimpleNamespace(sample=self.unet(seen, t).sample + behind)
