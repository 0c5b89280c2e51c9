"""Image tensors: conversion between RGB uint8 and channels-first float32 in [−1, 1]."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from sim.records import Array


def from_rgb(rgb: Tensor) -> Tensor:
    """RGB images (n, H, W, 3) in 0…255 → (n, 3, H, W) float32 in [−1, 1]."""
    return rgb.permute(0, 3, 1, 2).float() / 127.5 - 1


def to_rgb(x: Tensor) -> Array:
    """Tensors (n, 3, H, W) in [−1, 1] → RGB images (n, H, W, 3) uint8, rounded and clipped."""
    levels = ((x + 1) * 127.5).round().clamp(0, 255).to(torch.uint8)
    return np.ascontiguousarray(levels.permute(0, 2, 3, 1).cpu().numpy())
