"""Evaluation of policies: returns of a fixed number of whole episodes, with bootstrap intervals.

Training return is not a score. Here an agent that no longer learns plays a fixed number of whole
episodes in new worlds, each from a seed of its own; `agents.evaluation.statistics` has the statistics.

With several evaluation seeds each of them is a whole evaluation by itself, worlds and sampling alike, and
one stratum of the intervals: what a seed contributes to the score is fixed beforehand.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from agents.evaluation.human import human_normalized
from agents.evaluation.statistics import Interval, bootstrap_interval, interquartile_mean
from sim.protocols import Policy, WorldConfig
from sim.records import Array, Episode
from sim.vector import ended_episode, reset_memory

#: Added to a run's seed for evaluation worlds, and the distance of evaluation seeds: world i of a batch has
#: seed + i, and no two may play the same game.
SEED_OFFSET = 1_000_003


@dataclass(frozen=True)
class Scores:
    """Result of an evaluation: episodes, metrics and intervals.

    Attributes:
        episodes: in order of evaluation seed, then of world, then of time.
        protocol: the world's rules, and how actions were chosen.
        seeds: how many evaluation seeds there were; each played an equal share of the episodes.
    """

    episodes: tuple[Episode, ...]
    protocol: dict[str, Any]
    seeds: int = 1

    @property
    def returns(self) -> Array:
        """Unclipped returns (N,)."""
        return np.array([episode.score for episode in self.episodes])

    def metrics(self) -> dict[str, float]:
        """`return_mean`, `return_iqm`, `return_std` and mean `length` in agent steps.

        Atari games with published human scores add `human_normalized` (see `agents.evaluation.human`). Games
        with an outcome add the shares `win`, `draw`, `loss` and `mates`; the rest was truncated. Statistics
        of the world, such as a walker's speed, are means over the episodes that have them.
        """
        mean = float(self.returns.mean())
        metrics = {
            "return_mean": mean,
            "return_iqm": float(interquartile_mean(self.returns)),
            "return_std": float(self.returns.std(ddof=1)) if len(self.returns) > 1 else 0.0,
            "length": float(np.mean([episode.length for episode in self.episodes])),
        }
        human = self._human_normalized(mean)
        if human is not None:
            metrics["human_normalized"] = human
        metrics |= {name: float(hits.mean()) for name, hits in self._outcomes().items()}
        return metrics | {name: float(np.concatenate(v).mean()) for name, v in self._statistics().items()}

    def intervals(self) -> dict[str, Interval]:
        """95 % bootstrap intervals of the means, of the interquartile mean, of outcomes and of statistics."""
        intervals = {
            "return_mean": bootstrap_interval(self._strata(self.returns), np.mean),
            "return_iqm": bootstrap_interval(self._strata(self.returns), interquartile_mean),
        }
        low, high = map(self._human_normalized, intervals["return_mean"])  # linear, and rising for every game
        if low is not None and high is not None:
            intervals["human_normalized"] = low, high
        outcomes = self._outcomes().items()
        intervals |= {name: bootstrap_interval(self._strata(hits), np.mean) for name, hits in outcomes}
        for name, strata in self._statistics().items():
            enough = min(map(len, strata)) > 1
            intervals[name] = bootstrap_interval(strata, np.mean) if enough else (math.nan, math.nan)
        return intervals

    def _human_normalized(self, score: float) -> float | None:
        return human_normalized(str(self.protocol.get("world", "")), score)

    def _strata(self, values: Array) -> list[Array]:
        """`values` (N,) by evaluation seed."""
        return np.split(values, self.seeds)

    def _statistics(self) -> dict[str, list[Array]]:
        """Statistics of the world by name, by evaluation seed; those that apply in no episode of one go."""
        names = dict.fromkeys(name for episode in self.episodes for name in episode.statistics)
        found = {}
        for name in names:
            values = np.array([episode.statistics.get(name, np.nan) for episode in self.episodes])
            strata = [stratum[np.isfinite(stratum)] for stratum in self._strata(values)]
            if all(len(stratum) for stratum in strata):
                found[name] = strata
        return found

    def _outcomes(self) -> dict[str, Array]:
        """Indicators (N,) of each outcome, 1.0 where it occurred; empty for games without outcomes."""
        if not any(episode.outcome for episode in self.episodes):
            return {}
        shares = {
            name: np.array([float(episode.outcome == name) for episode in self.episodes])
            for name in ("win", "draw", "loss")
        }
        return shares | {"mates": np.array([float(episode.mate) for episode in self.episodes])}


def pool_scores(scores: Sequence[Scores]) -> Scores:
    """The scores of several policies as one: of each seed of a training; each is a stratum, or several."""
    episodes = tuple(episode for each in scores for episode in each.episodes)
    return Scores(episodes, scores[0].protocol, sum(each.seeds for each in scores))


def evaluate(
    policy: Policy,
    config: WorldConfig,
    *,
    episodes: int,
    seed: int,
    greedy: bool,
    num_envs: int = 20,
    seeds: int = 1,
    on_episode: Callable[[Episode], None] = lambda episode: None,
) -> Scores:
    """Evaluate a policy on `episodes` whole episodes for each of `seeds` seeds, `num_envs` in parallel.

    Each world plays a share fixed beforehand: taking the first episodes to end would favour short ones.

    Args:
        policy: acts; its sampling generator is started from the seed.
        config: the world.
        episodes: at least 1; at least 2 where there are several seeds, or there is nothing to resample.
        seed: of worlds and sampling; the same gives the same scores.
        greedy: best actions instead of samples.
        num_envs: how many worlds play at once.
        seeds: how many evaluations, `SEED_OFFSET` apart; see the module.
        on_episode: called with each counted episode as it ends.

    Raises:
        ValueError: for too few episodes or seeds.
    """
    least = 1 if seeds == 1 else 2
    if seeds < 1 or episodes < least:
        raise ValueError(
            f"episodes must be at least {least} and seeds at least 1, not {episodes} and {seeds}"
        )
    played: list[Episode] = []
    for k in range(seeds):
        played += _play(policy, config, episodes, seed + k * SEED_OFFSET, greedy, num_envs, on_episode)
    protocol = config.protocol() | {"actions": "greedy" if greedy else "sampled"}
    return Scores(tuple(played), protocol, seeds)


def _play(
    policy: Policy,
    config: WorldConfig,
    episodes: int,
    seed: int,
    greedy: bool,
    num_envs: int,
    on_episode: Callable[[Episode], None],
) -> list[Episode]:
    """The episodes of one evaluation seed, in order of world, then of time."""
    count = min(num_envs, episodes)
    share = np.full(count, episodes // count)
    share[: episodes % count] += 1
    played: list[list[Episode]] = [[] for _ in range(count)]
    worlds = config.make_batch(count, seed + SEED_OFFSET)
    worlds.keep_statistics()
    policy.seed(seed)
    memory = None
    try:
        obs, info = worlds.reset()
        while any(len(done) < want for done, want in zip(played, share, strict=True)):
            decision, memory = policy.act(obs, info, memory, greedy=greedy)
            obs, _, terminated, truncated, info = worlds.step(decision.actions)
            memory = reset_memory(memory, terminated | truncated)
            for i in np.flatnonzero(info.get("_episode", [])):
                if len(played[i]) < share[i]:
                    played[i].append(ended_episode(info, int(i)))
                    on_episode(played[i][-1])
    finally:
        worlds.close()
    return [episode for row in played for episode in row]
