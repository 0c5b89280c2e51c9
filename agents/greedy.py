"""Greedy chess baseline: captures the most valuable piece, one ply ahead (`sim.chess.opponents.greedy_move`).

It needs a world whose ``info`` has the position; of ours that is chess. Ties are broken uniformly at random;
without a capture it plays any legal move. It shows how far material alone goes, for captures do not mate.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import gymnasium
import numpy as np
from gymnasium.spaces import Discrete

from sim.chess.opponents import greedy_move
from sim.chess.rules.encoding import ACTIONS
from sim.chess.rules.game import ChessGame
from sim.errors import RequestError
from sim.records import Array, Decision


class GreedyError(RequestError, ValueError):
    """A world other than chess, or one whose info has no position."""


@dataclass(frozen=True)
class Greedy:
    """Configuration of the ``greedy`` agent, which has no keys of its own."""

    greedy: bool = False  # ties are broken at random either way; every agent has the key

    def build(
        self,
        observation_space: gymnasium.Space[Any],
        action_space: gymnasium.Space[Any],
        *,
        seed: int,
        device: str = "cpu",
    ) -> GreedyPolicy:
        """A greedy chess policy.

        Raises:
            GreedyError: for other worlds.
        """
        if not isinstance(action_space, Discrete) or action_space.n != ACTIONS:
            raise GreedyError(
                f"greedy plays chess only, where it can tell what a move takes; this world has {action_space}"
            )
        return GreedyPolicy(seed)


class GreedyPolicy:
    """Greedy chess policy: the most valuable capture, else a random legal move."""

    def __init__(self, seed: int) -> None:
        self.seed(seed)

    def seed(self, seed: int) -> None:
        """Seed the generator that breaks ties."""
        self._generator = np.random.default_rng(seed)

    def act(
        self, obs: Array, info: Mapping[str, Any], memory: Any = None, *, greedy: bool = False
    ) -> tuple[Decision, Any]:
        """N moves, from ``info["games"]`` or the FENs in ``info["fen"]``.

        Raises:
            GreedyError: if the info has neither.
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
