"""Plot of learning curves: a PNG by matplotlib, and the same points as CSV (`playfield plot`).

The PNG has a panel by env steps (by updates for models that do not act) and one by wall-clock time: fewer
steps may still take more hours. The CSV beside it has a row for each point.

matplotlib is imported here only, without a window.
"""

from __future__ import annotations

import csv
import io
import os
import textwrap
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from scenes.evaluation.learning_curves import (
    Axis,
    Experiment,
    PlotError,
    chosen_metric,
    counted_axis,
    lower_is_better,
    read_experiments,
    title_of,
)
from sim.catalog import install_hint
from sim.errors import RequestError
from sim.storage.files import SaveError, flush_to_disk, reason

#: Okabe & Ito 2008, "Color Universal Design", those that stand out from white best first.
COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
DASHES = ("-", "--", ":")  # dashes, once the colours are used up
INK, GRID_INK = "#333333", "#DDDDDD"
PANEL, HEIGHT, DPI = 4.8, 3.9, 160  # inches, dots an inch
LEGEND_LINE, LETTERS = 0.24, 62  # inches; how many fit into the width of a panel
MINUTES: Axis = "minutes"
FEW, MANY = 25, 10_000  # points of a line up to which each is marked


@dataclass(frozen=True)
class PlotRequest:
    """Request for a plot.

    `x` is ``steps`` or ``time`` for one panel alone; `out` is the PNG's path, the next free name where none
    is given.
    """

    runs: Sequence[Path]
    out: Path | None = None
    metric: str | None = None
    x: Literal["both", "steps", "time"] = "both"
    overwrite: bool = False


def plot(request: PlotRequest, say: Callable[[str], None]) -> dict[str, Any]:
    """Draw the learning curves and write PNG and CSV; returns ``files`` and ``rows``, one for each curve.

    Raises:
        PlotError: for invalid runs, metrics or files; nothing was written.
        SaveError: if a file could not be written.
    """
    experiments = read_experiments(request.runs)
    metric, counted = chosen_metric(experiments, request.metric), counted_axis(experiments)
    axes: list[Axis] = [
        axis for axis, x in ((counted, "steps"), (MINUTES, "time")) if request.x in ("both", x)
    ]
    rows = [curve_summary(each, metric, counted) for each in experiments]
    picture = files_of(request, experiments[0].name)
    try:
        png = png_of(experiments, metric, axes)
    except ModuleNotFoundError as error:
        raise RequestError(f"a plot needs {install_hint(error.name or 'matplotlib')}") from error
    table = picture.with_suffix(".csv")
    write_atomically(table, csv_of(experiments, metric, axes).encode())
    write_atomically(picture, png)
    for each in experiments:
        for line in curve_warnings(each, metric, counted):
            say(line)
    return {"files": [str(picture), str(table)], "rows": rows}


def files_of(request: PlotRequest, name: str) -> Path:
    """Paths of the PNG and of the CSV, which differ in their suffix only.

    Raises:
        PlotError: if it is no PNG, or one of the two exists already.
    """
    if request.out is None:
        name = name.replace("/", "-")
        candidates = (Path(f"{name}{f'-{i}' if i > 1 else ''}.png") for i in range(1, 10**6))
        return next(path for path in candidates if not (path.exists() or path.with_suffix(".csv").exists()))
    if request.out.suffix.lower() != ".png":
        raise PlotError(f"--out must end in .png, not {request.out.name}: a table goes beside it as .csv")
    for path in (request.out, request.out.with_suffix(".csv")):
        if path.is_dir():
            raise PlotError(f"{path} is a folder: choose another --out")
        if path.exists() and not request.overwrite:
            raise PlotError(f"{path} exists: choose another --out, or give --overwrite")
    return request.out


