"""Points of the plane in two classes: separable by a line, or two interleaved half circles; or a user's CSV.

| name | points | classes |
|---|---|---|
| ``line`` | drawn on both sides of a line, with a gap around it | "below", "above" |
| ``moons`` | two half circles with noise, by scikit-learn | "outer", "inner" |
"""

from __future__ import annotations

import csv
import io
from collections.abc import Callable
from pathlib import Path

import numpy as np

from sim.fields import nearest
from sim.records import Array, Percept
from supervised.data.columns import ArrayColumn
from supervised.data.dataset import Dataset
from supervised.data.sources.splits import DataError, Source, Splits, read_text, sha256, three_parts

POINTS = 400
GAP = 0.15  # of the separable points from their line, at least
NOISE = 0.2  # of the moons, a standard deviation


def plane_splits(name: str, path: Path | None, *, seed: int) -> Splits:
    """Points by name, or a user's CSV: two columns of numbers and one with two names.

    Raises:
        DataError: for an unknown name or a file that cannot be learned from.
    """
    if path is not None:
        return _own(path, seed)
    if name not in SOURCES:
        raise DataError(f'there are no data "{name}"; {nearest(name, SOURCES)}, or name a .csv file')
    return SOURCES[name](seed)


def line_points(seed: int) -> tuple[Array, Array, Array]:
    """Points (N, 2) in [−1, 1]², their sides (N,), −1 or 1, and the line (3,): a unit normal and b."""
    generator = np.random.default_rng(seed)
    angle = generator.uniform(0, 2 * np.pi)
    line = np.array([np.cos(angle), np.sin(angle), generator.uniform(-0.3, 0.3)])
    points = generator.uniform(-1, 1, (20 * POINTS, 2))
    distance = points @ line[:2] + line[2]
    kept = np.flatnonzero(np.abs(distance) >= GAP)[:POINTS]
    return points[kept], np.sign(distance[kept]), line


def _line(seed: int) -> Splits:
    points, sides, _ = line_points(seed)
    source = Source(f"points on both sides of a line, seed {seed}", "drawn by this project", "CC0-1.0")
    return _splits(points, (sides > 0).astype(int), ("below", "above"), source, seed)


def _moons(seed: int) -> Splits:
    from sklearn.datasets import make_moons

    points, labels = make_moons(POINTS, noise=NOISE, random_state=seed)
    source = Source(f"two moons, noise {NOISE}, seed {seed}", "drawn by scikit-learn", "CC0-1.0")
    return _splits(points, labels, ("outer", "inner"), source, seed)


SOURCES: dict[str, Callable[[int], Splits]] = {"line": _line, "moons": _moons}


def _own(path: Path, seed: int) -> Splits:
    rows = [row for row in csv.reader(io.StringIO(read_text(path))) if any(cell.strip() for cell in row)]
    points, names, skipped = [], [], 0
    for row in rows:
        try:
            x, y = float(row[0]), float(row[1])
            name = row[2].strip()
        except (ValueError, IndexError):
            skipped += 1
            continue
        if np.isfinite([x, y]).all() and name:
            points.append((x, y))
            names.append(name)
        else:
            skipped += 1
    classes = tuple(sorted(set(names)))
    if len(classes) != 2:
        told = ", ".join(classes[:5]) or "none"
        raise DataError(
            f"{path}: two classes are needed in the third column; there are {len(classes)}: {told}"
        )
    labels = np.array([classes.index(name) for name in names])
    source = Source(path.name, str(path), "", sha256(path))
    left_out = (f"{skipped} rows without two numbers and a name",) if skipped else ()
    return _splits(np.array(points), labels, classes, source, seed, left_out)


def _splits(
    points: Array,
    labels: Array,
    names: tuple[str, ...],
    source: Source,
    seed: int,
    skipped: tuple[str, ...] = (),
) -> Splits:
    def part(rows: Array) -> Dataset:
        truths = tuple(Percept("truth", label=names[label]) for label in labels[rows])
        values = ArrayColumn(points[rows].astype(np.float32), ("x", "y"))
        return Dataset(values=values, truths=truths, episodes=rows)

    train, validation, test = (part(rows) for rows in three_parts(np.arange(len(points)), seed))
    return Splits(train, validation, test, "point", source, names, skipped)
