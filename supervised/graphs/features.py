"""Arrays of a molecular graph: features of atoms and bonds, and batches of graphs padded to one size."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from sim.records import Array
from supervised.data.molecules.molecule import Molecule
from supervised.graphs.descriptors import ELEMENTS, descriptor_table
from supervised.graphs.lipophilicity import log_p

DEGREES, HYDROGENS, RINGS = 5, 4, (3, 4, 5, 6, 7)
ATOM_FEATURES = len(ELEMENTS) + 1 + DEGREES + HYDROGENS + len(RINGS) + 6
BOND_FEATURES = 6
HETERO = ("N", "O", "S", "P", "F", "Cl", "Br", "I")


@dataclass(frozen=True)
class Graph:
    """Features of one molecule of N atoms and M bonds.

    Attributes:
        atoms: (N, ATOM_FEATURES) float32.
        edges: (2M, 2) int64 from and to, each bond in both directions.
        bonds: (2M, BOND_FEATURES) float32.
        descriptors: (D,) float32 of the whole.
    """

    atoms: Array
    edges: Array
    bonds: Array
    descriptors: Array


def graphs(molecules: Sequence[Molecule]) -> list[Graph]:
    """The features of molecules."""
    table = descriptor_table(list(molecules))
    return [
        Graph(_atoms(one), np.concatenate([one.bonds, one.bonds[:, ::-1]]), _bonds(one), row)
        for one, row in zip(molecules, table, strict=True)
    ]


def _atoms(whole: Molecule) -> Array:
    """Element, neighbours, hydrogens and ring sizes as one-hot, then six numbers an atom."""
    size = len(whole)
    found = np.zeros((size, ATOM_FEATURES), np.float32)
    at = 0
    for one_hot, count in (
        ([ELEMENTS.index(s) if s in ELEMENTS else len(ELEMENTS) for s in whole.symbols], len(ELEMENTS) + 1),
        ([min(len(around), DEGREES - 1) for around in whole.neighbours], DEGREES),
        (np.minimum(whole.hydrogens, HYDROGENS - 1).tolist(), HYDROGENS),
    ):
        found[np.arange(size), at + np.array(one_hot)] = 1
        at += count
    for ring in whole.rings:
        found[list(ring), at + min(max(len(ring), RINGS[0]), RINGS[-1]) - RINGS[0]] = 1
    hetero = [sum(whole.symbols[b] in HETERO for b, _ in around) for around in whole.neighbours]
    polar = [s in ("N", "O") for s in whole.symbols]
    found[:, -6:] = np.stack(
        [whole.charges, whole.aromatic, hetero, log_p(whole), polar * (whole.hydrogens > 0), polar], axis=1
    )
    return found


def _bonds(whole: Molecule) -> Array:
    """Order as one-hot, in a ring, between conjugated atoms; twice, for both directions."""
    found = np.zeros((len(whole.bonds), BOND_FEATURES), np.float32)
    found[np.arange(len(whole.bonds)), whole.orders - 1] = 1
    soft = np.array([any(order > 1 for _, order in around) for around in whole.neighbours], bool)
    if len(whole.bonds):
        found[:, 4] = whole.in_ring
        found[:, 5] = soft[whole.bonds].all(axis=1)
    return np.concatenate([found, found])


def padded(chosen: Sequence[Graph]) -> dict[str, Array]:
    """A batch of B graphs: arrays of B rows each, padded to the largest of them.

    Returns:
        ``atoms`` (B, N, F), ``atom_counts`` (B,), ``edges`` (B, E, 2), ``edge_counts`` (B,), ``bonds``
        (B, E, G), ``descriptors`` (B, D).
    """
    nodes, links = max(len(g.atoms) for g in chosen), max(max(len(g.edges) for g in chosen), 1)
    batch: dict[str, Array] = {
        "atoms": np.zeros((len(chosen), nodes, ATOM_FEATURES), np.float32),
        "edges": np.zeros((len(chosen), links, 2), np.int64),
        "bonds": np.zeros((len(chosen), links, BOND_FEATURES), np.float32),
        "atom_counts": np.array([len(g.atoms) for g in chosen], np.int64),
        "edge_counts": np.array([len(g.edges) for g in chosen], np.int64),
        "descriptors": np.stack([g.descriptors for g in chosen]),
    }
    for row, one in enumerate(chosen):
        batch["atoms"][row, : len(one.atoms)] = one.atoms
        batch["edges"][row, : len(one.edges)] = one.edges
        batch["bonds"][row, : len(one.bonds)] = one.bonds
    return batch
