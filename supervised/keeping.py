"""Disk cache of labelled image data sets: rendering thousands takes a minute, reading them a second.

A file is named by a digest of all that determines its content: world and rules, `Taking`, the policy, and the
source code that renders and labels. If any of these changes, the images are rendered anew. A file is complete
or absent; one that is damaged is replaced. Above `MOST_BYTES` the least recently used files are deleted.

The folder is ``$PLAYFIELD_CACHE`` or ``~/.cache/playfield``; it may be deleted at any time.
"""

from __future__ import annotations

import hashlib
import json
import os
import zipfile
import zlib
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from sim.records import Array, Percept
from supervised.views import Views

FORMAT = 1
MOST_BYTES = 4 * 2**30
ROOT = Path(__file__).parent.parent
#: Source code that determines the images and labels, beside the family's own folder in ``sim``.
SOURCES = ("supervised/sights", "supervised/views.py", "supervised/grammar.py", "supervised/wording.py")
#: The exceptions that reading a damaged file can raise.
DAMAGE = (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile, zlib.error)


def folder() -> Path:
    """The cache folder of labelled images."""
    own = os.environ.get("PLAYFIELD_CACHE")
    base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return (Path(own) if own else base / "playfield") / "views"


def kept(taken: Mapping[str, Any], families: Sequence[str], take: Callable[[], Views]) -> Views:
    """Read labelled images from the cache, or make them by `take` and write them there.

    Args:
        taken: plain values that identify the data set.
        families: of worlds: ``"atari"``, ``"chess"``, ``"walker"``.
        take: makes the data set.
    """
    source = [digest(name) for name in families]
    said = json.dumps({"format": FORMAT, "source": source, "taken": taken}, sort_keys=True)
    file = folder() / f"{hashlib.sha256(said.encode()).hexdigest()[:32]}.npz"
    try:
        with file.open("rb") as opened, np.load(opened, allow_pickle=False) as arrays:
            views = unpacked(arrays)
        os.utime(file)
        return views
    except DAMAGE:
        views = take()
    _write(file, packed(views))
    return views


@lru_cache
def digest(family: str) -> str:
    """SHA-256 of the source code that renders and labels a family's images, in hexadecimal."""
    files = [file for place in (f"sim/{family}", *SOURCES) for file in _modules(ROOT / place)]
    return hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest()


def packed(views: Views) -> dict[str, Array]:
    """Serialise labelled images as arrays by name, without pickle."""
    truths = views.truths
    arrays: dict[str, Array] = {"rgb": views.rgb, "episodes": views.episodes}
    arrays["facts"] = np.array([json.dumps(dict(truth.facts)) for truth in truths])
    if truths[0].boxes is not None:
        boxes = [truth.boxes for truth in truths if truth.boxes is not None]
        arrays["counts"] = np.array([len(some) for some in boxes])
        arrays["boxes"] = np.concatenate(boxes)
        arrays["labels"] = np.array([name for truth in truths for name in truth.labels], np.str_)
    for name in ("mask", "depth"):
        if getattr(truths[0], name) is not None:
            arrays[name] = np.stack([getattr(truth, name) for truth in truths])
    for name in ("keypoints", "places"):
        points: list[Mapping[str, tuple[float, float, float]]] = [getattr(truth, name) for truth in truths]
        if points[0]:
            arrays[f"{name} names"] = np.array(list(points[0]))
            arrays[name] = np.array([list(of_one.values()) for of_one in points])
    for name in ("label", "fen", "caption"):
        if getattr(truths[0], name) is not None:
            arrays[name] = np.array([getattr(truth, name) for truth in truths])
    return arrays


def unpacked(arrays: Mapping[str, Array]) -> Views:
    """The inverse of `packed`.

    Raises:
        KeyError, ValueError: for arrays that hold no views.
    """
    stored = {name: arrays[name] for name in arrays}
    n = len(stored["rgb"])
    fields: list[dict[str, Any]] = [{"facts": json.loads(str(facts))} for facts in stored["facts"]]
    if "boxes" in stored:
        ends = np.cumsum(stored["counts"])[:-1]
        pairs = zip(np.split(stored["boxes"], ends), np.split(stored["labels"], ends), strict=True)
        for of_one, (boxes, labels) in zip(fields, pairs, strict=True):
            of_one |= {"boxes": boxes, "labels": tuple(labels.tolist())}
    for name in ("mask", "depth"):
        for of_one, array in zip(fields, stored.get(name, ()), strict=False):
            of_one[name] = array
    for name in ("keypoints", "places"):
        for of_one, rows in zip(fields, stored.get(name, ()), strict=False):
            points = zip(stored[f"{name} names"].tolist(), map(tuple, rows.tolist()), strict=True)
            of_one[name] = dict(points)
    for name in ("label", "fen", "caption"):
        for of_one, words in zip(fields, stored.get(name, ()), strict=False):
            of_one[name] = str(words)
    if not len(fields) == len(stored["episodes"]) == n:
        raise ValueError("pictures, truths and episodes differ in number")
    return Views(stored["rgb"], tuple(Percept("truth", **of_one) for of_one in fields), stored["episodes"])


def _write(file: Path, arrays: Mapping[str, Array]) -> None:
    """Write a cache file if possible: a full or read-only disk only costs the time to render again."""
    temporary = file.with_name(f".{file.stem}.{os.getpid()}.npz")
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        np.savez_compressed(temporary, **arrays)  # type: ignore[arg-type]
        temporary.replace(file)
        _prune(file.parent)
    except OSError:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)


def _prune(place: Path) -> None:
    """Delete the files used least recently until the rest is small enough."""
    files = sorted(place.glob("*.npz"), key=lambda file: file.stat().st_mtime, reverse=True)
    total = 0
    for file in files:
        total += file.stat().st_size
        if total > MOST_BYTES and file != files[0]:
            file.unlink(missing_ok=True)


def _modules(place: Path) -> list[Path]:
    return sorted(place.rglob("*.py")) if place.is_dir() else [place]
