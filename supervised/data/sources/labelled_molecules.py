"""Molecules with measured values, as data sets; and those of a user's SDF or CSV."""

from __future__ import annotations

import csv
import io
import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from sim.fields import nearest
from sim.plurals import number_of
from sim.records import Array, Percept
from supervised.data.columns import TextColumn
from supervised.data.dataset import Dataset
from supervised.data.molecules.molecule import Molecule, MoleculeError
from supervised.data.molecules.notation import from_text
from supervised.data.molecules.sdf import from_mol_block, records
from supervised.data.sources.splits import DataError, Source, Splits, read_text, sha256, three_parts

VALIDATION, TEST = 0.1, 0.2  # shares of the units
REASONS = 5  # named at most
NUMERIC = 0.5  # share of numbers from which on a field is one of numbers
NUMBERING = ("id", "cid", "index", "number")  # fields of numbers that are no property


@dataclass
class Labelled:
    """One molecule with what was measured.

    Attributes:
        text: of `supervised.data.molecules.notation`.
        graph: the molecule.
        values: target → value.
        computed: target → value by molecular dynamics.
    """

    text: str
    graph: Molecule
    values: dict[str, float]
    computed: dict[str, float] = field(default_factory=dict)


def dataset(rows: Sequence[Labelled], units: Array) -> Dataset:
    """Columns values (texts), truths and episodes, which are the `units` (N,)."""
    truths = [
        Percept("truth", extras={"value": one.values} | ({"computed": one.computed} if one.computed else {}))
        for one in rows
    ]
    return Dataset(values=TextColumn(tuple(one.text for one in rows)), truths=truths, episodes=units)


def target_names(rows: Iterable[Labelled]) -> tuple[str, ...]:
    """The targets in the order in which they occur."""
    return tuple(dict.fromkeys(name for one in rows for name in one.values))


def split_at_random(
    rows: Sequence[Labelled],
    unit: str,
    source: Source,
    seed: int,
    skipped: tuple[str, ...] = (),
    names: Sequence[str] | None = None,
) -> Splits:
    """Molecules split at random by the `names` (N,) of their units, or by their graphs.

    A name that more than `VALIDATION` of all molecules share is learned from, as benzene is of scaffolds.

    Raises:
        DataError: for fewer than three units.
    """
    keys = names if names is not None else [one.graph.key for one in rows]
    number = {key: i for i, key in enumerate(dict.fromkeys(keys))}
    units = np.array([number[key] for key in keys], np.int64)
    large = (
        np.bincount(units)[units] > VALIDATION * len(rows) if names is not None else np.zeros(len(rows), bool)
    )
    small = np.flatnonzero(~large)
    parts = [small[part] for part in three_parts(units[small], seed, (VALIDATION, TEST))]
    parts[0] = np.sort(np.concatenate([parts[0], np.flatnonzero(large)]))
    train, validation, test = (dataset([rows[i] for i in part], units[part]) for part in parts)
    return Splits(train, validation, test, unit, source, target_names(rows), skipped)


def without_fields(record: str) -> str:
    """An SDF record without its fields, of which one is the answer."""
    head, end, _ = record.partition("M  END")
    return head + end


#: A molecule with its text, or why it cannot be read; and its fields.
Own = tuple[tuple[str, Molecule] | MoleculeError, Mapping[str, str]]


def own_splits(path: Path, targets: Sequence[str], seed: int) -> Splits:
    """Molecules of an SDF, or of a CSV with a column ``smiles``, split at random.

    Args:
        path: of the file.
        targets: names of its fields or columns; none: the last one of numbers.
        seed: of the split.

    Raises:
        DataError: for a file that cannot be read, or has too few molecules with numbers.
    """
    text = read_text(path)
    rows = _csv(text, path) if path.suffix.lower() == ".csv" else _sdf(text)
    wrong = Counter(str(found) for found, _ in rows if isinstance(found, MoleculeError))
    graphs = [(found, fields) for found, fields in rows if not isinstance(found, MoleculeError)]
    names = _targets(path, targets, [fields for _, fields in graphs])
    kept = []
    for (own, graph), fields in graphs:
        numbers = {name: _number(fields.get(name, "")) for name in names}
        values = {name: number for name, number in numbers.items() if math.isfinite(number)}
        if values:
            kept.append(Labelled(own, graph, values))
    _check(path, kept, names)
    skipped = [f"{number_of(count, 'molecule')}: {reason}" for reason, count in wrong.most_common(REASONS)]
    if len(wrong) > REASONS:
        rest = wrong.total() - sum(count for _, count in wrong.most_common(REASONS))
        skipped.append(f"{number_of(rest, 'molecule')} for other reasons")
    if len(graphs) > len(kept):
        without = number_of(len(graphs) - len(kept), "molecule")
        skipped.append(f"{without} without a number in {', '.join(names)}")
    source = Source(path.name, str(path), "", sha256(path))
    return split_at_random(kept, "molecule", source, seed, tuple(skipped))


def _check(path: Path, kept: Sequence[Labelled], names: Sequence[str]) -> None:
    if len({one.graph.key for one in kept}) < 3:
        several = number_of(len(kept), "molecule")
        raise DataError(f"{path} has {several} with numbers in {', '.join(names)}: too few")
    for name in names:
        if len({one.values[name] for one in kept if name in one.values}) < 2:
            raise DataError(f"{path}: every {name} is the same, so that there is nothing to learn")


def _sdf(text: str) -> list[Own]:
    found: list[Own] = []
    for record in records(text):
        try:
            graph = from_mol_block(record)
            found.append(((without_fields(record), graph), graph.fields))
        except MoleculeError as error:
            found.append((_reason(error), {}))
    return found


def _csv(text: str, path: Path) -> list[Own]:
    try:
        rows = list(csv.DictReader(io.StringIO(text), skipinitialspace=True))
    except csv.Error as error:
        raise DataError(f"{path} is not a table of comma-separated values: {error}") from error
    names = [name for name in (rows[0] if rows else {}) if (name or "").strip().lower() == "smiles"]
    if not names:
        raise DataError(f"{path} has no column smiles")
    found: list[Own] = []
    for row in rows:
        smiles = (row[names[0]] or "").strip()
        fields = {name: cell for name, cell in row.items() if name != names[0] and isinstance(cell, str)}
        try:
            found.append(((smiles, from_text(smiles)), fields))
        except MoleculeError as error:
            found.append((_reason(error), fields))
    return found


def _reason(error: MoleculeError) -> MoleculeError:
    """The reason without the molecule's name, so that the same ones are counted together."""
    return MoleculeError(str(error).rpartition(": ")[2])


def _targets(path: Path, targets: Sequence[str], fields: Sequence[Mapping[str, str]]) -> tuple[str, ...]:
    """The names of the targets: those asked for, or the last field of numbers."""
    counts = Counter(name for row in fields for name, cell in row.items() if math.isfinite(_number(cell)))
    names = list(dict.fromkeys(name for row in fields for name in row))
    for name in targets:
        if name not in names:
            raise DataError(f"{path} has no field {name}; {nearest(name, names)}")
    numeric = [n for n in names if counts[n] > NUMERIC * len(fields) and n.lower() not in NUMBERING]
    if not targets and not numeric:
        raise DataError(f"{path} has no field of numbers; it has {', '.join(names) or 'no fields'}")
    return tuple(targets) or (numeric[-1],)


def _number(cell: str) -> float:
    try:
        return float(cell)
    except ValueError:
        return math.nan
