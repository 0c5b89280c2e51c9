"""Evaluation of a scene's perception on held-out images against the simulator's ground truth."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from rich.table import Table

from scenes.build.agents import scene_world
from scenes.build.devices import chosen_device
from scenes.build.perceptions import (
    build_perception,
    perception_config,
    predicted_kind,
    scene_vocabulary,
    scene_worlds,
)
from scenes.data.families.table import family_of
from scenes.data.perception_data import ScenePlayer, scene_label_data, scene_player
from scenes.report import Report
from scenes.schema import Scene
from sim.percept_kind import Kind
from sim.percept_kinds import PERCEPT_KINDS
from sim.plurals import number_of
from sim.progress import counting, waiting
from sim.records import Percept
from supervised.captions.caption_grammars import parse
from supervised.data.capture import HELD_OUT, TOGETHER, CaptureSpec
from supervised.metrics.breakdown import by_class
from supervised.metrics.constant_baseline import constant_baseline
from supervised.metrics.grading import accumulate, grade, intervals
from supervised.metrics.percept_metrics import Rows, without_nan

GRADED = 500  # held-out images; takes below a minute on two cores
EVERY = 31  # steps between two images of one world, so that all of them span a thousand steps of play
EXAMPLES = 3  # predictions that are printed
RESAMPLES = 200  # of the bootstrap; matches are reused, but Breakout has 108 boxes an image
#: Graded pictures are seeded this far from those that were learned from, and from those that validated them.
GRADED_APART = 2 * HELD_OUT


def grade_perception(
    scene: Scene, *, device: str, checkpoint: Path | None, say: Callable[[str], None]
) -> Report:
    """Evaluate the scene's first perception, beside the constant baseline.

    The images are held out by seed. In half of them an agent plays, the one of `graded_by` if the scene names
    it; in the other half play is random.

    Args:
        scene: whose first perception.
        device: ``auto``, ``cpu`` or ``cuda``.
        checkpoint: instead of the scene's own.
        say: takes lines for a person.

    Returns:
        The answer of ``--json`` (metrics, baseline, breakdown, n, ci95, protocol), and its table.

    Raises:
        SceneError, FieldError, CheckpointError: if the request is wrong.
    """
    config, names = perception_config(scene), scene_vocabulary(scene)
    kind = predicted_kind(config)
    model, card = build_perception(scene, 0, names, chosen_device(device), checkpoint)
    if card is None:
        say(f"{scene.name} has no checkpoint: these are scores of an untrained {scene.perception[0].use}")
    player = scene_player(scene, graded=True)
    spec = CaptureSpec(kind, GRADED, scene.seed + GRADED_APART, EVERY, held_out=True)
    views = scene_label_data(scene, config, spec, player)
    begun = time.perf_counter()
    said: list[Percept] = []
    with waiting("running the model on held-out images", len(views)):
        for part in counting([views.values[i : i + TOGETHER] for i in range(0, len(views), TOGETHER)]):
            said += model.perceive(list(part))
    rate = len(views) / (time.perf_counter() - begun)
    with waiting("scoring percepts"):
        counted = accumulate(kind, said, views.truths, parse=parse)
    metrics = counted.score(np.ones(len(views))) | {"images_per_second": round(rate, 1)}
    metrics = without_nan({"": metrics})[""]
    with waiting("bootstrap intervals"):
        found = intervals(counted, views.episodes.tolist(), RESAMPLES)
    ci95 = {name: list(ends) for name, ends in found.items()}
    seed = scene.seed if card is None else card.get("seed", scene.seed)
    learned = scene_label_data(scene, config, CaptureSpec(kind, GRADED, seed, EVERY), scene_player(scene))
    blind = constant_baseline(kind, learned.truths, parse)
    baseline = grade(kind, [blind] * len(views), views.truths, parse=parse)
    breakdown = by_class(kind, counted, said, views.truths, names, parse)
    answer = {
        "metrics": metrics,
        "baseline": baseline,
        "breakdown": breakdown,
        "n": len(views),
        "ci95": ci95,
        "protocol": protocol(scene, player),
    }
    table = grades_table(scene, len(views), metrics, baseline, ci95, breakdown)
    return Report(answer, [table, *example_lines(kind, said, views.truths)])


def example_lines(kind: Kind, said: Sequence[Percept], truths: Sequence[Percept]) -> list[str]:
    """Lines with the first predictions beside the ground truth, for FENs and captions; empty for other kinds.

    >>> example_lines("fen", [Percept("model", fen="8/8")], [Percept("truth", fen="k7/8")])
    ['for example:', '  read as 8/8', '    in truth k7/8']
    """
    about = PERCEPT_KINDS[kind]
    if about.text is None:
        return []
    lines = ["for example:"]
    for percept, truth in list(zip(said, truths, strict=True))[:EXAMPLES]:
        right = about.value(percept) == about.value(truth)
        lines.append(f"  read as {about.in_full(percept, ()) or 'nothing'}" + ", which is right" * right)
        lines += [] if right else [f"    in truth {about.value(truth)}"]
    return lines


def protocol(scene: Scene, player: ScenePlayer) -> dict[str, Any]:
    """Evaluation protocol: worlds, rules, and the policies that played."""
    worlds = scene_worlds(scene, perception_config(scene))
    if len(worlds) > 1 or player.policy is None:
        views = "play by chance; unseen seeds"
    else:
        never = ", whom no picture that was learned from shows" if scene.perception[0].graded_by else ""
        views = f"half play by {player.name}{never}; half chance; unseen seeds"
    family = family_of(worlds[0].name)
    if family is not None and family.views:
        views = family.views
    stamp = scene_world(scene).protocol() | {"views": views}
    return stamp if len(worlds) == 1 else stamp | {"world": ", ".join(world.name for world in worlds)}


def grades_table(
    scene: Scene,
    number: int,
    metrics: dict[str, float],
    baseline: dict[str, float],
    ci95: dict[str, list[float]],
    breakdown: Rows,
) -> Table:
    """Table of the metrics."""
    table = Table(title=f"{scene.title}: {number_of(number, 'held-out image')}", box=None)
    for heading in ("", "model", "95 %", "constant baseline"):
        table.add_column(heading, justify="left" if not heading else "right")
    for name, value in metrics.items():
        ends = ci95.get(name)
        interval = f"{ends[0]:.3f} … {ends[1]:.3f}" if ends else ""
        plain = f"{baseline[name]:.3f}" if name in baseline else ""
        table.add_row(name, f"{value:.3f}" if value < 10 else f"{value:.0f}", interval, plain)
    for name, figures in breakdown.items():
        figure = "ap50" if "ap50" in figures else next(iter(figures))
        table.add_row(f"  {name}: {figure}", f"{figures[figure]:.3f}", "", "")
    return table
