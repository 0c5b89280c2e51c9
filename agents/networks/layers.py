"""Layers of agents' networks: orthogonal initialisation, convolution of uint8 images, memory format."""

from __future__ import annotations

from typing import TypeVar

import torch
from torch import Tensor, nn

Layer = TypeVar("Layer", nn.Linear, nn.Conv2d)


def orthogonal(layer: Layer, gain: float, generator: torch.Generator) -> Layer:
    """Orthogonal initialisation of `layer` with zero bias; returns the layer."""
    nn.init.orthogonal_(layer.weight, gain, generator=generator)
    assert layer.bias is not None
    nn.init.zeros_(layer.bias)
    return layer


def image_convolution(pictures: Tensor, kernel: Tensor, bias: Tensor | None, padding: int = 0) -> Tensor:
    """Convolution of uint8 images by a `kernel` that scales them to [0, 1].

    The weights are fewer than the pixels; whole numbers up to 255 are exact in bfloat16, so the input is not
    rounded.
    """
    kind = pictures.device.type
    dtype = torch.get_autocast_dtype(kind) if torch.is_autocast_enabled(kind) else torch.float32
    return nn.functional.conv2d(pictures.to(dtype), kernel, bias, padding=padding)


def keep_channels_last(module: nn.Module) -> None:
    """Convert a module's convolution weights to channels-last memory."""
    for parameter in module.parameters():
        if parameter.dim() == 4:
            parameter.data = parameter.data.contiguous(memory_format=torch.channels_last)
