"""Gameplay of Atari games for world models: frames in order, with action, reward and end of each step.

Played by chance with held actions and by trained agents that take such a random action with probability ε, a
different one from episode to episode, up to 1: so the data hold good and bad play, and every action in many
situations. Without sticky actions: what happens follows from the actions that are recorded.

Columns beside those of `supervised.data.episodes`: ``positions`` (N, K − 1, 2) float32, the middles (x, y) of
the game's objects in pixels of a frame, from the console's memory, NaN where there is none; ``scores`` (N, 2)
int64, the player's and the opponent's points.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from generative.data.data_request import DataRequest, Player
from generative.data.palette import FOLD, PALETTES, Palette, palette
from sim.atari.world import Atari, AtariWorld
from sim.progress import track
from sim.protocols import Policy
from sim.records import Array
from sim.vector import episode_seed, reset_memory
from supervised.data.columns import LabelColumn
from supervised.data.dataset import Dataset
from supervised.data.episodes import Episode

WORLDS = 8  # games at once
LONGEST = 1_000  # steps of an episode; then another one begins
EPSILONS = (0.0, 0.1, 0.3, 0.6, 1.0)  # of the episodes of a trained agent, in turn
LONGEST_HELD = 12  # steps that a random action is held, at most


def collect(request: DataRequest) -> Dataset:
    """Make the data set: frames (N, H, W) uint8 of palette classes; the variant is the game."""
    request.one_of("gameplay", tuple(PALETTES))
    game = palette(request.variant)
    cast: Sequence[Player | None] = (None, *request.players.get(f"atari/{game.game}", ()))
    parts: list[dict[str, Array]] = []
    for i, player in enumerate(cast):
        steps = request.count * (i + 1) // len(cast) - request.count * i // len(cast)
        for episode in play(game, steps, episode_seed(request.seed, i, 0), player):
            parts.append(episode.columns(len(parts)))
    columns = {name: np.concatenate([part[name] for part in parts])[: request.count] for name in parts[0]}
    return Dataset(labels=LabelColumn.one(game.game, len(columns["values"])), **columns)


@dataclass
class PlayedEpisode:
    """Episode in progress: frames and what led from one to the next."""

    frames: list[Array] = field(default_factory=list)
    positions: list[Array] = field(default_factory=list)
    scores: list[tuple[int, int]] = field(default_factory=list)
    actions: list[int] = field(default_factory=list)
    rewards: list[float] = field(default_factory=list)
    ends: list[bool] = field(default_factory=list)

    def look(self, world: AtariWorld, game: Palette) -> None:
        """Add what the world shows."""
        self.frames.append(game.encode(world.render()))
        truth = world.truth()
        assert truth.boxes is not None and truth.facts is not None
        top, left = game.area[:2]
        middles = np.full((len(game.classes) - 1, 2), np.nan, np.float32)
        for name, (x0, y0, x1, y1) in zip(truth.labels, truth.boxes, strict=True):
            number = game.classes.index(name) - 1
            middles[number] = ((x0 + x1) / 2 - left) / FOLD, ((y0 + y1) / 2 - top) / FOLD
        self.positions.append(middles)
        self.scores.append((int(truth.facts["player score"]), int(truth.facts["enemy score"])))

    def columns(self, number: int) -> dict[str, Array]:
        """All columns, as those of episode `number`."""
        ends = np.array(self.ends, bool)
        values = np.stack(self.frames)
        actions, rewards = np.array(self.actions, np.int64), np.array(self.rewards)
        episode = Episode(values, actions, rewards, ends, np.zeros_like(ends))
        own = {"positions": np.stack(self.positions), "scores": np.array(self.scores, np.int64)}
        return {"values": values, **own, **episode.columns(number)}


def play(game: Palette, steps: int, seed: int, player: Player | None) -> Iterator[PlayedEpisode]:
    """Play `steps` steps in all, on some worlds in turn; yields episodes as they end, the unfinished last."""
    config = Atari(game.game, repeat_action_probability=0.0)
    if player is None:
        config = config.with_truth()  # without observations
    n = max(1, min(WORLDS, steps // 100))
    with closing(config.make_batch(1, 0, 1)) as batch:
        policy = None if player is None else player.policy(batch)
    worlds = [config.make(seed + i) for i in range(n)]
    mixture = EpsilonMixture(policy, len(game.action_names), n, seed)
    try:
        yield from _play(game, worlds, mixture, steps)
    finally:
        for world in worlds:
            world.close()


def _play(
    game: Palette, worlds: list[AtariWorld], mixture: EpsilonMixture, steps: int
) -> Iterator[PlayedEpisode]:
    observed = np.stack([world.reset()[0] for world in worlds])
    growing = [PlayedEpisode() for _ in worlds]
    for world, episode in zip(worlds, growing, strict=True):
        episode.look(world, game)
    for _ in track(range(-(-steps // len(worlds))), f"playing {game.game}"):
        actions = mixture.act(observed)
        ended = np.zeros(len(worlds), bool)
        for i, world in enumerate(worlds):
            observed[i], reward, terminated, truncated, _ = world.step(int(actions[i]))
            growing[i].actions.append(int(actions[i]))
            growing[i].rewards.append(float(reward))
            growing[i].ends.append(terminated)
            growing[i].look(world, game)
            ended[i] = terminated or truncated or len(growing[i].actions) == LONGEST
            if ended[i]:
                yield growing[i]
                growing[i] = PlayedEpisode()
                observed[i], _ = world.reset()
                growing[i].look(world, game)
        mixture.ended(ended)
    yield from (episode for episode in growing if episode.actions)


class EpsilonMixture:
    """Actions of N worlds: a policy's, or with probability ε a random one that is held for some steps."""

    def __init__(self, policy: Policy | None, actions: int, worlds: int, seed: int) -> None:
        """Take the policy; without one, all actions are random.

        Args:
            policy: acts on the observations of all worlds.
            actions: A.
            worlds: N.
            seed: of everything random.
        """
        self._policy, self._count = policy, actions
        self._generator = np.random.default_rng(seed)
        self._held, self._left = np.zeros(worlds, np.int64), np.zeros(worlds, np.int64)
        self._episodes = np.arange(worlds)
        self._memory: Any = None
        if policy is not None:
            policy.seed(seed)

    @property
    def epsilon(self) -> Array:
        """ε of each world's present episode, (N,)."""
        if self._policy is None:
            return np.ones(len(self._episodes))
        return np.array(EPSILONS)[self._episodes % len(EPSILONS)]

    def act(self, observed: Array) -> Array:
        """Actions (N,) int64."""
        n = len(self._held)
        lengths = self._generator.integers(1, LONGEST_HELD + 1, n)
        chosen, beginning = self._generator.integers(0, self._count, n), self._generator.random(n)
        # A random action holds for several steps: with ε as the share of steps, fewer of them begin.
        mean = (1 + LONGEST_HELD) / 2
        epsilon = self.epsilon
        begins = (self._left == 0) & (beginning < epsilon / (epsilon + mean * (1 - epsilon)))
        self._held[begins], self._left[begins] = chosen[begins], lengths[begins]
        random = self._left > 0
        self._left[random] -= 1
        if self._policy is None:
            return self._held.copy()
        decision, self._memory = self._policy.act(observed, {}, self._memory)
        return np.where(random, self._held, np.asarray(decision.actions, np.int64))

    def ended(self, mask: Array) -> None:
        """The episodes of some worlds have ended, (N,) bool."""
        self._memory = reset_memory(self._memory, mask)
        self._episodes[mask] += len(mask)
        self._left[mask] = 0
