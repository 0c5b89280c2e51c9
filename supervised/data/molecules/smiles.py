"""SMILES parser: the OpenSMILES grammar without stereochemistry, which is read and left out.

Weininger 1988, "SMILES, a chemical language and information system". Charges, isotopes, ring closures to
``%99``, branches, aromatic atoms and separate parts (``.``) are read.
"""

from __future__ import annotations

import re

from supervised.data.molecules.molecule import Molecule, MoleculeError, molecule

ORDERS = {"-": 1, "/": 1, "\\": 1, "=": 2, "#": 3, ":": 4}
ATOM = re.compile(r"Cl|Br|[BCNOPSFI]|[bcnops]")
BRACKET = re.compile(
    r"\[(\d*)([A-Z][a-z]?|[a-z][a-z]?)(@{0,2}(?:TH|AL|SP|TB|OH)?\d*)(H\d*)?([+-]+\d*)?(:\d+)?\]"
)
CLOSURE = re.compile(r"%(\d\d)|(\d)")
LONGEST = 2_000  # characters


class _Reader:
    """State of the parse: atoms and bonds so far, the atom to go on from, open branches and rings."""

    def __init__(self, text: str) -> None:
        self.text, self.at = text, 0
        self.symbols: list[str] = []
        self.charges: list[int] = []
        self.hydrogens: list[int | None] = []
        self.aromatic: list[bool] = []
        self.bonds: list[tuple[int, int, int]] = []
        self.last: int | None = None
        self.order = 0  # of the next bond; 0: as the atoms say
        self.branches: list[int | None] = []
        self.open: dict[str, tuple[int, int]] = {}

    def fail(self, what: str) -> MoleculeError:
        return MoleculeError(f"SMILES {self.text[:60]!r}, character {self.at + 1}: {what}")

    def atom(self, symbol: str, charge: int, hydrogens: int | None) -> None:
        self.symbols.append(symbol.capitalize())
        self.charges.append(charge)
        self.hydrogens.append(hydrogens)
        self.aromatic.append(symbol.islower())
        new = len(self.symbols) - 1
        if self.last is not None:
            self.bond(self.last, new, self.order)
        self.last, self.order = new, 0

    def bond(self, a: int, b: int, order: int) -> None:
        if order == 0 and not (self.aromatic[a] and self.aromatic[b]):
            order = 1
        if a == b or any({a, b} == set(bond[:2]) for bond in self.bonds):
            raise self.fail("two bonds between the same atoms")
        self.bonds.append((a, b, order))

    def close(self, ring: str) -> None:
        if self.last is None:
            raise self.fail("a ring closure without an atom")
        if ring not in self.open:
            self.open[ring] = (self.last, self.order)
        else:
            other, order = self.open.pop(ring)
            if order and self.order and order != self.order:
                raise self.fail(f"ring closure {ring} has two orders")
            self.bond(other, self.last, order or self.order)
        self.order = 0


def from_smiles(text: str, name: str = "") -> Molecule:
    """The molecule of a SMILES string.

    Raises:
        MoleculeError: naming the character that cannot be read.

    >>> ethanol = from_smiles("CCO")
    >>> ethanol.symbols, ethanol.hydrogens.tolist()
    (('C', 'C', 'O'), [3, 2, 1])
    """
    text = text.strip()
    if not text or len(text) > LONGEST:
        raise MoleculeError(f"a SMILES string has 1 to {LONGEST:,} characters, not {len(text):,}")
    reader = _Reader(text)
    while reader.at < len(text):
        _step(reader)
    if reader.open or reader.branches:
        raise reader.fail("a ring or branch is not closed")
    if reader.order or not reader.symbols:
        raise reader.fail("an atom is missing")
    return molecule(
        reader.symbols,
        reader.charges,
        reader.hydrogens,
        reader.bonds,
        aromatic=reader.aromatic,
        name=name,
    )


def _step(reader: _Reader) -> None:
    """Read one token."""
    text, at = reader.text, reader.at
    if found := BRACKET.match(text, at):
        _, symbol, _, hydrogens, charge, _ = found.groups()
        count = 0 if hydrogens is None else int(hydrogens[1:] or 1)
        reader.atom(symbol, _charge(charge or ""), count)
    elif found := ATOM.match(text, at):
        reader.atom(found.group(), 0, None)
    elif found := CLOSURE.match(text, at):
        reader.close(found.group(1) or found.group(2))
    elif text[at] in ORDERS:
        reader.order = ORDERS[text[at]]
    elif text[at] == "(" and reader.last is not None:
        reader.branches.append(reader.last)
    elif text[at] == ")" and reader.branches:
        reader.last = reader.branches.pop()
    elif text[at] == "." and not reader.order:
        reader.last = None
    else:
        raise reader.fail(f"{text[at]!r} cannot be read")
    reader.at += len(found.group()) if found else 1


def _charge(text: str) -> int:
    """Of ``+``, ``--`` or ``-2``."""
    if not text:
        return 0
    sign = 1 if text[0] == "+" else -1
    digits = text.lstrip("+-")
    return sign * (int(digits) if digits else len(text))