def curve_summary(experiment: Experiment, metric: str, counted: Axis) -> dict[str, Any]:
    """Summary of a curve for the answer: its length, its last value and its best.

    Raises:
        PlotError: if it has no finite value.
    """
    band, clock = experiment.band(metric, counted), experiment.band(metric, MINUTES)
    if not any(len(line.x) for line in experiment.lines(metric, counted)):
        raise PlotError(f'no value of "{metric}" in {experiment.name} is a finite number')
    best = min if lower_is_better(metric) else max
    known = len(band.x) > 0
    return {
        "run": experiment.name,
        "seeds": len(experiment.runs),
        "metric": metric,
        "steps": int(band.x[-1]) if known else 0,
        "minutes": round(float(clock.x[-1]), 3) if len(clock.x) else 0.0,
        "last": float(band.mean[-1]) if known else None,
        "best": float(best(band.mean)) if known else None,
    }


def curve_warnings(experiment: Experiment, metric: str, counted: Axis) -> list[str]:
    """Warnings about a curve, such as unreadable lines and seeds without a row yet."""
    told = [f"{folder} has no update yet and is left out" for folder in experiment.waiting]
    for run in experiment.runs:
        if run.damaged:
            lines = ", ".join(map(str, run.damaged[:5])) + (" …" if len(run.damaged) > 5 else "")
            told.append(f"{run.folder}: damaged lines of metrics.jsonl are left out: {lines}")
    ends = [line.x[-1] if len(line.x) else 0.0 for line in experiment.lines(metric, counted)]
    if min(ends) < 0.98 * max(ends):
        short = experiment.runs[ends.index(min(ends))].folder.name
        unit = counted.replace("_", " ")
        told.append(
            f"{experiment.name}: the mean goes to {min(ends):,.0f} {unit}, as far as {short} has come"
        )
    return told


def csv_of(experiments: Sequence[Experiment], metric: str, axes: Sequence[Axis]) -> str:
    """The curves as CSV: a row for each point of each curve over each axis."""
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow(["run", "seeds", "metric", "axis", "x", "mean", "low", "high"])
    for each in experiments:
        for axis in axes:
            band = each.band(metric, axis)
            for values in zip(band.x, band.mean, band.low, band.high, strict=True):
                told = [f"{value:.10g}" for value in values]
                table.writerow([each.name, len(each.runs), metric, axis, *told])
    return text.getvalue()


def png_of(experiments: Sequence[Experiment], metric: str, axes: Sequence[Axis]) -> bytes:
    """The plot encoded as PNG."""
    png = io.BytesIO()
    figure_of(experiments, metric, axes).savefig(png, format="png", facecolor="white")
    return png.getvalue()


