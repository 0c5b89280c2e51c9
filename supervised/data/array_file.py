"""Memory-mapped array files: named arrays in one safetensors file with a checksum.

Reading maps the file instead of loading it: pages come into memory when they are touched, and writing to an
array changes a copy, never the file. Any safetensors library reads the files too.
"""

from __future__ import annotations

import json
import mmap
import zlib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from sim.records import Array

ALIGNED = 64  # bytes to a multiple of which the header is padded
#: Type in the file → in numpy.
TYPES = {
    "BOOL": "|b1",
    "U8": "|u1",
    "I8": "|i1",
    "U16": "<u2",
    "I16": "<i2",
    "U32": "<u4",
    "I32": "<i4",
    "U64": "<u8",
    "I64": "<i8",
    "F16": "<f2",
    "F32": "<f4",
    "F64": "<f8",
}
NAMES = {np.dtype(dtype): name for name, dtype in TYPES.items()}


def write_arrays(file: Path, arrays: Mapping[str, Array]) -> None:
    """Write named arrays of numbers.

    Raises:
        OSError: if they cannot be written.
        KeyError: for a type that such files do not have.
    """
    table: dict[str, Any] = {}
    at = 0
    whole = {name: np.ascontiguousarray(array) for name, array in arrays.items()}
    for name in sorted(whole, key=lambda name: -whole[name].itemsize):  # so that all of them are aligned
        array = whole[name]
        table[name] = {
            "dtype": NAMES[array.dtype],
            "shape": list(arrays[name].shape),
            "data_offsets": [at, at + array.nbytes],
        }
        at += array.nbytes
    checksum = _checksum(table, (_raw(whole[name]) for name in table))
    header = json.dumps({"__metadata__": {"crc32": str(checksum)}, **table}).encode()
    header += b" " * (-(len(header) + 8) % ALIGNED)
    with file.open("wb") as target:
        target.write(len(header).to_bytes(8, "little") + header)
        for name in table:
            target.write(_raw(whole[name]))


def map_arrays(file: Path) -> dict[str, Array]:
    """The arrays of a file, mapped copy-on-write.

    Raises:
        OSError, ValueError, KeyError, TypeError: if it is damaged or no such file.
    """
    with file.open("rb") as source:
        content = mmap.mmap(source.fileno(), 0, access=mmap.ACCESS_COPY)
    start = 8 + int.from_bytes(content[:8], "little")
    table = json.loads(content[8:start])
    checksum = int(table.pop("__metadata__")["crc32"])
    ends = [told["data_offsets"][1] for told in table.values()]
    if start + max(ends, default=0) != len(content):
        raise ValueError("the file has not the length that its header says")
    found = {name: _array(content, start, told) for name, told in table.items()}
    if checksum != _checksum(table, (_raw(array) for array in found.values())):
        raise ValueError("the file is not what was written")
    return found


def _array(content: mmap.mmap, start: int, told: Mapping[str, Any]) -> Array:
    first, last = told["data_offsets"]
    dtype = np.dtype(TYPES[told["dtype"]])
    count = (last - first) // dtype.itemsize
    flat = np.frombuffer(content, dtype, count, start + first) if count else np.zeros(0, dtype)
    return flat.reshape(told["shape"])


def _raw(array: Array) -> memoryview:
    """The bytes of a contiguous array, without a copy."""
    return array.reshape(-1).view(np.uint8).data


def _checksum(table: Mapping[str, Any], contents: Iterable[memoryview]) -> int:
    """CRC-32 of the table of arrays and of their bytes, in order."""
    checksum = zlib.crc32(json.dumps(table).encode())
    for content in contents:
        checksum = zlib.crc32(content, checksum)
    return checksum
