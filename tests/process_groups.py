"""Process groups whose ranks are threads: what several processes do, in one and without starting any."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import torch

from supervised.distributed import ProcessGroup, learning_in

PATIENCE = 60  # seconds, for ranks that do not do the same


class ThreadGroup(ProcessGroup):
    """One rank of several threads that share a list and a barrier."""

    def __init__(self, rank, values, barrier):
        self.rank, self.size = rank, len(values)
        self._values, self._barrier = values, barrier
        self.faults = []

    def all_gather_object(self, value):
        self._values[self.rank] = value
        self._barrier.wait(PATIENCE)
        everyones = list(self._values)
        self._barrier.wait(PATIENCE)
        return everyones

    def all_gather(self, tensor, dim):
        return torch.cat(self.all_gather_object(tensor.clone()), dim)

    def all_reduce(self, tensor):
        return tensor.copy_(sum(self.all_gather_object(tensor.clone())))

    def broadcast_object(self, value):
        return self.all_gather_object(value)[0]

    def report_fault(self, line):
        self.faults.append(line)


def in_ranks(size, work):
    """What ``work(group)`` gives in each of `size` ranks; the first error, in order of rank, is raised."""
    values, barrier = [None] * size, threading.Barrier(size)

    def rank_of(number):
        group = ThreadGroup(number, values, barrier)
        try:
            with learning_in(group):
                return work(group)
        except BaseException:
            barrier.abort()
            raise

    with ThreadPoolExecutor(size) as threads:
        ranks = [threads.submit(rank_of, number) for number in range(size)]
    errors = [rank.exception() for rank in ranks if rank.exception()]
    for error in sorted(errors, key=lambda error: isinstance(error, threading.BrokenBarrierError)):
        raise error
    return [rank.result() for rank in ranks]
