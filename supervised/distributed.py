"""Data-parallel training by ``torchrun``: the process group, shares of a batch, sums over ranks.

``torchrun --nproc-per-node N`` starts N processes, the ranks, each with its share of the worlds or of every
batch and its own copy of the weights; gradients are summed before each step, so that the copies stay equal
bit for bit. `join` reads torchrun's environment and connects the ranks; `process_group` is what learners ask
for the rank, for shares and for sums.

Of one process every method is the identity, and `torch.distributed` is not used. Does not know: what is
learned, run folders, checkpoints (`scenes.training.ranks`).
"""

from __future__ import annotations

import atexit
import os
import socket
import time
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from datetime import timedelta
from typing import Any, TypeVar

import torch
from torch import Tensor

from sim.errors import RequestError, WorkError
from sim.plurals import number_of
from sim.ranks import launched_ranks, ranks_here

T = TypeVar("T")

#: A rank that is dead is noticed at once, by its closed connections. These are for one that hangs.
GRADIENTS_TIMEOUT = timedelta(minutes=10)
CONTROL_TIMEOUT = timedelta(hours=24)  # the others wait while rank 0 evaluates or writes
JOINING_TIMEOUT = timedelta(minutes=10)  # until the last process has started
NOTICED = 2.0  # seconds until torchrun has noticed that a process was killed
FAULT = "fault-of-rank-{}"  # key of the common store


class ShareError(RequestError, ValueError):
    """Work that cannot be shared evenly by the ranks, or not at all."""


class RankLostError(WorkError, RuntimeError):
    """Another rank failed, was killed or cannot be reached.

    Attributes:
        killed: the ranks of this machine that ended without a word.
    """

    def __init__(self, line: str, killed: Sequence[int] = ()) -> None:
        super().__init__(line)
        self.killed = tuple(killed)


class ProcessGroup:
    """Process group of a single process: rank 0 of 1, and every method the identity.

    Attributes:
        rank: of this process, from 0 on.
        size: how many ranks there are.

    >>> alone = ProcessGroup()
    >>> alone.rank, alone.size, alone.all_reduce(torch.ones(2)).tolist(), alone.share(4)
    (0, 1, [1.0, 1.0], slice(0, 4, None))
    """

    rank = 0
    size = 1

    def all_reduce(self, tensor: Tensor) -> Tensor:
        """Sum over the ranks, in place and in each of them."""
        return tensor

    def all_gather(self, tensor: Tensor, dim: int) -> Tensor:
        """The ranks' tensors, of equal shapes, side by side along `dim`, the lowest rank first."""
        return tensor

    def all_gather_object(self, value: T) -> list[T]:
        """The ranks' values, the lowest rank first."""
        return [value]

    def broadcast_object(self, value: T) -> T:
        """Rank 0's value, in each of them."""
        return value

    def share(self, count: int) -> slice:
        """This rank's rows of all ranks' rows, where each has `count` and the lowest rank the first."""
        return slice(self.rank * count, (self.rank + 1) * count)

    def report_fault(self, line: str) -> None:
        """Tell the others, before this process ends, why."""


