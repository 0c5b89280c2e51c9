"""Robustness of walkers: returns under one perturbation at a time (`playfield evaluate SCENE --perturb`).

The perturbations are `sim.walker.perturbations.CONDITIONS`; every one is played from the same seeds, and each
is a protocol of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

from rich.table import Table

from agents.evaluation.evaluate import Scores, pool_scores
from scenes.data.agent_env import agent_env
from scenes.evaluation.score_format import format_interval, format_score
from scenes.schema import Scene, SceneError
from sim.protocols import WorldConfig

COLUMNS = {"length": "steps", "speed": "m/s", "cost_of_transport": "cost of transport"}


def check_perturbable(scene: Scene) -> None:
    """Check that a scene's world can be perturbed.

    Raises:
        SceneError: if it is no walker.
    """
    if scene.world is None or not scene.world.use.startswith("walker/"):
        world = scene.world.use if scene.world else "no world"
        raise SceneError(f"--perturb is for walkers, and {scene.name} plays {world}")


def perturbed_scenes(scene: Scene) -> dict[str, Scene]:
    """The scene of a walker under each perturbation alone, the plain one first; its own are left out."""
    from sim.walker.perturbations import CONDITIONS, NEUTRAL

    world = scene.world
    assert world is not None
    return {
        name: replace(scene, world=replace(world, fields={**world.fields, **NEUTRAL, **changes}))
        for name, changes in CONDITIONS.items()
    }


def perturbed_scores(
    scene: Scene,
    device: str,
    known: Scores,
    scored: Callable[[WorldConfig, str], Mapping[str, Scores]],
) -> dict[str, Scores]:
    """Scores by perturbation.

    Args:
        scene: of a walker.
        device: of its perceptions, if it has some.
        known: scores in the scene's own world, which are not played again where it is one of them.
        scored: plays a world, by run.
    """
    found = {}
    for name, each in perturbed_scenes(scene).items():
        config = agent_env(each, device)
        same = known.protocol.items() >= config.protocol().items() and len(config.protocol()) + 1 == len(
            known.protocol
        )
        found[name] = known if same else pool_scores(list(scored(config, name).values()))
    return found


def robustness_table(scores: Mapping[str, Scores]) -> Table:
    """Table of the returns by perturbation, as shares of the plain one, too."""
    table = Table(title="One perturbation at a time")
    table.add_column("")
    for heading in ("mean", "95 % interval", "of none", *COLUMNS.values()):
        table.add_column(heading, justify="right")
    plain = next(iter(scores.values())).metrics()["return_mean"]
    for name, each in scores.items():
        metrics = each.metrics()
        mean, interval = metrics["return_mean"], each.intervals()["return_mean"]
        share = f"{100 * mean / plain:.0f} %" if plain > 0 else "–"
        others = [format_score(metrics[key]) if key in metrics else "–" for key in COLUMNS]
        table.add_row(name, format_score(mean, 0), format_interval(interval, 0), share, *others)
    return table
