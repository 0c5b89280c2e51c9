"""Prompts of chess: the beginnings of master games, with how the game went on.

The games are those of `supervised.data.sources.texts`; the split is by game.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from sim.records import Percept
from supervised.data.columns import TextColumn
from supervised.data.dataset import Dataset
from supervised.data.sources.splits import DataError, Splits
from supervised.data.sources.texts import game_splits

LENGTHS = 16, 17  # plies of a prompt, so that either side is to move


def prompt_splits(name: str, path: Path | None, *, most: int, plies: int, seed: int) -> Splits:
    """Prompts, one of each game that is long enough.

    Columns:
        values: moves in SAN with spaces between.
        truths: the next `plies` moves of the game as caption.
        episodes: the game's number.

    Raises:
        DataError: for an unknown name, or a file without enough games that are long enough.
        MissingPackageError: without python-chess.
    """
    games = game_splits(name, path, most=most, seed=seed)
    whole = games.train, games.validation, games.test
    train, validation, test = (_prompts(part, plies, seed) for part in whole)
    for part in (train, validation, test):
        if not len(part):
            raise DataError(f"{path or name}: too few games of {LENGTHS[0] + plies} plies; give more games")
    short = sum(map(len, whole)) - len(train) - len(validation) - len(test)
    skipped = (*games.skipped, *[f"{short} games that end too early"] * bool(short))
    return replace(games, train=train, validation=validation, test=test, skipped=skipped)


def _prompts(games: Dataset, plies: int, seed: int) -> Dataset:
    """The prompts of some games; how long each is follows from its number."""
    values, truths, episodes = [], [], []
    for text, number in zip(games.values, games.episodes.tolist(), strict=True):
        words = text.split()
        fitting = [length for length in LENGTHS if length + plies <= len(words)]
        if fitting:
            own = fitting[int(np.random.default_rng((seed, number)).integers(len(fitting)))]
            values.append(" ".join(words[:own]))
            truths.append(Percept("truth", caption=" ".join(words[own : own + plies])))
            episodes.append(number)
    return Dataset(
        values=TextColumn(tuple(values)), truths=tuple(truths), episodes=np.array(episodes, np.int64)
    )
