"""Reader of a user's molecules: SDF, mol and SMILES files, a SMILES string, or stdin; see `readers`."""

from __future__ import annotations

import csv
import io
import sys
from collections.abc import Iterator
from pathlib import Path

from supervised.data.molecules.molecule import MoleculeError
from supervised.data.molecules.notation import from_text
from supervised.data.molecules.sdf import records
from supervised.data.readers import Fail
from supervised.data.sources.splits import DataError, read_text

ENDINGS = (".sdf", ".mol", ".smi", ".smiles", ".txt", ".csv")


def read_molecules(source: str, fail: Fail) -> Iterator[tuple[str, str]]:
    """Molecules as texts of `supervised.data.molecules.notation`, by name.

    Args:
        source: a file of V2000 records, of lines ``SMILES name``, or a CSV with a column ``smiles``; ``-``
            for any of these on stdin; else a SMILES string itself.
        fail: takes the name of each molecule that cannot be read, and why.

    Raises:
        DataError: if a file cannot be read, or there is no molecule.
    """
    found = 0
    for number, text in enumerate(molecule_texts(_content(source)), 1):
        found += 1
        try:
            name = from_text(text).name
        except MoleculeError as error:
            fail(f"molecule {number}", MoleculeError(f"molecule {number}: {error}"))
            continue
        yield name or f"molecule {number}", text
    if not found:
        raise DataError(f"--input {source or '(empty)'}: there is no molecule in it")


def molecule_texts(text: str) -> Iterator[str]:
    """The molecules of a file's text: SDF records, rows of a CSV with a column ``smiles``, or lines."""
    if "V2000" in text or "V3000" in text or "M  END" in text:
        yield from records(text)
        return
    lines = [line for line in text.splitlines() if line.strip() and not line.startswith("#")]
    if lines and "smiles" in (cell.strip(' "').lower() for cell in lines[0].split(",")):
        for row in csv.DictReader(io.StringIO("\n".join(lines)), skipinitialspace=True):
            cells = {(key or "").strip().lower(): str(cell or "").strip() for key, cell in row.items()}
            yield f"{cells['smiles']} {cells.get('name') or cells.get('iupac') or ''}".strip()
    else:
        yield from (line.strip() for line in lines)


def _content(source: str) -> str:
    if source == "-":
        return sys.stdin.read()
    path = Path(source)
    try:
        is_file = path.exists() or path.suffix.lower() in ENDINGS
    except OSError:  # far too long for a name
        is_file = False
    if not is_file:
        return source
    if path.is_dir():
        raise DataError(f"--input {path} is a folder: name a file in it")
    return read_text(path)