def figure_of(experiments: Sequence[Experiment], metric: str, axes: Sequence[Axis]) -> Any:
    """The plot as a `matplotlib.figure.Figure` with a panel for each axis."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    columns, labels = legend_of(experiments, len(axes))
    lines = -(-sum(label.count("\n") + 1 for label in labels) // columns)
    size = PANEL * len(axes) + 0.4, HEIGHT + LEGEND_LINE * lines
    figure = Figure(figsize=size, dpi=DPI, layout=ConstrainedLayoutEngine(wspace=0.06))
    FigureCanvasAgg(figure)
    panels = figure.subplots(1, len(axes), sharey=True, squeeze=False)[0]
    for panel, axis in zip(panels, axes, strict=True):
        unit, scale = unit_of(experiments, metric, axis)
        for i, each in enumerate(experiments):
            _curve(panel, each, metric, axis, scale, i)
        panel.set_xlabel(unit, color=INK)
        _plain(panel)
    for panel in panels[1:]:
        panel.tick_params(left=False)
    panels[0].set_ylabel(label_of(metric), color=INK)
    titles = {title_of(run.folder) for each in experiments for run in each.runs}
    if len(titles) == 1 and titles != {""}:
        figure.suptitle(titles.pop(), color=INK, fontsize=12, x=0.01, ha="left")
    handles, _ = panels[0].get_legend_handles_labels()
    looks = {"frameon": False, "labelcolor": INK, "fontsize": 9}
    figure.legend(handles, labels, loc="outside lower left", ncols=columns, **looks)
    return figure


def _curve(panel: Any, each: Experiment, metric: str, axis: Axis, scale: float, number: int) -> None:
    """Draw one experiment in a panel: its mean, the band, and each seed as a faint line."""
    color, dash = COLORS[number % len(COLORS)], DASHES[number // len(COLORS) % len(DASHES)]
    band = each.band(metric, axis)
    if len(each.runs) > 1:
        panel.fill_between(band.x / scale, band.low, band.high, color=color, alpha=0.18, linewidth=0)
        for line in each.lines(metric, axis):
            panel.plot(line.x / scale, line.values, color=color, alpha=0.35, linewidth=0.6)
    kept = slice(None, None, -(-len(band.x) // MANY) or 1)
    look = {"color": color, "linestyle": dash, "linewidth": 1.6, "markersize": 3}
    look["marker"] = "o" if len(band.x) <= FEW else None
    panel.plot(band.x[kept] / scale, band.mean[kept], label=each.name, zorder=3, **look)


def _plain(panel: Any) -> None:
    """Style a panel: a light grid, and no frame but the axes."""
    from matplotlib.ticker import StrMethodFormatter

    panel.grid(color=GRID_INK, linewidth=0.6)
    panel.set_axisbelow(True)
    panel.spines[["top", "right"]].set_visible(False)
    panel.spines[["left", "bottom"]].set_color(INK)
    panel.tick_params(colors=INK, labelsize=9)
    panel.xaxis.set_major_formatter(StrMethodFormatter("{x:,g}"))
    panel.margins(x=0.02)
    panel.set_xlim(left=0)


def legend_of(experiments: Sequence[Experiment], panels: int) -> tuple[int, list[str]]:
    """Legend: number of columns, and each curve's name with its seeds and its band, wrapped to fit."""
    labels = []
    for each in experiments:
        seeds = len(each.runs)
        told = "1 seed" if seeds == 1 else f"mean of {seeds} seeds; band: {each.band_name}"
        labels.append(f"{each.name} ({told})")
    if panels == 2 and all(len(label) <= LETTERS for label in labels):
        return 2, labels
    return 1, [textwrap.fill(label, LETTERS * panels) for label in labels]


def label_of(metric: str) -> str:
    """Axis label of a metric.

    >>> label_of("return_mean"), label_of("validation_loss")
    ('return, mean of the last 100 episodes', 'validation loss')
    """
    return "return, mean of the last 100 episodes" if metric == "return_mean" else metric.replace("_", " ")


def unit_of(experiments: Sequence[Experiment], metric: str, axis: Axis) -> tuple[str, float]:
    """Label of an x axis, and the unit that its numbers are divided by."""
    most = max(line.x[-1] for each in experiments for line in each.lines(metric, axis) if len(line.x))
    if axis == "minutes":
        name, scale = ("s", 1 / 60) if most < 3 else ("min", 1.0) if most < 180 else ("h", 60.0)
        return f"wall-clock time [{name}]", scale
    name = axis.replace("_", " ")
    for size, word in ((1e6, "millions"), (1e3, "thousands")):
        if most >= 2 * size:
            return f"{name} [{word}]", size
    return name, 1.0


def write_atomically(path: Path, content: bytes) -> None:
    """Write a file atomically: a kill or a full disk leaves the old one or the new one.

    Raises:
        SaveError: if it cannot be written.
    """
    whole = path.with_name(f".{path.name}.new-{os.getpid()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        whole.write_bytes(content)
        flush_to_disk(whole)
        whole.replace(path)
    except OSError as error:
        raise SaveError(error.errno, f"could not write {path}: {reason(error)}") from error
    finally:
        with suppress(OSError):
            whole.unlink()
