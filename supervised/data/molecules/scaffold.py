"""Bemis–Murcko scaffold: the rings of a molecule and what links them, without side chains."""

from __future__ import annotations

from dataclasses import replace

from supervised.data.molecules.molecule import Molecule


def scaffold(whole: Molecule) -> Molecule | None:
    """The scaffold, with atoms double-bonded to it; None for a molecule without rings.

    Bemis & Murcko 1996, "The properties of known drugs, 1: molecular frameworks".
    """
    inside = {atom for ring in whole.rings for atom in ring}
    if not inside:
        return None
    kept = set(range(len(whole)))
    loose = [a for a in kept if len(whole.neighbours[a]) <= 1 and a not in inside]
    while loose:
        kept -= set(loose)
        loose = [a for a in kept if a not in inside and sum(b in kept for b, _ in whole.neighbours[a]) <= 1]
    kept |= {b for a in kept for b, order in whole.neighbours[a] if order == 2}
    return whole.kept(sorted(kept))


def scaffold_key(whole: Molecule) -> str:
    """Hash of the scaffold's ring system, "" without rings.

    Elements and bonds count; hydrogens, which say where side chains were, do not.
    """
    found = scaffold(whole)
    if found is None:
        return ""
    return replace(found, hydrogens=found.hydrogens * 0).key
