"""Real contexts: short stretches of an emulator's frames and actions, from which dreams start.

A bank of them is played once a process, by held random actions and without sticky ones, and is the same in
every process; which one an episode starts from follows from its seed.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from generative.data.palette import palette
from sim.records import Array

if TYPE_CHECKING:
    from sim.atari.world import AtariWorld

COUNT = 64  # contexts of a bank
BETWEEN = 13  # steps from one to the next: a rally of Pong is about 60
LONGEST_HELD = 8  # steps that an action is held, at most
SEED = 20_18  # of the bank


class RealContexts(NamedTuple):
    """Contexts: frames (K, L, …) uint8 and the actions between them (K, L − 1) int64."""

    frames: Array
    actions: Array


def begin(world: AtariWorld, seed: int | None = None) -> Array:
    """Start a game, whose first picture has colours of its own, and step once; returns the observation."""
    world.reset(seed=seed)
    obs, *_ = world.step(0)
    return obs


@lru_cache(maxsize=4)
def real_contexts(game: str, length: int) -> RealContexts:
    """Contexts of one game, played on its emulator.

    Args:
        game: with a palette.
        length: L, frames of a context.
    """
    from sim.atari.world import Atari

    world = Atari(game, repeat_action_probability=0.0).make(SEED)
    encode = palette(game).encode
    generator = np.random.default_rng(SEED)
    frames: list[Array] = []
    actions: list[list[int]] = []
    since = 0
    try:
        begin(world)
        played, shown, held, left = [0], [encode(world.render())], 0, 0
        while len(frames) < COUNT:
            if left == 0:
                held = int(generator.integers(len(world.action_names)))
                left = int(generator.integers(1, LONGEST_HELD + 1))
            _, _, terminated, truncated, _ = world.step(held)
            left -= 1
            played, shown = [*played, held][-length:], [*shown, encode(world.render())][-length:]
            if terminated or truncated:
                begin(world)
                played, shown = [0], [encode(world.render())]
            elif len(shown) == length and (since := since + 1) >= BETWEEN:
                frames.append(np.stack(shown))
                actions.append(played[1:])
                since = 0
    finally:
        world.close()
    return RealContexts(np.stack(frames), np.array(actions, np.int64))
