"""Number formats: whether to use bfloat16 autocast, and caching of its rounded weights."""

from __future__ import annotations

import torch

from supervised.tensors import Precision


def autocast_cache(device: torch.device, half: bool) -> torch.autocast:
    """Autocast context that caches the bfloat16 copies of weights over many forward passes.

    The weights must not change inside it: it is for rollouts, whose batches are small. PyTorch keeps the
    copies until the outermost autocast ends.
    """
    return torch.autocast(device.type, torch.bfloat16, enabled=half)


def in_half(precision: Precision, device: torch.device) -> bool:
    """Whether to run a network under bfloat16 autocast."""
    return precision == "bfloat16" or (precision == "auto" and bfloat16_pays(device))


def bfloat16_pays(device: torch.device) -> bool:
    """Whether the device multiplies bfloat16 in hardware; emulated it is slower than float32."""
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported())
    return bool(torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported())
