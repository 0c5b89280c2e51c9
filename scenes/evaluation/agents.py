"""Evaluation of a scene's agent over whole episodes, beside a random agent (`playfield evaluate`)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from rich.table import Table

from agents.evaluation.evaluate import SEED_OFFSET, Scores, pool_scores
from agents.evaluation.evaluate import evaluate as play
from agents.evaluation.statistics import Interval
from agents.random import Random
from scenes.build.agents import build_policy, scene_agent, scene_world
from scenes.build.devices import chosen_device
from scenes.data.agent_env import agent_env
from scenes.evaluation import gait_figure, robustness
from scenes.evaluation.move_prediction import add_move_match
from scenes.evaluation.score_format import format_interval, format_protocol, format_score
from scenes.interruption import FAULTS, error_line, progress_bar
from scenes.report import Report
from scenes.schema import Scene, SceneError
from sim.errors import RequestError, WorkError
from sim.plurals import number_of
from sim.protocols import Policy, WorldConfig
from sim.records import Episode
from sim.storage.runs import seed_runs

TACTICIANS = ("alphazero", "imitation")  # agents that are also scored by tactics, in whole games of chess


#: Scores of all entries in a world, by name; the text says against whom they play.
Play: TypeAlias = Callable[[WorldConfig, str], Mapping[str, Scores]]

#: Metrics by group, and tables of them.
Breakdown: TypeAlias = tuple[dict[str, dict[str, float]], list[Table]]


class ScoringFailed(WorkError):
    """An evaluation whose world or agent failed."""


def evaluate(
    scene: Scene,
    *,
    device: str,
    episodes: int,
    seeds: int,
    checkpoint: Path | None,
    say: Callable[[str], None],
    perturb: bool = False,
    figure: Path | None = None,
    overwrite: bool = False,
) -> Report:
    """Evaluate the scene's agent and a random one.

    Args:
        scene: with an agent.
        device: ``auto``, ``cpu`` or ``cuda``.
        episodes: whole episodes from each seed.
        seeds: number of evaluation seeds, the scene's own first.
        checkpoint: instead of the scene's own; a folder of several seeds (`seed_runs`) means all of them.
        say: takes lines for a person.
        perturb: break a walker's score down by perturbation (`scenes.evaluation.robustness`).
        figure: PNG of a walker's foot contacts in the first episode (`scenes.evaluation.gait_figure`).
        overwrite: replace it where it exists.

    Returns:
        The answer of ``--json`` (metrics, baseline, breakdown, n, ci95, protocol; files with a figure), and
        its tables.

    Raises:
        ScoringFailed: if a world or the agent failed.
        SceneError, CheckpointError: if the request is wrong.
    """
    runs = _requested_runs(checkpoint, episodes, seeds)
    if perturb:
        robustness.check_perturbable(scene)
    if figure is not None:
        gait_figure.check_figure(scene, figure, overwrite=overwrite)
    config, greedy = agent_env(scene, device), scene_agent(scene).greedy
    policies, random = _policies(scene, config, device, runs, say)
    games = {"episodes": episodes, "seed": scene.seed, "seeds": seeds}

    def scored(world: WorldConfig, against: str = "") -> dict[str, Scores]:
        return {
            name: evaluate_with_progress(policy, world, against or name, greedy=greedy, **games)
            for name, policy in policies.items()
        }

    found = pool_scores(list((parts := scored(config)).values()))
    # The random agent uses no percepts: no perception model is run for it.
    blind = scene_world(scene) if scene.perception else config
    baseline = evaluate_with_progress(random, blind, "the random agent", greedy=False, **games).metrics()
    intervals = found.intervals()
    breakdown, broken_down = (
        _by_perturbation(scene, device, found, scored) if perturb else _by_group(config, parts, found, scored)
    )
    answer = _answer(scene, seeds, found, intervals) | {"baseline": baseline, "breakdown": breakdown}
    tables = [_scores_table(scene, found, baseline, intervals, len(parts)), *broken_down]
    tables += _add_chess_scores(scene, config, list(policies.values()), answer)
    return Report(answer, [*tables, *_add_figure(scene, found, figure, answer)])


def _policies(
    scene: Scene,
    config: WorldConfig,
    device: str,
    runs: Sequence[Path | None],
    say: Callable[[str], None],
) -> tuple[dict[str, Policy], Policy]:
    """Build the agents to score, by name, and the random one; an untrained agent is said to be one."""
    worlds = config.make_batch(1, scene.seed)
    place = chosen_device(device, scene_agent(scene))
    built = {_entry_name(scene, runs, run): build_policy(scene, worlds, config, place, run) for run in runs}
    random = Random().build(worlds.single_observation_space, worlds.single_action_space, seed=scene.seed)
    worlds.close()
    if scene.agent and scene.agent.use != "random" and None in [card for _, card in built.values()]:
        say(f"{scene.name} has no checkpoint: this scores an untrained agent")
    return {name: policy for name, (policy, _) in built.items()}, random


def _entry_name(scene: Scene, runs: Sequence[Path | None], run: Path | None) -> str:
    """Name of one of several runs; of a single one the scene's."""
    return scene.name if run is None or len(runs) == 1 else run.name


