"""Evaluation of a scene's task on its test data, beside the simple models that it names."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from rich.table import Table

from scenes.build.devices import chosen_device
from scenes.data.task_data import build_task, task_config, task_splits
from scenes.report import Report
from scenes.schema import Scene
from sim.plurals import number_of
from sim.progress import counting, waiting
from sim.records import Percept
from sim.storage.checkpoints import Card
from supervised.data.dataset import Dataset
from supervised.data.sources.splits import Splits
from supervised.metrics.grading import intervals
from supervised.metrics.percept_metrics import MetricAccumulator, PerceptMetrics, Rows, without_nan
from supervised.metrics.text import SampleGrades
from supervised.task import GradesSamples, Perceive, TaskConfig, TaskModel

RESAMPLES = 1_000  # of the bootstrap
TOGETHER = 64  # inputs


def grade_task(scene: Scene, *, device: str, checkpoint: Path | None, say: Callable[[str], None]) -> Report:
    """Evaluate the scene's task on its test data.

    Args:
        scene: whose first perception is a task.
        device: ``auto``, ``cpu`` or ``cuda``.
        checkpoint: instead of the scene's own.
        say: takes lines for a person.

    Returns:
        The answer of ``--json`` (metrics, baseline, breakdown, n, ci95, protocol), and its table. The key
        ``baseline`` is the first of the task's baselines; all of them, the constant one and other test sets
        have rows of the breakdown.

    Raises:
        SceneError, FieldError, CheckpointError, DataError, MissingPackageError: if the request is wrong.
    """
    config = task_config(scene)
    model, card = build_task(scene, config, chosen_device(device), checkpoint)
    if card is None:
        say(f"{scene.name} has no checkpoint: these are scores of an untrained {scene.perception[0].use}")
    splits = task_splits(scene, config)
    _warn(splits, card, say)
    test, grader = splits.test, config.metrics
    begun = time.perf_counter()
    said: list[Percept] = []
    with waiting("running the model on test examples", len(test)):
        for part in counting([test.values[i : i + TOGETHER] for i in range(0, len(test), TOGETHER)]):
            said += model.perceive(list(part))
    rate = len(test) / (time.perf_counter() - begun)
    counted = grader.accumulate(said, test.truths, None)
    metrics = without_nan({"": _scores(counted)})[""] | {"examples_per_second": round(rate, 1)}
    with waiting("bootstrap intervals"):
        ci95 = {k: list(v) for k, v in intervals(counted, test.episodes.tolist(), RESAMPLES).items()}
    breakdown = without_nan(grader.by_class(counted, said, test.truths, splits.classes, None))
    for name, other in splits.extra_tests.items():
        breakdown |= without_nan({name: _graded(grader, model.perceive, other)})
    with waiting("fitting the baselines"):
        rows = baseline_rows(grader, config.baselines(splits.train, seed=scene.seed), splits)
    made = _graded_samples(config, model, splits, scene.seed)
    if made is not None:
        metrics |= without_nan({"": _scores(made.counted)})[""]
        ends = intervals(made.counted, range(len(made.counted)), RESAMPLES)
        ci95 |= {name: list(pair) for name, pair in ends.items()}
        breakdown |= made.breakdown
        own = {name: row for name, row in made.baselines.items() if name not in rows}
        rows = own | {name: row | made.baselines.get(name, {}) for name, row in rows.items()}
    protocol = splits.source.protocol() | {"split_by": splits.unit, "learned_from": len(splits.train)}
    protocol |= grader.protocol()
    answer = {
        "metrics": metrics,
        "baseline": next(iter(rows.values())),
        "breakdown": breakdown | {f"baseline: {name}": row for name, row in rows.items()},
        "n": len(test),
        "ci95": ci95,
        "protocol": protocol | (dict(made.protocol) if made is not None else {}),
    }
    return Report(answer, [grades_table(scene, splits, metrics, ci95, rows, breakdown)])


def _graded_samples(config: TaskConfig, model: TaskModel, splits: Splits, seed: int) -> SampleGrades | None:
    """Metrics of what the model makes, where the task grades that."""
    if not isinstance(config, GradesSamples):
        return None
    with waiting("grading what the model makes"):
        return config.grade_samples(model, splits, seed=seed)


def baseline_rows(grader: PerceptMetrics, baselines: Mapping[str, Perceive], splits: Splits) -> Rows:
    """Metrics of each baseline on the test data, and last of the constant one: the same for every input."""
    constant = grader.baseline(splits.train.truths, None)
    every = {**baselines, "constant": lambda inputs: [constant] * len(inputs)}
    return without_nan({name: _graded(grader, perceive, splits.test) for name, perceive in every.items()})


def _graded(grader: PerceptMetrics, perceive: Perceive, data: Dataset) -> dict[str, float]:
    return _scores(grader.accumulate(perceive(list(data.values)), data.truths, None))


def _scores(counted: MetricAccumulator) -> dict[str, float]:
    return counted.score(np.ones(len(counted)))


def _warn(splits: Splits, card: Card | None, say: Callable[[str], None]) -> None:
    """Tell what was left out of the data, and whether the checkpoint learned from other ones."""
    for line in splits.skipped:
        say(f"left out: {line}")
    learned = {} if card is None else card.get("protocol", {})
    mine = splits.source.protocol()
    if learned and any(learned.get(key) != mine.get(key) for key in ("data", "sha256")):
        other = f"{learned.get('data')} ({learned.get('origin')})"
        say(f"the checkpoint learned from {other}; these are test examples of another data set")


def grades_table(
    scene: Scene,
    splits: Splits,
    metrics: Mapping[str, float],
    ci95: Mapping[str, Sequence[float]],
    baselines: Rows,
    breakdown: Rows,
) -> Table:
    """Table of the metrics: a row each, a column for the model and for each baseline; then the breakdown."""
    what = number_of(len(splits.test), "test example")
    table = Table(title=f"{scene.title}: {what}, split by {splits.unit}", box=None)
    for heading in ("", "model", "95 %", *baselines):
        table.add_column(heading, justify="left" if not heading else "right")
    for name, value in metrics.items():
        ends = ci95.get(name)
        interval = f"{ends[0]:.3f} … {ends[1]:.3f}" if ends else ""
        others = [f"{row[name]:.3f}" if name in row else "" for row in baselines.values()]
        table.add_row(name, _figure(value), interval, *others)
    for name, row in breakdown.items():
        for metric, value in row.items():
            table.add_row(f"  {name}: {metric}", _figure(value))
    return table


def _figure(value: Any) -> str:
    return f"{value:.3f}" if abs(value) < 10 else f"{value:,.1f}"
