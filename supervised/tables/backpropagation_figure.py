"""Figures of backpropagation: weights and activations, decision surface, loss curve and landscape."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

import numpy as np

from sim.records import Array, Percept
from supervised.figure import ACCENT, MUTED, SERIES

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

SPAN = (-1.6, 2.6, -1.2, 1.7)  # of the plane that is drawn: left, right, bottom, top
GRID = 60  # points of the decision surface a side
AROUND = 13  # points of the landscape a side


class Net(Protocol):
    """Interface of the network drawn: weights, activations, loss."""

    weights: list[Array]

    def forward(self, x: Array) -> list[Array]:
        """Activations of every layer."""

    def loss(self, x: Array, target: Array) -> float:
        """Mean loss."""

    def parameters(self) -> list[Array]:
        """The trainable parameters."""


def draw_example(
    figure: Figure,
    network: Net,
    activations: Sequence[Array],
    classes: Sequence[str],
    percept: Percept,
    truth: Percept | None,
) -> None:
    """The network with the activations of one point, and the point on the decision surface."""
    left, right = figure.subplots(1, 2, width_ratios=(1.2, 1))
    draw_network(left, network, [layer[0] for layer in activations])
    left.set_title("activations of this point; lines are weights")
    draw_surface(right, network)
    point = activations[0][0]
    right.scatter([point[0]], [point[1]], s=90, color=ACCENT, zorder=5)
    real = "" if truth is None else f", in truth {truth.label}"
    right.set_title(f"{percept.label}{real}")


def draw_learning(
    figure: Figure,
    network: Net,
    x: Array,
    target: Array,
    gradients: Sequence[Array],
    deltas: Sequence[Array],
    losses: Sequence[tuple[float, float]],
    every: int,
) -> None:
    """The network while it learns.

    Args:
        figure: empty.
        network: as it is now.
        x: (N, 2) training inputs.
        target: (N,) their classes, 0 or 1.
        gradients: of the parameters, in their order.
        deltas: (N, units) of each layer's sums, as backpropagation gives them.
        losses: of training and validation so far, one pair each `every` updates.
        every: updates between two pairs.
    """
    top, bottom = figure.subplots(2, 2, width_ratios=(1.2, 1))
    mean = [np.abs(layer).mean(0) for layer in network.forward(x)]
    sizes = [None, *(np.abs(delta).mean(0) for delta in deltas)]
    draw_network(top[0], network, mean, sizes)
    top[0].set_title("weights; fill: mean activation, size: mean |δ|")
    draw_surface(top[1], network)
    for value, color in ((0, SERIES[4]), (1, SERIES[0])):
        own = x[target == value]
        top[1].scatter(own[:, 0], own[:, 1], s=6, color=color, linewidths=0)
    top[1].set_title("decision surface")
    curve = np.array(losses)
    updates = np.arange(len(curve)) * every
    bottom[0].plot(updates, curve[:, 0], color=SERIES[0], label="training")
    bottom[0].plot(updates, curve[:, 1], color=ACCENT, label="validation")
    bottom[0].set(xlabel="update", ylabel="loss (nats)", ylim=(0, None))
    bottom[0].legend(loc="upper right")
    draw_landscape(bottom[1], network, x, target, gradients)


def draw_network(
    axes: Axes, network: Net, activations: Sequence[Array], sizes: Sequence[Array | None] | None = None
) -> None:
    """Units as circles, the brighter the more active; weights as lines, blue above 0 and orange below."""
    places = [
        [(number, row - (len(layer) - 1) / 2) for row in range(len(layer))]
        for number, layer in enumerate(activations)
    ]
    for number, weight in enumerate(network.weights):
        most = np.abs(weight).max() or 1.0
        for i, j in np.ndindex(weight.shape):
            share = abs(weight[i, j]) / most
            color = SERIES[0] if weight[i, j] > 0 else SERIES[4]
            (x0, y0), (x1, y1) = places[number][i], places[number + 1][j]
            axes.plot(
                [x0, x1],
                [y0, y1],
                color=color,
                alpha=0.15 + 0.75 * share,
                linewidth=0.3 + 2.2 * share,
                zorder=1,
            )
    for number, layer in enumerate(activations):
        size = None if sizes is None else sizes[number]
        area = 130.0 if size is None else 50 + 200 * size / (size.max() or 1.0)
        x, y = np.array(places[number]).T
        axes.scatter(
            x, y, s=area, c=np.clip(layer, -1, 1), cmap="gray", vmin=-1, vmax=1, edgecolors=MUTED, zorder=2
        )
    axes.set_xticks(range(len(activations)), ["input", *["tanh"] * (len(activations) - 2), "p"])
    axes.set_yticks([])
    axes.spines["left"].set_visible(False)


def draw_surface(axes: Axes, network: Net) -> None:
    """Probability of the second class over the plane, and the line where it is a half."""
    left, right, low, high = SPAN
    x, y = np.meshgrid(np.linspace(left, right, GRID), np.linspace(low, high, GRID))
    p = network.forward(np.stack([x.ravel(), y.ravel()], 1))[-1][:, 0].reshape(x.shape)
    axes.imshow(p, "RdBu", origin="lower", extent=SPAN, vmin=-0.6, vmax=1.6, aspect="auto", alpha=0.6)
    if p.min() < 0.5 < p.max():
        axes.contour(x, y, p, levels=[0.5], colors=ACCENT)
    axes.set(xlabel="x", ylabel="y")


def draw_landscape(axes: Axes, network: Net, x: Array, target: Array, gradients: Sequence[Array]) -> None:
    """The loss around the present weights: along the negative gradient, and along a random direction."""
    length = np.sqrt(sum((gradient**2).sum() for gradient in gradients)) or 1.0
    down = [-gradient / length for gradient in gradients]
    generator = np.random.default_rng(0)
    across = [generator.standard_normal(array.shape) for array in gradients]
    overlap = sum((one * other).sum() for one, other in zip(down, across, strict=True))
    across = [other - overlap * one for one, other in zip(down, across, strict=True)]
    norm = np.sqrt(sum((array**2).sum() for array in across))
    across = [array / norm for array in across]
    steps = np.linspace(-1, 1, AROUND)
    kept = [array.copy() for array in network.parameters()]
    found = np.zeros((AROUND, AROUND))
    for row, one in enumerate(steps):
        for column, other in enumerate(steps):
            for parameter, start, u, v in zip(network.parameters(), kept, across, down, strict=True):
                parameter[...] = start + one * u + other * v
            found[row, column] = network.loss(x, target)
    for parameter, start in zip(network.parameters(), kept, strict=True):
        parameter[...] = start
    drawn = axes.contourf(steps, steps, found, levels=14, cmap="viridis")
    axes.figure.colorbar(drawn, ax=axes, label="loss (nats)")
    axes.scatter([0], [0], color=ACCENT, zorder=3)
    axes.annotate("", (0.45, 0), (0, 0), arrowprops={"arrowstyle": "->", "color": ACCENT, "lw": 2})
    axes.set(xlabel="along −gradient", ylabel="a random direction", title="loss around the weights")
