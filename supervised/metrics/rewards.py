"""Metrics of a tuned language model: mean reward of what it writes, and its divergence from the base model.

A percept has ``extras["reward"]``, the mean reward of some texts that go on from a prompt, ``extras["kl"]``,
their mean log-ratio of policy and base in nats, ``extras["legal"]``, the share of them without an illegal
move, and ``extras["base_reward"]`` of the base's texts.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np

from sim.records import Array, Percept
from sim.viewer.contract.moment import Readout
from supervised.metrics.percept_metrics import Parser, PerceptMetrics, Percepts

NAMES = ("reward", "kl", "legal")


class MeanTally:
    """Figures of N prompts, of which a score is the weighted mean; NaN where one is missing.

    Args:
        figures: metric → (N,).
    """

    def __init__(self, figures: Mapping[str, Array]) -> None:
        self.figures = figures

    def __len__(self) -> int:
        """N."""
        return len(next(iter(self.figures.values())))

    def score(self, weights: Array) -> dict[str, float]:
        """The mean of each."""
        return {name: float(np.average(array, weights=weights)) for name, array in self.figures.items()}


def accumulate(predicted: Percepts, truth: Percepts, parse: Parser | None) -> MeanTally:
    """Reward, KL and legality by prompt, and how often the reward is above the base's, a draw a half."""
    figures = {name: _column(predicted, name) for name in NAMES}
    apart = figures["reward"] - _column(predicted, "base_reward")
    wins = np.where(np.isnan(apart), np.nan, (np.sign(apart) + 1) / 2)
    return MeanTally(figures | {"win_rate": wins})


def _column(percepts: Percepts, name: str) -> Array:
    return np.array([percept.extras.get(name, math.nan) for percept in percepts], np.float64)


def baseline(truths: Percepts, parse: Parser | None) -> Percept:
    """A text that gains and loses nothing."""
    return Percept("model", caption="", extras={"reward": 0.0})


def live(percept: Percept, truth: Percept, parse: Parser | None) -> tuple[Readout, ...]:
    """Reward of the texts of this prompt, beside the base's."""
    extras = percept.extras
    return (
        Readout("reward", round(extras["reward"], 2), "pawns"),
        Readout("base's", round(extras["base_reward"], 2), "pawns"),
        Readout("log-ratio to base", round(extras["kl"], 2), "nats"),
    )


REWARDS = PerceptMetrics(accumulate, baseline, live=live)
