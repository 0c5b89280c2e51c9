"""Area-averaging resize of greyscale pictures, bit for bit as in ale-py (OpenCV's INTER_AREA).

ale-py shrinks with OpenCV's INTER_AREA. Playfield needs no OpenCV for it: the arithmetic is
float32, rows after columns, taps added from left to right without fused multiply-add, and the sum
is rounded half to even. The order matters because exact halves are common (210 → 84 is 5 : 2).
"""

from __future__ import annotations

import math

import numpy as np

from sim.records import Array


class AreaResize:
    """Downscales (H, W) uint8 pictures to a fixed (h, w) by area averaging; its tables are made once.

    >>> AreaResize((2, 4), (1, 2))(np.array([[0, 2, 8, 8], [0, 2, 8, 8]], np.uint8))
    array([[1, 8]], dtype=uint8)
    """

    def __init__(self, source: tuple[int, ...], target: tuple[int, int]) -> None:
        self._rows, self._row_weights = _taps(source[0], target[0])
        self._columns, self._column_weights = _taps(source[1], target[1])

    def __call__(self, grey: Array) -> Array:
        """(…, H, W) uint8 → (…, h, w) uint8."""
        *lead, height, width = grey.shape
        wide = grey.reshape(-1, height, width).transpose(2, 0, 1).astype(np.float32)  # (W, N, H)
        narrow = _weighted(wide, self._columns, self._column_weights).transpose(2, 1, 0)  # (H, N, w)
        small = np.rint(_weighted(np.ascontiguousarray(narrow), self._rows, self._row_weights))  # (h, N, w)
        return small.astype(np.uint8).transpose(1, 0, 2).reshape(*lead, *small.shape[::2])


def _weighted(lines: Array, taps: Array, weights: Array) -> Array:
    """Sum over taps of weighted lines: (n, m, …), (k, n'), (k, n') → (n', m, …), in order."""
    total: Array = lines[taps[0]] * weights[0][:, None, None]
    for tap, weight in zip(taps[1:], weights[1:], strict=True):
        total += lines[tap] * weight[:, None, None]
    return total


def _taps(source: int, target: int) -> tuple[Array, Array]:
    """Which source lines each target line averages, (k, target), and their float32 weights."""
    scale = source / target
    cells: list[list[tuple[int, float]]] = []
    for line in range(target):
        low = line * scale
        high = low + scale
        width = min(scale, source - low)
        last = min(math.floor(high), source - 1)
        first = min(math.ceil(low), last)
        cell = [(i, 1.0 / width) for i in range(first, last)]
        if first - low > 1e-3:
            cell.insert(0, (first - 1, (first - low) / width))
        if high - last > 1e-3:
            cell.append((last, min(high - last, 1.0, width) / width))
        cells.append(cell)
    depth = max(map(len, cells))
    taps = np.zeros((depth, target), np.int64)
    weights = np.zeros((depth, target), np.float32)
    for line, cell in enumerate(cells):
        for k, (i, weight) in enumerate(cell):
            taps[k, line], weights[k, line] = i, weight
    return taps, weights
