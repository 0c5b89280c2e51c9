"""Data set from a user's folder: episodes that ``playfield collect`` recorded, or image files in subfolders.

Recorded episodes give the rendered frames (``collect --frames``), else the observations where these are
images. Image files (PNG, JPEG, …) must all be of one size; those in a subfolder have its name as their label,
and each is an episode by itself. All images are downscaled to 64 × 64 by area averaging.
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
    data = next((place for place in (folder / "data", folder) if (place / "main_data.hdf5").is_file()), None)
    return _episodes(data, request) if data is not None else _pictures(folder, request)


def _episodes(folder: Path, request: DataRequest) -> Dataset:
    import h5py  # type: ignore[import-untyped]

    metadata: dict[str, Any] = {}
    if (folder / "metadata.json").is_file():
        metadata = json.loads((folder / "metadata.json").read_text("utf-8"))
    world = str(metadata.get("playfield", {}).get("world", "recorded")).rpartition("/")[2]
    values: list[Array] = []
    episodes: list[int] = []
    try:
        with h5py.File(folder / "main_data.hdf5", "r") as file:
            groups = sorted(file, key=lambda name: int(name.rpartition("_")[2]))
            steps = {name: len(_seen(file[name], folder)) for name in groups}
            every = max(1, min(EVERY, sum(steps.values()) // request.count))
            for number, name in enumerate(groups):
                seen = _seen(file[name], folder)
                for at in range(0, steps[name], every):
                    values.append(downscale(as_rgb(np.asarray(seen[at]), folder)))
                    episodes.append(number)
    except OSError as error:
        raise DataError(f"{folder} is damaged or no recording of playfield collect: {error}") from error
    if not values:
        raise DataError(f"{folder} holds no episode")
    rows = np.sort(np.random.default_rng(request.seed).permutation(len(values))[: request.count])
    whole = Dataset(
        values=np.stack(values),
        labels=LabelColumn.one(world, len(values)),
        episodes=np.array(episodes, np.int64),
    )
    return whole.take(rows)


def _seen(group: Any, folder: Path) -> Any:
    """The frames (T + 1, …) of an episode."""
    if "infos" in group and "rgb" in group["infos"]:
        return group["infos"]["rgb"]
    if not hasattr(group["observations"], "shape"):
        raise DataError(f"{folder} holds no pictures: record it anew with playfield collect --frames")
    return group["observations"]


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
