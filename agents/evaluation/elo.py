"""Elo differences from match scores, with intervals over pairs of games from one opening.

A score s, the mean of 1 for a win, ½ for a draw and 0 for a loss, is an Elo difference of

    −400 · log₁₀(1/s − 1)                                   (Elo 1978, by the logistic curve)

The two games of a pair share their opening, and so are not independent: the pair is the unit of resampling.
The variance is that of pairs (fishtest's pentanomial model), after one pair won 2–0 and one lost 0–2 are
added to those that were played: two wins and two losses, as Agresti and Coull (1998) do for a proportion.
That keeps the coverage of the 95 % interval at or above 95 % from one pair on, where the plain estimate would
call three pairs of 1–1 certain. A match that was won throughout has no estimate, only a bound.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from agents.evaluation.statistics import Interval
from sim.records import Array

Z = 1.96  # standard deviations of a two-sided 95 % interval
ONE_SIDED = 0.05  # probability of a match won throughout at the bound


def elo_difference(score: float) -> float:
    """The Elo difference of an expected score in [0, 1]; infinite at its ends.

    >>> round(elo_difference(0.75)), elo_difference(0.5), elo_difference(1.0)
    (191, 0.0, inf)
    """
    if not 0 < score < 1:
        return math.copysign(math.inf, score - 0.5)
    return -400 * math.log10(1 / score - 1) + 0.0  # no −0


def expected_score(elo: float) -> float:
    """The expected score at an Elo difference: the inverse of `elo_difference`.

    >>> round(expected_score(191), 2), expected_score(0)
    (0.75, 0.5)
    """
    return 1 / (1 + 10 ** (-elo / 400))


def share_interval(hits: Array, games: Array) -> Interval:
    """The 95 % interval of a share of games, such as of points or of mates, over pairs; see the module.

    Args:
        hits: (n,) the sum over each pair's games, in 0…games.
        games: (n,) how many games each pair has; fewer than two where one had no result.

    >>> low, high = share_interval(np.array([2.0, 1.0, 2.0, 1.5]), np.full(4, 2))
    >>> round(low, 2), round(high, 2)
    (0.39, 1.0)
    """
    hits = np.concatenate([hits, [0.0, 2.0]])
    games = np.concatenate([games, [2.0, 2.0]])
    share = hits.sum() / games.sum()
    spread = math.sqrt(np.square(hits - share * games).sum() * len(hits) / (len(hits) - 1)) / games.sum()
    return max(0.0, float(share - Z * spread)), min(1.0, float(share + Z * spread))


@dataclass(frozen=True)
class EloEstimate:
    """An Elo difference with its 95 % interval.

    Attributes:
        elo: the difference; where every game was won or every one lost its one-sided 95 % bound.
        low: end of the interval, −inf if there is none.
        high: end of the interval, inf if there is none.
    """

    elo: float
    low: float
    high: float

    @property
    def is_bound(self) -> bool:
        """Whether `elo` is a bound: all games were won, or all lost."""
        return self.elo in (self.low, self.high)

    def __str__(self) -> str:
        """Rounded, as ``+191 (+64 … +402)``; a bound as ``> +183``."""
        if self.is_bound:
            return f"{'>' if self.elo == self.low else '<'} {_signed(self.elo)}"
        return f"{_signed(self.elo)} ({_signed(self.low)} … {_signed(self.high)})"


def _signed(elo: float) -> str:
    """A rounded number with its sign.

    >>> _signed(-63.6), _signed(0.0), _signed(-math.inf)
    ('−64', '+0', '−∞')
    """
    return f"{elo:+.0f}".replace("-", "−").replace("+inf", "∞").replace("inf", "∞")


def elo_estimate(points: Array, games: Array) -> EloEstimate:
    """The Elo difference of a match.

    Args:
        points: (n,) of each pair: 1 for a win, ½ for a draw.
        games: (n,) how many games with a result each pair has; at least one in all.

    Raises:
        ValueError: without a game.

    >>> str(elo_estimate(np.array([2.0, 2.0, 1.0, 1.5, 1.0]), np.full(5, 2)))
    '+191 (−69 … +533)'
    >>> str(elo_estimate(np.full(10, 2.0), np.full(10, 2)))
    '> +183'
    """
    played = float(games.sum())
    if not played:
        raise ValueError("an Elo difference needs at least one game with a result")
    score = float(points.sum()) / played
    if score in (0.0, 1.0):
        bound = elo_difference(ONE_SIDED ** (1 / int(np.count_nonzero(games))))
        return EloEstimate(bound, bound, math.inf) if score else EloEstimate(-bound, -math.inf, -bound)
    low, high = share_interval(points, games)
    return EloEstimate(elo_difference(score), elo_difference(low), elo_difference(high))
