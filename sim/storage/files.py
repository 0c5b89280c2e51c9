"""Atomic writing of folders: a kill, a full disk or a power cut leaves either the old one or the new one."""

from __future__ import annotations

import errno
import itertools
import os
import shutil
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from sim.errors import WorkError


class SaveError(WorkError, OSError):
    """Something could not be written; what was there before is untouched."""

    def __str__(self) -> str:
        """The message alone, without the number that OSError puts before it."""
        return self.strerror or super().__str__()


@contextmanager
def fresh_folder(target: Path) -> Iterator[Path]:
    """Context manager of a temporary folder that becomes `target` when the block ends without an error.

    Everything in it is flushed to disk before the rename. An older `target` is moved aside only
    when the new one is complete, and deleted last.

    Raises:
        SaveError: if the disk is full or the place cannot be written; `target` is as it was.
    """
    temporary = target.with_name(f".{target.name}.new-{os.getpid()}")
    old = target.with_name(f".{target.name}.old-{os.getpid()}")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        if old.exists() and not target.exists():  # a killed process with this number left it
            old.rename(target)
        shutil.rmtree(old, ignore_errors=True)
        shutil.rmtree(temporary, ignore_errors=True)
        temporary.mkdir()
        yield temporary
        for path in sorted(temporary.rglob("*")):
            flush_to_disk(path)
        flush_to_disk(temporary)
        if target.exists():
            target.rename(old)
        temporary.rename(target)
        flush_to_disk(target.parent)
    except OSError as error:
        raise SaveError(error.errno, f"could not write {target}: {reason(error)}") from error
    finally:
        if old.exists() and not target.exists():
            old.rename(target)
        shutil.rmtree(temporary, ignore_errors=True)
        shutil.rmtree(old, ignore_errors=True)


def write_whole(path: Path, write: Callable[[Path], None], *, overwrite: bool = True) -> Path:
    """Write one file so that it is complete or absent.

    Args:
        path: its name; an older one is replaced when the new one is complete.
        write: writes the file that it is given, which has another name and the same folder.
        overwrite: False: what stands at `path` by then stays, and the next free name is taken.

    Returns:
        Where it is.

    Raises:
        OSError: whatever `write` raises; nothing of the file is left then.
    """
    temporary = path.with_name(f".new-{os.getpid()}-{path.name}")
    try:
        write(temporary)
        flush_to_disk(temporary)
        return put_in_place(temporary, path, overwrite=overwrite)
    finally:
        temporary.unlink(missing_ok=True)


def put_in_place(temporary: Path, target: Path, *, overwrite: bool) -> Path:
    """Give a finished file its name; without `overwrite` the next free one where something stands there.

    Two processes that come at the same time get a name each: a link, unlike a rename, replaces nothing.
    """
    if overwrite:
        os.replace(temporary, target)
        return target
    while True:
        name = next_free(target)
        try:
            os.link(temporary, name)
        except FileExistsError:
            continue
        except (AttributeError, OSError):  # a file system without links
            os.replace(temporary, name)
        temporary.unlink(missing_ok=True)
        return name


def next_free(path: Path) -> Path:
    """Next free path: `path` itself, or if it exists the first free one of ``name-2``, ``name-3``, ….

    >>> next_free(Path("pong.mp4")).name
    'pong.mp4'
    """
    names = (path.with_name(f"{path.stem}-{number}{path.suffix}") for number in itertools.count(2))
    return next(name for name in itertools.chain([path], names) if not os.path.lexists(name))


@contextmanager
def new_folder(wanted: Path) -> Iterator[Path]:
    """Context of a new folder, `wanted` or the next free name; removed at the end if it is empty.

    Raises:
        SaveError: if it cannot be made.
    """
    while True:
        folder = next_free(wanted)
        try:
            folder.mkdir(parents=True)
        except FileExistsError:  # another process was quicker
            continue
        except OSError as error:
            raise SaveError(error.errno, f"could not make {folder}: {reason(error)}") from error
        break
    try:
        yield folder
    finally:
        with suppress(OSError):
            folder.rmdir()


def flush_to_disk(path: Path) -> None:
    """Fsync a file or folder; folders cannot be opened on Windows, where it is not needed."""
    if path.is_dir() and os.name == "nt":
        return
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


#: What may stand where a file is meant; opening a named pipe waits for ever, and a device may never end.
_SPECIAL_KINDS = {
    stat.S_IFDIR: "a folder",
    stat.S_IFIFO: "a named pipe",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}


def special_file_kind(path: Path) -> str:
    """Kind of a path that is no regular file, such as "a folder"; empty for files and if nothing exists.

    >>> [special_file_kind(Path(name)) for name in ("/", "/dev/zero", "no such file")]
    ['a folder', 'a device', '']
    """
    try:
        return _SPECIAL_KINDS.get(stat.S_IFMT(path.stat().st_mode), "")
    except (OSError, ValueError):
        return ""


def check_regular(path: Path) -> Path:
    """Check that `path` is a regular file or absent: opening a named pipe could block for ever.

    Raises:
        OSError: if it is no regular file.
    """
    if odd := special_file_kind(path):
        raise OSError(errno.EINVAL, f"{path.name} is {odd}, not a file", str(path))
    return path


def reason(error: OSError) -> str:
    """The cause of an OSError in words, for messages."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return "the disk is full"
    return (error.strerror or str(error)).lower()


def remove_leftovers(folder: Path) -> None:
    """Delete what a killed process left half-written in `folder`; restore what it had moved aside."""
    for path in folder.glob(".*.old-*"):
        target = folder / path.name[1:].rpartition(".old-")[0]
        if not target.exists():
            path.rename(target)
    for pattern in (".*.new-*", ".*.old-*"):
        for path in folder.glob(pattern):
            shutil.rmtree(path, ignore_errors=True)
