"""Games as masters went on: a prompt with its next plies, and what these were worth by the rule.

The rule's reward is told of validation and test games alone; a reward model learns from none.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from sim.records import Percept
from supervised.data.columns import TextColumn
from supervised.data.dataset import Dataset
from supervised.data.sources.game_prompts import prompt_splits
from supervised.data.sources.splits import Splits
from supervised.language.tuning.game_reward import continuation_reward, material_balance
from supervised.metrics.preferences import REWARD
from supervised.metrics.regression import quantity


def played_splits(name: str, path: Path | None, *, most: int, plies: int, seed: int) -> Splits:
    """The prompts of `game_prompts.prompt_splits` (chess games) with their next `plies`.

    Columns:
        values: moves in SAN with spaces between.
        truths: the rule's reward of the last `plies` as value; nothing in the training set.
        episodes: the game's number.

    Raises:
        DataError, MissingPackageError: see there.
    """
    prompts = prompt_splits(name, path, most=most, plies=plies, seed=seed)
    train = _whole(prompts.train)
    validation, test = (_judged(_whole(part), plies) for part in (prompts.validation, prompts.test))
    return replace(prompts, train=train, validation=validation, test=test, classes=(REWARD,))


def _whole(prompts: Dataset) -> Dataset:
    """The prompts with how they went on."""
    games = [
        f"{prompt} {truth.caption}" for prompt, truth in zip(prompts.values, prompts.truths, strict=True)
    ]
    nothing = (Percept("truth"),) * len(games)
    return Dataset(values=TextColumn(tuple(games)), truths=nothing, episodes=prompts.episodes)


def _judged(games: Dataset, plies: int) -> Dataset:
    """The games with the rule's reward of their last plies."""
    truths = tuple(quantity("truth", {REWARD: played_reward(text, plies)}) for text in games.values)
    return Dataset(values=TextColumn(tuple(games.values)), truths=truths, episodes=games.episodes)


def played_reward(game: str, plies: int) -> float:
    """The rule's reward of the last `plies` of a game, for the side that plays the first of them.

    >>> played_reward("e4 d5 exd5 Nf6", 2)  # from white's second move on
    1.0
    """
    import chess

    board, words = chess.Board(), game.split()
    side, before = board.turn, 0
    for ply, word in enumerate(words):
        if ply == len(words) - plies:
            side, before = board.turn, material_balance(board, board.turn)
        board.push_san(word)
    return continuation_reward(board, side, before, legal=True)
