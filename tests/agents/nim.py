"""Nim as a game of tree searches, and a network that knows nothing, for the tests of AlphaZero."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from agents.alphazero.tree_arrays import Evaluation


@dataclass(frozen=True)
class Nim:
    """Take one to three from a heap; who takes the last wins. Heaps of 4, 8, 12, … are lost for the mover."""

    heap: int
    turn: int = 0

    def legal_actions(self):
        return np.arange(min(3, self.heap))

    def play(self, action):
        if action not in self.legal_actions():
            raise ValueError(f"{action + 1} of {self.heap}")
        return Nim(self.heap - 1 - action, 1 - self.turn)

    def outcome(self):
        return None if self.heap else -1.0

    def to_play(self):
        return self.turn

    def observe(self, games):
        return np.array([[game.heap] for game in games], np.uint8)

    def for_search(self):
        return self


STILL = np.zeros((1, 1), int), np.arange(3)[None]  # the symmetries of a heap: none but to leave it


def ignorant(games):
    """A network that knows nothing."""
    return Evaluation(np.zeros((len(games), 3)), np.zeros(len(games)))
