"""SDF parser: mol blocks of version V2000 with their data fields.

Dalby et al. 1992, "Description of several chemical structure file formats used by computer programs developed
at Molecular Design Limited"; BIOVIA, "CTfile formats".
"""

from __future__ import annotations

import re
from collections.abc import Iterator

import numpy as np

from supervised.data.molecules.molecule import Molecule, MoleculeError, molecule
from supervised.data.molecules.rings import AROMATIC

END = re.compile(r"^\$\$\$\$[^\n]*\n?", re.MULTILINE)
FIELD = re.compile(r"^>[^\n<]*<([^>]+)>[^\n]*$")
CHARGES = {0: 0, 1: 3, 2: 2, 3: 1, 4: 0, 5: -1, 6: -2, 7: -3}  # codes of the atom lines
HYDROGEN_ISOTOPES = {"D": "H", "T": "H"}


def records(text: str) -> Iterator[str]:
    """The records of an SDF, without their ``$$$$``; a mol file is one."""
    for part in END.split(text.replace("\r\n", "\n").replace("\r", "\n")):
        if part.strip():
            yield part


def from_mol_block(text: str) -> Molecule:
    """The molecule of one record: mol block, and fields where they follow.

    Raises:
        MoleculeError: naming the line that cannot be read.
    """
    lines = text.split("\n")
    if len(lines) < 4 or "V2000" not in lines[3]:
        version = "V3000" if len(lines) > 3 and "V3000" in lines[3] else "not a mol block"
        raise MoleculeError(f"{lines[0].strip()[:60] or 'record'}: {version}; V2000 can be read")
    name = lines[0].strip()
    try:
        atoms, count = int(lines[3][:3]), int(lines[3][3:6])
        table = [_atom(line) for line in lines[4 : 4 + atoms]]
        bonds = [_bond(line, atoms) for line in lines[4 + atoms : 4 + atoms + count]]
        if len(table) < atoms or len(bonds) < count:
            raise ValueError("it is cut off")
        rest = lines[4 + atoms + count :]
        charges = _charges([row[1] for row in table], rest)
        return molecule(
            [row[0] for row in table],
            charges,
            [None] * atoms,
            bonds,
            aromatic=_flags(atoms, bonds),
            positions=_positions([row[2] for row in table]),
            name=name,
            fields=_fields(rest),
        )
    except MoleculeError as error:
        raise MoleculeError(f"{name[:60] or 'record'}: {error}") from error
    except (ValueError, IndexError, KeyError) as error:
        raise MoleculeError(f"{name[:60] or 'record'}: not a V2000 mol block: {error}") from error


def _atom(line: str) -> tuple[str, int, tuple[float, float]]:
    symbol = line[31:34].strip()
    code = int(line[36:39].strip() or 0)
    return HYDROGEN_ISOTOPES.get(symbol, symbol), CHARGES[code], (float(line[:10]), float(line[10:20]))


def _bond(line: str, atoms: int) -> tuple[int, int, int]:
    a, b, order = int(line[:3]) - 1, int(line[3:6]) - 1, int(line[6:9])
    if not (0 <= a < atoms and 0 <= b < atoms) or a == b:
        raise ValueError(f"a bond between atoms {a + 1} and {b + 1} of {atoms}")
    if order not in (1, 2, 3, AROMATIC):
        raise ValueError(f"a bond of type {order}")
    return a, b, order


def _charges(of_lines: list[int], rest: list[str]) -> list[int]:
    """Those of the property lines ``M  CHG``, which replace all of the atom lines."""
    found: dict[int, int] = {}
    for line in rest:
        if line.startswith("M  END"):
            break
        if line.startswith("M  CHG"):
            numbers = [int(number) for number in line[9:].split()]
            found |= {numbers[i] - 1: numbers[i + 1] for i in range(0, len(numbers), 2)}
    return [found.get(i, 0) for i in range(len(of_lines))] if found else of_lines


def _flags(atoms: int, bonds: list[tuple[int, int, int]]) -> list[bool]:
    flags = [False] * atoms
    for a, b, order in bonds:
        if order == AROMATIC:
            flags[a] = flags[b] = True
    return flags


def _positions(rows: list[tuple[float, float]]) -> np.ndarray | None:
    """The drawing coordinates (N, 2); None where all atoms lie on one point."""
    positions = np.array(rows, np.float64)
    return positions if len(rows) == 1 or np.ptp(positions, axis=0).max() > 0 else None


def _fields(rest: list[str]) -> dict[str, str]:
    fields: dict[str, str] = {}
    name = ""
    for line in rest:
        if found := FIELD.match(line):
            name = found.group(1).strip()
            fields[name] = ""
        elif not line.strip():
            name = ""
        elif name:
            fields[name] = f"{fields[name]}\n{line}".strip()
    return fields
