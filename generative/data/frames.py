"""Data set of Atari frames at 64 × 64, from trained agents and sticky random play, with captions and truths.

The 210 × 160 screen is downscaled by area averaging to 64 × 64 (as in DIAMOND, Alonso et al. 2024), in
colour. Boxes of the ground truth are in the small image's own pixels.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from PIL import Image

from generative.data.data_request import DataRequest, Player
from sim.atari.truth import GAMES
from sim.catalog import world_config
from sim.records import Array, Percept
from supervised.captions.caption_grammars import GRAMMARS
from supervised.captions.grammar import CaptionError
from supervised.data.capture import labelled_play
from supervised.data.columns import LabelColumn
from supervised.data.dataset import Dataset, concatenate

MIXED = ("breakout", "freeway", "ms_pacman", "pong", "seaquest", "space_invaders")  # without a variant
SIZE = 64  # pixels on a side
WORLDS = 8  # played at once; loading a game takes as long as a hundred steps
EVERY = 5  # steps between two images of one world


class DownscaledWorlds:
    """Worlds with images and truths downscaled to S × S; see `supervised.data.capture.TruthfulWorlds`."""

    def __init__(self, worlds: Any, size: int = SIZE) -> None:
        self._worlds, self._size = worlds, size
        self.num_envs, self.single_action_space = worlds.num_envs, worlds.single_action_space
        self.reset, self.step = worlds.reset, worlds.step

    def pictures(self, indices: Iterable[int]) -> list[Array]:
        """The newest images, (S, S, 3) uint8 each."""
        return [downscale(rgb, self._size) for rgb in self._worlds.pictures(indices)]

    def truth(self, indices: Iterable[int]) -> list[Percept]:
        """Their ground truth; boxes in the small images' pixels."""
        indices = list(indices)
        pairs = zip(self._worlds.truth(indices), self._worlds.pictures(indices), strict=True)
        return [_scaled(truth, self._size / rgb.shape[1], self._size / rgb.shape[0]) for truth, rgb in pairs]


def downscale(rgb: Array, size: int = SIZE) -> Array:
    """Downscale an image (H, W, 3) uint8 to (S, S, 3) uint8 by area averaging."""
    return np.asarray(Image.fromarray(rgb).resize((size, size), Image.Resampling.BOX))


def _scaled(truth: Percept, across: float, down: float) -> Percept:
    if truth.boxes is None:
        return truth
    return replace(truth, boxes=(truth.boxes * [across, down, across, down]).astype(np.float32))


def collect(request: DataRequest) -> Dataset:
    """Make the data set: images (N, 64, 64, 3) uint8; labels are games; captions of games with a grammar.

    Without a variant, equal numbers of each game of `MIXED`; a variant is any game whose truth is known.
    """
    if request.variant:
        request.one_of("frames", tuple(GAMES))
    games = (request.variant,) if request.variant else MIXED
    counts = [
        request.count * (i + 1) // len(games) - request.count * i // len(games) for i in range(len(games))
    ]
    return concatenate(
        [
            of_game(game, count, request.seed, request.players.get(f"atari/{game}", ()))
            for game, count in zip(games, counts, strict=True)
            if count
        ]
    )


def of_game(game: str, count: int, seed: int, players: Sequence[Player]) -> Dataset:
    """Make `count` images of one game: equal numbers with each policy, or random play without any."""
    parts: list[Dataset] = []
    cast: Sequence[Player | None] = players or (None,)
    for i, player in enumerate(cast):
        share = count * (i + 1) // len(cast) - count * i // len(cast)
        if share:
            parts.append(_played(game, share, seed + 1_000 * i, player))
    views = concatenate(parts)
    words = np.random.default_rng((seed, 1))
    captions = [caption(truth, words) for truth in views.truths]
    return views.assign(labels=LabelColumn.one(game, len(views)), captions=captions)


def _played(game: str, count: int, seed: int, player: Player | None) -> Dataset:
    worlds: Any = world_config(f"atari/{game}", {"truth": True}).make_batch(min(WORLDS, count), seed)
    try:
        policy = None if player is None else player.policy(worlds)
        return labelled_play(DownscaledWorlds(worlds), count, seed=seed, policy=policy, every=EVERY)
    finally:
        worlds.close()


def caption(truth: Percept, words: np.random.Generator) -> str:
    """Caption of a frame from its ground truth; empty for games without a grammar and facts without words."""
    if truth.label not in GRAMMARS:
        return ""
    try:
        return GRAMMARS[truth.label].write(truth.facts, words)
    except CaptionError:
        return ""