class TorchProcessGroup(ProcessGroup):
    """Process group of `torch.distributed`, which must be initialised.

    Raises:
        RankLostError: by every method, where another rank is gone.
    """

    def __init__(self, control: Any = None, store: Any = None) -> None:
        """Take the default group.

        Args:
            control: the group that objects are passed in; None for the default group.
            store: common store of faults, if there is one.
        """
        from torch import distributed

        self._distributed, self._control, self._store = distributed, control, store
        self.rank, self.size = distributed.get_rank(), distributed.get_world_size()
        self._processes = self.all_gather_object((socket.gethostname(), os.getpid()))

    def all_reduce(self, tensor: Tensor) -> Tensor:
        """See `ProcessGroup`."""
        with self._together():
            self._distributed.all_reduce(tensor)
        return tensor

    def all_gather(self, tensor: Tensor, dim: int) -> Tensor:
        """See `ProcessGroup`."""
        own = tensor.contiguous()
        own = own.to(torch.uint8) if tensor.dtype == torch.bool else own
        parts = [torch.empty_like(own) for _ in range(self.size)]
        with self._together():
            self._distributed.all_gather(parts, own)
        return torch.cat(parts, dim).to(tensor.dtype)

    def all_gather_object(self, value: T) -> list[T]:
        """See `ProcessGroup`."""
        values: list[Any] = [None] * self.size
        with self._together():
            self._distributed.all_gather_object(values, value, group=self._control)
        return values

    def broadcast_object(self, value: T) -> T:
        """See `ProcessGroup`."""
        values = [value]
        with self._together():
            self._distributed.broadcast_object_list(values, src=0, group=self._control)
        return values[0]

    def report_fault(self, line: str) -> None:
        """See `ProcessGroup`."""
        if self._store is not None:
            with suppress(RuntimeError):
                self._store.set(FAULT.format(self.rank), line)

    def fault(self, rank: int, patience: timedelta | None = None) -> str | None:
        """What a rank has reported; None if nothing, within `patience`."""
        key = FAULT.format(rank)
        try:
            if self._store is None:
                return None
            if patience is not None:
                self._store.wait([key], patience)
            return self._store.get(key).decode() if self._store.check([key]) else None
        except RuntimeError:  # the store is gone with the process that held it, or patience is at its end
            return None

    @contextmanager
    def _together(self) -> Iterator[None]:
        """Turn what a collective operation raises into a `RankLostError` that says what is known."""
        try:
            yield
        except RuntimeError as error:
            told = {rank: self.fault(rank) for rank in range(self.size) if rank != self.rank}
            if faults := [f"rank {rank}: {line}" for rank, line in told.items() if line]:
                raise RankLostError("; ".join(faults)) from error
            killed = self._killed()
            lost = f"rank {', '.join(map(str, killed))} was killed"
            raise RankLostError(lost if killed else "another rank cannot be reached", killed) from error

    def _killed(self) -> list[int]:
        """The ranks of this machine whose processes are gone, once torchrun has noticed, too."""
        here, _ = self._processes[self.rank]
        near = [(rank, process) for rank, (host, process) in enumerate(self._processes) if host == here]
        end = time.monotonic() + NOTICED
        while True:
            gone = [rank for rank, process in near if not _runs(process)]
            if gone or time.monotonic() > end:
                return gone
            time.sleep(0.02)


def _runs(process: int) -> bool:
    """Whether there is a process of that number."""
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except OSError:  # not ours
        return True
    return True


ALONE = ProcessGroup()
_group: ContextVar[ProcessGroup | None] = ContextVar("process group", default=None)


def process_group() -> ProcessGroup:
    """The process group in which this process learns; of one process where torchrun started none."""
    group = _group.get()
    if group is None and torch.distributed.is_available() and torch.distributed.is_initialized():
        return _joined or TorchProcessGroup()  # that of a thread, or initialised by the caller
    return group or ALONE


@contextmanager
def learning_in(group: ProcessGroup) -> Iterator[None]:
    """Context in which `process_group` is `group`, in this thread."""
    token = _group.set(group)
    try:
        yield
    finally:
        _group.reset(token)


_joined: TorchProcessGroup | None = None


