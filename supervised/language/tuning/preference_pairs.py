"""Preference pairs: continuations by the base model, ranked by the rule, the best paired with the worst.

The next best is paired with the next worst, and so on. They are drawn once and cached, with the
log-probabilities of the base, which never change.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence

import numpy as np

from sim.records import Array
from supervised.data.dataset import Dataset
from supervised.data.dataset_cache import Request, cached
from supervised.language.generation.notation import Encoded
from supervised.language.tuning.rollouts import Roller

MAKERS = ("supervised.language.tuning.preference_pairs",)


def preference_pairs(roller: Roller, prompts: Sequence[Encoded], candidates: int, seed: int) -> Dataset:
    """Pairs of continuations of prompts, from the cache where they are there.

    Of K candidates K / 2 pairs are made; those of equal reward are left out.

    Columns:
        values: (2, T) int64 tokens, those of the preferred one first; see
        `supervised.language.tuning.rollouts`. marks, targets: (2, T) int64. features: (2, T, F / 8) uint8.
        begins, ends: (2,) int64. base: (2,) log-probabilities by the base. rewards: (2,).
    """
    told = {
        "base": bytes(roller.network.base_digest.tolist()).hex(),
        "prompts": hashlib.sha256(repr([prompt.words for prompt in prompts]).encode()).hexdigest(),
        "plies": roller.plies,
        "temperature": roller.temperature,
        "candidates": candidates,
        "seed": seed,
    }
    return cached(
        Request("preferences", told, MAKERS), lambda: drawn_pairs(roller, prompts, candidates, seed)
    )


def drawn_pairs(roller: Roller, prompts: Sequence[Encoded], candidates: int, seed: int) -> Dataset:
    """See `preference_pairs`."""
    shape = len(prompts), candidates
    uniforms = np.random.default_rng(seed).random((*shape, roller.plies))
    several = [prompt for prompt in prompts for _ in range(candidates)]
    drawn = roller.roll_out(several, uniforms.reshape(-1, roller.plies), tuned=False)
    rewards = drawn.rewards.reshape(shape)
    order = rewards.argsort(1, kind="stable") + np.arange(len(prompts))[:, None] * candidates
    half = candidates // 2
    rows = np.stack([order[:, : -half - 1 : -1], order[:, :half]], -1).reshape(-1, 2)
    rows = rows[drawn.rewards[rows[:, 0]] > drawn.rewards[rows[:, 1]]]
    return Dataset(
        episodes=rows[:, 0] // candidates,
        values=drawn.tokens[rows],
        marks=drawn.marks[rows],
        targets=drawn.targets[rows],
        features=drawn.features[rows],
        begins=drawn.begins[rows],
        ends=drawn.ends[rows],
        base=drawn.log_base[rows].astype(np.float32),
        rewards=drawn.rewards[rows],
    )


class PairExamples:
    """Pairs as examples of a fit. Satisfies `supervised.fit.Examples`."""

    def __init__(self, pairs: Dataset) -> None:
        self._pairs = pairs

    def __len__(self) -> int:
        """How many pairs."""
        return len(self._pairs)

    def batch(self, rows: Array, generator: np.random.Generator) -> Mapping[str, Array]:
        """The columns of `preference_pairs`; ``tokens`` are its values."""
        own = ("marks", "targets", "features", "begins", "ends", "base")
        columns = {"tokens": "values"} | {name: name for name in own}
        return {name: np.asarray(self._pairs[column][rows]) for name, column in columns.items()}


class PromptExamples:
    """Numbers of prompts with the uniform draws of their rollouts. Satisfies `supervised.fit.Examples`.

    Args:
        prompts: of the data.
        samples: K rollouts of each.
        plies: of a rollout.
    """

    def __init__(self, prompts: Sequence[Encoded], samples: int, plies: int) -> None:
        self.prompts = prompts
        self._shape = samples, plies

    def __len__(self) -> int:
        """How many prompts."""
        return len(self.prompts)

    def batch(self, rows: Array, generator: np.random.Generator) -> Mapping[str, Array]:
        """``rows`` (B,) and ``uniforms`` (B, K, plies)."""
        return {"rows": rows, "uniforms": generator.random((len(rows), *self._shape))}
