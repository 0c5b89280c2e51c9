"""Percepts as arrays without objects, every field of them, so that they can lie on disk without pickle."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import fields
from typing import Any

import numpy as np

from sim.records import Array, Percept

ALIGNED = 8  # bytes to a multiple of which the content of an array is padded


def pack_percepts(percepts: Sequence[Percept]) -> dict[str, Array]:
    """Percepts as two arrays: all their fields as JSON (bytes), and the content of the arrays among them."""
    content = bytearray()

    def plain(value: Any) -> Any:
        if isinstance(value, np.ndarray):
            content.extend(value.tobytes() + bytes(-value.nbytes % ALIGNED))
            return {"dtype": value.dtype.str, "shape": value.shape}
        if isinstance(value, Mapping):
            return {"items": [[name, plain(each)] for name, each in value.items()]}
        if isinstance(value, tuple | list):
            return [plain(each) for each in value]
        return value.item() if isinstance(value, np.generic) else value

    told = [
        {
            f.name: plain(getattr(percept, f.name))
            for f in fields(Percept)
            if getattr(percept, f.name) is not None
        }
        for percept in percepts
    ]
    return {
        "percepts": np.frombuffer(json.dumps(told).encode(), np.uint8),
        "percept arrays": np.frombuffer(content, np.int64),
    }


def unpack_percepts(arrays: Mapping[str, Array]) -> tuple[Percept, ...]:
    """The percepts that `pack_percepts` took apart; their arrays are views of the packed ones.

    Raises:
        ValueError, KeyError, TypeError: for arrays that hold none.
    """
    content, at = arrays["percept arrays"].view(np.uint8), 0

    def whole(value: Any) -> Any:
        nonlocal at
        if isinstance(value, list):
            return tuple(whole(each) for each in value)
        if not isinstance(value, dict):
            return value
        if "items" in value:
            return {name: whole(each) for name, each in value["items"]}
        dtype = np.dtype(value["dtype"])
        size = dtype.itemsize * int(np.prod(value["shape"], dtype=np.int64))
        begin, at = at, at + size + -size % ALIGNED
        return content[begin : begin + size].view(dtype).reshape(value["shape"])

    told = json.loads(arrays["percepts"].tobytes())
    return tuple(Percept(**{name: whole(value) for name, value in one.items()}) for one in told)
