"""Pinned buffers, with copies that end late: no buffer is written before its copy has ended."""

from __future__ import annotations

import numpy as np
import torch

from agents.pinned_buffers import PinnedBuffers


class LateCopies(PinnedBuffers):
    """Copies that are done when they are waited for, as a busy GPU does them."""

    _pins = True

    def __init__(self, count=2):
        super().__init__(torch.device("cpu"), count)
        self.waits, self.sizes = 0, []

    def _pinned(self, size):
        self.sizes.append(size)
        return torch.full((size,), 255, dtype=torch.uint8)

    def _begin(self, pinned):
        tensor = torch.zeros_like(pinned)

        def wait():
            self.waits += 1
            tensor.copy_(pinned)

        return tensor, wait


def arrays():
    generator = np.random.default_rng(0)
    frames = generator.integers(256, size=(6, 3, 4, 5, 5), dtype=np.uint8)
    for t in range(6):
        yield frames[t, :, -1:]  # rows with gaps between them
        yield generator.random(3)
        yield np.array([True, False, bool(t % 2)])
        yield np.arange(2 * t)[::-1]


def test_buffers_are_not_written_again_before_their_copy_has_ended():
    buffers = LateCopies()
    given = list(arrays())
    copied = [buffers.copy(array) for array in given]
    for wait in buffers._waits:
        wait()
    for array, tensor in zip(given, copied, strict=True):
        assert tensor.shape == array.shape and np.array_equal(tensor.numpy(), array)
    assert buffers.waits == len(given) - 1, "one array was empty"


def test_arrays_may_be_changed_at_once_and_buffers_grow_only_when_they_must():
    buffers, array = LateCopies(), np.arange(4)
    first = buffers.copy(array)
    array[:] = 9
    for _ in range(6):
        buffers.copy(array)
    assert first.tolist() == [0, 1, 2, 3] and buffers.sizes == [32, 32]
    buffers.copy(np.arange(5))
    assert buffers.sizes == [32, 32, 40]


def test_on_the_cpu_memory_is_shared():
    array = np.arange(4)
    assert PinnedBuffers(torch.device("cpu")).copy(array).data_ptr() == array.ctypes.data
