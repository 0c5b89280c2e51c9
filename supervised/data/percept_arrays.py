"""Percepts as arrays without objects, every field of them, so that they can lie on disk without pickle."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import fields
from typing import Any

import numpy as np

from sim.records import Array, Percept


def pack_percepts(percepts: Sequence[Percept]) -> dict[str, Array]:
    """Percepts as two arrays of bytes: all their fields as JSON, and the content of the arrays among them."""
    content: list[bytes] = []

    def plain(value: Any) -> Any:
        if isinstance(value, np.ndarray):
            content.append(np.ascontiguousarray(value).tobytes())
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
        "percept arrays": np.frombuffer(b"".join(content), np.uint8),
    }


def unpack_percepts(arrays: Mapping[str, Array]) -> tuple[Percept, ...]:
    """The percepts that `pack_percepts` took apart.

    Raises:
        ValueError, KeyError, TypeError: for arrays that hold none.
    """
    content, at = arrays["percept arrays"], 0

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
        at += size
        return content[at - size : at].copy().view(dtype).reshape(value["shape"])

    told = json.loads(arrays["percepts"].tobytes())
    return tuple(Percept(**{name: whole(value) for name, value in one.items()}) for one in told)