def _answer(scene: Scene, seeds: int, found: Scores, intervals: Mapping[str, Interval]) -> dict[str, Any]:
    """What ``--json`` tells of the scores alone."""
    return {
        "metrics": found.metrics(),
        "n": len(found.episodes),
        "seeds": [scene.seed + k * SEED_OFFSET for k in range(seeds)],
        "ci95": {name: list(interval) for name, interval in intervals.items()},
        "protocol": found.protocol,
    }


def _add_figure(scene: Scene, found: Scores, figure: Path | None, answer: dict[str, Any]) -> list[str]:
    """Draw a walker's foot contacts where that is asked for, and add the file to an answer."""
    if figure is None:
        return []
    gait_figure.write_gait_figure(found.episodes[0], scene.title, figure)
    answer["files"] = [str(figure)]
    return [f"foot contacts of the first episode: {figure}"]


def _add_chess_scores(
    scene: Scene, config: WorldConfig, policies: Sequence[Policy], answer: dict[str, Any]
) -> list[Table]:
    """Add what chess agents find of mates and of recorded moves to an answer; no tables for others."""
    found = [_add_tactics(scene, config, policies, answer)]
    found += [add_move_match(policies[0], answer)] if len(policies) == 1 else []
    return [table for table in found if table is not None]


def _add_tactics(
    scene: Scene, config: WorldConfig, policies: Sequence[Policy], answer: dict[str, Any]
) -> Table | None:
    """Add the shares of mates that chess agents find to an answer; None for others and for other worlds."""
    if config.name != "chess" or scene.agent is None or scene.agent.use not in TACTICIANS:
        return None
    from scenes.evaluation.chess_tactics import scene_tactics

    if (told := scene_tactics(config, policies)) is None:
        return None
    answer["metrics"] |= told.shares
    answer["baseline"] |= told.chance
    answer["ci95"] |= {name: list(interval) for name, interval in told.intervals.items()}
    return told.table()


def _requested_runs(checkpoint: Path | None, episodes: int, seeds: int) -> Sequence[Path | None]:
    """The runs to evaluate, one a seed of training; None stands for the scene's own checkpoint.

    Raises:
        SceneError: for numbers of episodes and seeds that give no score.
    """
    if episodes < 1 or seeds < 1:
        option, amount = ("--episodes", episodes) if episodes < 1 else ("--seeds", seeds)
        raise SceneError(f"{option} must be at least 1, not {amount}")
    runs: Sequence[Path | None] = [None] if checkpoint is None else seed_runs(checkpoint)
    if seeds * len(runs) > 1 and episodes < 2:
        many = f"--seeds {seeds}" if seeds > 1 else f"{checkpoint}, of {len(runs)} seeds,"
        raise SceneError(f"{many} needs --episodes 2 or more: each seed is resampled by itself")
    return runs


