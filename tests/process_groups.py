"""Process groups whose ranks are threads: what several processes do, in one and without starting any."""

from __future__ import annotations

import threading
from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor

import torch

from supervised.distributed import ProcessGroup, RankLostError, learning_in

PATIENCE = 60  # seconds, for ranks that do not do the same


class Exchange:
    """What the ranks hand each other, round by round."""

    def __init__(self, size):
        self.size, self.failed = size, False
        self._rounds, self._changed = defaultdict(dict), threading.Condition()

    def pass_round(self, number, rank, value):
        """The values of all ranks in the round of that number, once they are there."""
        with self._changed:
            values = self._rounds[number]
            values[rank] = value
            self._changed.notify_all()
            self._changed.wait_for(lambda: len(values) == self.size or self.failed, PATIENCE)
            if len(values) < self.size:
                raise RankLostError("another rank failed")
            return [values[rank] for rank in range(self.size)]

    def fail(self):
        """Let nobody wait any longer."""
        with self._changed:
            self.failed = True
            self._changed.notify_all()


class ThreadGroup(ProcessGroup):
    """One rank of several threads; without an exchange it is only asked for places."""

    def __init__(self, rank, size, exchange=None):
        self.rank, self.size = rank, size
        self._exchange, self._round = exchange, 0
        self.faults = []

    def all_gather_object(self, value):
        self._round += 1
        return self._exchange.pass_round(self._round, self.rank, value)

    def all_gather(self, tensor, dim):
        return torch.cat(self.all_gather_object(tensor.clone()), dim)

    def all_reduce(self, tensor):
        return tensor.copy_(sum(self.all_gather_object(tensor.clone())))

    def broadcast_object(self, value):
        return self.all_gather_object(value)[0]

    def report_fault(self, line):
        self.faults.append(line)


def in_ranks(size, work):
    """What ``work(group)`` gives in each of `size` ranks; the error that came first is raised."""
    exchange, errors = Exchange(size), []

    def rank_of(number):
        group = ThreadGroup(number, size, exchange)
        try:
            with learning_in(group):
                return work(group)
        except BaseException as error:
            errors.append(error)
            exchange.fail()
            raise

    with ThreadPoolExecutor(size) as threads:
        ranks = [threads.submit(rank_of, number) for number in range(size)]
    if errors:
        raise errors[0]
    return [rank.result() for rank in ranks]
