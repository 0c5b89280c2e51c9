"""Comparison of runs by fresh evaluation: probability of improvement, intervals (`playfield compare`).

A RUN is a run folder, which means its newest checkpoint, or a checkpoint folder, or the folder of a
training of several seeds, whose scores are pooled, each seed a stratum, or the name of a scene that ships
with a checkpoint. Each plays the same number of whole
episodes now, in worlds from the same seeds: scores in cards may be of other seeds, episodes and package
versions. Every pair is then compared by `agents.evaluation.statistics.compare`, in the order that was given.

Scores of different protocols are not comparable: runs whose stamps differ are refused unless
`across_protocols`, those of different worlds always.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from itertools import combinations
from pathlib import Path
from typing import Any

from rich.table import Column, Table

from agents.evaluation.evaluate import Scores, pool_scores
from agents.evaluation.statistics import Comparison
from agents.evaluation.statistics import compare as compared
from scenes.build.agents import build_policy, scene_agent, scene_world
from scenes.build.devices import chosen_device
from scenes.build.worlds import world_catalog
from scenes.data.agent_env import agent_env
from scenes.evaluation.agents import evaluate_with_progress
from scenes.evaluation.score_format import format_interval, format_protocol
from scenes.report import Report
from scenes.schema import Scene, load_scene, make_scene, shipped_scenes
from sim.catalog import world_config
from sim.errors import RequestError
from sim.plurals import number_of
from sim.protocols import Policy, WorldConfig
from sim.storage.checkpoints import CARD, Card, load_card
from sim.storage.runs import seed_runs, step_folders

VERSIONS = ("ale_py", "chess", "gymnasium", "mujoco")  # stamp keys set by this evaluation


#: Shares of games by how they ended, where games have an outcome, and their headings.
OUTCOMES = {"win": "wins", "draw": "draws", "loss": "losses", "mates": "mates"}


class CompareError(RequestError, ValueError):
    """Runs that cannot be compared."""


@dataclass(frozen=True)
class Contender:
    """One of the compared runs: its policies and its world's configuration.

    `name` is what the user wrote; `trained` is the training budget in the card. A training of several seeds
    is one contender, with a policy of each seed.
    """

    name: str
    checkpoints: tuple[Path, ...]
    config: WorldConfig
    policies: tuple[Policy, ...]
    greedy: bool
    trained: dict[str, Any]

    @property
    def protocol(self) -> dict[str, Any]:
        """Protocol stamp of its scores."""
        return self.config.protocol() | {"actions": "greedy" if self.greedy else "sampled"}


def compare(
    runs: Sequence[Path],
    changes: Sequence[str],
    seed: int,
    *,
    device: str,
    episodes: int,
    across_protocols: bool,
    extra_worlds: Mapping[str, str] | None = None,
) -> Report:
    """Evaluate `runs` on the same seeds and compare every pair.

    Args:
        runs: two or more run or checkpoint folders, or names of scenes with a checkpoint.
        changes: ``key.path=value`` each, applied to every run's scene.
        seed: of worlds and sampling, the same for all.
        device: ``auto``, ``cpu`` or ``cuda``.
        episodes: whole games of each; at least 2.
        across_protocols: compare runs with different stamps, too.
        extra_worlds: families of worlds beside the catalogues', see `scenes.schema.Scene`.

    Returns:
        Tables, and ``rows``, one for each pair: ``a`` and ``b`` with the scores of each; ``metrics`` and
        ``ci95`` of the comparison, positive where a is better; ``differs``, the stamps' different keys with
        both values.

    Raises:
        CompareError: for too few runs or episodes, the same run twice, other worlds or other stamps.
        CheckpointError, SceneError: for a run that does not load.
        ScoringFailed: if a world or an agent failed.
    """
    if len(runs) < 2:
        raise CompareError("compare needs two runs or more: playfield compare runs/a runs/b")
    if episodes < 2:
        raise CompareError(f"--episodes must be at least 2, not {episodes}: one game has no interval")
    checkpoints = [tuple(newest(each) for each in seed_runs(run)) for run in runs]
    for (run, paths), (again, others) in combinations(zip(runs, checkpoints, strict=True), 2):
        for path in paths:
            if path.resolve() in [other.resolve() for other in others]:
                raise CompareError(f"{run} and {again} are the same checkpoint, {path}: name another")
    contenders = [
        _contender(run, paths, changes, device, extra_worlds)
        for run, paths in zip(runs, checkpoints, strict=True)
    ]
    for one, other in combinations(contenders, 2):
        _check_stamps(one, other, across_protocols)
    scores = [_scored(each, episodes, seed) for each in contenders]
    sides = [_side(each, found) for each, found in zip(contenders, scores, strict=True)]
    rows = []
    results = []
    for i, j in combinations(range(len(runs)), 2):
        found = compared(scores[i].returns, scores[j].returns, scores[i].seeds, scores[j].seeds)
        results.append((i, j, found))
        rows.append(
            {
                "a": sides[i],
                "b": sides[j],
                "metrics": {
                    "probability_of_improvement": found.probability_of_improvement[0],
                    "iqm_difference": found.iqm_difference[0],
                },
                "ci95": {
                    "probability_of_improvement": list(found.probability_of_improvement[1]),
                    "iqm_difference": list(found.iqm_difference[1]),
                },
                "differs": _differences(contenders[i], contenders[j]),
            }
        )
    return Report({"rows": rows}, _tables(contenders, scores, results, seed))


def newest(run: Path) -> Path:
    """The checkpoint of a folder: a run's newest one, or the folder itself.

    Raises:
        CompareError: if it is neither, or has none.
    """
    if (run / CARD).is_file():
        return run
    if is_shipped_scene(run):
        scene = load_scene(str(run))
        if scene.agent is None or not scene.agent.checkpoint:
            raise CompareError(f"the scene {run} ships without a checkpoint of an agent")
        return scene.resolve(scene.agent.checkpoint)
    if not run.is_dir():
        raise CompareError(f"there is no folder {run}" if not run.exists() else f"{run} is a file, not a run")
    if not (run / "scene.toml").is_file():
        raise CompareError(f"{run} is neither a run (no scene.toml in it) nor a checkpoint (no {CARD})")
    found = step_folders(run / "checkpoints")
    if not found:
        raise CompareError(f"{run} holds no checkpoint yet: let it train until its first one")
    return found[-1]


def is_shipped_scene(run: Path) -> bool:
    """Whether a run is the name of a scene that ships, and no folder of that name is there."""
    return str(run) in shipped_scenes() and not run.exists()


def _contender(
    run: Path,
    checkpoints: tuple[Path, ...],
    changes: Sequence[str],
    device: str,
    extra_worlds: Mapping[str, str] | None,
) -> Contender:
    checkpoint = checkpoints[0]
    card = load_card(checkpoint)
    kept = checkpoint.parent.parent / "scene.toml"
    if is_shipped_scene(run):
        scene = load_scene(str(run), changes, extra_worlds=extra_worlds)
    elif checkpoint.parent.name == "checkpoints" and kept.is_file():
        scene = load_scene(str(kept), changes, extra_worlds=extra_worlds)
    else:
        scene = scene_of(checkpoint, card, changes)
    config, agent = agent_env(scene, device), scene_agent(scene)
    worlds = config.make_batch(1, scene.seed)
    try:
        place = chosen_device(device, agent)
        policies = tuple(build_policy(scene, worlds, config, place, path)[0] for path in checkpoints)
    finally:
        worlds.close()
    return Contender(str(run), checkpoints, config, policies, agent.greedy, card.get("trained", {}))


def _scored(each: Contender, episodes: int, seed: int) -> Scores:
    """Evaluate a contender; scores of several training seeds are pooled, each a stratum."""
    return pool_scores(
        [
            evaluate_with_progress(
                policy, each.config, each.name, episodes=episodes, seed=seed, greedy=each.greedy
            )
            for policy in each.policies
        ]
    )


def scene_of(checkpoint: Path, card: Card, changes: Sequence[str] = ()) -> Scene:
    """Reconstruct the scene of a checkpoint that lies in no run folder, from its card.

    The world's keys are those of its protocol stamp that are keys of the scene, too.

    Raises:
        CompareError: if the card is no agent's, or the world's keys cannot give its stamp.
    """
    if card["kind"] != "agent" or "world" not in card:
        raise CompareError(f"{checkpoint} is the checkpoint of a {card['kind']}: only agents are compared")
    name, rules = card["world"], {k: v for k, v in card.get("protocol", {}).items() if k not in VERSIONS}
    plain = world_config(name, {}, worlds=world_catalog())
    keys = {field.name for field in fields(plain)}  # type: ignore[arg-type]
    usual = plain.protocol()
    changed = {key: value for key, value in rules.items() if key in keys and usual.get(key) != value}
    raw = {
        "title": checkpoint.name,
        "world": {"use": name} | changed,
        "agent": {"use": card["name"]} | card["config"],
    }
    known = scene_world(make_scene({**raw}, checkpoint / "scene.toml")).protocol()
    lost = [key for key in rules if known.get(key) != rules[key]]
    if lost:
        raise CompareError(
            f"{checkpoint}: its card does not tell how {', '.join(lost)} came about: give its run"
        )
    return make_scene(raw, checkpoint / "scene.toml", changes)


def _check_stamps(one: Contender, other: Contender, across_protocols: bool) -> None:
    if one.config.name != other.config.name:
        raise CompareError(
            f"{one.name} plays {one.config.name} and {other.name} plays {other.config.name}: "
            "compare runs of one world"
        )
    differences = _differences(one, other)
    if differences and not across_protocols:
        words = "; ".join(f"{key} is {a} and {b}" for key, (a, b) in differences.items())
        raise CompareError(
            f"{one.name} and {other.name} have different protocols: {words}; "
            "--across-protocols compares them all the same, --set makes them alike"
        )


def _differences(one: Contender, other: Contender) -> dict[str, list[Any]]:
    """Keys in which the stamps differ, with both values; None where a key is absent."""
    a, b = one.protocol, other.protocol
    return {key: [a.get(key), b.get(key)] for key in (a | b) if a.get(key) != b.get(key)}


def _side(contender: Contender, scores: Scores) -> dict[str, Any]:
    return {
        "run": contender.name,
        "checkpoint": str(contender.checkpoints[0] if len(contender.checkpoints) == 1 else contender.name),
        "trained": contender.trained,
        "metrics": scores.metrics(),
        "n": len(scores.episodes),
        "ci95": {name: list(interval) for name, interval in scores.intervals().items()},
        "protocol": scores.protocol,
    }


def _tables(
    contenders: Sequence[Contender],
    scores: Sequence[Scores],
    results: Sequence[tuple[int, int, Comparison]],
    seed: int,
) -> list[Table | str]:
    """Two tables: the runs by number, with their names in full, and every pair of numbers."""
    count = number_of(len(scores[0].episodes) // scores[0].seeds, "whole episode")
    parts: list[Table | str] = [f"{number} is {each.name}" for number, each in enumerate(contenders, 1)]
    table = Table("run", title=f"{contenders[0].config.name}: {count} each, seed {seed}")
    outcomes = [name for name in OUTCOMES if any(name in found.metrics() for found in scores)]
    for heading in ("env steps", "mean", "95 %", "IQM", "95 %", *(OUTCOMES[name] for name in outcomes)):
        table.add_column(heading, justify="right", no_wrap=True)
    for number, (each, found) in enumerate(zip(contenders, scores, strict=True), 1):
        metrics, intervals = found.metrics(), found.intervals()
        cells = [f"{each.trained['env_steps']:,}" if "env_steps" in each.trained else "–"]
        for name in ("return_mean", "return_iqm"):
            cells += [f"{metrics[name]:.1f}", format_interval(intervals[name], 1)]
        cells += [f"{metrics.get(name, 0.0):.3f}" for name in outcomes]
        table.add_row(str(number), *cells)
    apart = {key for i, j, _ in results for key in _differences(contenders[i], contenders[j])}
    shared = {key: value for key, value in contenders[0].protocol.items() if key not in apart}
    table.caption = format_protocol(shared) + (f"; different in: {', '.join(sorted(apart))}" if apart else "")
    parts.append(table)
    table = Table(Column("", no_wrap=True), title="probability of improvement, difference of IQM")
    for heading in ("P(better)", "95 %", "IQM gain", "95 %"):
        table.add_column(heading, justify="right", no_wrap=True)
    for i, j, result in results:
        p, difference = result.probability_of_improvement, result.iqm_difference
        cells = [
            f"{p[0]:.2f}",
            format_interval(p[1]),
            f"{difference[0]:+.1f}",
            format_interval(difference[1], 1),
        ]
        table.add_row(f"{i + 1} against {j + 1}", *cells)
    parts.append(table)
    for i, j, result in results:
        words = {True: "is better than", False: "is worse than", None: "may be better or worse than"}
        parts.append(f"{i + 1} {words[result.improves]} {j + 1}")
    return parts
