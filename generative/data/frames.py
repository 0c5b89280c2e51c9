"""Pictures of Atari games at 64 × 64, under mixed-skill play: by chance, by held actions, by trained agents.

The television picture, 210 × 160, is averaged over areas to 64 × 64 (as DIAMOND does, Alonso et al. 2024), in
colour. What the simulator knows of it, boxes included, is told in the small picture's own pixels.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from PIL import Image

from generative.collection import Collection, joined
from generative.data.wish import Player, Wish
from sim.atari.truth import GAMES
from sim.catalog import world_config
from sim.records import Array, Percept
from supervised.grammar import CaptionError
from supervised.views import Views, watched
from supervised.views import joined as joined_views
from supervised.wording import GRAMMARS

MIXED = ("breakout", "freeway", "ms_pacman", "pong", "seaquest", "space_invaders")  # without a variant
SIZE = 64  # pixels on a side
WORLDS = 8  # played at once; loading a game takes as long as a hundred steps
EVERY = 5  # steps between two pictures of one world


class Shrunk:
    """Truthful worlds seen small; see `supervised.views.TruthfulWorlds`."""

    def __init__(self, worlds: Any, size: int = SIZE) -> None:
        self._worlds, self._size = worlds, size
        self.num_envs, self.single_action_space = worlds.num_envs, worlds.single_action_space
        self.reset, self.step = worlds.reset, worlds.step

    def pictures(self, indices: Iterable[int]) -> list[Array]:
        """(S, S, 3) uint8 each."""
        return [shrunk(rgb, self._size) for rgb in self._worlds.pictures(indices)]

    def truth(self, indices: Iterable[int]) -> list[Percept]:
        """What is in them; boxes in their own pixels."""
        indices = list(indices)
        pairs = zip(self._worlds.truth(indices), self._worlds.pictures(indices), strict=True)
        return [_scaled(truth, self._size / rgb.shape[1], self._size / rgb.shape[0]) for truth, rgb in pairs]


def shrunk(rgb: Array, size: int = SIZE) -> Array:
    """(H, W, 3) uint8 → (S, S, 3) uint8, each pixel the mean of the area that it covers."""
    return np.asarray(Image.fromarray(rgb).resize((size, size), Image.Resampling.BOX))


def _scaled(truth: Percept, across: float, down: float) -> Percept:
    if truth.boxes is None:
        return truth
    return replace(truth, boxes=(truth.boxes * [across, down, across, down]).astype(np.float32))


def collect(wish: Wish) -> Collection:
    """(N, 64, 64, 3) uint8; labels are games, captions sentences where a grammar knows the game.

    Without a variant as many of each game of `MIXED`; a variant is any game whose truth is known.
    """
    if wish.variant:
        wish.one_of("frames", tuple(GAMES))
    games = (wish.variant,) if wish.variant else MIXED
    counts = [wish.count * (i + 1) // len(games) - wish.count * i // len(games) for i in range(len(games))]
    return joined(
        [
            of_game(game, count, wish.seed, wish.players.get(f"atari/{game}", ()))
            for game, count in zip(games, counts, strict=True)
            if count
        ]
    )


def of_game(game: str, count: int, seed: int, players: Sequence[Player]) -> Collection:
    """`count` pictures of one game, the same number with each player and, without any, by chance."""
    parts: list[Views] = []
    cast: Sequence[Player | None] = players or (None,)
    for i, player in enumerate(cast):
        share = count * (i + 1) // len(cast) - count * i // len(cast)
        if share:
            parts.append(_played(game, share, seed + 1_000 * i, player))
    views = joined_views(parts)
    words = np.random.default_rng((seed, 1))
    return Collection(
        values=views.rgb,
        labels=np.zeros(len(views), np.int64),
        label_names=(game,),
        episodes=views.episodes,
        captions=tuple(caption(truth, words) for truth in views.truths),
        truths=views.truths,
    )


def _played(game: str, count: int, seed: int, player: Player | None) -> Views:
    worlds: Any = world_config(f"atari/{game}", {"truth": True}).make_batch(min(WORLDS, count), seed)
    try:
        policy = None if player is None else player.policy(worlds)
        return watched(Shrunk(worlds), count, seed=seed, policy=policy, every=EVERY)
    finally:
        worlds.close()


def caption(truth: Percept, words: np.random.Generator) -> str:
    """A sentence about a picture; empty where no grammar knows its game, or has words for what is in it."""
    if truth.label not in GRAMMARS:
        return ""
    try:
        return GRAMMARS[truth.label].write(truth.facts, words)
    except CaptionError:
        return ""
