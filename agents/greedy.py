"""The greedy agent: looks one ply ahead and takes what is worth most. A baseline that knows the rules.

Only a world that shows its position can be looked ahead in; of ours that is chess, whose ``info`` holds
it. There it takes the most valuable piece that it can (`sim.chess.opponents.greedy_move`), with equal
chances among equals: captures alone do not mate, and how far they carry is what this baseline shows.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import gymnasium
import numpy as np
from gymnasium.spaces import Discrete

from sim.chess.encoding import ACTIONS
from sim.chess.opponents import greedy_move
from sim.chess.rules import ChessGame
from sim.errors import RequestError
from sim.records import Array, Decision


class GreedyError(RequestError, ValueError):
    """A world that does not tell what an action is worth."""


@dataclass(frozen=True)
class Greedy:
    """``greedy`` has no keys of its own."""

    greedy: bool = False  # it breaks ties by chance either way; kept because every agent has the key

    def build(
        self,
        observation_space: gymnasium.Space[Any],
        action_space: gymnasium.Space[Any],
        *,
        seed: int,
        device: str = "cpu",
    ) -> GreedyPolicy:
        """A player of chess.

        Raises:
            GreedyError: for other worlds.
        """
        if not isinstance(action_space, Discrete) or action_space.n != ACTIONS:
            raise GreedyError(
                f"greedy plays chess only, where it can tell what a move takes; this world has {action_space}"
            )
        return GreedyPolicy(seed)


class GreedyPolicy:
    """Takes the most valuable piece; without a capture it plays any legal move."""

    def __init__(self, seed: int) -> None:
        self.seed(seed)

    def seed(self, seed: int) -> None:
        """Start the generator that breaks ties anew."""
        self._generator = np.random.default_rng(seed)

    def act(
        self, obs: Array, info: Mapping[str, Any], memory: Any = None, *, greedy: bool = False
    ) -> tuple[Decision, Any]:
        """N moves, from ``info["games"]`` or the FENs in ``info["fen"]``.

        Raises:
            GreedyError: if the world shows neither.
        """
        games = info.get("games")
        if games is None:
            if "fen" not in info:
                raise GreedyError(
                    'greedy needs the position: the world\'s info has neither "games" nor "fen"'
                )
            games = [ChessGame(str(fen)) for fen in np.atleast_1d(info["fen"])]
        actions = [greedy_move(game, self._generator) for game in games]
        return Decision(np.array(actions, np.int64)), memory
