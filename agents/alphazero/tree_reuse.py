"""Tree reuse: the next search goes on with the subtree of the moves played (Silver et al. 2017, Methods).

A position is found again by what the network sees of it, among the last search's root, its children and its
grandchildren: both sides' moves, or the same position once more. No caller has to tell which game goes on,
so worlds, engines and windows need nothing for it, and episodes that end need no mask. Each tree serves one
game at most; trees of other weights, or of other rules, serve none.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from agents.alphazero.tree_arrays import Node, TreeArrays
from sim.protocols import Game
from sim.records import Array


class TreeReuse:
    """The trees of the last search."""

    def __init__(self) -> None:
        self._roots: list[Node] = []
        self._stamp: Any = None

    def keep(self, roots: Sequence[Node], stamp: Any) -> None:
        """Keep trees, which all lie in the same arrays, for the next search.

        Args:
            roots: of the trees.
            stamp: of the network's weights and the rules; a search with another one does not reuse them.
        """
        self._roots, self._stamp = list(roots), stamp

    def forget(self) -> None:
        """Drop all trees."""
        self._roots = []

    def nodes(self, games: Sequence[Game], stamp: Any) -> tuple[TreeArrays, list[int]]:
        """Nodes of N positions in arrays of their own: with their subtrees, or new and not expanded."""
        known = self._matches(games) if self._roots and stamp == self._stamp else {}
        old = self._roots[0].arrays if known else TreeArrays()
        arrays = old.compacted(list(known.values()))
        again = {number: node for node, number in enumerate(known)}
        return arrays, [again[i] if i in again else arrays.add(game) for i, game in enumerate(games)]

    def _matches(self, games: Sequence[Game]) -> dict[int, int]:
        """Node by number of the game, for those that are found again."""
        arrays, known = self._roots[0].arrays, {}
        found: dict[bytes, list[tuple[int, int]]] = {}
        candidates = [(tree, node) for tree, root in enumerate(self._roots) for node in near(root)]
        for entry, seen in zip(candidates, seen_of([arrays.games[n] for _, n in candidates]), strict=True):
            found.setdefault(seen, []).append(entry)
        used: set[int] = set()
        for number, seen in enumerate(seen_of(games)):
            free = [entry for entry in found.get(seen, []) if entry[0] not in used]
            if free:
                tree, node = free[0]
                used.add(tree)
                known[number] = node
        return known


def near(root: Node) -> list[int]:
    """A root, its children and grandchildren, as far as they are expanded."""
    arrays = root.arrays
    layers: list[Array] = [np.array([root.index])]
    for _ in range(2):
        children = arrays.child[arrays.edges_of(layers[-1])]
        layers.append(children[children >= 0])
    nodes = np.concatenate(layers)
    return [int(node) for node in nodes[arrays.width[nodes] > 0]]


def seen_of(games: Sequence[Game]) -> list[bytes]:
    """What the network sees of N positions, and whose turn it is."""
    if not games:
        return []
    obs = games[0].observe(games)
    return [row.tobytes() + bytes([game.to_play()]) for row, game in zip(obs, games, strict=True)]
