"""Chart of a comparison: scores of each run and each pair's probability of improvement (`compare --figure`).

A dot is a mean, its line the 95 % interval, a ring the interquartile mean. Where games have an outcome a
panel shows the shares of wins, draws and mates: a run that scores high in its own reward may never mate.
The probability of improvement is drawn as in Agarwal et al. 2021: right of the middle line the first run of
a pair is better.
"""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from scenes.evaluation.plot import COLORS, DPI, GRID_INK, INK, write_atomically
from sim.catalog import install_hint
from sim.errors import RequestError

ROW, MARGINS = 0.6, 1.5  # inches
NAME, PANEL = 1.5, 3.0  # inches: width of the names, of a panel
LETTERS = 30  # of a name
#: Shares of games that are drawn, each with its name and mark.
SHARES = {"win": ("wins", "o"), "draw": ("draws", "s"), "mates": ("mates", "D")}


def check_png(option: str, out: Path, *, overwrite: bool) -> None:
    """Check that a PNG can be written, before any work.

    Raises:
        RequestError: naming the option and what is wrong with its file.
    """
    if out.suffix.lower() != ".png":
        raise RequestError(f"{option} must end in .png, not {out.name}")
    if out.is_dir():
        raise RequestError(f"{out} is a folder: choose another {option}")
    if out.exists() and not overwrite:
        raise RequestError(f"{out} exists: choose another {option}, or give --overwrite")


def write_comparison(rows: Sequence[Mapping[str, Any]], out: Path) -> None:
    """Draw the rows of a comparison (`scenes.evaluation.compare.compare`) and write them as PNG.

    Raises:
        RequestError: without matplotlib.
        SaveError: if the file could not be written.
    """
    png = io.BytesIO()
    try:
        figure_of(rows).savefig(png, format="png", facecolor="white")
    except ModuleNotFoundError as error:
        raise RequestError(f"a figure needs {install_hint(error.name or 'matplotlib')}") from error
    write_atomically(out, png.getvalue())


def runs_of(rows: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """The runs of a comparison's rows, each once, in their order."""
    found: dict[str, Mapping[str, Any]] = {}
    for row in rows:
        found.setdefault(row["a"]["checkpoint"], row["a"])
        found.setdefault(row["b"]["checkpoint"], row["b"])
    return list(found.values())


def figure_of(rows: Sequence[Mapping[str, Any]]) -> Any:
    """The chart as a `matplotlib.figure.Figure`: scores, outcomes where there are any, pairs."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    runs = runs_of(rows)
    shares = [name for name in SHARES if any(name in run["metrics"] for run in runs)]
    widths = [PANEL] * (3 if shares else 2)
    size = NAME * 2 + sum(widths), ROW * max(len(runs), len(rows)) + MARGINS
    figure = Figure(figsize=size, dpi=DPI, layout="constrained")
    FigureCanvasAgg(figure)
    panels = list(figure.subplots(1, len(widths)))
    _draw_scores(panels[0], runs)
    if shares:
        _draw_shares(panels[1], runs, shares)
    _draw_pairs(panels[-1], rows, runs)
    world = runs[0]["protocol"].get("world", "")
    title = (
        f"{world}: {runs[0]['n']:,} whole episodes of each" if world else f"{runs[0]['n']:,} episodes of each"
    )
    figure.suptitle(title, color=INK, fontsize=12, x=0.01, ha="left")
    return figure


def _name(run: Mapping[str, Any], number: int) -> str:
    """A run's number and the end of its name, which differs more than the beginning."""
    name = run["run"]
    return f"{number}  {name if len(name) <= LETTERS else '…' + name[1 - LETTERS :]}"


def _interval(panel: Any, y: float, ends: Sequence[float], color: str) -> None:
    panel.plot(ends, [y, y], color=color, linewidth=2.2, solid_capstyle="butt", zorder=2)


def _draw_scores(panel: Any, runs: Sequence[Mapping[str, Any]]) -> None:
    for row, run in enumerate(runs):
        color, metrics = COLORS[row % len(COLORS)], run["metrics"]
        _interval(panel, row, run["ci95"]["return_mean"], color)
        panel.plot(metrics["return_mean"], row, "o", color=color, markersize=6, zorder=3)
        panel.plot(metrics["return_iqm"], row, "o", color=color, markersize=10, fillstyle="none", zorder=3)
    _style(panel, "return: mean (dot), IQM (ring)", [_name(run, i) for i, run in enumerate(runs, 1)])


def _draw_shares(panel: Any, runs: Sequence[Mapping[str, Any]], shares: Sequence[str]) -> None:
    step = 0.7 / len(shares)
    for row, run in enumerate(runs):
        color = COLORS[row % len(COLORS)]
        for k, name in enumerate(shares):
            y = row + (k - (len(shares) - 1) / 2) * step
            if name in run["ci95"]:
                _interval(panel, y, run["ci95"][name], color)
            panel.plot(run["metrics"].get(name, 0.0), y, SHARES[name][1], color=color, markersize=5, zorder=3)
    panel.set_xlim(-0.03, 1.03)
    _style(panel, "share of games", ["" for _ in runs])
    for name in shares:
        panel.plot([], [], SHARES[name][1], color=INK, markersize=5, label=SHARES[name][0])
    looks = {"frameon": False, "labelcolor": INK, "fontsize": 9, "borderaxespad": 0.0}
    panel.legend(loc="lower left", bbox_to_anchor=(0, 1.01), ncols=len(shares), **looks)


def _draw_pairs(panel: Any, rows: Sequence[Mapping[str, Any]], runs: Sequence[Mapping[str, Any]]) -> None:
    number = {run["checkpoint"]: i for i, run in enumerate(runs, 1)}
    names = []
    for row, pair in enumerate(rows):
        _interval(panel, row, pair["ci95"]["probability_of_improvement"], INK)
        panel.plot(pair["metrics"]["probability_of_improvement"], row, "o", color=INK, markersize=6, zorder=3)
        names.append(f"{number[pair['a']['checkpoint']]} against {number[pair['b']['checkpoint']]}")
    panel.axvline(0.5, color=INK, linewidth=0.8, linestyle="--", zorder=1)
    panel.set_xlim(-0.03, 1.03)
    _style(panel, "probability of improvement", names)


def _style(panel: Any, title: str, names: Sequence[str]) -> None:
    """Style a panel of horizontal intervals: names at the left, a light grid, the first row on top."""
    panel.set_yticks(range(len(names)), names)
    panel.set_ylim(len(names) - 0.5, -0.5)
    panel.set_xlabel(title, color=INK, fontsize=9)
    panel.grid(axis="x", color=GRID_INK, linewidth=0.6)
    panel.set_axisbelow(True)
    panel.spines[["top", "right", "left"]].set_visible(False)
    panel.spines["bottom"].set_color(INK)
    panel.tick_params(colors=INK, labelsize=9)
    panel.tick_params(axis="y", length=0)
