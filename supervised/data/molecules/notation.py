"""Notations of molecules: a V2000 record, or a line of a SMILES string with a name behind it."""

from __future__ import annotations

from supervised.data.molecules.molecule import Molecule
from supervised.data.molecules.sdf import from_mol_block
from supervised.data.molecules.smiles import from_smiles


def from_text(text: str) -> Molecule:
    """The molecule that a text describes.

    Raises:
        MoleculeError: saying what cannot be read.

    >>> from_text("CCO ethanol").name
    'ethanol'
    """
    if "\n" in text.strip() or "V2000" in text:
        return from_mol_block(text)
    smiles, *name = text.split(maxsplit=1) or [""]
    return from_smiles(smiles, name[0].strip() if name else smiles)
