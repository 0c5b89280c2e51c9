"""Atom contributions by leaving atoms out: how a prediction changes when one atom is taken away."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from sim.records import Array
from supervised.data.molecules.molecule import Molecule


def atom_contributions(whole: Molecule, predict: Callable[[Sequence[Molecule]], Array]) -> Array:
    """(N,) contribution of each atom with its hydrogens, in the prediction's unit.

    The prediction of the whole minus that of the molecule without the atom, whose other atoms keep their
    hydrogens and their aromaticity. They do not add up to the prediction. An atom alone contributes 0.

    Args:
        whole: N atoms.
        predict: K molecules → (K,).
    """
    atoms = range(len(whole))
    if len(whole) == 1:
        return np.zeros(1)
    without = [whole.kept([other for other in atoms if other != atom]) for atom in atoms]
    found = predict([whole, *without])
    return np.asarray(found[0] - found[1:])
