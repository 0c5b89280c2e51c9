"""Pictures channels last, all the way from the world to the first convolution.

Convolutions are fastest when the channels of a pixel lie side by side. Turning float pictures round for every
minibatch costs several times what the convolution itself does, so it is done once, on uint8, when an
observation arrives; batches are then cut out and widened without moving a byte twice. Shapes stay
(N, C, H, W) everywhere; only strides differ.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor


def channels_last(obs: Tensor) -> Tensor:
    """Pictures (N, C, H, W) with the channels of a pixel side by side; anything else as it is."""
    return obs.contiguous(memory_format=torch.channels_last) if obs.dim() == 4 else obs


def stack(steps: Sequence[Tensor]) -> Tensor:
    """T observations (N, …) → (T, N, …), pictures still channels last."""
    if steps[0].dim() != 4:
        return torch.stack(list(steps))
    return torch.stack([step.permute(0, 2, 3, 1) for step in steps]).permute(0, 1, 4, 2, 3)


def take(obs: Tensor, rows: Tensor) -> Tensor:
    """Rows (B,) of observations (M, …) → (B, …), pictures still channels last."""
    if obs.dim() != 4:
        return obs.index_select(0, rows)
    return obs.permute(0, 2, 3, 1).index_select(0, rows).permute(0, 3, 1, 2)
