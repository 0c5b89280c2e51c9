"""Pinned buffers: copies of arrays to a GPU that neither wait nor allocate.

A copy runs in the background only from page-locked ("pinned") memory. Pinning each array anew takes longer
than a blocking copy, so two buffers are kept and used in turn. A buffer is not written again before its last
copy has ended; by then another copy has passed, so that hardly ever waits.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from sim.records import Array
from supervised.tensors import on_device


class PinnedBuffers:
    """Two pinned buffers through which arrays are copied to a device in turn.

    On the CPU nothing is copied: a tensor shares the memory of its array; see `on_device`.
    """

    def __init__(self, device: torch.device, count: int = 2) -> None:
        """Keep `count` buffers, each as large as the largest array that was copied through it."""
        self.device = device
        self._buffers = [torch.empty(0, dtype=torch.uint8) for _ in range(count)]
        self._waits: list[Callable[[], None] | None] = [None] * count
        self._turn = 0

    def copy(self, array: Array) -> Tensor:
        """Copy an array to the device; the array may be changed as soon as this returns."""
        if not self._pins or array.nbytes == 0:
            return on_device(array, self.device)
        source = torch.from_numpy(array if min(array.strides, default=0) >= 0 else array.copy())
        turn = self._turn
        self._turn = (turn + 1) % len(self._buffers)
        wait = self._waits[turn]
        if wait is not None:
            wait()
        if len(self._buffers[turn]) < source.nbytes:
            self._buffers[turn] = self._pinned(source.nbytes)
        pinned = self._buffers[turn][: source.nbytes].view(source.dtype).view(source.shape)
        pinned.copy_(source)
        tensor, self._waits[turn] = self._begin(pinned)
        return tensor

    @property
    def _pins(self) -> bool:
        return self.device.type == "cuda"

    def _pinned(self, size: int) -> Tensor:
        return torch.empty(size, dtype=torch.uint8, pin_memory=True)

    def _begin(self, pinned: Tensor) -> tuple[Tensor, Callable[[], None]]:
        """Begin to copy `pinned` to the device; returns the copy, and what waits until it has ended."""
        tensor = pinned.to(self.device, non_blocking=True)
        event = torch.cuda.Event()  # type: ignore[no-untyped-call]
        event.record(torch.cuda.current_stream(self.device))
        return tensor, event.synchronize
