"""Metrics of language models: bits a character of given texts, and of what they write.

A percept of a text has ``extras["nats"]``, −ln of the probability of each of its tokens, and
``extras["characters"]``, how many characters those stand for; or ``extras["bits_per_char"]`` where a model
gives no more than an average. Bits a character are Σ nats / ln 2 / Σ characters over all texts, so that
tokens of any kind compare: moves, words or characters.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from sim.records import Array, Percept
from sim.viewer.contract.moment import Readout
from supervised.metrics.percept_metrics import MetricAccumulator, Parser, PerceptMetrics, Percepts, Rows


class BitsTally:
    """Bits and characters of N texts.

    Args:
        bits: (N,).
        characters: (N,).
    """

    def __init__(self, bits: Array, characters: Array) -> None:
        self.bits, self.characters = bits, characters

    def __len__(self) -> int:
        """N."""
        return len(self.bits)

    def score(self, weights: Array) -> dict[str, float]:
        """``bits_per_char``; NaN of texts without a character."""
        characters = float(weights @ self.characters)
        return {"bits_per_char": float(weights @ self.bits) / characters if characters else math.nan}


class ShareTally:
    """Shares of N samples that have some properties.

    Args:
        holds: metric → (N,) numbers in [0, 1].
    """

    def __init__(self, holds: Mapping[str, Array]) -> None:
        self.holds = {name: np.asarray(array, np.float64) for name, array in holds.items()}

    def __len__(self) -> int:
        """N."""
        return len(next(iter(self.holds.values())))

    def score(self, weights: Array) -> dict[str, float]:
        """The mean of each."""
        return {name: float(np.average(array, weights=weights)) for name, array in self.holds.items()}


@dataclass(frozen=True)
class SampleGrades:
    """Metrics of what a model makes, beside those of test examples.

    Attributes:
        counted: of the samples, which are independent of one another.
        baselines: the same metrics of simple models, by name.
        breakdown: further rows.
        protocol: how the samples were made, as keys of a protocol stamp.
    """

    counted: MetricAccumulator
    baselines: Rows = field(default_factory=dict)
    breakdown: Rows = field(default_factory=dict)
    protocol: Mapping[str, str] = field(default_factory=dict)


def accumulate(predicted: Percepts, truth: Percepts, parse: Parser | None) -> BitsTally:
    """The tally of these texts; see the module."""
    characters = np.array([_characters(*pair) for pair in zip(predicted, truth, strict=True)], np.float64)
    bits = [
        float(np.sum(percept.extras["nats"])) / math.log(2)
        if "nats" in percept.extras
        else percept.extras["bits_per_char"] * count
        for percept, count in zip(predicted, characters, strict=True)
    ]
    return BitsTally(np.array(bits, np.float64), characters)


def _characters(percept: Percept, truth: Percept) -> int:
    """Of the text: as the percept says, or where it stands for no text of its own its truth."""
    count: int = percept.extras.get("characters") or truth.extras.get("characters") or 1
    return count


def baseline(truths: Percepts, parse: Parser | None) -> Percept:
    """The commonest end of a text, and the entropy of single characters in these ends."""
    ends = [truth.caption or "" for truth in truths]
    counts = np.array(list(Counter("".join(ends)).values()), np.float64)
    share = counts / counts.sum()
    entropy = float(-(share * np.log2(share)).sum())
    return Percept("model", caption=Counter(ends).most_common(1)[0][0], extras={"bits_per_char": entropy})


def live(percept: Percept, truth: Percept, parse: Parser | None) -> tuple[Readout, ...]:
    """Bits a character of this text."""
    bits = accumulate([percept], [truth], parse).score(np.ones(1))["bits_per_char"]
    return () if math.isnan(bits) else (Readout("surprise", round(bits, 3), "bits a character"),)


TEXT = PerceptMetrics(accumulate, baseline, live=live)
