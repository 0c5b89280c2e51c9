"""Scores of a sweep's trials: the metric that training reports, and the final one of each seed.

An agent's trial is compared while it trains by its mean return over the last 100 training episodes; its
score is the mean return of its last checkpoint over whole evaluation episodes, as `playfield evaluate` plays
them. A perception, task or sampler is compared, and scored, by a validation metric of its fit.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from scenes.build.agents import build_policy, scene_agent
from scenes.build.devices import chosen_device
from scenes.build.perceptions import trains_perception
from scenes.build.samplers import trains_sampler
from scenes.data.agent_env import agent_env
from scenes.evaluation.agents import evaluate_with_progress
from scenes.evaluation.learning_curves import lower_is_better
from scenes.schema import Scene
from scenes.sweep.folder import Definition, Direction
from scenes.training.trainee import trainee_of
from sim.protocols import LearnerConfig

RETURN, LOSS, HELD_OUT = "return_mean", "validation_loss", "validation_"
EPISODES = 20  # that an agent is scored by, as `playfield evaluate` does unless told
#: Agents that train against themselves: their training return is no measure of their strength.
AGAINST_ITSELF = ("alphazero",)


@dataclass(frozen=True)
class SeedScore:
    """Score of one seed of a trial.

    Attributes:
        score: the sweep's metric.
        low: of its 95 % bootstrap interval over evaluation episodes; None where it is not of episodes.
        high: of the same.
        episodes: how many it comes from; 0 where it is not of episodes.
        seconds: of training.
        steps: trained, in the sweep's unit.
    """

    score: float
    low: float | None
    high: float | None
    episodes: int
    seconds: float
    steps: int

    def table(self) -> dict[str, Any]:
        """As JSON holds it."""
        return asdict(self)

    @classmethod
    def of(cls, table: Mapping[str, Any]) -> SeedScore:
        """Of `table`."""
        return cls(**table)


def fitted(scene: Scene) -> bool:
    """Whether the scene trains a perception, a task or a sampler: no agent."""
    return trains_perception(scene) or trains_sampler(scene)


def usual_metric(scene: Scene) -> tuple[str, Direction, bool]:
    """Metric of a scene's sweep, which values are better, and whether its course says what becomes of it.

    Raises:
        RequestError: if its agent does not learn.
    """
    if fitted(scene):
        return LOSS, "minimize" if lower_is_better(LOSS) else "maximize", True
    from scenes.training.agents import learner_config

    learner_config(scene)
    assert scene.agent is not None
    return RETURN, "maximize", scene.agent.use not in AGAINST_ITSELF


def protocol(definition: Definition) -> str:
    """How a trial is compared and scored, in words."""
    seeds = "" if definition.seeds == 1 else f", the mean of {definition.seeds} seeds"
    if definition.metric == RETURN:
        course = (
            "; pruned by the median of return over the last 100 training episodes"
            if definition.prunes
            else ""
        )
        return (
            f"score: mean return of the last checkpoint over {EPISODES} evaluation episodes{seeds}{course}. "
            "The best of many trials looks better than it is: evaluate it again with another --seed"
        )
    name = definition.metric.replace("_", " ")
    return (
        f"score: {name} at the end of training{seeds}, lower is better; pruned by its median. "
        "The best of many trials looks better than it is: evaluate it on other data"
    )


def score_seed(scene: Scene, run: Path, metric: str, device: str) -> dict[str, Any]:
    """Score the last checkpoint of a run: `score`, `low`, `high` and `episodes` of a `SeedScore`.

    Raises:
        ScoringFailed: if a world or the agent broke down.
    """
    if fitted(scene):
        trainee = trainee_of(scene, device, run)
        try:
            value = trainee.evaluate()[metric.removeprefix(HELD_OUT)]
        finally:
            trainee.close()
        return {"score": float(value), "low": None, "high": None, "episodes": 0}
    config, agent = agent_env(scene, device), scene_agent(scene)
    assert isinstance(agent, LearnerConfig)
    worlds = config.make_batch(1, scene.seed)
    try:
        policy, _ = build_policy(scene, worlds, config, chosen_device(device, agent), run)
    finally:
        worlds.close()
    scores = evaluate_with_progress(
        policy, config, scene.name, episodes=EPISODES, seed=scene.seed, greedy=agent.greedy
    )
    low, high = scores.intervals()[RETURN]
    known = math.isfinite(low)
    return {
        "score": scores.metrics()[RETURN],
        "low": low if known else None,
        "high": high if known else None,
        "episodes": EPISODES,
    }
