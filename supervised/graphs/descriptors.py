"""Molecular descriptors: numbers that follow from the graph alone, such as weight, log P and polar surface.

Sources: polar surface by Ertl, Rohde & Selzer 2000; log P by Wildman & Crippen 1999; connectivity indices by
Randić 1975 and Kier & Hall 1976; shape by Kier 1985; path numbers by Wiener 1947; rotatable bonds by Veber
et al. 2002. Aqueous solubility is known to follow from a few of them (Delaney 2004, "ESOL").
"""

from __future__ import annotations

import numpy as np

from sim.records import Array
from supervised.data.molecules.molecule import MASSES, Molecule
from supervised.data.molecules.rings import AROMATIC
from supervised.graphs.lipophilicity import HALOGENS, log_p

ELEMENTS = ("C", "N", "O", "S", "P", "F", "Cl", "Br", "I")
FAR = 250  # bonds between atoms of separate parts


def descriptors(whole: Molecule) -> dict[str, float]:
    """All descriptors by name.

    >>> from supervised.data.molecules.smiles import from_smiles
    >>> found = descriptors(from_smiles("CC(=O)O"))
    >>> round(found["weight"], 2), found["donors"], round(found["polar_surface"], 1)
    (60.05, 1.0, 37.3)
    """
    return _counts(whole) | _rings(whole) | _groups(whole) | _topology(whole)


def descriptor_table(molecules: list[Molecule]) -> Array:
    """(N, D) float32 of N molecules, in the order of `NAMES`."""
    rows = [list(descriptors(one).values()) for one in molecules]
    return np.array(rows, np.float32).reshape(len(molecules), -1)


def _counts(whole: Molecule) -> dict[str, float]:
    """Atoms by element, weight, log P, polar surface, hydrogen bonds, charges."""
    symbols, hydrogens = np.array(whole.symbols), whole.hydrogens
    polar = np.isin(symbols, ("N", "O"))
    parts = log_p(whole)
    weight = sum(MASSES[symbol] for symbol in whole.symbols) + MASSES["H"] * hydrogens.sum()
    found = {f"atoms_{element}": float((symbols == element).sum()) for element in ELEMENTS}
    return found | {
        "heavy_atoms": float(len(whole)),
        "weight": float(weight),
        "hydrogens": float(hydrogens.sum()),
        "log_p": float(parts.sum()),
        "log_p_positive": float(parts[parts > 0].sum()),
        "log_p_negative": float(parts[parts < 0].sum()),
        "polar_surface": sum(_surface(whole, atom) for atom in np.flatnonzero(polar).tolist()),
        "donors": float((polar & (hydrogens > 0)).sum()),
        "donor_hydrogens": float(hydrogens[polar].sum()),
        "acceptors": float((polar & (whole.charges <= 0)).sum()),
        "charged": float((whole.charges != 0).sum()),
        "halogens": float(np.isin(symbols, HALOGENS).sum()),
    }


def _rings(whole: Molecule) -> dict[str, float]:
    """Rings by kind, aromatic atoms, flexibility."""
    aromatic, symbols = whole.aromatic, whole.symbols
    sets = [set(ring) for ring in whole.rings]
    flat = [ring for ring in sets if all(aromatic[atom] for atom in ring)]
    hetero = [ring for ring in flat if any(symbols[atom] != "C" for atom in ring)]
    members = np.zeros(len(whole), int)
    for ring in sets:
        members[list(ring)] += 1
    carbons = [atom for atom, symbol in enumerate(symbols) if symbol == "C"]
    saturated = [a for a in carbons if all(order == 1 for _, order in whole.neighbours[a])]
    return {
        "rings": float(len(sets)),
        "aromatic_rings": float(len(flat)),
        "heteroaromatic_rings": float(len(hetero)),
        "aromatic_atoms": float(aromatic.sum()),
        "aromatic_share": float(aromatic.mean()),
        "fused_atoms": float((members > 1).sum()),
        "ring_atoms": float((members > 0).sum()),
        "largest_ring": float(max(map(len, sets), default=0)),
        "saturated_share": len(saturated) / max(1, len(carbons)),
        "rotatable_bonds": float(sum(_rotatable(whole))),
        "double_bonds": float((whole.orders == 2).sum()),
        "triple_bonds": float((whole.orders == 3).sum()),
    }


def _rotatable(whole: Molecule) -> list[bool]:
    """Single bonds outside of rings between atoms with other heavy neighbours, but for amides'."""
    found = []
    for (a, b), order, ring in zip(whole.bonds.tolist(), whole.orders, whole.in_ring, strict=True):
        inner = len(whole.neighbours[a]) > 1 and len(whole.neighbours[b]) > 1
        stiff = any(3 in [o for _, o in whole.neighbours[end]] for end in (a, b))
        pair = {whole.symbols[a], whole.symbols[b]}
        amide = pair == {"C", "N"} and _carbonyl(whole, a if whole.symbols[a] == "C" else b)
        found.append(order == 1 and not ring and inner and not stiff and not amide)
    return found


def _carbonyl(whole: Molecule, atom: int) -> bool:
    return any(order == 2 and whole.symbols[b] == "O" for b, order in whole.neighbours[atom])


