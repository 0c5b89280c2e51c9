"""Data set cache on disk: data sets are made once, then memory-mapped.

A file is named by a digest of all that its content follows from: the request, the source of the modules that
make it, whatever they import of this project, and the versions of the packages that the worlds and their
pictures come from. Whatever of these changes, the data are made anew. Each file is complete or not there at
all; of two processes that want the same one makes it and the other waits; one that is damaged is made again.
Above `MOST_BYTES` the files used least recently go. No pickle is read or written. A file is mapped, not
loaded: its arrays take memory only where they are touched (`supervised.data.array_file`).

The folder is ``$PLAYFIELD_CACHE`` or ``~/.cache/playfield``; it may be deleted at any time.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from filelock import FileLock

from sim.records import Array
from supervised.data.array_file import map_arrays, write_arrays
from supervised.data.dataset import Dataset
from supervised.data.source_digest import digest

FORMAT = 3  # of the files
MOST_BYTES = 8 * 2**30  # of one kind of data
FILES = ("*.safetensors", "*.npz")  # the second of earlier formats, which only grow old
#: What reading a damaged file can raise.
DAMAGE = (OSError, ValueError, KeyError, TypeError)


@dataclass(frozen=True)
class Request:
    """Request for a data set, from which its cache key is made.

    Attributes:
        kind: of data, the name of a folder in the cache.
        told: plain values that say which, such as names, counts and seeds.
        modules: that make them, by their import names; see `supervised.data.source_digest.sources`.
    """

    kind: str
    told: Mapping[str, Any]
    modules: Sequence[str]

    @property
    def file(self) -> Path:
        """Where the data lie, if they are there."""
        key = {"format": FORMAT, "source": digest(tuple(self.modules)), "told": self.told}
        name = hashlib.sha256(json.dumps(key, sort_keys=True).encode()).hexdigest()[:32]
        return cache_folder() / self.kind / f"{name}.safetensors"


def cache_folder() -> Path:
    """Folder of the data set cache."""
    own = os.environ.get("PLAYFIELD_CACHE")
    return (
        Path(own) if own else Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "playfield"
    )


def cached(request: Request, make: Callable[[], Dataset]) -> Dataset:
    """Data set from the cache if it is there and undamaged, else made by `make` and cached.

    A folder that is read-only or full only costs the time to make them again.

    Args:
        request: which.
        make: makes them; on one thread of torch, see `one_thread`.
    """
    file = request.file
    with _locked(file):
        found = _read(file)
        if found is None:
            with one_thread():
                made = make()
            _write(file, made.arrays())
            found = _read(file)  # mapped, so that what was made need not stay in memory
    return made if found is None else found


def is_cached(request: Request) -> bool:
    """Whether the data set of a request is in the cache."""
    return request.file.is_file()


@contextmanager
def one_thread() -> Iterator[None]:
    """Context in which torch uses one thread, so that a policy's play depends on no core count.

    Sums are split between threads, and rounded otherwise by two than by one; within a hundred steps of a
    world that is another game.
    """
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


@contextmanager
def _locked(file: Path) -> Iterator[None]:
    """One process at a time, where the folder can be written."""
    lock = FileLock(file.with_suffix(".lock"))
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        lock.acquire()
    except OSError:  # read-only, full, or not ours
        yield
        return
    try:
        yield
    finally:
        lock.release()


def _read(file: Path) -> Dataset | None:
    """The data in a file; None if there is none, or it is damaged."""
    try:
        found = Dataset.from_arrays(map_arrays(file))
    except DAMAGE:
        return None
    with suppress(OSError):
        os.utime(file)
    return found


def _write(file: Path, arrays: Mapping[str, Array]) -> None:
    temporary = file.with_name(f".{file.stem}.{os.getpid()}.safetensors")
    try:
        write_arrays(temporary, arrays)
        temporary.replace(file)
        _prune(file.parent)
    except OSError:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)


def _prune(folder: Path) -> None:
    """Delete the files used least recently until the rest is small enough."""
    found = [file for pattern in FILES for file in folder.glob(pattern)]
    files = sorted(found, key=lambda file: file.stat().st_mtime, reverse=True)
    total = 0
    for file in files:
        total += file.stat().st_size
        if total > MOST_BYTES and file != files[0]:
            file.unlink(missing_ok=True)
