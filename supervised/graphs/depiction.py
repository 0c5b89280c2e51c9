"""Drawing of a molecule in two dimensions, atoms coloured by what each contributes, and its properties."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from sim.records import Array, Percept
from supervised.data.molecules.molecule import Molecule
from supervised.data.molecules.rings import AROMATIC
from supervised.figure import ACCENT, MUTED, NEGATIVE, PANEL, SERIES, TEXT
from supervised.graphs.layout import layout

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

DISC, GAP, INNER = 0.38, 0.28, 0.14  # in bond lengths: radius, space around letters, between parallel bonds
LETTERS = 0.5  # height of a line of letters, in bond lengths
TYPE = (6.0, 15.0)  # points
SHARE = np.array([0.8, 0.55])  # of the figure that the molecule may fill
FAINT = 0.1  # the smallest contribution that is coloured in full, of the property's unit
PROPERTIES = 4  # shown at most
SUBSCRIPTS = str.maketrans("0123456789", "₀₁₂₃₄₅₆₇₈₉")
LONGEST = 70  # characters of a name


def draw_prediction(
    figure: Figure,
    whole: Molecule,
    contributions: Array,
    percept: Percept,
    truth: Percept | None,
    ranges: Mapping[str, Sequence[float]],
) -> None:
    """Draw a molecule above the values of its properties.

    Args:
        figure: empty.
        whole: N atoms.
        contributions: (N,) of its atoms to the first property, in its unit.
        percept: of the kind ``value``.
        truth: what is right; None where nobody knows.
        ranges: property → low and high of the training data.
    """
    names = list(percept.extras["value"])[:PROPERTIES]
    grid = figure.add_gridspec(2, len(names), height_ratios=(7, 1))
    figure.set_layout_engine("constrained", w_pad=0.15, h_pad=0.12)  # inches
    axes = figure.add_subplot(grid[0, :])
    bar = draw_molecule(axes, whole, contributions, figure.get_size_inches())
    axes.set_title(_shortened(whole.name))
    scale = figure.colorbar(bar, ax=axes, shrink=0.7, aspect=25, pad=0.02)
    scale.set_label(f"change of {names[0]} by each atom")
    scale.outline.set_visible(False)
    for column, name in enumerate(names):
        below = figure.add_subplot(grid[1, column])
        right = None if truth is None else (truth.extras.get("value") or {}).get(name)
        std = (percept.extras.get("std") or {}).get(name, 0.0)
        _draw_property(below, name, percept.extras["value"][name], std, right, ranges.get(name))
        if column == 0:
            figure.legend(*below.get_legend_handles_labels(), loc="outside lower right", ncols=2)


def draw_molecule(axes: Axes, whole: Molecule, contributions: Array, inches: Array) -> Any:
    """Draw bonds, letters and discs; returns what a colour bar needs. `inches` are those of the figure."""
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import LinearSegmentedColormap, Normalize
    from matplotlib.patches import Circle

    positions = _unit(whole)
    colors = LinearSegmentedColormap.from_list("contribution", [NEGATIVE, PANEL, SERIES[5]])
    most = max(FAINT, float(np.abs(contributions).max()))
    mapped = ScalarMappable(Normalize(-most, most), colors)
    for place, value in zip(positions, contributions, strict=True):
        axes.add_patch(Circle(tuple(place), DISC, color=mapped.to_rgba(value), linewidth=0, zorder=1))
    labels = [_label(whole, atom, positions) for atom in range(len(whole))]
    for bond in range(len(whole.bonds)):
        _draw_bond(axes, whole, bond, positions, labels)
    low, high = positions.min(0) - 1, positions.max(0) + 1
    room = inches * SHARE
    size = float(np.clip(LETTERS * 72 * (room / (high - low)).min(), *TYPE))
    for (text, align), place in zip(labels, positions, strict=True):
        if text:
            x = place[0] + {"left": -0.2, "right": 0.2, "center": 0.0}[align]
            axes.text(x, place[1], text, size=size, ha=align, va="center_baseline", color=TEXT, zorder=4)
    axes.margins(0)
    axes.update_datalim([low, high])
    axes.set(aspect="equal", adjustable="datalim")
    axes.axis("off")
    return mapped


def _unit(whole: Molecule) -> Array:
    """Positions in bond lengths: those of the file, or computed ones."""
    if whole.positions is None or not len(whole.bonds):
        return layout(whole)
    ends = whole.positions[whole.bonds]
    length = float(np.median(np.linalg.norm(ends[:, 0] - ends[:, 1], axis=1)))
    return whole.positions / length if length > 0 else layout(whole)


def _label(whole: Molecule, atom: int, positions: Array) -> tuple[str, str]:
    """Letters of an atom and on which side they begin; none for carbon within a molecule."""
    symbol, charge, count = whole.symbols[atom], int(whole.charges[atom]), int(whole.hydrogens[atom])
    if symbol == "C" and not charge and whole.neighbours[atom]:
        return "", "center"
    hydrogens = "" if not count else "H" + (str(count).translate(SUBSCRIPTS) if count > 1 else "")
    sign = "" if not charge else ("⁺" if charge > 0 else "⁻")
    if not hydrogens:
        return symbol + sign, "center"
    others = [b for b, _ in whole.neighbours[atom]]
    if others and positions[others, 0].mean() > positions[atom, 0] + 0.2:
        return hydrogens + symbol + sign, "right"
    return symbol + hydrogens + sign, "left"


def _draw_bond(
    axes: Axes, whole: Molecule, bond: int, positions: Array, labels: Sequence[tuple[str, str]]
) -> None:
    a, b = whole.bonds[bond].tolist()
    start, end = positions[a], positions[b]
    along = (end - start) / max(1e-9, float(np.linalg.norm(end - start)))
    side = np.array([-along[1], along[0]])
    start = start + along * GAP * bool(labels[a][0])
    end = end - along * GAP * bool(labels[b][0])
    order = int(whole.orders[bond])
    inside = _inner_side(whole, a, b, positions, side)
    if order == AROMATIC or (order == 2 and inside):
        pulled = along * INNER * (not labels[a][0]), along * INNER * (not labels[b][0])
        offset = side * INNER * (inside or 1)
        _line(axes, start, end)
        _line(axes, start + offset + pulled[0], end + offset - pulled[1], dashed=order == AROMATIC)
        return
    for shift in {1: (0.0,), 2: (-0.5, 0.5), 3: (-1.0, 0.0, 1.0)}[order]:
        _line(axes, start + side * INNER * shift, end + side * INNER * shift)


def _inner_side(whole: Molecule, a: int, b: int, positions: Array, side: Array) -> float:
    """1 or -1 by the side on which the smallest ring of a bond lies; 0 outside of rings."""
    rings = [list(ring) for ring in whole.rings if a in ring and b in ring]
    if not rings:
        return 0.0
    ring = min(rings, key=lambda one: (not whole.aromatic[one].all(), len(one)))
    centre = positions[ring].mean(0) - (positions[a] + positions[b]) / 2
    return float(np.sign(centre @ side)) or 1.0


def _line(axes: Axes, start: Array, end: Array, *, dashed: bool = False) -> None:
    style = {"linestyle": (0, (2.5, 1.5)), "color": MUTED} if dashed else {"color": TEXT}
    axes.plot(*np.stack([start, end]).T, linewidth=1.4, solid_capstyle="round", zorder=2, **style)


def _draw_property(
    axes: Axes, name: str, value: float, std: float, truth: float | None, limits: Sequence[float] | None
) -> None:
    """A number line with the value, two standard deviations and what is right."""
    near = [value - 2 * std, value + 2 * std, *([] if truth is None else [truth]), *(limits or ())]
    room = 0.05 * max(1e-6, max(near) - min(near))
    axes.errorbar([value], [0], xerr=2 * std, color=ACCENT, marker="o", capsize=5, label="model ± 2 σ")
    if truth is not None:
        hollow: dict[str, Any] = {
            "markerfacecolor": "none",
            "markeredgecolor": SERIES[1],
            "markeredgewidth": 2,
        }
        axes.plot([truth], [0], marker="D", markersize=11, linestyle="none", label="measured", **hollow)
    axes.set(xlim=(min(near) - room, max(near) + room), ylim=(-1, 1), yticks=[])
    axes.spines["left"].set_visible(False)
    beside = "" if truth is None else f", measured {_in_digits(truth)}"
    axes.set_title(f"{name}: {_in_digits(value)} ± {std:.2g}{beside}", size=10)


def _in_digits(number: float) -> str:
    return f"{number:.3g}".replace("-", "−")


def _shortened(name: str) -> str:
    return name if len(name) <= LONGEST else name[: LONGEST - 1] + "…"
