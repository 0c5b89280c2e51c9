"""Score strips: the part of a game's picture that shows the points, for any points of both sides.

A world model dreams the playing field only. What stands above it, digits, an agent of the emulator's world
sees as well; a dreamed world counts the points and shows them as the game does. The pictures are the
emulator's own, taken once a process by writing points to the console's memory.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from generative.data.palette import palette
from generative.dream.real_contexts import SEED, begin
from sim.records import Array


class ScoreStrips:
    """Strips of one game: `rgb` of points (N, 2), for and against the player."""

    def __init__(self, strips: Array) -> None:
        """Strips (P + 1, h, w, 3) uint8: of 0 to P points of both sides, the enemy's on the left."""
        self._strips = strips

    @property
    def height(self) -> int:
        """Lines of the picture from the top on."""
        return int(self._strips.shape[1])

    def rgb(self, points: Array) -> Array:
        """Strips (N, h, w, 3) uint8 for points (N, 2) int64."""
        half = self._strips.shape[2] // 2
        won, lost = np.clip(points, 0, len(self._strips) - 1).T
        return np.concatenate([self._strips[lost, :, :half], self._strips[won, :, half:]], axis=2)


@lru_cache(maxsize=4)
def score_strips(game: str) -> ScoreStrips | None:
    """Take the strips of one game; None where the palette does not say where its points are."""
    from sim.atari.world import Atari

    known = palette(game)
    if known.score_bytes is None or known.most_points is None:
        return None
    world = Atari(game, repeat_action_probability=0.0).make(SEED)
    try:
        strips = []
        for points in range(known.most_points + 1):
            begin(world)
            for address in known.score_bytes:
                world.write_ram(address, points)
            world.step(0)
            strips.append(world.render()[: known.bands[0][0]].copy())
    finally:
        world.close()
    return ScoreStrips(np.stack(strips))
