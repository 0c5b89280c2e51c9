"""Rings of molecular graphs: a smallest cycle basis, and aromatic bonds by Hückel's rule."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

import numpy as np

from sim.records import Array

AROMATIC = 4  # the order of aromatic bonds, as in SDF
SIZES = range(5, 8)  # atoms of one aromatic ring


def ring_basis(atoms: int, bonds: Array) -> tuple[tuple[int, ...], ...]:
    """A smallest cycle basis of a graph, each ring as atoms in order, small ones first.

    The shortest cycle through every bond, and where those do not span all cycles Horton's (1987) candidates;
    of them the first that are independent over GF(2).

    >>> ring_basis(4, np.array([[0, 1], [1, 2], [0, 2], [2, 3]]))
    ((0, 2, 1),)
    """
    pairs = [(int(a), int(b)) for a, b in bonds]
    around: list[list[int]] = [[] for _ in range(atoms)]
    for a, b in pairs:
        around[a].append(b)
        around[b].append(a)
    wanted = len(pairs) - atoms + _components(around)
    if not wanted:
        return ()
    number = {frozenset(pair): i for i, pair in enumerate(pairs)}
    found = [path for a, b in pairs if (path := _path(around, a, b, without=(a, b)))]
    chosen = _independent(found, number, wanted)
    if len(chosen) < wanted:
        for start in range(atoms):
            for a, b in pairs:
                one, other = _path(around, a, start), _path(around, start, b)
                if one and other and not set(one[:-1]) & set(other[1:]):
                    found.append(one + other[1:])
        chosen = _independent(found, number, wanted)
    return tuple(chosen)


def aromatic_bonds(
    symbols: Sequence[str],
    charges: Sequence[int],
    hydrogens: Array,
    bonds: Array,
    orders: Array,
) -> Array:
    """The orders (M,) with those of aromatic rings as `AROMATIC`, and without zeros.

    A ring of 5 to 7 atoms, or two fused ones, with 4n + 2 π electrons is aromatic (Hückel 1931). Bonds of
    order 0 lie between atoms that a file calls aromatic: they are single where both ends are in another
    aromatic ring, or in none, and else aromatic, whatever the count.
    """
    rings = [frozenset(ring) for ring in ring_basis(len(symbols), bonds)]
    pairs = [frozenset(bond) for bond in bonds.tolist()]
    inside = [[i for i, pair in enumerate(pairs) if pair <= ring] for ring in rings]
    electrons = _Electrons(symbols, charges, hydrogens, bonds, orders, rings)
    closed = [len(ring) in SIZES and electrons.aromatic(ring) for ring in rings]
    found = np.array(orders, np.int64)
    waiting = [i for i, ring in enumerate(rings) if not closed[i] and len(ring) in SIZES]
    for i in waiting:
        for j in waiting:
            if i < j and len(rings[i] & rings[j]) == 2 and electrons.aromatic(rings[i] | rings[j]):
                closed[i] = closed[j] = True
    for i in np.flatnonzero(closed).tolist():
        found[inside[i]] = AROMATIC
    settled = set(bonds[found == AROMATIC].ravel().tolist())
    for i, ring in enumerate(rings):
        told = (orders[inside[i]] == 0) | (orders[inside[i]] == AROMATIC)
        if not closed[i] and told.all() and not ring <= settled:
            found[inside[i]] = AROMATIC
    found[found == 0] = 1
    return found


class _Electrons:
    """π electrons that the atoms of a molecule give to a ring."""

    def __init__(
        self,
        symbols: Sequence[str],
        charges: Sequence[int],
        hydrogens: Array,
        bonds: Array,
        orders: Array,
        rings: Sequence[frozenset[int]],
    ) -> None:
        self.symbols, self.charges, self.hydrogens, self.rings = symbols, charges, hydrogens, rings
        self.around: list[list[tuple[int, int]]] = [[] for _ in symbols]
        for (a, b), order in zip(bonds.tolist(), orders.tolist(), strict=True):
            self.around[a].append((b, order))
            self.around[b].append((a, order))

    def aromatic(self, ring: frozenset[int]) -> bool:
        """Whether a ring has 4n + 2 electrons."""
        total = 0
        for atom in ring:
            given = self.of(atom)
            if given is None:
                return False
            total += given
        return total % 4 == 2

    def of(self, atom: int) -> int | None:
        """Electrons of one atom; None for one that cannot be in an aromatic ring.

        A carbon with a double bond to a heteroatom outside of rings gives none; with one to carbon there it
        cannot be aromatic. Nitrogen, oxygen and sulphur with single bonds give a pair.
        """
        symbol, charge, around = self.symbols[atom], self.charges[atom], self.around[atom]
        orders = [order for _, order in around]
        if 3 in orders:
            return None
        if 2 in orders:
            other = around[orders.index(2)][0]
            if any(atom in ring and other in ring for ring in self.rings):
                return 1
            return 0 if symbol == "C" and self.symbols[other] in ("O", "N", "S") else None
        degree = len(around) + int(self.hydrogens[atom])
        if symbol in ("O", "S", "Se") or (symbol == "N" and degree == 3 and charge == 0):
            return 2
        if 0 in orders or AROMATIC in orders:
            return 1
        return 1 - charge if symbol == "C" and charge in (-1, 1) else None


def _components(around: Sequence[Sequence[int]]) -> int:
    seen: set[int] = set()
    count = 0
    for start in range(len(around)):
        if start in seen:
            continue
        count += 1
        stack = [start]
        while stack:
            atom = stack.pop()
            if atom not in seen:
                seen.add(atom)
                stack.extend(around[atom])
    return count


def _path(
    around: Sequence[Sequence[int]], start: int, end: int, without: tuple[int, int] = (-1, -1)
) -> tuple[int, ...]:
    """A shortest path of atoms from start to end that does not use one bond; empty if there is none."""
    before = {start: -1}
    waiting = deque([start])
    while waiting:
        atom = waiting.popleft()
        if atom == end:
            path = [end]
            while path[-1] != start:
                path.append(before[path[-1]])
            return tuple(reversed(path))
        for other in around[atom]:
            if other not in before and {atom, other} != set(without):
                before[other] = atom
                waiting.append(other)
    return ()


def _independent(
    cycles: Sequence[tuple[int, ...]], number: dict[frozenset[int], int], wanted: int
) -> list[tuple[int, ...]]:
    """The first `wanted` cycles, by size, that are no sum of others over GF(2)."""
    chosen: list[tuple[int, ...]] = []
    rows: dict[int, int] = {}  # leading bit → row
    for cycle in sorted(cycles, key=len):
        bits = 0
        for pair in zip(cycle, cycle[1:] + cycle[:1], strict=True):
            bits ^= 1 << number[frozenset(pair)]
        while bits and (lead := bits.bit_length()) in rows:
            bits ^= rows[lead]
        if bits:
            rows[bits.bit_length()] = bits
            chosen.append(cycle)
            if len(chosen) == wanted:
                break
    return chosen
