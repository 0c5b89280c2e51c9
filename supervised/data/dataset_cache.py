"""Data sets on disk: what takes minutes to play is played once and read back in a second.

A file is named by a digest of all that its content follows from: the request, the source of the modules that
make it, whatever they import of this project, and the versions of the packages that the worlds and their
pictures come from. Whatever of these changes, the data are made anew. Each file is complete or not there at
all; of two processes that want the same one makes it and the other waits; one that is damaged is made again.
Above `MOST_BYTES` the files used least recently go. No pickle is read or written.

The folder is ``$PLAYFIELD_CACHE`` or ``~/.cache/playfield``; it may be deleted at any time.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, Self, TypeVar

import numpy as np
from filelock import FileLock

from sim.records import Array
from supervised.data.source_digest import digest

FORMAT = 2  # of the files
MOST_BYTES = 4 * 2**30  # of one kind of data
#: What reading a damaged file can raise.
DAMAGE = (OSError, ValueError, KeyError, TypeError, EOFError, zipfile.BadZipFile, zlib.error)


class Storable(Protocol):
    """Data that can lie on disk."""

    def arrays(self) -> dict[str, Array]:
        """Them as arrays without objects."""

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, Array]) -> Self:
        """The inverse.

        Raises:
            ValueError, KeyError, TypeError: for arrays that hold no such data.
        """


Data = TypeVar("Data", bound=Storable)


@dataclass(frozen=True)
class Request:
    """Which data are wanted.

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
        return cache_folder() / self.kind / f"{name}.npz"


def cache_folder() -> Path:
    """Where data sets are kept."""
    own = os.environ.get("PLAYFIELD_CACHE")
    return (
        Path(own) if own else Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "playfield"
    )


def cached(cls: type[Data], request: Request, make: Callable[[], Data]) -> Data:
    """Data from disk where they are there and whole, else as `make` gives them, which are then kept.

    A folder that is read-only or full only costs the time to make them again.

    Args:
        cls: of the data.
        request: which.
        make: makes them; on one thread of torch, see `one_thread`.
    """
    file = request.file
    with _locked(file):
        found = _read(cls, file)
        if found is None:
            with one_thread():
                found = make()
            _write(file, found.arrays())
    return found


def is_cached(request: Request) -> bool:
    """Whether there is a file of these data."""
    return request.file.is_file()


@contextmanager
def one_thread() -> Iterator[None]:
    """A block in which torch computes on one thread, so that what a policy plays depends on no core count.

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


def _read(cls: type[Data], file: Path) -> Data | None:
    """The data in a file; None if there is none, or it is damaged."""
    try:
        content = io.BytesIO(file.read_bytes())  # numpy leaves the file open where it is damaged
        with np.load(content, allow_pickle=False) as arrays:
            found = cls.from_arrays({name: arrays[name] for name in arrays.files})
    except DAMAGE:
        return None
    with suppress(OSError):
        os.utime(file)
    return found


def _write(file: Path, arrays: Mapping[str, Array]) -> None:
    temporary = file.with_name(f".{file.stem}.{os.getpid()}.npz")
    try:
        np.savez_compressed(temporary, **arrays)  # type: ignore[arg-type]
        temporary.replace(file)
        _prune(file.parent)
    except OSError:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)


def _prune(folder: Path) -> None:
    """Delete the files used least recently until the rest is small enough."""
    files = sorted(folder.glob("*.npz"), key=lambda file: file.stat().st_mtime, reverse=True)
    total = 0
    for file in files:
        total += file.stat().st_size
        if total > MOST_BYTES and file != files[0]:
            file.unlink(missing_ok=True)
