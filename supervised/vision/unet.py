"""U-Net with group normalisation whose output is at half resolution (Ronneberger et al. 2015).

Each level down halves the resolution, each level up concatenates the skip connection. The finest map has half
the image's size, for most of the computation is there: `pixel_shuffle` makes a full-sized one by sub-pixel
convolution (Shi et al. 2016, "Real-time single image and video super-resolution", section 3).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

#: Levels by the size of their maps, from fine to coarse, and their width in multiples of `channels`.
LEVELS = {"half": 1, "quarter": 2, "eighth": 3, "sixteenth": 4, "thirtysecond": 4}


class UNet(nn.Module):
    """U-Net: (N, inputs, H, W) → (N, outputs, H/2, W/2); H and W must be multiples of `divisor`.

    Args:
        inputs: channels of an image.
        channels: of the finest level; a multiple of 4.
        outputs: channels of the map.
        levels: how many of `LEVELS`, at least 2.
    """

    def __init__(self, inputs: int, channels: int, outputs: int, levels: int) -> None:
        super().__init__()
        self._names = tuple(LEVELS)[:levels]
        self.divisor = 2**levels
        widths = [channels * LEVELS[name] for name in self._names]
        for name, before, width in zip(self._names, [inputs, *widths], widths, strict=False):
            self.add_module(f"to_{name}", nn.Sequential(conv(before, width, 2), conv(width, width)))
        finer = list(zip(self._names, widths, widths[1:], strict=False))
        for name, width, below in reversed(finer):
            self.add_module(f"up_{name}", conv(below + width, width))
        self.head = nn.Sequential(conv(channels, 2 * channels), nn.Conv2d(2 * channels, outputs, 1))

    @property
    def last(self) -> nn.Conv2d:
        """The output layer, so that a model can initialise it."""
        layer = self.head[-1]
        assert isinstance(layer, nn.Conv2d)
        return layer

    def forward(self, x: Tensor) -> Tensor:
        """See the class."""
        seen = []
        for name in self._names:
            x = self.get_submodule(f"to_{name}")(x)
            seen.append(x)
        x = seen.pop()
        for name in reversed(self._names[:-1]):
            x = self.get_submodule(f"up_{name}")(torch.cat([upsample(x), seen.pop()], 1))
        out: Tensor = self.head(x)
        return out


def conv(inputs: int, outputs: int, stride: int = 1) -> nn.Sequential:
    """Convolution block: 3×3 convolution, group normalisation (Wu & He 2018), ReLU."""
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False), nn.GroupNorm(4, outputs), nn.ReLU()
    )


def upsample(x: Tensor) -> Tensor:
    """Nearest-neighbour upsampling: (N, C, H, W) → (N, C, 2H, 2W)."""
    return functional.interpolate(x, scale_factor=2.0, mode="nearest")


def pixel_shuffle(x: Tensor) -> Tensor:
    """Pixel shuffle: (N, 4C, h, w) → (N, C, 2h, 2w)."""
    return functional.pixel_shuffle(x, 2)


def padded(size: int, divisor: int) -> int:
    """Round `size` up to a multiple of `divisor`.

    >>> padded(210, 8)
    216
    """
    return -(-size // divisor) * divisor
