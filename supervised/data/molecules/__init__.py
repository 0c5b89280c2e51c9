"""Molecules as graphs: SDF and SMILES → atoms, bonds, rings and aromaticity, without RDKit.

Does not know targets, descriptors or models. Reading order: `molecule` (the record), `rings` (cycle basis,
aromaticity), `sdf` and `smiles` (parsers), `scaffold` (Bemis–Murcko).
"""
