"""Scores: whole games, counted once, with an interval.

Training return is not a score. Here an agent that no longer learns plays a fixed number of whole
episodes in fresh worlds, and the statistics follow Agarwal et al. 2021, "Deep Reinforcement Learning at
the Edge of the Statistical Precipice": interquartile mean and bootstrap intervals.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import stats

from sim.protocols import Policy, WorldConfig
from sim.records import Array, Episode
from sim.vector import ended_episode

#: Evaluation worlds are seeded this far from training worlds of the same run.
SEED_OFFSET = 1_000_003


@dataclass(frozen=True)
class Scores:
    """What `evaluate` found.

    Attributes:
        episodes: in order of world, then of time.
        protocol: the world's rules, and how actions were chosen.
    """

    episodes: tuple[Episode, ...]
    protocol: dict[str, Any]

    @property
    def returns(self) -> Array:
        """(N,) unclipped returns."""
        return np.array([episode.score for episode in self.episodes])

    def metrics(self) -> dict[str, float]:
        """`return_mean`, `return_iqm`, `return_std` and mean `length` in agent steps.

        Games with an outcome add the shares `win`, `draw`, `loss` and `mates`; what is left was cut off.
        """
        metrics = {
            "return_mean": float(self.returns.mean()),
            "return_iqm": float(interquartile_mean(self.returns)),
            "return_std": float(self.returns.std(ddof=1)) if len(self.returns) > 1 else 0.0,
            "length": float(np.mean([episode.length for episode in self.episodes])),
        }
        return metrics | {name: float(hits.mean()) for name, hits in self._outcomes().items()}

    def intervals(self) -> dict[str, tuple[float, float]]:
        """95 % bootstrap intervals of `return_mean` and `return_iqm`, and of the shares of outcomes."""
        intervals = {
            "return_mean": bootstrap_interval(self.returns, np.mean),
            "return_iqm": bootstrap_interval(self.returns, interquartile_mean),
        }
        outcomes = self._outcomes().items()
        return intervals | {name: bootstrap_interval(hits, np.mean) for name, hits in outcomes}

    def _outcomes(self) -> dict[str, Array]:
        """For each kind of outcome, (N,) 1.0 where it happened; empty where games have none."""
        if not any(episode.outcome for episode in self.episodes):
            return {}
        shares = {
            name: np.array([float(episode.outcome == name) for episode in self.episodes])
            for name in ("win", "draw", "loss")
        }
        return shares | {"mates": np.array([float(episode.mate) for episode in self.episodes])}


def evaluate(
    policy: Policy, config: WorldConfig, *, episodes: int, seed: int, greedy: bool, num_envs: int = 20
) -> Scores:
    """Play `episodes` whole episodes in up to `num_envs` worlds at once.

    Each world plays a share fixed beforehand: taking the first episodes to end would favour short ones.

    Args:
        policy: acts; its sampling generator is started from `seed`.
        config: the world.
        episodes: at least 1.
        seed: of worlds and sampling; the same gives the same scores.
        greedy: best actions instead of samples.
        num_envs: how many worlds play at once.
    """
    if episodes < 1:
        raise ValueError(f"episodes must be at least 1, not {episodes}")
    count = min(num_envs, episodes)
    share = np.full(count, episodes // count)
    share[: episodes % count] += 1
    played: list[list[Episode]] = [[] for _ in range(count)]
    worlds = config.make_batch(count, seed + SEED_OFFSET)
    policy.seed(seed)
    memory = None
    try:
        obs, info = worlds.reset()
        while any(len(done) < want for done, want in zip(played, share, strict=True)):
            decision, memory = policy.act(obs, info, memory, greedy=greedy)
            obs, _, _, _, info = worlds.step(decision.actions)
            for i in np.flatnonzero(info.get("_episode", [])):
                if len(played[i]) < share[i]:
                    played[i].append(ended_episode(info, int(i)))
    finally:
        worlds.close()
    protocol = config.protocol() | {"actions": "greedy" if greedy else "sampled"}
    return Scores(tuple(episode for row in played for episode in row), protocol)


def interquartile_mean(values: Array, axis: int = -1) -> Any:
    """The mean of the middle half.

    >>> float(interquartile_mean(np.array([-100.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 100.0])))
    3.5
    """
    return stats.trim_mean(values, 0.25, axis=axis)


def bootstrap_interval(values: Array, statistic: Any) -> tuple[float, float]:
    """The 95 % percentile bootstrap interval of `statistic` over N values; a point for fewer than two."""
    if len(values) < 2 or np.ptp(values) == 0:
        point = float(statistic(values))
        return point, point
    found = stats.bootstrap(
        (values,), statistic, n_resamples=10_000, method="percentile", rng=np.random.default_rng(0)
    ).confidence_interval
    return float(found.low), float(found.high)
