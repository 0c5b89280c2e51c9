"""Figures of a sweep's report: score against training time, importance of parameters, score by parameter.

matplotlib through `supervised.figure`, in the window's colours; each is an RGB array (H, W, 3) uint8.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from scenes.sweep.report import SweepReport, TrialRow
from scenes.sweep.search_space import Choices, Dimension, NumberRange, toml_value
from sim.records import Array
from supervised.figure import ACCENT, LINE, MUTED, SERIES, TEXT, rasterized

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

OVERVIEW = (1680, 720)  # pixels
PANEL = (560, 520)  # pixels of one parameter's panel
COLUMNS = 3
POINT, RING = 42, 120  # area of a marker, square points
MARGIN = 0.03  # of a range, beside its ends
FEWEST_BARS = 5  # that there is room for: two bars need not fill the panel
SHORT = 28  # letters of a key on an axis


def overview(report: SweepReport) -> Array:
    """Score against seconds with the Pareto front, beside the importance of parameters."""

    def draw(figure: Figure) -> None:
        left, right = figure.subplots(1, 2, width_ratios=(3, 2))
        _score_by_time(left, report)
        _importance(right, report)

    return rasterized(draw, OVERVIEW)


def by_parameter(report: SweepReport) -> Array:
    """Score of each trial by each of its parameters, one panel a parameter."""
    space = report.definition.space
    columns = min(COLUMNS, len(space))
    rows = math.ceil(len(space) / columns)

    def draw(figure: Figure) -> None:
        panels = np.ravel(figure.subplots(rows, columns, squeeze=False, sharey=True))
        for panel, dimension in zip(panels, space, strict=False):
            _score_by_value(panel, report, dimension)
        for panel in panels[len(space) :]:
            panel.set_axis_off()
        for panel in panels[::columns]:
            panel.set_ylabel(score_label(report))

    return rasterized(draw, (PANEL[0] * columns, PANEL[1] * rows))


def score_label(report: SweepReport) -> str:
    """Label of the score's axis."""
    arrow = "higher is better" if report.definition.direction == "maximize" else "lower is better"
    return f"{report.definition.metric.replace('_', ' ')} ({arrow})"


def _score_by_time(panel: Axes, report: SweepReport) -> None:
    rows = report.finished
    unit, scale = ("min", 60.0) if max((row.seconds for row in rows), default=0.0) >= 180 else ("s", 1.0)
    front = {number: i for i, number in enumerate(report.pareto)}
    for row in rows:
        _point(panel, row.seconds / scale, row, accent=row.trial in front)
        panel.annotate(
            str(row.trial), (row.seconds / scale, row.score or 0.0), (6, 5), textcoords="offset points",
            fontsize=8, color=TEXT if row.trial in front else MUTED,
        )  # fmt: skip
    best = sorted((row for row in rows if row.trial in front), key=lambda row: front[row.trial])
    if best:
        x = [row.seconds / scale for row in best]
        panel.step(x, [row.score or 0.0 for row in best], where="post", color=ACCENT, linewidth=1.4, zorder=1)
    panel.set_xlabel(f"training time of a trial [{unit}]")
    panel.set_ylabel(score_label(report))
    panel.set_title("Score and training time; orange: Pareto front, ringed: the scene’s own values")
    _grid(panel)


def _point(panel: Axes, x: Any, row: TrialRow, *, accent: bool) -> None:
    """One trial with its interval."""
    color = ACCENT if accent else SERIES[0]
    score = row.score or 0.0
    if row.low is not None and row.high is not None:
        panel.plot([x, x], [row.low, row.high], color=color, alpha=0.45, linewidth=1.2, zorder=2)
    panel.scatter([x], [score], s=POINT, color=color, zorder=3)
    if row.own:
        panel.scatter([x], [score], s=RING, facecolors="none", edgecolors=TEXT, linewidths=1.0, zorder=4)


def _importance(panel: Axes, report: SweepReport) -> None:
    panel.set_title(f"Importance of parameters ({report.importance_by})")
    if not report.importance:
        panel.set_axis_off()
        panel.text(
            0.0, 0.9, "too few finished trials with different scores", color=MUTED, transform=panel.transAxes
        )
        return
    keys = list(report.importance)[::-1]
    values = [report.importance[key] for key in keys]
    panel.barh([shortened(key) for key in keys], values, color=SERIES[0], height=0.55)
    for i, value in enumerate(values):
        panel.annotate(
            f"{value:.0%}", (value, i), (5, 0), textcoords="offset points", va="center", color=TEXT
        )
    panel.set_xlim(0, max(1.0, 1.15 * max(values)) if max(values) > 0.85 else 1.2 * max(values))
    panel.set_ylim(min(-0.7, len(keys) - FEWEST_BARS), len(keys) - 0.3)
    panel.set_xlabel("share of the variance of scores")
    panel.tick_params(axis="y", length=0, labelcolor=TEXT)
    panel.xaxis.set_major_formatter(lambda share, _: f"{share:.0%}")


def _score_by_value(panel: Axes, report: SweepReport, dimension: Dimension) -> None:
    if isinstance(dimension, NumberRange):
        places = {row.trial: row.params[dimension.key] for row in report.finished}
        _number_axis(panel, dimension)
    else:
        choices = [toml_value(value) for value in ordered(dimension)]
        places = {row.trial: choices.index(toml_value(row.params[dimension.key])) for row in report.finished}
        panel.set_xticks(range(len(choices)), [shortened(choice.strip('"')) for choice in choices])
        panel.set_xlim(-0.5, len(choices) - 0.5)
    for row in report.finished:
        _point(panel, places[row.trial], row, accent=report.best is row)
    panel.set_xlabel(shortened(dimension.key), color=TEXT)
    _grid(panel)


def _number_axis(panel: Axes, searched: NumberRange) -> None:
    """An x axis as wide as the range that was searched."""
    low, high = searched.low, searched.high
    if searched.log:
        panel.set_xscale("log")
        factor = (high / low) ** MARGIN
        panel.set_xlim(low / factor, high * factor)
    else:
        margin = MARGIN * (high - low)
        panel.set_xlim(low - margin, high + margin)


def ordered(choices: Choices) -> list[Any]:
    """Values of choices as an axis shows them: numbers by size, others as they were given."""
    numbers = all(isinstance(value, int | float) and not isinstance(value, bool) for value in choices.values)
    return sorted(choices.values) if numbers else list(choices.values)


def _grid(panel: Axes) -> None:
    panel.grid(color=LINE, linewidth=0.6, alpha=0.6)
    panel.set_axisbelow(True)


def shortened(text: str) -> str:
    """A key or choice that fits beside an axis.

    >>> shortened("agent.learning_rate"), shortened("x" * 40)
    ('agent.learning_rate', '…xxxxxxxxxxxxxxxxxxxxxxxxxxx')
    """
    return text if len(text) <= SHORT else "…" + text[-SHORT + 1 :]
