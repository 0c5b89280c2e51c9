"""How pictures lie in memory, from the world to the first convolution.

Convolutions are fastest when the channels of a pixel lie side by side, and when there are many. Turning
float pictures round for every minibatch costs several times what the convolution itself does, so it is
done once, on uint8, when an observation arrives; batches are then cut out and widened without moving a
byte twice.

A first convolution of 8×8 with stride 4 on 4 frames sees every 4×4 patch of a picture as one unit, so such
pictures are folded: (N, 4, 84, 84) becomes (N, 64, 21, 21), and the convolution 2×2 with stride 1 on 64
channels, the same sums in an order that processors like better. Shapes stay (N, C, H, W) everywhere; only
strides differ.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor


def channels_last(obs: Tensor) -> Tensor:
    """Pictures (N, C, H, W) with the channels of a pixel side by side; anything else as it is."""
    return obs.contiguous(memory_format=torch.channels_last) if obs.dim() == 4 else obs


def fold(pictures: Tensor, stride: int) -> Tensor:
    """Patches of stride × stride as channels: (N, C, H, W) → (N, C · stride², H // stride, W // stride).

    Channels come frame by frame, then row by row of the patch. What is left over at the right and the
    bottom is cut off; a convolution with this stride, whose kernel is a multiple of it, does not see it.

    >>> fold(torch.arange(16).view(1, 1, 4, 4), 2)[0, :, 0, 1].tolist()  # the upper right patch
    [2, 3, 6, 7]
    """
    n, c, height, width = pictures.shape
    h, w = height // stride, width // stride
    pictures = pictures[:, :, : h * stride, : w * stride].contiguous()
    patches = _in_words(pictures.view(n, c, h, stride, w, stride))
    return _as(patches.permute(0, 2, 4, 1, 3, 5), pictures.dtype).view(n, h, w, -1).permute(0, 3, 1, 2)


def fold_kernel(kernel: Tensor, stride: int) -> Tensor:
    """A convolution's weights (O, C, K, K) as they act on folded pictures: (O, C · stride², K/s, K/s)."""
    o, c, k, _ = kernel.shape
    m = k // stride
    patches = kernel.reshape(o, c, m, stride, m, stride).permute(0, 2, 4, 1, 3, 5)
    return patches.reshape(o, m, m, -1).permute(0, 3, 1, 2)


def split(pictures: Tensor, frame_stack: int) -> Tensor:
    """Pictures channels last (N, S · k, h, w) → (N, S, h, w, k): their S frames one by one, not copied."""
    n, _, h, w = pictures.shape
    return pictures.permute(0, 2, 3, 1).view(n, h, w, frame_stack, -1).permute(0, 3, 1, 2, 4)


def join(frames: Tensor) -> Tensor:
    """What `split` took apart: (N, S, h, w, k) → pictures channels last (N, S · k, h, w)."""
    n, _, h, w, _ = frames.shape
    words = _in_words(frames)
    return _as(words.permute(0, 2, 3, 1, 4), frames.dtype).view(n, h, w, -1).permute(0, 3, 1, 2)


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


def _in_words(array: Tensor) -> Tensor:
    """The last axis in the widest whole numbers that it divides into: fewer elements copy faster."""
    size = array.shape[-1] * array.element_size()
    for word in (torch.int64, torch.int32):
        if size % word.itemsize == 0 and array.element_size() < word.itemsize:
            return array.view(word)
    return array


def _as(array: Tensor, dtype: torch.dtype) -> Tensor:
    """A contiguous copy of `array`, its words taken as `dtype` again."""
    return array.contiguous().view(dtype)
