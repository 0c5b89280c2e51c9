"""`playfield evaluate` where the scene is about a perception: held-out pictures, graded by the simulator."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

from scenes.build import chosen_device, scene_world
from scenes.perceiving import build_perception, scene_views, truthful_worlds
from scenes.schema import Scene
from sim.records import Percept
from supervised.metrics.detection import BoxTally
from supervised.metrics.grading import grade, intervals
from supervised.views import HELD_OUT, Views

GRADED = 500  # pictures; below a minute on two cores
EVERY = 31  # steps between two pictures of one world: together they span a thousand steps of play
RESAMPLES = 200  # for the intervals; each matches nothing anew, but Breakout has 108 boxes a picture
#: Graded pictures are seeded this far from those that were learned from, and from those that validated them.
GRADED_APART = 2 * HELD_OUT


def grade_perception(
    scene: Scene, *, device: str, checkpoint: Path | None, say: Callable[[str], None]
) -> dict[str, Any]:
    """Grade the scene's first perception, and the most common boxes beside it.

    Half of the pictures show the scene's agent at play and half play by chance, all of seeds that training
    never saw.

    Args:
        scene: whose first perception.
        device: ``auto``, ``cpu`` or ``cuda``.
        checkpoint: instead of the scene's own.
        say: takes lines for a person.

    Returns:
        What ``--json`` says.

    Raises:
        SceneError, FieldError, CheckpointError: if the request is wrong.
    """
    worlds: Any = truthful_worlds(scene, 1, scene.seed)
    classes = tuple(worlds.classes)
    worlds.close()
    model, card = build_perception(scene, 0, classes, chosen_device(device), checkpoint)
    if card is None:
        say(f"{scene.name} has no checkpoint: this grades an untrained {scene.perception[0].use}")
    views = scene_views(scene, GRADED, scene.seed + GRADED_APART, device, every=EVERY)
    begun = time.perf_counter()
    said = model.perceive(list(views.rgb))
    rate = len(views) / (time.perf_counter() - begun)
    counted, once = BoxTally(said, views.truths), np.ones(len(views))
    metrics = known(counted.score(once)) | {"images_per_second": round(rate, 1)}
    ci95 = {name: list(ends) for name, ends in intervals(counted, views.episodes.tolist(), RESAMPLES).items()}
    usual = usual_boxes(scene_views(scene, GRADED, scene.seed, device, every=EVERY))
    baseline = grade("boxes", [usual] * len(views), views.truths)
    breakdown = {name: known(figures) for name, figures in counted.by_class(once).items()}
    breakdown = {name: breakdown[name] for name in classes if breakdown.get(name)}
    show_grades(scene, metrics, baseline, ci95, breakdown)
    return {
        "metrics": metrics,
        "baseline": baseline,
        "breakdown": breakdown,
        "n": len(views),
        "ci95": ci95,
        "protocol": scene_world(scene).protocol() | {"views": "half skilled play, half chance; unseen seeds"},
    }


def usual_boxes(views: Views) -> Percept:
    """The baseline: one box of each class, the median of all in these views, whatever the picture.

    Scores are the shares of pictures that hold such a thing.
    """
    boxes: dict[str, list[Any]] = {}
    holding: dict[str, int] = {}
    for truth in views.truths:
        assert truth.boxes is not None
        for name, box in zip(truth.labels, truth.boxes, strict=True):
            boxes.setdefault(name, []).append(box)
        for name in set(truth.labels):
            holding[name] = holding.get(name, 0) + 1
    names = sorted(boxes)
    return Percept(
        origin="model",
        boxes=np.array([np.median(boxes[name], 0) for name in names], np.float32).reshape(-1, 4),
        labels=tuple(names),
        scores=np.array([holding[name] / len(views) for name in names]),
    )


def known(figures: Mapping[str, float]) -> dict[str, float]:
    """The figures that have a meaning in these pictures."""
    return {name: float(value) for name, value in figures.items() if not np.isnan(value)}


def show_grades(
    scene: Scene,
    metrics: dict[str, float],
    baseline: dict[str, float],
    ci95: dict[str, list[float]],
    breakdown: dict[str, dict[str, float]],
) -> None:
    """A table for a person."""
    table = Table(title=f"{scene.title}: {GRADED} held-out pictures", box=None)
    for heading in ("", "model", "95 %", "usual boxes"):
        table.add_column(heading, justify="left" if not heading else "right")
    for name, value in metrics.items():
        ends = ci95.get(name)
        interval = f"{ends[0]:.3f} … {ends[1]:.3f}" if ends else ""
        plain = f"{baseline[name]:.3f}" if name in baseline else ""
        table.add_row(name, f"{value:.3f}" if value < 10 else f"{value:.0f}", interval, plain)
    for name, figures in breakdown.items():
        table.add_row(f"  {name}: ap50", f"{figures.get('ap50', 0):.3f}", "", "")
    Console(stderr=True).print(table)
