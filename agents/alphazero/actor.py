"""Self-play actor: plays many games at once with weights that a learner sends; see `agents.actors`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from agents.actors.backend import Weights
from agents.actors.shards import Stretch
from agents.alphazero.selfplay import BoardWorlds, ReplayChunk, SelfPlay
from agents.alphazero.train import AlphaZero
from sim.vector import Worlds


class SelfPlayActor:
    """Plays all games of a batch of worlds by one search, and hands out the finished ones."""

    def __init__(
        self,
        config: AlphaZero,
        make_worlds: Callable[[int, int], Worlds],
        num_envs: int,
        actors: int,
        *,
        seed: int,
    ) -> None:
        """Make the worlds; games start with the first weights.

        Args:
            config: of the learner.
            make_worlds: from a number of games and a seed.
            num_envs: games at once.
            actors: that play for one learner: an update's plies are shared out among them.
            seed: of games and searches.
        """
        self._config = replace(config, buffer_size=config.minibatch_size, compile=False)
        self._worlds = make_worlds(num_envs, seed)
        self._learner = self._config.build(
            self._worlds.single_observation_space, self._worlds.single_action_space, seed=seed
        )
        self._boards: BoardWorlds | None = None  # until there are weights: a game is as old as its first move
        self._plies = -(-config.num_steps // actors)
        self._version: int | None = None

    def play(self, version: int, weights: Weights) -> Stretch:
        """Play an actor's share of an update's plies, and on until a game has ended.

        A stretch is as old as the weights that chose the first move of its oldest game.
        """
        if version != self._version:
            self._learner.load_weights(weights)
            self._learner.version = self._version = version
        if self._boards is None:
            self._boards = self._learner.begin(self._worlds)
        ended: list[SelfPlay] = []
        plies = 0
        while plies < self._plies or not ended:
            ended += self._learner.ply(self._worlds, self._boards)
            plies += 1
        arrays = ReplayChunk.of("", ended, self._config.gamma, self._config.td_lambda).arrays
        return Stretch(
            version=min(game.version for game in ended),
            positions=len(arrays["value"]),
            arrays=arrays,
            episodes=tuple(game.episode() for game in ended),
        )
