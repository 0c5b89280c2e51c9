"""Drawing coordinates of a molecule in the plane, where its file has none: stress majorization.

Gansner, Koren & North 2005, "Graph drawing by stress majorization": the distance of any two atoms in the
plane nears that of a zigzag chain of as many bonds, or of the corners of the regular ring that both are in.
"""

from __future__ import annotations

import numpy as np

from sim.records import Array
from supervised.data.molecules.molecule import Molecule
from supervised.graphs.descriptors import FAR, bond_distances

STARTS, ROUNDS = 8, 200
LOOSE, LOCAL = 2.0, 3.0  # how weights fall with distance: first to untangle, then to straighten
STIFF = 20.0  # weight within rings and bonds, in the end
APART = 3.0  # bond lengths between separate parts


def layout(whole: Molecule) -> Array:
    """(N, 2) float64, in bond lengths; the widest extent lies along x."""
    size = len(whole)
    if size == 1:
        return np.zeros((1, 2))
    wanted = ideal_distances(whole)
    loose, stiff = wanted.clip(0.5) ** -LOOSE, wanted.clip(0.5) ** -LOCAL
    for rigid in (*whole.rings, *whole.bonds.tolist()):
        stiff[np.ix_(rigid, rigid)] = STIFF
    for weights in (loose, stiff):
        np.fill_diagonal(weights, 0)
    generator = np.random.default_rng(0)
    found = []
    for _ in range(STARTS):
        untangled = _majorized(wanted, loose, generator.standard_normal((size, 2)) * size**0.5)
        found.append(_majorized(wanted, stiff, untangled))
    positions = min(found, key=lambda one: _stress(wanted, stiff, one))
    positions = positions - positions.mean(0)
    turned: Array = positions @ np.linalg.svd(positions, full_matrices=False)[2].T
    return turned


def ideal_distances(whole: Molecule) -> Array:
    """(N, N) distances in the plane that atoms should have, in bond lengths."""
    steps = bond_distances(whole)
    wanted = np.sqrt((steps * np.sqrt(0.75)) ** 2 + (steps % 2) / 4)
    wanted[steps == 2] = np.sqrt(3)
    wanted[steps >= FAR] = APART + len(whole) ** 0.5
    for ring in whole.rings:
        radius = 0.5 / np.sin(np.pi / len(ring))
        for i, a in enumerate(ring):
            for j, b in enumerate(ring):
                wanted[a, b] = 2 * radius * abs(np.sin(np.pi * (i - j) / len(ring)))
    return np.asarray(wanted)


def _majorized(wanted: Array, weights: Array, positions: Array) -> Array:
    """Positions after rounds of Guttman's transform."""
    laplacian = np.diag(weights.sum(1)) - weights
    inverse = np.linalg.pinv(laplacian)
    for _ in range(ROUNDS):
        distances = np.linalg.norm(positions[:, None] - positions[None], axis=-1)
        pull = weights * wanted / np.maximum(distances, 1e-9)
        np.fill_diagonal(pull, 0)
        positions = np.asarray(inverse @ ((np.diag(pull.sum(1)) - pull) @ positions))
    return positions


def _stress(wanted: Array, weights: Array, positions: Array) -> float:
    distances = np.linalg.norm(positions[:, None] - positions[None], axis=-1)
    return float((weights * (distances - wanted) ** 2).sum())
