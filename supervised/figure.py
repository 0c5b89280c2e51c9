"""Figures of tasks: matplotlib in the window's colours and type, as RGB arrays.

Drawing goes through `matplotlib.figure.Figure` alone: no pyplot, no display, no global state.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np

from sim.catalog import MissingPackageError, install_hint
from sim.records import Array

if TYPE_CHECKING:
    from matplotlib.figure import Figure

DOTS = 100  # an inch
SIZE = (800, 600)  # pixels, where nobody asks for another size
#: The palette of `sim.viewer.draw.theme`, which needs pygame.
GROUND, PANEL, LINE, TEXT, MUTED = "#111418", "#1a1e24", "#424a56", "#e8ebef", "#a3acb8"
ACCENT, POSITIVE, NEGATIVE = "#e69f00", "#009e73", "#d55e00"
SERIES = ("#56b4e9", "#009e73", "#f0e442", "#cc79a7", "#d55e00", "#0072b2")


def rasterized(draw: Callable[[Figure], None], size: tuple[int, int] = SIZE) -> Array:
    """What `draw` draws on an empty figure, (H, W, 3) uint8.

    Args:
        draw: takes the figure.
        size: W, H in pixels; lines and letters grow with the smaller of the two.

    Raises:
        MissingPackageError: without matplotlib.
    """
    try:
        import matplotlib as mpl
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ModuleNotFoundError as error:
        raise MissingPackageError(f"figures need {install_hint(error.name or 'matplotlib')}") from error
    width, height = max(64, size[0]), max(64, size[1])
    dots = DOTS * max(0.5, min(width / SIZE[0], height / SIZE[1]))
    with mpl.rc_context(_theme()):
        figure = Figure(figsize=(width / dots, height / dots), dpi=dots, layout="constrained")
        canvas = FigureCanvasAgg(figure)
        draw(figure)
        canvas.draw()
        rgba = np.asarray(canvas.buffer_rgba())
    return np.ascontiguousarray(rgba[:height, :width, :3])


@cache
def _theme() -> dict[str, Any]:
    """Settings of matplotlib: dark ground, Okabe–Ito colours, no frame, the window's type where it ships."""
    from pathlib import Path

    from cycler import cycler
    from matplotlib import font_manager

    import sim.viewer

    fonts = sorted((Path(sim.viewer.__file__).parent / "fonts").glob("*.ttf"))
    for font in fonts:
        font_manager.fontManager.addfont(font)
    names = {font_manager.FontProperties(fname=font).get_name() for font in fonts}
    sans = sorted(name for name in names if "Mono" not in name)
    return {
        "figure.facecolor": GROUND,
        "axes.facecolor": GROUND,
        "savefig.facecolor": GROUND,
        "axes.edgecolor": LINE,
        "axes.labelcolor": MUTED,
        "axes.titlecolor": TEXT,
        "axes.titlesize": 12,
        "axes.titlelocation": "left",
        "axes.labelsize": 10,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.prop_cycle": cycler(color=SERIES),
        "axes.grid": False,
        "grid.color": LINE,
        "grid.linewidth": 0.6,
        "text.color": TEXT,
        "xtick.color": MUTED,
        "ytick.color": MUTED,
        "xtick.labelsize": 9,
        "ytick.labelsize": 9,
        "legend.frameon": False,
        "legend.fontsize": 9,
        "lines.linewidth": 2,
        "image.cmap": "viridis",
        "font.family": [*sans[:1], "DejaVu Sans"],
        "font.size": 10,
    }
