"""Learning curves: a metric of one or several runs over env steps and over time, mean and band of seeds.

Read from what training writes, ``metrics.jsonl``, one JSON object an update. A folder that holds
``seed-<n>/`` run folders is one curve: at each point of a common grid the mean of its seeds, from where the
last of them begins to where the first of them ends: where a seed ends, a mean of the others would jump.

The band is from the lowest seed to the highest; from `ENOUGH` seeds on it is the 95 % percentile bootstrap
interval of the mean, which is too narrow for a handful of seeds (`agents.evaluation.statistics`).

Does not know: pictures, colours, files that it writes (`scenes.evaluation.plot`).
"""

from __future__ import annotations

import json
import math
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeAlias

import numpy as np

from sim.errors import RequestError
from sim.fields import nearest
from sim.records import Array
from sim.storage.runs import seed_runs

METRICS = "metrics.jsonl"
GRID = 200  # points of a mean over seeds
ENOUGH = 5  # seeds for a bootstrap interval
RESAMPLES = 2_000
COUNTS = ("env_steps", "updates", "episodes", "seconds")  # in every row: counters, not metrics
#: What is shown unless told: the first that all runs have.
USUAL = ("return_mean", "validation_loss", "loss")
#: Parts of the names of metrics that are better the lower they are.
LOWER = ("loss", "error", "rmse", "abs_rel", "bits", "nll", "kl", "distance", "frechet", "wasserstein")

Row: TypeAlias = dict[str, Any]
Axis: TypeAlias = Literal["env_steps", "updates", "minutes"]


class PlotError(RequestError, ValueError):
    """Runs or metrics without a learning curve."""


@dataclass(frozen=True)
class LearningCurve:
    """Learning curve of one run: `values` (T,) of a metric at increasing `x` (T,)."""

    x: Array
    values: Array


@dataclass(frozen=True)
class Band:
    """Learning curve over seeds: mean, low and high (T,) at `x` (T,); all three are equal for one seed."""

    x: Array
    mean: Array
    low: Array
    high: Array


@dataclass(frozen=True)
class RunLog:
    """Content of a run's metrics.jsonl: its rows, and the numbers of lines that could not be read."""

    folder: Path
    rows: list[Row]
    damaged: list[int]

    @property
    def metrics(self) -> set[str]:
        """Names of the logged metrics."""
        return {key for row in self.rows for key in row} - set(COUNTS)

    def line(self, metric: str, axis: Axis) -> LearningCurve:
        """Curve of `metric` over `axis`, finite values only; of several rows at one x the last counts."""
        source, unit = ("seconds", 60.0) if axis == "minutes" else (axis, 1.0)
        points: dict[float, float] = {}
        for row in self.rows:
            at, value = _number(row.get(source)), _number(row.get(metric))
            if at is not None and value is not None:
                points[at / unit] = value
        pairs = np.array(sorted(points.items()), np.float64).reshape(-1, 2)
        return LearningCurve(pairs[:, 0], pairs[:, 1])


@dataclass(frozen=True)
class Experiment:
    """A run, or the seeds of one training, drawn as one curve.

    `name` is the shortest part of the path that distinguishes it from the others; `waiting` are the seeds'
    folders that have no row yet.
    """

    name: str
    runs: tuple[RunLog, ...]
    waiting: tuple[Path, ...] = ()

    @property
    def metrics(self) -> set[str]:
        """Names of the metrics that all its seeds logged."""
        return set.intersection(*(run.metrics for run in self.runs))

    def lines(self, metric: str, axis: Axis) -> list[LearningCurve]:
        """Curve of each seed."""
        return [run.line(metric, axis) for run in self.runs]

    def band(self, metric: str, axis: Axis) -> Band:
        """Mean and band of the seeds; empty where no x lies within all of their curves."""
        return band_of(self.lines(metric, axis))

    @property
    def band_name(self) -> str:
        """Label of the band for the legend; empty for a single run."""
        if len(self.runs) == 1:
            return ""
        return "lowest to highest" if len(self.runs) < ENOUGH else "95 % bootstrap interval of the mean"


def read_experiments(folders: Sequence[Path]) -> list[Experiment]:
    """Read runs, and folders of seeds, in the order that was given.

    Raises:
        PlotError: for none, the same one twice, and a folder that is neither or has no row yet.
    """
    if not folders:
        raise PlotError("plot needs a run or more: playfield plot runs/a runs/b")
    resolved = [folder.resolve() for folder in folders]
    for i, folder in enumerate(folders):
        if resolved[i] in resolved[:i]:
            raise PlotError(f"{folder} is named twice: name each run once")
    return [_experiment(folder, name) for folder, name in zip(folders, _names(folders), strict=True)]


def read_log(folder: Path) -> RunLog:
    """Read the metrics.jsonl of a run, also of one in progress: an incomplete line is left out.

    Raises:
        PlotError: if it cannot be read.
    """
    try:
        lines = (folder / METRICS).read_bytes().splitlines()
    except OSError as error:
        raise PlotError(f"{folder / METRICS} cannot be read: {(error.strerror or '').lower()}") from error
    rows: list[Row] = []
    damaged = []
    for number, line in enumerate(lines, 1):
        try:
            row = json.loads(line)
        except ValueError:  # also of bytes that are no UTF-8
            row = None
        if isinstance(row, dict):
            rows.append(row)
        elif number < len(lines):  # the last line may still be written
            damaged.append(number)
    return RunLog(folder, rows, damaged)


