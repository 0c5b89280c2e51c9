"""Data set from a user's folder: episodes that ``playfield collect`` recorded, or image files in subfolders.

Recorded episodes give the rendered frames (``collect --frames``), else the observations where these are
images; each with its action, reward and end (`supervised.data.episodes`). Image files (PNG, JPEG, …) must
all be of one size; those in a subfolder have its name as their label, and each is an episode by itself. All
images are downscaled to 64 × 64 by area averaging.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, UnidentifiedImageError

from generative.data.data_request import DataError, DataRequest
from generative.data.frames import downscale
from sim.records import Array
from supervised.data.columns import LabelColumn
from supervised.data.dataset import Dataset
from supervised.data.episodes import EpisodesError, recorded_episodes, recording_of

ENDINGS = {".png", ".jpg", ".jpeg", ".gif", ".bmp", ".webp"}
EVERY = 5  # steps between two frames of one episode, or fewer where there are too few frames


def collect(request: DataRequest) -> Dataset:
    """Make the data set: images (N, 64, 64, 3) uint8; the folder's path is `request.variant`.

    Raises:
        DataError: naming what is wrong with the folder, or the first file that is.
    """
    folder = Path(request.variant)
    if not folder.is_dir():
        raise DataError(f"there is no folder {folder}")
    return _pictures(folder, request) if recording_of(folder) is None else _episodes(folder, request)


def _episodes(folder: Path, request: DataRequest) -> Dataset:
    data = recording_of(folder)
    metadata: dict[str, Any] = {}
    if data is not None and (data / "metadata.json").is_file():
        metadata = json.loads((data / "metadata.json").read_text("utf-8"))
    world = str(metadata.get("playfield", {}).get("world", "recorded")).rpartition("/")[2]
    parts: list[dict[str, Array]] = []
    try:
        with recorded_episodes(folder, pictures=None) as episodes:
            whole = list(episodes)
            every = max(1, min(EVERY, sum(len(each.values) for _, each in whole) // request.count))
            for number, each in whole:
                places = range(0, len(each.values), every)
                seen = [downscale(as_rgb(np.asarray(each.values[at]), folder)) for at in places]
                parts.append({"values": np.stack(seen), **each.columns(number, places)})
    except EpisodesError as error:
        raise DataError(str(error)) from error
    if not parts:
        raise DataError(f"{folder} holds no episode")
    columns = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    count = len(columns["values"])
    rows = np.sort(np.random.default_rng(request.seed).permutation(count)[: request.count])
    return Dataset(labels=LabelColumn.one(world, count), **columns).take(rows)


def as_rgb(seen: Array, folder: Path) -> Array:
    """Convert a recorded frame, or the newest of a stack of grey ones, to (H, W, 3) uint8.

    Raises:
        DataError: if it is no image.
    """
    if seen.dtype == np.uint8 and seen.ndim == 3 and seen.shape[-1] == 3:
        return seen
    if seen.dtype == np.uint8 and seen.ndim == 3:
        return np.repeat(seen[-1][..., None], 3, -1)
    raise DataError(f"{folder} holds no pictures: record it anew with playfield collect --frames")


def _pictures(folder: Path, request: DataRequest) -> Dataset:
    files = sorted(path for path in folder.rglob("*") if path.suffix.lower() in ENDINGS)
    if not files:
        raise DataError(f"{folder} holds neither pictures nor what playfield collect writes")
    order = np.sort(np.random.default_rng(request.seed).permutation(len(files))[: request.count])
    files = [files[i] for i in order]
    names = [path.relative_to(folder).parts[0] if path.parent != folder else folder.name for path in files]
    label_names = tuple(sorted(set(names)))
    return Dataset(
        values=np.stack(list(_opened(files))),
        labels=LabelColumn(np.array([label_names.index(name) for name in names]), label_names),
        episodes=order.astype(np.int64),
    )


def _opened(files: list[Path]) -> Iterator[Array]:
    """Each image at 64 × 64; all must have the first one's size."""
    first: tuple[Path, tuple[int, int]] | None = None
    for path in files:
        try:
            with Image.open(path) as picture:
                rgb, size = np.asarray(picture.convert("RGB")), picture.size
        except (OSError, UnidentifiedImageError, Image.DecompressionBombError) as error:
            raise DataError(f"{path} is no picture that can be read: {error}") from error
        first = first or (path, size)
        if size != first[1]:
            raise DataError(
                f"{path} has {size[0]}×{size[1]} pixels and {first[0].name} {first[1][0]}×{first[1][1]}: "
                "all pictures of a folder must be of one size"
            )
        yield downscale(rgb)
