"""States on disk: arrays and JSON, never pickle, bit for bit.

    state/<step>/arrays.safetensors, state.json      one state
    segments/<name>.safetensors                      its parts that never change, shared between states

A replay memory of gigabytes is made of segments that are full: each is written once, however many
states hold it, and deleted when no state does.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load_file
from safetensors.numpy import save as save_arrays

from sim.errors import RequestError
from sim.records import Array, Segment, State
from sim.storage.files import check_regular, flush_to_disk

ARRAY = "array of arrays.safetensors"  # the one key of what stands for an array in state.json
SEGMENT = "segment"  # the one key of what stands for a segment
SUFFIX = ".safetensors"


class StateError(RequestError, ValueError):
    """A state that cannot be read; the message names it."""


def write_state(folder: Path, state: State, segments: Path) -> None:
    """Write a state into an existing folder, and its new segments into `segments`.

    Raises:
        OSError: if the disk is full or cannot be written.
    """
    arrays: dict[str, Array] = {}
    tree = _taken_apart(state, "", arrays, segments)
    (folder / "arrays.safetensors").write_bytes(save_arrays(arrays))
    (folder / "state.json").write_text(json.dumps(tree))


def read_state(folder: Path, segments: Path) -> State:
    """Read what `write_state` wrote, bit for bit.

    Raises:
        StateError: if it is damaged.
    """
    try:
        arrays = load_file(check_regular(folder / "arrays.safetensors"))
        tree = json.loads(check_regular(folder / "state.json").read_text())
        if not isinstance(tree, dict):
            raise ValueError("state.json holds no table")
        state: State = _put_together(tree, arrays, segments)
    except (OSError, ValueError, KeyError, SafetensorError) as error:
        raise StateError(f"{folder} is damaged: {error}") from error
    return state


def prune_segments(segments: Path, states: list[Path]) -> None:
    """Delete the segments that none of `states` holds."""
    held: set[str] = set()
    for folder in states:
        try:
            held |= _named(json.loads(check_regular(folder / "state.json").read_text()))
        except (OSError, ValueError):
            continue
    for path in segments.glob("*"):
        if path.name.removesuffix(SUFFIX) not in held:
            path.unlink(missing_ok=True)


def _write_segment(segment: Segment, segments: Path) -> None:
    target = segments / f"{segment.name}{SUFFIX}"
    if target.exists():
        return
    segments.mkdir(exist_ok=True)
    temporary = target.with_suffix(f".new-{os.getpid()}")
    try:
        contiguous = {name: np.ascontiguousarray(array) for name, array in segment.read().items()}
        temporary.write_bytes(save_arrays(contiguous))
        flush_to_disk(temporary)
        temporary.rename(target)
    finally:
        temporary.unlink(missing_ok=True)


def _taken_apart(node: Any, path: str, arrays: dict[str, Array], segments: Path) -> Any:
    if isinstance(node, dict):
        return {key: _taken_apart(value, f"{path}/{key}", arrays, segments) for key, value in node.items()}
    if isinstance(node, list | tuple):
        return [_taken_apart(value, f"{path}/{i}", arrays, segments) for i, value in enumerate(node)]
    if isinstance(node, Segment):
        _write_segment(node, segments)
        return {SEGMENT: node.name}
    if isinstance(node, np.ndarray):
        name = f"{len(arrays)}{path}"  # numbered: keys may hold slashes too
        arrays[name] = np.ascontiguousarray(node).reshape(node.shape)
        return {ARRAY: name}
    if isinstance(node, np.generic):
        return node.item()
    return node


def _put_together(node: Any, arrays: Mapping[str, Array], segments: Path) -> Any:
    if isinstance(node, dict):
        if set(node) == {ARRAY}:
            return arrays[node[ARRAY]]
        if set(node) == {SEGMENT}:
            content = load_file(check_regular(segments / f"{node[SEGMENT]}{SUFFIX}"))
            return Segment(node[SEGMENT], lambda: content)
        return {key: _put_together(value, arrays, segments) for key, value in node.items()}
    if isinstance(node, list):
        return [_put_together(value, arrays, segments) for value in node]
    return node


def _named(node: Any) -> set[str]:
    """The names of all segments in a tree."""
    if isinstance(node, dict):
        if set(node) == {SEGMENT}:
            return {str(node[SEGMENT])}
        return set().union(*map(_named, node.values()))
    return set().union(*map(_named, node)) if isinstance(node, list) else set()
