"""Metrics of a reward model: how often it ranks a pair of texts right, and how likely it finds that.

A percept has ``extras["value"]["reward"]``, the reward of a text; of games that were played its correlation
with the rule's reward is told.
"""

from __future__ import annotations

import math

import numpy as np

from sim.records import Array, Percept
from sim.viewer.contract.moment import Readout
from supervised.metrics.percept_metrics import Parser, PerceptMetrics, Percepts
from supervised.metrics.regression import quantity

REWARD = "reward"


class PairTally:
    """Pairs of preferred and other text, counted by prompt: those of one prompt are resampled together.

    Args:
        margins: (M,) r(preferred) − r(other), in nats.
        prompts: (M,) numbers of their prompts.
    """

    def __init__(self, margins: Array, prompts: Array) -> None:
        _, which = np.unique(prompts, return_inverse=True)
        right = (np.sign(margins) + 1) / 2
        nll = np.logaddexp(0, -margins)
        self.right, self.nll, self.pairs = (
            np.bincount(which, weights=column) for column in (right, nll, np.ones(len(margins)))
        )

    def __len__(self) -> int:
        """How many prompts."""
        return len(self.pairs)

    def score(self, weights: Array) -> dict[str, float]:
        """``accuracy``, a draw a half, and ``nll`` in nats a pair; NaN without pairs."""
        pairs = float(weights @ self.pairs)
        if not pairs:
            return {"accuracy": math.nan, "nll": math.nan}
        return {"accuracy": float(weights @ self.right) / pairs, "nll": float(weights @ self.nll) / pairs}


class CorrelationTally:
    """Rewards of N texts by two judges.

    Args:
        model: (N,).
        rule: (N,), NaN where it is not told.
    """

    def __init__(self, model: Array, rule: Array) -> None:
        self.model, self.rule = model, rule

    def __len__(self) -> int:
        """N."""
        return len(self.model)

    def score(self, weights: Array) -> dict[str, float]:
        """``correlation``, Pearson's; NaN where one of them does not vary."""
        known = np.isfinite(self.rule) & (weights > 0)
        if known.sum() < 2:
            return {"correlation": math.nan}
        (a, ab), (_, b) = np.cov(self.model[known], self.rule[known], aweights=weights[known])
        return {"correlation": float(ab / math.sqrt(a * b)) if a * b > 0 else math.nan}


def accumulate(predicted: Percepts, truth: Percepts, parse: Parser | None) -> CorrelationTally:
    """The tally of these percepts."""
    return CorrelationTally(*(np.array([_reward(one) for one in part]) for part in (predicted, truth)))


def _reward(percept: Percept) -> float:
    return float((percept.extras.get("value") or {}).get(REWARD, math.nan))


def baseline(truths: Percepts, parse: Parser | None) -> Percept:
    """The same reward for all texts."""
    return quantity("model", {REWARD: 0.0})


def live(percept: Percept, truth: Percept, parse: Parser | None) -> tuple[Readout, ...]:
    """Reward by the model and by the rule."""
    rule = _reward(truth)
    told = () if math.isnan(rule) else (Readout("by the rule", round(rule, 1), "pawns"),)
    return (Readout(REWARD, round(_reward(percept), 2), "nats"), *told)


PREFERENCES = PerceptMetrics(accumulate, baseline, live=live)
