"""Weights at 8 bits: symmetric int8 with one scale for each row, a quarter of the bytes of float32.

Linear quantization with zero point 0 (Jacob et al. 2018, "Quantization and Training of Neural Networks for
Efficient Integer-Arithmetic-Only Inference", equation 1), the scale of a row being its largest magnitude over
127 (Dettmers et al. 2022, "LLM.int8()", section 2.1: absmax quantization, row by row). A row is what belongs
to one index of the first axis: in PyTorch's layout the weights of one output channel.

In a file the weights `name` are I8 and `name.scale` beside them is F32, of shape (rows,). Only large tensors
are stored so: biases, normalisation and small layers weigh little. Nothing is computed in int8.

Does not know: files, cards, what a tensor is for.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from sim.records import Array

LEVELS = 127  # on each side of zero; -128 is not used
LEAST_WEIGHTS = 4_096  # of a tensor
SCALE = ".scale"  # behind a tensor's name


def quantize_rows(weights: Array) -> tuple[Array, Array]:
    """Round weights to whole multiples of their row's scale.

    >>> integers, scale = quantize_rows(np.array([[12.6, -31.75], [0.0, 0.0]], np.float32))
    >>> integers.tolist(), scale.tolist()
    ([[50, -127], [0, 0]], [0.25, 0.0])

    Args:
        weights: (rows, ...) floats, all finite.

    Returns:
        int8 (rows, ...) in [-127, 127], and float32 (rows,): no weight is further than half a scale from
        their product.
    """
    rows = weights.reshape(len(weights), -1).astype(np.float64)
    scale = (np.abs(rows).max(axis=1, initial=0.0) / LEVELS).astype(np.float32)
    steps = np.divide(rows, scale[:, None], out=np.zeros_like(rows), where=scale[:, None] > 0)
    return np.rint(steps).clip(-LEVELS, LEVELS).astype(np.int8).reshape(weights.shape), scale


def dequantize_rows(integers: Array, scale: Array) -> Array:
    """The weights that int8 (rows, ...) and float32 (rows,) stand for, as float32 (rows, ...)."""
    with np.errstate(invalid="ignore", over="ignore"):  # of a file that was changed; whoever loads it checks
        return integers.astype(np.float32) * scale.reshape(-1, *(1,) * (integers.ndim - 1))


def pack_int8(weights: Mapping[str, Array]) -> dict[str, Array]:
    """Quantize the large tensors among these and add their scales; the others stay as they are.

    Args:
        weights: arrays by name; large are floats of 16 or 32 bits, two dimensions and `LEAST_WEIGHTS` weights
            at least, whose rows have more than four, so that a scale costs less than it saves.
    """
    packed: dict[str, Array] = {}
    for name, array in weights.items():
        if _is_large(array) and name + SCALE not in weights and np.isfinite(array).all():
            packed[name], packed[name + SCALE] = quantize_rows(array)
        else:
            packed[name] = array
    return packed


def unpack_int8(stored: Mapping[str, Array]) -> dict[str, Array]:
    """Weights by name, of what `pack_int8` made: every int8 array times its scale, as float32.

    Raises:
        ValueError: naming an int8 array without a scale, or whose scale is not float32, one a row.
    """
    quantized = sorted(name for name, array in stored.items() if array.dtype == np.int8)
    scales = {name + SCALE for name in quantized}
    weights = {name: array for name, array in stored.items() if name not in scales}
    for name in quantized:
        integers, scale = stored[name], stored.get(name + SCALE)
        if scale is None:
            raise ValueError(f"{name} is int8 and there is no {name}{SCALE}")
        rows = integers.shape[:1]
        if scale.dtype != np.float32 or scale.shape != rows or not rows:
            raise ValueError(
                f"{name}{SCALE} is {scale.dtype} {scale.shape}, and {name} of shape {integers.shape} "
                f"takes float32 {rows or '(rows,)'}"
            )
        weights[name] = dequantize_rows(integers, scale)
    return weights


def _is_large(array: Array) -> bool:
    floats = array.dtype in (np.float16, np.float32)
    return floats and array.ndim >= 2 and array.size >= LEAST_WEIGHTS and array.size > 4 * len(array)
