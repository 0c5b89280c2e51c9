"""Octanol–water partition coefficient log P as a sum over atom types.

Wildman & Crippen 1999, "Prediction of physicochemical parameters by atomic contributions", table 1, in the
reading of its types that RDKit gives (`Data/Crippen.txt`).
"""

from __future__ import annotations

import numpy as np

from sim.records import Array
from supervised.data.molecules.molecule import Molecule

HALOGENS = ("F", "Cl", "Br", "I")
HETERO = ("N", "O", "S", *HALOGENS)
OTHER = {"F": 0.4202, "Cl": 0.6895, "Br": 0.8456, "I": 0.8857, "P": 0.8612}
METAL = -0.3808
ON_AROMATIC = {
    "C": 0.136,
    "N": 0.4619,
    "O": 0.5437,
    "S": 0.1893,
    "F": 0.0,
    "Cl": 0.245,
    "Br": 0.198,
    "I": 0.0,
}
ODD_ON_AROMATIC = -0.5443


def log_p(whole: Molecule) -> Array:
    """(N,) contributions of the atoms with their hydrogens; log P is their sum.

    >>> from supervised.data.molecules.smiles import from_smiles
    >>> float(log_p(from_smiles("c1ccccc1")).sum().round(4))
    1.6866
    """
    found = [_heavy(whole, atom) + _hydrogens(whole, atom) for atom in range(len(whole))]
    return np.array(found, np.float64)


def _heavy(whole: Molecule, atom: int) -> float:
    symbol = whole.symbols[atom]
    if symbol == "C":
        return _aromatic_carbon(whole, atom) if whole.aromatic[atom] else _carbon(whole, atom)
    if symbol == "N":
        return _nitrogen(whole, atom)
    if symbol == "O":
        return _oxygen(whole, atom)
    if symbol == "S":
        return 0.6237 if whole.aromatic[atom] else -0.0024 if whole.charges[atom] else 0.6482
    if symbol in HALOGENS and whole.charges[atom]:
        return -2.996
    return OTHER.get(symbol, METAL)


def _aromatic_carbon(whole: Molecule, atom: int) -> float:
    around = whole.neighbours[atom]
    if whole.hydrogens[atom]:
        return 0.1581
    outside = [(b, order) for b, order in around if order != 4]
    if not outside:
        return 0.2955 if len(around) == 3 else 0.08129
    other, order = outside[0]
    if order == 2:
        return -0.8186
    if whole.aromatic[other]:
        return 0.2713
    return ON_AROMATIC.get(whole.symbols[other], ODD_ON_AROMATIC)


def _carbon(whole: Molecule, atom: int) -> float:
    around = whole.neighbours[atom]
    symbols = [whole.symbols[b] for b, _ in around]
    orders = [order for _, order in around]
    hydrogens = int(whole.hydrogens[atom])
    if 3 in orders:
        return 0.0017
    if 2 in orders:
        doubled = [b for b, order in around if order == 2]
        if any(whole.symbols[b] != "C" for b in doubled):
            return -0.2783
        if any(whole.aromatic[b] for b, _ in around):
            return 0.264
        return 0.1551
    aromatic = [b for b, _ in around if whole.aromatic[b]]
    if any(symbol in HETERO for symbol in symbols) and not (aromatic and hydrogens == 3):
        return -0.2035 if hydrogens >= 2 else -0.2051
    if aromatic:
        on_carbon = whole.symbols[aromatic[0]] == "C"
        return {3: 0.08452 if on_carbon else -0.1444, 2: -0.0516, 1: 0.1193}.get(hydrogens, -0.0967)
    if any(symbol != "C" for symbol in symbols):
        return 0.2148
    return 0.1441 if hydrogens >= 2 else 0.0


def _nitrogen(whole: Molecule, atom: int) -> float:
    around, hydrogens = whole.neighbours[atom], int(whole.hydrogens[atom])
    charge, orders = int(whole.charges[atom]), [order for _, order in whole.neighbours[atom]]
    if whole.aromatic[atom]:
        return -1.119 if charge > 0 else -0.3239
    if charge > 0:
        return -1.95 if hydrogens else 0.2887 if 3 in orders else -0.3396
    if charge < 0:
        return 0.2887
    if 3 in orders:
        return 0.01508
    if 2 in orders:
        return 0.08387 if hydrogens else 0.1836
    aromatic = any(whole.aromatic[b] for b, _ in around)
    plain = {2: -1.019, 1: -0.7096, 0: -0.3187}
    return ({2: -1.027, 1: -0.5188, 0: -0.4458} if aromatic else plain).get(hydrogens, -0.4806)


def _oxygen(whole: Molecule, atom: int) -> float:
    around = whole.neighbours[atom]
    if whole.aromatic[atom]:
        return 0.1552
    if whole.hydrogens[atom]:
        return -0.2893
    if not around:
        return -0.1188
    other, order = around[0]
    symbol = whole.symbols[other]
    if order == 2:
        if symbol in ("N", "O"):
            return 0.0335
        if whole.aromatic[other]:
            return 0.1788
        return _carbonyl_oxygen(whole, atom, other) if symbol == "C" else -0.1188
    if whole.charges[atom] < 0:
        if symbol == "C":
            return -1.326 if any(o == 2 for _, o in whole.neighbours[other]) else -1.189
        return {"N": 0.0335, "S": -0.3339}.get(symbol, -1.189)
    return -0.4195 if any(whole.aromatic[b] for b, _ in around) else -0.0684


def _carbonyl_oxygen(whole: Molecule, atom: int, carbon: int) -> float:
    """Oxygen of C=O: by what else the carbon is bound to."""
    others = [b for b, _ in whole.neighbours[carbon] if b != atom]
    if any(whole.aromatic[b] for b in others):
        return 0.1129
    carbons = sum(whole.symbols[b] == "C" for b in others)
    return 0.4833 if len(others) == 2 and not carbons else -0.1526


def _hydrogens(whole: Molecule, atom: int) -> float:
    """Contribution of all hydrogens of an atom."""
    count, symbol = int(whole.hydrogens[atom]), whole.symbols[atom]
    if symbol == "C":
        return count * 0.123
    if symbol == "N":
        return count * 0.2142
    if symbol != "O" or not whole.neighbours[atom]:
        return count * -0.2677
    other = whole.neighbours[atom][0][0]
    if whole.symbols[other] == "N":
        return count * 0.2142
    acid = whole.symbols[other] == "C" and any(
        order == 2 and whole.symbols[b] in ("C", "N", "O", "S") for b, order in whole.neighbours[other]
    )
    return count * (0.298 if acid or whole.symbols[other] in ("O", "S") else -0.2677)
