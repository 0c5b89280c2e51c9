"""Move match: how often a policy's favourite is the move played in games (McIlroy-Young et al. 2020).

Positions of one game are not independent: intervals resample whole games.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from sim.records import Array
from supervised.data.sources.chess_games.game_positions import GamePositions
from supervised.metrics.grading import Interval, intervals

BATCH = 1024

#: Logits (B, A) of all actions for observations (B, C, 8, 8) uint8.
PolicyLogits = Callable[[Array], Array]


@dataclass(frozen=True)
class MoveMatch:
    """Grades of a policy in P positions of recorded games; a `MetricAccumulator` of `supervised.metrics`.

    Attributes:
        hits: (P,) whether the most probable legal move was played.
        nll: (P,) negative log-likelihood of the move played, nats.
        chance: (P,) probability of the move if all legal ones were equally likely.
        games: (P,) the game that each position comes from.
    """

    hits: Array
    nll: Array
    chance: Array
    games: Array

    def __len__(self) -> int:
        """Number of positions."""
        return len(self.hits)

    def score(self, weights: Array) -> dict[str, float]:
        """Weighted means ``top1`` and ``nll``."""
        total = weights.sum()
        return {"top1": float(weights @ self.hits / total), "nll": float(weights @ self.nll / total)}

    def metrics(self) -> dict[str, float]:
        """``top1`` and ``nll`` over all positions."""
        return self.score(np.ones(len(self)))

    def baseline(self) -> dict[str, float]:
        """The same of a policy that finds all legal moves equally likely."""
        return {"top1": float(self.chance.mean()), "nll": float(-np.log(self.chance).mean())}

    def intervals(self) -> dict[str, Interval]:
        """95 % bootstrap intervals over games."""
        return intervals(self, self.games.tolist())


def move_match(logits: PolicyLogits, positions: GamePositions, *, most: int) -> MoveMatch:
    """Grade a policy in recorded positions, evenly spread.

    Args:
        logits: of the policy.
        positions: with the moves played.
        most: positions at most.
    """
    rows = np.arange(0, len(positions), -(-len(positions) // most))
    parts: list[tuple[Array, Array, Array]] = []
    for start in range(0, len(rows), BATCH):
        batch = positions.batch(rows[start : start + BATCH], np.random.default_rng(0))
        legal, mask = batch["legal"], batch["mask"]
        found = np.take_along_axis(logits(batch["obs"]), legal, 1).astype(np.float64)
        found = np.where(mask, found, -np.inf)
        played = (legal == batch["played"][:, None]) & mask
        peak = found.max(1, keepdims=True)
        log_sum = peak[:, 0] + np.log(np.exp(found - peak).sum(1))
        nll = log_sum - found[played]
        hits = played[np.arange(len(found)), found.argmax(1)].astype(np.float64)
        parts.append((hits, nll, 1 / mask.sum(1)))
    hits, nll, chance = (np.concatenate(column) for column in zip(*parts, strict=True))
    return MoveMatch(hits, nll, chance, positions.locate(rows)[0])
