"""Disk cache of data sets for generative models, some of which take minutes of play.

One file a data set, under ``$PLAYFIELD_CACHE``, else the user's own cache folder; it may be deleted at any
time. A damaged file is made anew, and one that cannot be written is left out. No pickle is read or written.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from filelock import FileLock

from generative.collection import Collection
from sim.records import Array, Percept

FORMAT = 1  # raised when the same wish gives other examples than before
TEXTS = ("label", "caption", "fen")  # of a percept


def cache_folder() -> Path:
    """The root of Playfield's cache: ``$PLAYFIELD_CACHE``, or the user's own cache folder."""
    own = os.environ.get("PLAYFIELD_CACHE")
    if own:
        return Path(own)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "playfield"


def kept(key: Mapping[str, Any], collect: Callable[[], Collection]) -> Collection:
    """Read a data set from the cache, or make it by `collect` and write it there, under a file lock.

    Args:
        key: plain values that identify the data set.
        collect: makes it.
    """
    path = _path(key)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(path.with_suffix(".lock")):
            found = _read(path)
            if found is None:
                found = collect()
                _write(path, found)
            return found
    except OSError:  # read-only, full, or not ours
        return collect()


def is_kept(key: Mapping[str, Any]) -> bool:
    """Whether the cache has a file of this data set."""
    return _path(key).is_file()


def _path(key: Mapping[str, Any]) -> Path:
    told = json.dumps({"format": FORMAT, **key}, sort_keys=True)
    name = hashlib.sha256(told.encode()).hexdigest()[:20]
    return cache_folder() / "collections" / f"{name}.npz"


def _read(path: Path) -> Collection | None:
    """The collection in a file; None if there is none, or it is damaged."""
    try:
        content = io.BytesIO(path.read_bytes())  # numpy leaves the file open where it is damaged
        with np.load(content, allow_pickle=False) as arrays:
            return unpacked({name: arrays[name] for name in arrays.files})
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
        return None


def _write(path: Path, collection: Collection) -> None:
    temporary = path.with_name(f"{path.stem}.new-{os.getpid()}.npz")
    try:
        np.savez_compressed(temporary, **packed(collection))  # type: ignore[arg-type]
        os.replace(temporary, path)
    except OSError:
        pass
    finally:
        temporary.unlink(missing_ok=True)


def packed(collection: Collection) -> dict[str, Array]:
    """Serialise a data set as arrays by name, without pickle."""
    truths = collection.truths
    words = {
        "label_names": collection.label_names,
        "axes": collection.axes,
        "captions": collection.captions,
        "truths": [_table(truth) for truth in truths],
    }
    boxes = [np.zeros((0, 4), np.float32) if truth.boxes is None else truth.boxes for truth in truths]
    arrays = {
        "values": collection.values,
        "labels": collection.labels,
        "episodes": collection.episodes,
        "words": np.frombuffer(json.dumps(words).encode(), np.uint8),
        "boxes": np.concatenate([np.zeros((0, 4), np.float32), *boxes]),
    }
    if truths and all(truth.mask is not None for truth in truths):
        arrays["masks"] = np.stack([truth.mask for truth in truths if truth.mask is not None])
    return arrays


def unpacked(arrays: Mapping[str, Array]) -> Collection:
    """The inverse of `packed`.

    Raises:
        ValueError, KeyError: if something is missing or does not fit.
    """
    words = json.loads(arrays["words"].tobytes())
    truths, at = [], 0
    for i, table in enumerate(words["truths"]):
        count = table.pop("boxes")
        boxes = None if count is None else arrays["boxes"][at : at + count]
        mask = arrays["masks"][i] if "masks" in arrays else None
        labels = tuple(table.pop("labels"))
        truths.append(replace(Percept("truth", **table), boxes=boxes, labels=labels, mask=mask))
        at += count or 0
    return Collection(
        arrays["values"],
        arrays["labels"],
        tuple(words["label_names"]),
        arrays["episodes"],
        tuple(words["captions"]),
        tuple(truths),
        tuple(words["axes"]),
    )


def _table(truth: Percept) -> dict[str, Any]:
    return {
        **{name: getattr(truth, name) for name in TEXTS},
        "facts": dict(truth.facts),
        "labels": list(truth.labels),
        "boxes": None if truth.boxes is None else len(truth.boxes),
    }