def chosen_metric(experiments: Sequence[Experiment], wanted: str | None) -> str:
    """Choose the metric to draw: `wanted`, or the first default metric that all experiments have.

    Raises:
        PlotError: if one of them does not have it, with the names that it has; or if they share none.
    """
    if wanted is None:
        shared = set.intersection(*(each.metrics for each in experiments))
        if not shared:
            known = "; ".join(f"{each.name}: {', '.join(sorted(each.metrics))}" for each in experiments)
            raise PlotError(f"these runs have no metric in common: plot them apart ({known})")
        return next((name for name in USUAL if name in shared), min(shared))
    for each in experiments:
        if wanted not in each.metrics:
            told = nearest(wanted, each.metrics)
            hint = f"{told} it" if told.startswith("did") else "it"
            there = ", ".join(sorted(each.metrics))
            raise PlotError(f'{each.name} has no metric "{wanted}"; {hint} has {there}')
    return wanted


def counted_axis(experiments: Sequence[Experiment]) -> Axis:
    """Name of the x axis: ``env_steps`` where every run counts them, else ``updates``."""
    acts = all("env_steps" in row for each in experiments for run in each.runs for row in run.rows[:1])
    return "env_steps" if acts else "updates"


def band_of(lines: Sequence[LearningCurve]) -> Band:
    """Mean and band of several curves on a common grid; a single curve is returned as it is.

    >>> rising = LearningCurve(np.array([0.0, 4.0]), np.array([0.0, 8.0]))
    >>> band = band_of([rising, LearningCurve(np.arange(3.0), np.full(3, 2.0))])
    >>> float(band.x[-1]), float(band.mean[-1]), float(band.low[-1]), float(band.high[-1])
    (2.0, 3.0, 2.0, 4.0)
    """
    if len(lines) == 1:
        (line,) = lines
        return Band(line.x, line.values, line.values, line.values)
    if any(len(line.x) == 0 for line in lines):
        return Band(*(np.empty(0),) * 4)
    first, last = max(line.x[0] for line in lines), min(line.x[-1] for line in lines)
    x = np.linspace(first, last, GRID) if first <= last else np.empty(0)
    values = np.stack([np.interp(x, line.x, line.values) for line in lines])  # (seeds, T)
    if len(lines) < ENOUGH:
        return Band(x, values.mean(0), values.min(0), values.max(0))
    drawn = np.random.default_rng(0).integers(len(lines), size=(RESAMPLES, len(lines)))
    means = np.stack([values[rows].mean(0) for rows in drawn])  # (RESAMPLES, T)
    low, high = np.percentile(means, (2.5, 97.5), axis=0)
    return Band(x, values.mean(0), low, high)


def lower_is_better(metric: str) -> bool:
    """Whether lower values of a metric are better, judged by its name.

    >>> lower_is_better("validation_loss"), lower_is_better("return_mean")
    (True, False)
    """
    return any(part in metric for part in LOWER)


def title_of(folder: Path) -> str:
    """Title of a run's scene; empty if it cannot be read."""
    try:
        return str(tomllib.loads((folder / "scene.toml").read_text("utf-8")).get("title", ""))
    except (OSError, ValueError):
        return ""


def _experiment(folder: Path, name: str) -> Experiment:
    if not folder.is_dir():
        what = f"{folder} is a file, not a run" if folder.exists() else f"there is no folder {folder}"
        raise PlotError(what)
    if (folder / METRICS).is_file():
        log = read_log(folder)
        if not log.rows:
            raise PlotError(f"{folder} has no line in {METRICS} yet: wait for its first update")
        return Experiment(name, (log,))
    seeds = seed_runs(folder)
    if seeds == [folder]:
        raise PlotError(f"{folder} is no run: there is neither a {METRICS} nor a seed-<n> folder in it")
    begun = [read_log(seed) for seed in seeds if (seed / METRICS).is_file()]
    logs = [log for log in begun if log.rows]
    if not logs:
        raise PlotError(f"no seed in {folder} has a line in {METRICS} yet: wait for a first update")
    written = {log.folder for log in logs}
    return Experiment(name, tuple(logs), tuple(seed for seed in seeds if seed not in written))


def _names(folders: Sequence[Path]) -> list[str]:
    """Short distinct names: the fewest last parts of each path; a seed's includes its training's folder."""
    parts = [folder.resolve().parts for folder in folders]
    names = []
    for i, own in enumerate(parts):
        others = parts[:i] + parts[i + 1 :]
        least = 2 if own[-1].startswith("seed-") else 1
        kept = next(k for k in range(least, len(own) + 1) if all(own[-k:] != other[-k:] for other in others))
        names.append("/".join(own[-kept:]))
    return names


def _number(value: Any) -> float | None:
    """A finite number as float, else None."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if math.isfinite(value) else None
