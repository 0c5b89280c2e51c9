"""Molecule: a graph of heavy atoms and bonds, hydrogens counted, in one form whatever file it came from."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np

from sim.errors import RequestError
from sim.records import Array
from supervised.data.molecules.rings import AROMATIC, aromatic_bonds, ring_basis

#: Symbol → atomic mass in g/mol (IUPAC 2021, abridged).
MASSES = {
    "H": 1.008, "Li": 6.94, "B": 10.81, "C": 12.011, "N": 14.007, "O": 15.999, "F": 18.998, "Na": 22.990,
    "Mg": 24.305, "Al": 26.982, "Si": 28.085, "P": 30.974, "S": 32.06, "Cl": 35.45, "K": 39.098, "Ca": 40.078,
    "Fe": 55.845, "Cu": 63.546, "Zn": 65.38, "Ge": 72.630, "As": 74.922, "Se": 78.971, "Br": 79.904,
    "Ag": 107.87, "Sn": 118.71, "Te": 127.60, "I": 126.90, "Pt": 195.08, "Hg": 200.59, "Pb": 207.2,
}  # fmt: skip

#: Symbol → valences, the smallest first, of what hydrogens are filled up to; others get none.
VALENCES = {
    "B": (3,), "C": (4,), "N": (3, 5), "O": (2,), "F": (1,), "Si": (4,), "P": (3, 5), "S": (2, 4, 6),
    "Cl": (1, 3, 5, 7), "As": (3, 5), "Se": (2, 4, 6), "Br": (1, 3, 5, 7), "I": (1, 3, 5, 7),
}  # fmt: skip
GROUP = {"B": -1, "C": 0, "Si": 0}  # how a charge changes the valence: fewer bonds either way for carbon
ROUNDS = 12  # of the refinement that tells molecules apart
LARGEST = 250  # heavy atoms


class MoleculeError(RequestError, ValueError):
    """A molecule that cannot be read: unknown atom, impossible valence, broken line."""


@dataclass(frozen=True, eq=False)
class Molecule:
    """Molecule of N heavy atoms and M bonds.

    Attributes:
        symbols: (N,) of the elements.
        charges: (N,) int64 formal charges.
        hydrogens: (N,) int64 attached hydrogens.
        bonds: (M, 2) int64 atoms, the smaller first.
        orders: (M,) int64: 1, 2, 3, or 4 for aromatic.
        positions: (N, 2) float64 drawing coordinates, one unit of any length; None without.
        name: as its file says.
        fields: other entries of its file by name.
    """

    symbols: tuple[str, ...]
    charges: Array
    hydrogens: Array
    bonds: Array
    orders: Array
    positions: Array | None = None
    name: str = ""
    fields: Mapping[str, str] = field(default_factory=dict)

    def __len__(self) -> int:
        """N."""
        return len(self.symbols)

    @cached_property
    def neighbours(self) -> tuple[tuple[tuple[int, int], ...], ...]:
        """For each atom its pairs of neighbour and order."""
        found: list[list[tuple[int, int]]] = [[] for _ in self.symbols]
        for (a, b), order in zip(self.bonds.tolist(), self.orders.tolist(), strict=True):
            found[a].append((b, order))
            found[b].append((a, order))
        return tuple(map(tuple, found))

    @cached_property
    def rings(self) -> tuple[tuple[int, ...], ...]:
        """The smallest rings that all others are sums of, each as atoms in order."""
        return ring_basis(len(self), self.bonds)

    @cached_property
    def aromatic(self) -> Array:
        """(N,) bool: atoms with an aromatic bond."""
        flags = np.zeros(len(self), bool)
        flags[self.bonds[self.orders == AROMATIC].ravel()] = True
        return flags

    @cached_property
    def in_ring(self) -> Array:
        """(M,) bool: bonds that lie in a ring."""
        pairs = {
            frozenset(pair) for ring in self.rings for pair in zip(ring, ring[1:] + ring[:1], strict=True)
        }
        return np.array([frozenset(bond) in pairs for bond in self.bonds.tolist()], bool)

    @cached_property
    def key(self) -> str:
        """Hash of the graph, the same for the same constitution: stereochemistry and numbering do not count.

        Colour refinement (Weisfeiler & Leman 1968) from elements, charges, hydrogens and ring sizes.
        """
        sizes: list[list[int]] = [[] for _ in self.symbols]
        for ring in self.rings:
            for atom in ring:
                sizes[atom].append(len(ring))
        labels = [
            f"{s}{c}{h}{sorted(r)}"
            for s, c, h, r in zip(
                self.symbols, self.charges.tolist(), self.hydrogens.tolist(), sizes, strict=True
            )
        ]
        for _ in range(min(ROUNDS, len(self))):
            labels = [
                _digest(own + "".join(sorted(f"{order}{labels[other]}" for other, order in around)))
                for own, around in zip(labels, self.neighbours, strict=True)
            ]
        return _digest("".join(sorted(labels)))

    def kept(self, atoms: Sequence[int]) -> Molecule:
        """The part of these atoms, with flags and hydrogens as they are in the whole."""
        place = {atom: i for i, atom in enumerate(atoms)}
        rows = [i for i, (a, b) in enumerate(self.bonds.tolist()) if a in place and b in place]
        bonds = [[place[a], place[b]] for a, b in self.bonds[rows].tolist()]
        chosen = list(atoms)
        return replace(
            self,
            symbols=tuple(self.symbols[atom] for atom in chosen),
            charges=self.charges[chosen],
            hydrogens=self.hydrogens[chosen],
            bonds=np.array(bonds, np.int64).reshape(-1, 2),
            orders=self.orders[rows],
            positions=None if self.positions is None else self.positions[chosen],
        )


def molecule(
    symbols: Sequence[str],
    charges: Sequence[int],
    hydrogens: Sequence[int | None],
    bonds: Sequence[tuple[int, int, int]],
    *,
    aromatic: Sequence[bool] | None = None,
    positions: Array | None = None,
    name: str = "",
    fields: Mapping[str, str] | None = None,
) -> Molecule:
    """A molecule from what a file says: hydrogens counted, nitro groups charged, aromatic rings found.

    Args:
        symbols: (N,).
        charges: (N,).
        hydrogens: (N,) attached ones; None: as many as the valence asks for.
        bonds: (a, b, order); order 4 for aromatic, and 0 for one that follows from the atoms (SMILES).
        aromatic: (N,) atoms that the file calls aromatic.
        positions: (N, 2) drawing coordinates.
        name: of the molecule.
        fields: other entries.

    Raises:
        MoleculeError: for an unknown element, an impossible valence, no atom or too many.
    """
    for symbol in symbols:
        if symbol not in MASSES:
            raise MoleculeError(f"unknown atom {symbol!r}")
    parts = _without_hydrogen_atoms(list(symbols), list(charges), list(hydrogens), list(bonds))
    kept, symbols, charges, hydrogens, links = parts
    if not symbols or len(symbols) > LARGEST:
        raise MoleculeError(f"there are {len(symbols)} heavy atoms; 1 to {LARGEST} can be read")
    flags = [bool(aromatic[i]) for i in kept] if aromatic is not None else [False] * len(kept)
    links = _nitro_charged(symbols, charges, links)
    for a, b, order in links:
        if order == AROMATIC:
            flags[a] = flags[b] = True
    filled = [
        _hydrogens(symbols[i], charges[i], flags[i], [o for *pair, o in links if i in pair])
        if hydrogens[i] is None
        else hydrogens[i]
        for i in range(len(symbols))
    ]
    pairs = np.array([sorted(link[:2]) for link in links], np.int64).reshape(-1, 2)
    counted = np.array(filled, np.int64)
    orders = aromatic_bonds(symbols, charges, counted, pairs, np.array([link[2] for link in links], np.int64))
    return Molecule(
        tuple(symbols), np.array(charges, np.int64), counted, pairs, orders,
        None if positions is None else positions[kept], name, dict(fields or {}),
    )  # fmt: skip


def _without_hydrogen_atoms(
    symbols: list[str], charges: list[int], hydrogens: list[int | None], bonds: list[tuple[int, int, int]]
) -> tuple[list[int], list[str], list[int], list[int | None], list[tuple[int, int, int]]]:
    """Explicit hydrogens counted with the one heavy atom that each is bound to."""
    extra = [0] * len(symbols)
    lone: set[int] = set()
    for a, b, _ in bonds:
        for one, other in ((a, b), (b, a)):
            if symbols[one] == "H" and symbols[other] != "H":
                lone.add(one)
                extra[other] += 1
    kept = [i for i in range(len(symbols)) if i not in lone]
    place = {atom: i for i, atom in enumerate(kept)}
    links = [(place[a], place[b], order) for a, b, order in bonds if a in place and b in place]
    counts: list[int | None] = []
    for i in kept:
        own = hydrogens[i]
        used = [order for a, b, order in bonds if i in (a, b)]
        if own is not None:
            counts.append(own + extra[i])
        elif extra[i]:
            counts.append(extra[i] + _hydrogens(symbols[i], charges[i], False, used))
        else:
            counts.append(None)
    return kept, [symbols[i] for i in kept], [charges[i] for i in kept], counts, links


def _hydrogens(symbol: str, charge: int, aromatic: bool, orders: Sequence[int]) -> int:
    """How many hydrogens fill the valence up.

    Raises:
        MoleculeError: if there are more bonds than the element can have.
    """
    if symbol not in VALENCES:
        return 0
    used = sum(1 if order in (0, AROMATIC) else order for order in orders) + aromatic
    shift = -abs(charge) if GROUP.get(symbol) == 0 else charge * GROUP.get(symbol, 1)
    for valence in VALENCES[symbol]:
        if used <= valence + shift:
            return 0 if aromatic and symbol != "C" else valence + shift - used
    if aromatic:  # a carbonyl carbon in the ring, a nitrogen with three neighbours
        return 0
    raise MoleculeError(f"an atom {symbol} has bonds for {used}, more than it can have")


def _nitro_charged(
    symbols: Sequence[str], charges: list[int], bonds: Sequence[tuple[int, int, int]]
) -> list[tuple[int, int, int]]:
    """N(=O)=O as N⁺(=O)–O⁻, which is how most files write nitro groups and N-oxides."""
    links = list(bonds)
    for atom, symbol in enumerate(symbols):
        own = [i for i, link in enumerate(links) if atom in link[:2]]
        if symbol != "N" or charges[atom] or sum(links[i][2] for i in own) != 5:
            continue
        for i in own:
            a, b, order = links[i]
            other = b if a == atom else a
            if symbols[other] == "O" and order == 2 and not charges[other]:
                charges[atom], charges[other], links[i] = 1, -1, (a, b, 1)
                break
    return links


def _digest(text: str) -> str:
    return hashlib.blake2b(text.encode(), digest_size=8).hexdigest()
