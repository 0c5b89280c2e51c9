"""Figure of a walker's gait: when each foot is on the ground (`playfield evaluate SCENE --figure FILE.png`).

Bars over time, one row a foot, as in biomechanics; double support of two feet is shaded. No window is opened.
"""

from __future__ import annotations

import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from scenes.evaluation.compare_figure import check_png
from scenes.evaluation.plot import COLORS, DPI, GRID_INK, INK, write_atomically
from scenes.evaluation.score_format import format_score
from scenes.schema import Scene, SceneError
from sim.catalog import install_hint
from sim.errors import RequestError
from sim.records import Array, Episode

SECONDS = 4.0  # of the episode that are drawn, its middle
ROW, MARGINS, WIDTH = 0.5, 1.2, 9.0  # inches
BAR = 0.62  # of a row
SHADE = "#F0E3C4"  # double support
TOLD = {
    "speed": "{} m/s",
    "cost_of_transport": "cost of transport {}",
    "double_support": "double support {}",
    "flight": "flight {}",
    "alternation": "alternation {}",
}


def check_figure(scene: Scene, out: Path, *, overwrite: bool) -> None:
    """Check a request for a figure, before anything is played.

    Raises:
        SceneError: if the scene's world has no gait.
        RequestError: if the file cannot be written.
    """
    if scene.world is None or not scene.world.use.startswith("walker/"):
        world = scene.world.use if scene.world else "no world"
        raise SceneError(f"--figure draws the gait of walkers, and {scene.name} plays {world}")
    check_png("--figure", out, overwrite=overwrite)


def write_gait_figure(episode: Episode, title: str, out: Path) -> None:
    """Draw the foot contacts of an episode and write them as PNG.

    Raises:
        RequestError: without matplotlib, or if the robot has no feet.
        SaveError: if the file could not be written.
    """
    png = io.BytesIO()
    try:
        figure_of(episode, title).savefig(png, format="png", facecolor="white")
    except ModuleNotFoundError as error:
        raise RequestError(f"a figure needs {install_hint(error.name or 'matplotlib')}") from error
    write_atomically(out, png.getvalue())


def middle(traces: Mapping[str, Array], seconds: float = SECONDS) -> tuple[Array, dict[str, Array]]:
    """Times (T,) and foot contacts (T,) bool of the middle `seconds` of an episode, or of all of it.

    Raises:
        RequestError: if the robot has no feet.
    """
    times = traces["seconds"]
    feet = {name: values for name, values in traces.items() if name != "seconds"}
    if not feet:
        raise RequestError("--figure draws feet, and no geom of this robot is named after a foot")
    length = min(len(times), round(seconds / (times[1] - times[0]))) if len(times) > 1 else len(times)
    first = (len(times) - length) // 2
    kept = slice(first, first + length)
    return times[kept], {name: values[kept] for name, values in feet.items()}


def stances(times: Array, contacts: Array, dt: float) -> list[tuple[float, float]]:
    """Stances as (start, length) in s, of contacts (T,) bool after steps of `dt` that ended at `times`.

    >>> stances(np.array([0.1, 0.2, 0.3, 0.4]), np.array([False, True, True, False]), 0.1)
    [(0.1, 0.2)]
    """
    edges = np.flatnonzero(np.diff(np.concatenate([[0], contacts.astype(np.int8), [0]])))
    starts, ends = edges[::2], edges[1::2]
    return [
        (round(float(times[a] - dt), 9), round(float((b - a) * dt), 9))
        for a, b in zip(starts, ends, strict=True)
    ]


def figure_of(episode: Episode, title: str) -> Any:
    """The figure as a `matplotlib.figure.Figure`."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from matplotlib.patches import Patch

    times, feet = middle(episode.traces)
    dt = float(episode.traces["seconds"][0])
    size = WIDTH, ROW * len(feet) + MARGINS
    figure = Figure(figsize=size, dpi=DPI, layout="constrained")
    FigureCanvasAgg(figure)
    panel = figure.subplots()
    names = list(feet)
    support = np.all(list(feet.values()), axis=0) & (len(feet) == 2)
    for start, length in stances(times, support, dt):
        panel.axvspan(start, start + length, color=SHADE, linewidth=0, zorder=0)
    for row, (name, contacts) in enumerate(feet.items()):
        share = episode.statistics.get(f"duty_factor_{name.replace(' ', '_')}", float("nan"))
        names[row] = f"{name}\nduty factor {share:.2f}"
        spans = stances(times, contacts, dt)
        color = COLORS[row % len(COLORS)]
        panel.broken_barh(spans, (row - BAR / 2, BAR), color=color, linewidth=0, zorder=2)
    panel.set_yticks(range(len(names)), names)
    panel.set_ylim(len(names) - 0.5, -0.5)
    panel.set_xlim(times[0] - dt, times[-1])
    panel.set_xlabel("time in the episode [s]", color=INK, fontsize=9)
    panel.grid(axis="x", color=GRID_INK, linewidth=0.6)
    panel.set_axisbelow(True)
    panel.spines[["top", "right", "left"]].set_visible(False)
    panel.spines["bottom"].set_color(INK)
    panel.tick_params(colors=INK, labelsize=9)
    panel.tick_params(axis="y", length=0)
    figures = {key: episode.statistics.get(key, np.nan) for key in TOLD}
    told = [TOLD[key].format(format_score(value)) for key, value in figures.items() if np.isfinite(value)]
    panel.set_title(f"{title}: feet on the ground", color=INK, fontsize=12, loc="left", pad=22)
    panel.text(0, 1.03, " · ".join(told), transform=panel.transAxes, color=INK, fontsize=9, va="bottom")
    if support.any():
        look = {"frameon": False, "labelcolor": INK, "fontsize": 9, "borderpad": 0.0, "borderaxespad": 0.0}
        patch = Patch(color=SHADE, label="double support")
        panel.legend(handles=[patch], loc="lower right", bbox_to_anchor=(1.0, 1.05), **look)
    return figure
