"""Lines of a text file of chess games, plain or compressed (gzip, bzip2, xz, Zstandard), one at a time."""

from __future__ import annotations

import bz2
import gzip
import importlib
import io
import lzma
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, cast

from sim.catalog import MissingPackageError
from sim.storage.files import special_file_kind
from supervised.data.sources.splits import DataError

#: How a compressed file begins: names lie.
MAGIC = {b"\x1f\x8b": "gzip", b"BZh": "bzip2", b"\xfd7zXZ\x00": "xz", b"\x28\xb5\x2f\xfd": "zstd"}
UTF_16 = (b"\xff\xfe", b"\xfe\xff")
LONGEST_LINE = 1 << 20  # bytes: Lichess's longest games with clocks and evaluations have 40,000
DAMAGE = (EOFError, OSError, lzma.LZMAError, zlib.error)


def lines(path: Path) -> Iterator[tuple[int, str, int]]:
    """Lines of a file without their ends, numbered from 1, and the bytes of the file read so far.

    Text is UTF-8 with or without a byte order mark; a line that is not is read as Latin-1, in which old PGN
    files write players' names.

    Raises:
        DataError: if the file cannot be read, is empty, cut off, or no text.
        MissingPackageError: for Zstandard without a package that reads it.
    """
    with opened(path) as (raw, content):
        number = 0
        try:
            while line := content.readline(LONGEST_LINE):
                number += 1
                if number == 1 and line.startswith(UTF_16):
                    raise DataError(f"{path}, line 1: UTF-16, not UTF-8 text; save it as UTF-8")
                if b"\0" in line or len(line) == LONGEST_LINE:
                    raise DataError(f"{path}, line {number}: not text; a PGN or lines of SAN are wanted")
                yield number, _decoded(line, first=number == 1), raw.tell()
        except DataError:
            raise
        except Exception as error:
            if not isinstance(error, DAMAGE) and type(error).__name__ != "ZstdError":
                raise
            raise DataError(f"{path} is cut off or damaged after line {number}: {error}") from error
    if not number:
        raise DataError(f"{path} is empty")


def _decoded(line: bytes, *, first: bool) -> str:
    try:
        text = line.decode("utf-8-sig" if first else "utf-8")
    except UnicodeDecodeError:
        text = line.decode("latin-1")
    return text.rstrip("\r\n")


@contextmanager
def opened(path: Path) -> Iterator[tuple[BinaryIO, io.BufferedReader]]:
    """A file as it is and as a stream of its text's bytes; both are closed at the end.

    Raises:
        DataError: if there is none, or it cannot be read.
        MissingPackageError: see `lines`.
    """
    if odd := special_file_kind(path):
        raise DataError(f"{path} is {odd}: a file of games is wanted")
    try:
        raw = path.open("rb")
    except OSError as error:
        raise DataError(f"{path} cannot be read: {(error.strerror or str(error)).lower()}") from error
    with raw:
        head = raw.peek(6)[:6]
        kind = next((name for magic, name in MAGIC.items() if head.startswith(magic)), "")
        if kind == "":
            yield raw, raw
        elif kind == "zstd":
            with _zstandard(raw, path) as content:
                yield raw, content
        else:
            module = {"gzip": gzip, "bzip2": bz2, "xz": lzma}[kind]
            with module.open(raw, "rb") as unpacked:
                yield raw, io.BufferedReader(cast(io.RawIOBase, unpacked))


def _zstandard(raw: BinaryIO, path: Path) -> io.BufferedReader:
    try:
        return io.BufferedReader(importlib.import_module("compression.zstd").open(raw, "rb"))
    except ModuleNotFoundError:  # before Python 3.14
        pass
    try:
        zstandard = importlib.import_module("zstandard")
    except ModuleNotFoundError as error:
        hint = "pip install zstandard"
        raise MissingPackageError(f"{path} is compressed by Zstandard: {hint}") from error
    return io.BufferedReader(ZstandardReader(raw, zstandard.ZstdDecompressor().decompressobj))


class ZstandardReader(io.RawIOBase):
    """Content of Zstandard frames; zstandard's own reader takes a cut-off file for a whole one."""

    def __init__(self, raw: BinaryIO, decompressor: Callable[[], Any]) -> None:
        """Read `raw`; `decompressor` makes a decompression object for each frame."""
        self._raw, self._decompressor = raw, decompressor
        self._frame: Any = None  # the frame that is being read
        self._unread = b""  # what was read of the frames after it
        self._unpacked = b""

    def readable(self) -> bool:
        """True."""
        return True

    def readinto(self, buffer: Any) -> int:
        """Fill `buffer` as far as one read goes; 0 at the end.

        Raises:
            EOFError: if a frame is cut off.
        """
        while not self._unpacked:
            packed = self._unread or self._raw.read(1 << 17)
            if not packed:
                if self._frame is not None:
                    raise EOFError("the compressed data end in the middle")
                return 0
            self._frame = self._frame or self._decompressor()
            self._unpacked = self._frame.decompress(packed)
            self._unread = b""
            if self._frame.eof:
                self._unread, self._frame = self._frame.unused_data, None
        count = min(len(buffer), len(self._unpacked))
        buffer[:count], self._unpacked = self._unpacked[:count], self._unpacked[count:]
        return count
