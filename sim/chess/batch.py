"""Vector environment of chess games against one opponent, which replies in all of them at once."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

import numpy as np
from gymnasium.spaces import Discrete

from sim.chess.endgames import STARTS
from sim.chess.match import open_games, step_games
from sim.chess.opponents import action_masks, make_opponent
from sim.chess.rules.encoding import ACTIONS, symmetries
from sim.chess.rules.game import ChessGame, observations
from sim.protocols import Policy
from sim.records import Array, Percept, State
from sim.starts import Starts
from sim.vector import Info, Worlds

if TYPE_CHECKING:
    from sim.chess.world import Chess


class ChessWorlds(Worlds):
    """Vector environment of N chess games; `sim.chess.world` has the actions, observations and infos."""

    def __init__(
        self,
        config: Chess,
        num_envs: int,
        seed: int,
        opponent: Policy | None = None,
        starts: Starts[str] | None = None,
    ) -> None:
        self.config = config
        super().__init__(num_envs, config.observation_space(), Discrete(ACTIONS), seed)
        self._opponent = make_opponent(opponent or config.opponent)
        self._matches = [config.new_match(starts) for _ in range(num_envs)]

    @property
    def games(self) -> tuple[ChessGame, ...]:
        """The N positions on the boards."""
        return tuple(match.game for match in self._matches)

    @property
    def starts(self) -> tuple[ChessGame, ...]:
        """The N positions that the games in progress began from, before anyone moved."""
        return tuple(match.first for match in self._matches)

    @property
    def max_plies(self) -> int:
        """Moves of both sides after which a game is truncated."""
        return self.config.max_plies

    @property
    def symmetries(self) -> tuple[Array, Array]:
        """Board symmetries that leave the game unchanged; see `encoding.symmetries`.

        Only the identity where there may be pawns or castling.
        """
        squares, actions = symmetries()
        pieces = STARTS.get(self.config.start, ("P",))
        count = 1 if any("P" in side for side in pieces) else len(squares)
        return squares[:count], actions[:count]

    def state(self) -> State:
        """The moves of both sides and the generators: exact whatever the opponent is."""
        actions = [match.actions for match in self._matches]
        return {
            "seed": self._seed,
            "episode": self._episode.copy(),
            "episode_seed": self._episode_seed.copy(),
            "score": self._score.copy(),
            "length": self._length.copy(),
            "plies": np.array([len(row) for row in actions], np.int64),
            "actions": np.array([action for row in actions for action in row], np.int32),
            "generators": [match.generator.bit_generator.state for match in self._matches],
        }

    def restore(self, state: State) -> tuple[Array, Info]:
        """Bring the batch to exactly where `state` was taken, without asking the opponent again."""
        self._seed = int(state["seed"])
        self._episode = np.array(state["episode"], np.int64)
        self._episode_seed = np.array(state["episode_seed"], np.int64)
        self._score = np.array(state["score"], np.float64)
        self._length = np.array(state["length"], np.int64)
        self._start, self._played = np.zeros(self.num_envs, np.int64), []
        rows = np.split(np.asarray(state["actions"]), np.cumsum(state["plies"])[:-1])
        everything = zip(self._matches, self._episode_seed, rows, state["generators"], strict=True)
        for match, seed, actions, generator in everything:
            match.start(int(seed))
            for action in actions.tolist():
                match.advance(action)
            match.generator.bit_generator.state = generator
        return self._seen()

    def render(self) -> tuple[Array, ...]:
        """One RGB picture a game."""
        return tuple(match.picture() for match in self._matches)

    def truth(self, indices: Iterable[int]) -> list[Percept]:
        """Ground truth of the pictures of these games: pieces, FEN, and which side is at the bottom."""
        return [self._matches[int(i)].truth() for i in indices]

    def _reset_rows(self, mask: Array, seeds: Array) -> tuple[Array, Info]:
        matches = [self._matches[i] for i in np.flatnonzero(mask)]
        open_games(matches, [int(seed) for seed in seeds], self._opponent)
        return self._seen()

    def _step_rows(self, actions: Array) -> tuple[Array, Array, Array, Array, Info]:
        step_games(self._matches, actions.tolist(), self._opponent)
        obs, info = self._seen()
        terminated = np.array([match.terminated for match in self._matches])
        truncated = np.array([match.truncated for match in self._matches])
        return obs, self.config.rewards(self._matches), terminated, truncated, info

    def _checked(self, actions: Array) -> Array:
        actions = super()._checked(actions)
        for i, (match, action) in enumerate(zip(self._matches, actions.tolist(), strict=True)):
            match.check(action, f"world {i}: ")
        return actions

    def _seen(self) -> tuple[Array, Info]:
        shown = [match.shown for match in self._matches]
        packed = [game.packed(match.colour) for game, match in zip(shown, self._matches, strict=True)]
        facts = [match.facts() for match in self._matches]
        columns = {key: np.array([row[key] for row in facts]) for key in facts[0]}
        told = {"action_mask": action_masks(shown), "games": tuple(shown), **columns}
        return observations(packed, shown), told
