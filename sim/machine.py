"""Hardware limits of this process: usable processors, and memory that it can still allocate."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from sim.errors import RequestError
from sim.ranks import ranks_here

MEMINFO = Path("/proc/meminfo")
CGROUP = Path("/sys/fs/cgroup")  # of this process, where it runs in a container
GIB = 2**30


class MemoryRefused(RequestError, ValueError):
    """A request for more memory than is free; nothing was allocated."""


def processors() -> int:
    """How many processors this process may use, which in a container can be fewer than there are.

    The ranks that torchrun started on one machine share them evenly.
    """
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, usable // ranks_here())


def free_memory(
    meminfo: Path = MEMINFO, cgroup: Path = CGROUP, installed: Callable[[], int | None] | None = None
) -> int | None:
    """Bytes that can be allocated without swapping; None where the system does not say.

    Linux: what the kernel calls available, within the container's limit. Elsewhere: all that is installed,
    which catches what could never fit.

    Args:
        meminfo: the kernel's table of memory.
        cgroup: the folder of this process's control group.
        installed: bytes of memory in this machine; None: as the system says.
    """
    amounts = (_available(meminfo), _left_in_container(cgroup), (installed or installed_memory)())
    return min((amount for amount in amounts if amount is not None), default=None)


def check_memory(wanted: int, what: str, mend: str, free: int | None = None) -> None:
    """Refuse an allocation that does not fit into free memory, with both numbers, before it is made.

    An operating system grants zeroed memory that it does not have and kills the process hours later, when
    it is written to.

    Args:
        wanted: bytes.
        what: what needs them, such as ``a replay of 1,000,000 transitions``.
        mend: what to do about it.
        free: bytes there are; `free_memory`, unless told: of a GPU, say.

    Raises:
        MemoryRefused: if `wanted` is more than there is.

    >>> check_memory(3 * 2**30, "a replay", "set a smaller buffer_size", free=2**31)
    Traceback (most recent call last):
    ...
    sim.machine.MemoryRefused: a replay needs 3.0 GiB of memory, 2.0 GiB are free: set a smaller buffer_size
    """
    free = free_memory() if free is None else free
    if free is not None and wanted > free:
        raise MemoryRefused(
            f"{what} needs {wanted / GIB:,.1f} GiB of memory, {free / GIB:,.1f} GiB are free: {mend}"
        )


def _available(meminfo: Path) -> int | None:
    try:
        lines = meminfo.read_text("ascii").splitlines()
    except OSError:
        return None
    kib = [line.split()[1] for line in lines if line.startswith("MemAvailable:")]
    return int(kib[0]) * 1024 if kib else None


def _left_in_container(cgroup: Path) -> int | None:
    """The limit of control group v2 less what is taken; file cache counts as free, for it gives way."""
    try:
        limit = (cgroup / "memory.max").read_text("ascii").strip()
        taken = int((cgroup / "memory.current").read_text("ascii"))
        stat = (cgroup / "memory.stat").read_text("ascii").splitlines()
    except (OSError, ValueError):
        return None
    if limit == "max":
        return None
    cache = sum(int(line.split()[1]) for line in stat if line.startswith("inactive_file "))
    return max(0, int(limit) - taken + cache)


def installed_memory() -> int | None:
    """Bytes of memory in this machine; None where the system does not say."""
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, OSError, ValueError):  # not on this system
        return None