def join(device: str = "cpu") -> ProcessGroup:
    """Connect with the ranks that torchrun started, once in a process; `ALONE` without torchrun.

    Args:
        device: ``cpu``, ``cuda`` or ``auto``. Each rank of a machine takes the GPU of its number there.

    Raises:
        ShareError: if a machine has fewer GPUs than ranks.
        RankLostError: if the ranks do not find each other.
    """
    global _joined
    if _joined is not None or launched_ranks() == 1:
        return _joined or process_group()
    from torch import distributed
    from torch.distributed.distributed_c10d import PrefixStore
    from torch.distributed.rendezvous import rendezvous

    backend = _backend(device)
    try:
        store, rank, size = next(rendezvous("env://", timeout=JOINING_TIMEOUT))
        store = PrefixStore("playfield", store)
        distributed.init_process_group(
            backend, store=store, rank=rank, world_size=size, timeout=GRADIENTS_TIMEOUT
        )
        control = distributed.new_group(backend="gloo", timeout=CONTROL_TIMEOUT)
    except RuntimeError as error:
        raise RankLostError(f"the ranks do not find each other: {str(error).splitlines()[0]}") from error
    _joined = TorchProcessGroup(control, store)
    atexit.register(_leave)
    return _joined


def _leave() -> None:
    """Close the connections, or a warning follows at exit."""
    with suppress(RuntimeError), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.distributed.destroy_process_group()


def _backend(device: str) -> str:
    """The backends of `torch.distributed`: gloo for the CPU, beside it NCCL where GPUs are to be used."""
    if device == "cpu" or not torch.cuda.is_available():
        return "gloo"
    ranks, gpus = ranks_here(), torch.cuda.device_count()
    if ranks > gpus:
        raise ShareError(
            f"torchrun started {ranks} ranks on a machine with {number_of(gpus, 'GPU')}, and each takes one: "
            f"--nproc-per-node {gpus}, or --device cpu"
        )
    torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))
    return "cpu:gloo,cuda:nccl"


def even_share(total: int, group: ProcessGroup, key: str) -> int:
    """One rank's part of `total`, which must divide by the number of ranks.

    Args:
        total: of the scene's key.
        group: of the ranks.
        key: for the message.

    Raises:
        ShareError: naming the nearest totals that do.
    """
    if total % group.size == 0 and total:
        return total // group.size
    below, above = total - total % group.size, total + group.size - total % group.size
    nearest = f"{below:,} or {above:,}" if below else f"{above:,}"
    raise ShareError(
        f"{key} is {total:,}, which {group.size} ranks cannot share evenly: set it to {nearest}, "
        "or start another number of them"
    )


def sum_gradients(group: ProcessGroup, parameters: Sequence[Tensor], figures: Tensor) -> Tensor:
    """Sum the gradients of all ranks in place, by one all-reduce; returns the sum of their `figures` (K,).

    A parameter without a gradient in one rank, such as of a head that its rows do not use, counts as 0 there;
    without one in any rank it keeps none, so that the optimiser leaves it alone.
    """
    grads = [torch.zeros_like(p) if p.grad is None else p.grad for p in parameters]
    mine = [p.grad is not None for p in parameters]
    used = torch.tensor(mine, dtype=torch.float32, device=figures.device)
    parts = [*grads, used, figures.float()]
    whole = group.all_reduce(torch.cat([part.reshape(-1) for part in parts]))
    *summed, used, figures = torch.split(whole, [part.numel() for part in parts])
    anywhere = mine if all(mine) else used.tolist()  # which waits for a GPU
    for parameter, grad, total, counts in zip(parameters, grads, summed, anywhere, strict=True):
        if counts:
            parameter.grad = grad.copy_(total.view(grad.shape))
    return figures


def moments(batch: Tensor, group: ProcessGroup) -> tuple[Tensor, Tensor, int]:
    """Mean and variance (…) of the rows (B, …) of all ranks, and how many; every rank has equally many.

    >>> [float(x) for x in moments(torch.tensor([1.0, 3.0]), ALONE)]
    [2.0, 1.0, 2.0]
    """
    if group.size == 1:
        return batch.mean(0), batch.var(0, correction=0), len(batch)
    mean = group.all_reduce(batch.mean(0)) / group.size
    variance = group.all_reduce((batch - mean).square().mean(0)) / group.size
    return mean, variance, len(batch) * group.size
