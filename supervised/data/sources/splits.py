"""Training, validation and test data with their origin; files of installed packages."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from importlib import metadata, util
from pathlib import Path
from typing import Any

import numpy as np

from sim.catalog import MissingPackageError, install_hint
from sim.errors import RequestError
from sim.records import Array
from supervised.data.dataset import Dataset


class DataError(RequestError, ValueError):
    """Data that cannot be used: a file that cannot be read, cells that are no numbers, one class only."""


@dataclass(frozen=True)
class Source:
    """Where data come from; kept in the card of what was trained on them.

    Attributes:
        name: of the data, in words.
        origin: the package with its version, the path of a file, or the program that makes them.
        licence: of the data, an SPDX name where there is one; "" where nobody said.
        sha256: of the file or files that were read; "" for data that are drawn at random.
    """

    name: str
    origin: str
    licence: str = ""
    sha256: str = ""

    def protocol(self) -> dict[str, str]:
        """Those that are known, as keys of a protocol stamp."""
        told = {"data": self.name, "origin": self.origin, "licence": self.licence, "sha256": self.sha256}
        return {key: value for key, value in told.items() if value}


@dataclass(frozen=True)
class Splits:
    """A task's data: each data set has columns ``values`` (inputs), ``truths`` and ``episodes`` (the unit).

    Attributes:
        train: to learn from.
        validation: to stop early and to choose by; no unit of it is in `train`.
        test: to grade; no unit of it is in the other two.
        unit: what the split keeps together, and intervals are drawn over: "child", "molecule", "tune".
        source: where the data come from.
        classes: names of the classes, or of the targets.
        skipped: what was left out, in words, by reason; "3 rows without a number".
        extra_tests: other test sets by name, such as of a split by scaffold.
    """

    train: Dataset
    validation: Dataset
    test: Dataset
    unit: str
    source: Source
    classes: tuple[str, ...] = ()
    skipped: tuple[str, ...] = ()
    extra_tests: dict[str, Dataset] = field(default_factory=dict)


def package_file(package: str, path: str) -> Path:
    """A file of an installed package, without importing the package.

    Args:
        package: import name, such as ``datamol``.
        path: inside the package's folder.

    Raises:
        MissingPackageError: with the line that installs it.
        DataError: if another version of the package has no such file.
    """
    found = util.find_spec(package)
    if found is None or not found.submodule_search_locations:
        raise MissingPackageError(f"these data lie in {install_hint(package)}")
    file = Path(found.submodule_search_locations[0]) / path
    if not file.is_file():
        raise DataError(f"the package {package} {version(package)} has no {path}: install another version")
    return file


def version(package: str) -> str:
    """Version of an installed package; "unknown" for one without metadata."""
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return "unknown"


def sha256(*files: Path) -> str:
    """Digest of the content of files, in order."""
    digest = hashlib.sha256()
    for file in files:
        digest.update(file.read_bytes())
    return digest.hexdigest()


def read_text(path: Path) -> str:
    """The text of a user's UTF-8 file, without a byte order mark.

    Raises:
        DataError: if it cannot be read, is empty, or is not UTF-8, with the line of the first wrong byte.
    """
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror}") from error
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw[: error.start].count(b"\n") + 1
        raise DataError(f"{path}, line {line}: not UTF-8 text; save it as UTF-8") from error
    if not text.strip():
        raise DataError(f"{path} is empty")
    return text


def three_parts(
    units: Array | Sequence[Any], seed: int, shares: tuple[float, float] = (0.1, 0.2)
) -> tuple[Array, Array, Array]:
    """Rows (K,) int64 of training, validation and test: whole units, in random order.

    Args:
        units: (N,) the unit of each example.
        seed: of the order.
        shares: of the units that validate, and that test; each has at least one unit.

    Raises:
        DataError: for fewer than three units.

    >>> [rows.tolist() for rows in three_parts([0, 0, 1, 2], seed=1)]
    [[3], [0, 1], [2]]
    """
    names, own = np.unique(np.asarray(units), return_inverse=True)
    if len(names) < 3:
        raise DataError(
            f"there are only {len(names)} independent examples: at least 3 are needed to split them"
        )
    order = np.random.default_rng(seed).permutation(len(names))
    held = [max(1, round(share * len(names))) for share in shares]
    part = np.zeros(len(names), np.int64)
    part[order[: held[0]]] = 1
    part[order[held[0] : sum(held)]] = 2
    return tuple(np.flatnonzero(part[own] == i) for i in range(3))  # type: ignore[return-value]