def _by_perturbation(scene: Scene, device: str, found: Scores, scored: Play) -> Breakdown:
    """Metrics by perturbation of a walker, and their table."""
    perturbed = robustness.perturbed_scores(scene, device, found, scored)
    metrics = {name: scores.metrics() for name, scores in perturbed.items()}
    return metrics, [robustness.robustness_table(perturbed)]


def _by_group(config: WorldConfig, parts: Mapping[str, Scores], found: Scores, scored: Play) -> Breakdown:
    """Metrics by seed of training, where there are several, and by opponent, where the world has some.

    Args:
        config: of the world.
        parts: scores by run.
        found: all of them, which are those against the world's own opponent.
        scored: plays another world, such as one with another opponent.

    Returns:
        The metrics, and their table if there are several groups.
    """
    metrics = found.metrics()
    breakdown = {name: part.metrics() for name, part in parts.items()} if len(parts) > 1 else {}
    if hasattr(config, "rivals"):
        for name, rival in config.rivals().items():
            others = {} if rival == config else scored(rival, f"against {name}")
            breakdown[name] = pool_scores(list(others.values())).metrics() if others else metrics
    if len(breakdown) < 2:
        return breakdown or {config.name: metrics}, []
    return breakdown, [_breakdown_table(breakdown, "by opponent" if len(parts) == 1 else "by seed")]


def evaluate_with_progress(
    policy: Policy,
    config: WorldConfig,
    who: str,
    *,
    episodes: int,
    seed: int,
    greedy: bool,
    seeds: int = 1,
) -> Scores:
    """Run `agents.evaluation.evaluate.evaluate` under a progress bar that names the policy.

    Raises:
        ScoringFailed: if a world or the policy failed.
    """
    returns: list[float] = []
    total = episodes * seeds
    with progress_bar(f"{who}: whole games") as draw:

        def note(episode: Episode) -> None:
            returns.append(episode.score)
            draw((len(returns), total, f"mean return {np.mean(returns):.1f}"))

        try:
            return play(
                policy,
                config,
                episodes=episodes,
                seed=seed,
                greedy=greedy,
                seeds=seeds,
                on_episode=note,
            )
        except RequestError:
            raise
        except FAULTS as error:
            raise ScoringFailed(
                f"scoring {who} stopped after {len(returns)} of {number_of(total, 'game')}: "
                f"{error_line(error)}; "
                "nothing was written: run it again, or with another --seed"
            ) from error


def _scores_table(
    scene: Scene, found: Scores, baseline: dict[str, float], intervals: dict[str, Interval], trained: int
) -> Table:
    """Table of the scores."""
    each = found.seeds // trained  # seeds of evaluation
    seeds = f"seed {scene.seed}" if each == 1 else f"{each} seeds from {scene.seed} on"
    seeds += f", {trained} seeds of training" if trained > 1 else ""
    games = number_of(len(found.episodes), "whole episode")
    table = Table(title=f"{scene.title}: {games}, {seeds}")
    table.add_column("")
    for heading in ("mean", "95 % interval", "random agent"):
        table.add_column(heading, justify="right")
    for name, value in found.metrics().items():
        interval = format_interval(intervals[name]) if name in intervals else ""
        chance = format_score(baseline[name]) if name in baseline else "–"
        table.add_row(name.replace("_", " "), format_score(value), interval, chance)
    table.caption = format_protocol(found.protocol)
    return table


def _breakdown_table(breakdown: dict[str, dict[str, float]], title: str) -> Table:
    """Table of the metrics by opponent, or by seed of a training."""
    names = list(next(iter(breakdown.values())))
    table = Table("", *(name.replace("_", " ") for name in names), title=title)
    for label, metrics in breakdown.items():
        table.add_row(label, *(f"{metrics[name]:.2f}" if name in metrics else "–" for name in names))
    return table