def _groups(whole: Molecule) -> dict[str, float]:
    """Functional groups."""
    names = (
        "alcohols", "phenols", "acids", "esters", "ethers", "amides", "ketones", "amines_1", "amines_2",
        "amines_3", "anilines", "nitro", "nitriles", "sulphonyls", "methyls", "branchings", "quaternary",
    )  # fmt: skip
    found = dict.fromkeys(names, 0.0)
    for atom, symbol in enumerate(whole.symbols):
        for name in _groups_of(whole, atom, symbol):
            found[name] += 1
    return found


def _groups_of(whole: Molecule, atom: int, symbol: str) -> list[str]:
    """The functional groups that are counted at one atom."""
    around, hydrogens = whole.neighbours[atom], int(whole.hydrogens[atom])
    others = [b for b, _ in around]
    carbonyls = [b for b in others if whole.symbols[b] == "C" and _carbonyl(whole, b)]
    if symbol == "O" and all(order == 1 for _, order in around) and not whole.charges[atom]:
        if hydrogens:
            flat = any(whole.aromatic[b] for b in others)
            return ["acids" if carbonyls else "phenols" if flat else "alcohols"]
        return ["esters" if carbonyls else "ethers"]
    if symbol == "N" and not whole.aromatic[atom]:
        if whole.charges[atom] > 0:
            return ["nitro"] if sum(whole.symbols[b] == "O" for b in others) > 1 else []
        if any(order == 3 for _, order in around):
            return ["nitriles"]
        if any(order == 2 for _, order in around):
            return []
        aniline = ["anilines"] if any(whole.aromatic[b] for b in others) else []
        return ["amides"] if carbonyls else [f"amines_{max(1, 3 - hydrogens)}", *aniline]
    if symbol == "S":
        return ["sulphonyls"] if sum(o == 2 and whole.symbols[b] == "O" for b, o in around) > 1 else []
    if symbol == "C":
        ketone = _carbonyl(whole, atom) and all(whole.symbols[b] == "C" for b, o in around if o != 2)
        kinds = {1: "methyls", 3: "branchings", 4: "quaternary"}
        plain = not whole.aromatic[atom] and all(order == 1 for _, order in around)
        return ["ketones"] * ketone + ([kinds[len(around)]] if plain and len(around) in kinds else [])
    return []


def _surface(whole: Molecule, atom: int) -> float:
    """Polar surface in Å² of a nitrogen or oxygen atom, by its bonds and hydrogens."""
    hydrogens, charge = int(whole.hydrogens[atom]), int(whole.charges[atom])
    orders = [order for _, order in whole.neighbours[atom]]
    if whole.symbols[atom] == "O":
        if whole.aromatic[atom]:
            return 13.14
        if 2 in orders:
            return 17.07
        return 23.06 if charge < 0 else 20.23 if hydrogens else 9.23
    if whole.aromatic[atom]:
        return 15.79 if hydrogens else 4.93 if len(orders) == 3 else 12.89
    if 3 in orders:
        return 23.79
    if charge > 0:
        return 3.01 if 2 in orders else {3: 27.64, 2: 16.61, 1: 4.44}.get(hydrogens, 0.0)
    if 2 in orders:
        return 23.85 if hydrogens else 12.36
    return {2: 26.02, 1: 12.03}.get(hydrogens, 3.24)


def _topology(whole: Molecule) -> dict[str, float]:
    """Connectivity, shape and path indices."""
    size = len(whole)
    distances = bond_distances(whole)
    degree = np.array([max(1, len(around)) for around in whole.neighbours], np.float64)
    a, b = whole.bonds[:, 0], whole.bonds[:, 1]
    joined = distances < FAR
    bonds = max(1, len(whole.bonds))
    two = float((degree * (degree - 1) / 2).sum())
    return {
        "parts": float(len(np.unique(joined, axis=0))),
        "wiener": float(np.log1p(distances[joined].sum() / 2)),
        "mean_distance": float(distances[joined].mean()),
        "diameter": float(distances[joined].max()),
        "chi_0": float((degree**-0.5).sum()),
        "chi_1": float(((degree[a] * degree[b]) ** -0.5).sum()),
        "kappa_1": size * (size - 1) ** 2 / bonds**2,
        "kappa_2": (size - 1) * (size - 2) ** 2 / two**2 if size > 2 and two else 0.0,
        "conjugated_bonds": float((whole.orders == AROMATIC).sum() + (whole.orders == 2).sum()),
    }


def bond_distances(whole: Molecule) -> Array:
    """(N, N) int64: fewest bonds between atoms; `FAR` for those of separate parts."""
    size = len(whole)
    linked = np.zeros((size, size), bool)
    linked[whole.bonds[:, 0], whole.bonds[:, 1]] = linked[whole.bonds[:, 1], whole.bonds[:, 0]] = True
    distances = np.where(np.eye(size, dtype=bool), 0, FAR)
    reached = np.eye(size, dtype=bool)
    for step in range(1, size):
        wider = (reached.astype(np.float32) @ linked.astype(np.float32)) > 0
        new = wider & (distances == FAR)
        if not new.any():
            break
        distances[new] = step
        reached = new
    return distances


_METHANE = Molecule(
    ("C",), np.zeros(1, np.int64), np.full(1, 4), np.zeros((0, 2), np.int64), np.zeros(0, np.int64)
)
#: The descriptors, in their order.
NAMES = tuple(descriptors(_METHANE))
