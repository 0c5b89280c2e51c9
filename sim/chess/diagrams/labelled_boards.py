"""Training data for board perception: augmented pictures of games in every style, with ground truth.

Each seed is one game; every picture of it has its own style, place and light, which depend on nothing but
that seed. A split by seed keeps each game in one part.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import TypeAlias

import numpy as np

from sim.chess.diagrams.draw import BoardStyle
from sim.chess.diagrams.pictures import VARIED, Variation, picture
from sim.chess.diagrams.positions import positions
from sim.chess.diagrams.themes import styles
from sim.records import Array, Percept

#: (N, S, S, 3) uint8 and N percepts.
Batch: TypeAlias = tuple[Array, list[Percept]]


def render_games(
    seeds: Iterable[int],
    looks: Sequence[BoardStyle] = tuple(styles()),
    *,
    size: int = 128,
    a_game: int = 16,
    variation: Variation = VARIED,
) -> Iterator[Batch]:
    """Render augmented pictures with ground truth of one game for each of `seeds`.

    Args:
        seeds: of the games; each also draws its styles, viewpoints and lights.
        looks: one of these for each picture; the default leaves out the colours in `themes.HELD_OUT`.
        size: pixels of a side S, at least 64.
        a_game: pictures of one game at most; fewer if it is shorter.
        variation: how far pictures are from the plain drawing.

    Yields:
        For each seed (N, S, S, 3) uint8 and the N percepts of these pictures; see `pictures.picture`.

    Raises:
        ValueError: for a size below 64, or no looks.

    >>> [(rgb.shape, len(percepts)) for rgb, percepts in render_games([7, 8], a_game=3)]
    [((3, 128, 128, 3), 3), ((3, 128, 128, 3), 3)]
    """
    if not looks:
        raise ValueError("an album needs at least one look")
    for seed in seeds:
        generator = np.random.default_rng(seed).spawn(1)[0]  # `positions` draws from its parent
        taken = [
            picture(board, looks[int(generator.integers(len(looks)))], generator, size, variation)
            for board in positions(seed, a_game)
        ]
        yield np.stack([rgb for rgb, _ in taken]), [percept for _, percept in taken]
