"""Memory format of image batches: channels-last layout, space-to-depth folding, stacking and indexing.

Convolutions are fastest in channels-last memory with many channels. Converting float images for every
minibatch costs several times as much as the convolution itself, so it is done once, on uint8, when an
observation arrives; minibatches are then indexed and converted to float in that layout.

A first convolution of 8×8 with stride 4 on 4 frames sees every 4×4 patch of an image as one unit, so images
are folded (space to depth): (N, 4, 84, 84) becomes (N, 64, 21, 21), and the convolution 2×2 with stride 1 on
64 channels, the same sums in a faster order. Shapes stay (N, C, H, W) everywhere; only strides differ.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor

from sim.records import Array


def channels_last(obs: Tensor) -> Tensor:
    """Convert images (N, C, H, W) to channels-last memory; other tensors are returned as they are."""
    return obs.contiguous(memory_format=torch.channels_last) if obs.dim() == 4 else obs


def fold(pictures: Tensor, stride: int) -> Tensor:
    """Space to depth: (N, C, H, W) → (N, C · stride², H // stride, W // stride), patches as channels.

    Channels are ordered by frame, then by row of the patch. The remainder at the right and the bottom is cut
    off; a convolution with this stride, whose kernel is a multiple of it, does not use it.

    >>> fold(torch.arange(16).view(1, 1, 4, 4), 2)[0, :, 0, 1].tolist()  # the upper right patch
    [2, 3, 6, 7]
    """
    n, c, height, width = pictures.shape
    h, w = height // stride, width // stride
    pictures = pictures[:, :, : h * stride, : w * stride].contiguous()
    patches = _in_words(pictures.view(n, c, h, stride, w, stride))
    if pictures.device.type == "cpu":  # `take` needs a third of the time of a permuted copy
        words = patches.flatten(1).numpy().take(_patch_order(*patches.shape[1:]), axis=1)
        return torch.from_numpy(words).view(pictures.dtype).view(n, h, w, -1).permute(0, 3, 1, 2)
    return _as(patches.permute(0, 2, 4, 1, 3, 5), pictures.dtype).view(n, h, w, -1).permute(0, 3, 1, 2)


def fold_kernel(kernel: Tensor, stride: int) -> Tensor:
    """Convert convolution weights (O, C, K, K) for folded images: (O, C · s², K/s, K/s), stride s."""
    o, c, k, _ = kernel.shape
    m = k // stride
    patches = kernel.reshape(o, c, m, stride, m, stride).permute(0, 2, 4, 1, 3, 5)
    return patches.reshape(o, m, m, -1).permute(0, 3, 1, 2)


def split(pictures: Tensor, frame_stack: int) -> Tensor:
    """Split channels-last images (N, S · k, h, w) into S frames (N, S, h, w, k), as a view."""
    n, _, h, w = pictures.shape
    return pictures.permute(0, 2, 3, 1).view(n, h, w, frame_stack, -1).permute(0, 3, 1, 2, 4)


def join(frames: Tensor) -> Tensor:
    """The inverse of `split`: frames (N, S, h, w, k) → channels-last images (N, S · k, h, w)."""
    n, _, h, w, _ = frames.shape
    words = _in_words(frames)
    return _as(words.permute(0, 2, 3, 1, 4), frames.dtype).view(n, h, w, -1).permute(0, 3, 1, 2)


def push_frame(pictures: Tensor, frame: Tensor) -> Tensor:
    """Append a frame to channels-last stacks, which lose their oldest: (N, S · k, h, w), (N, k, h, w).

    >>> stacks = torch.arange(3).view(1, 3, 1, 1).contiguous(memory_format=torch.channels_last)
    >>> push_frame(stacks, torch.full((1, 1, 1, 1), 7)).flatten().tolist()
    [1, 2, 7]
    """
    k = frame.shape[1]
    word = _word(k * frame.element_size(), frame)
    parts = pictures.permute(0, 2, 3, 1)[..., k:], frame.permute(0, 2, 3, 1).contiguous()
    joined = torch.cat([part.view(word) for part in parts], -1)
    return joined.view(pictures.dtype).permute(0, 3, 1, 2)


def join_batches(parts: Sequence[Tensor]) -> Tensor:
    """Concatenate batches (n, …) to one (N, …), images still channels last."""
    if parts[0].dim() != 4:
        return torch.cat(list(parts))
    return torch.cat([part.permute(0, 2, 3, 1) for part in parts]).permute(0, 3, 1, 2)


def stack(steps: Sequence[Tensor]) -> Tensor:
    """Stack T observations (N, …) to (T, N, …), images still channels last."""
    if steps[0].dim() != 4:
        return torch.stack(list(steps))
    return torch.stack([step.permute(0, 2, 3, 1) for step in steps]).permute(0, 1, 4, 2, 3)


def take(obs: Tensor, rows: Tensor) -> Tensor:
    """Index rows (B,) of observations (M, …) → (B, …), images still channels last."""
    if obs.dim() != 4:
        return obs.index_select(0, rows)
    return obs.permute(0, 2, 3, 1).index_select(0, rows).permute(0, 3, 1, 2)


@lru_cache(maxsize=16)
def _patch_order(c: int, h: int, rows: int, w: int, words: int) -> Array:
    """Positions of words of images (c, h, rows, w, words), in the patches' order (h, w, c, rows, words)."""
    places = np.arange(c * h * rows * w * words).reshape(c, h, rows, w, words)
    return places.transpose(1, 3, 0, 2, 4).ravel()


def _in_words(array: Tensor) -> Tensor:
    """View the last axis as the widest integers that divide it: fewer elements copy faster."""
    return array.view(_word(array.shape[-1] * array.element_size(), array))


def _word(size: int, array: Tensor) -> torch.dtype:
    """The widest integers that divide `size` bytes; the type of `array` where none is wider."""
    for word in (torch.int64, torch.int32):
        if size % word.itemsize == 0 and array.element_size() < word.itemsize:
            return word
    return array.dtype


def _as(array: Tensor, dtype: torch.dtype) -> Tensor:
    """A contiguous copy of `array`, viewed as `dtype` again."""
    return array.contiguous().view(dtype)
