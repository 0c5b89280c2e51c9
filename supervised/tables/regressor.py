"""Heteroscedastic regression: a fully connected network that predicts a mean and a standard deviation.

Trained by the negative log-likelihood of a Gaussian (Nix & Weigend 1994, "Estimating the mean and variance of
the target probability distribution"). The gradient of each example is weighted by its own standard deviation
(Seitzer et al. 2022, "On the pitfalls of heteroscedastic uncertainty estimation", β = 0.5), without which
examples that the network finds noisy hardly move its mean.

Read from top to bottom: the keys, the network, the model, its baselines and its figure.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from sim.fields import Range, Validated
from sim.percept_kind import Kind
from sim.records import Array, Percept
from supervised.base_model import BaseModel
from supervised.data.dataset import Dataset
from supervised.data.sources.growth import exact, growth_splits
from supervised.data.sources.splits import Splits
from supervised.figure import ACCENT, MUTED, SERIES
from supervised.fit import Batch, Fit, FitOptions
from supervised.metrics.percept_metrics import PerceptMetrics
from supervised.metrics.regression import VALUE, quantity
from supervised.task import Perceive

if TYPE_CHECKING:
    from matplotlib.figure import Figure

BETA = 0.5  # of the β-NLL loss: 0 is the likelihood, 1 the squared error
SMALLEST = 1e-3  # standard deviation, of the target's own; a Gaussian without spread has no likelihood
SHOWN = 300  # training examples of the figure
NAME = 64  # bytes of the input's name
VALIDATE_EVERY = 100


@dataclass(frozen=True)
class Regressor(Validated):
    """Configuration of the ``regressor`` perception; its fields are scene keys."""

    reads: ClassVar[str] = "table"
    tells: ClassVar[Kind] = "value"
    metrics: ClassVar[PerceptMetrics] = VALUE

    data: str = "who-girls"  # of `supervised.data.sources.growth`, or the path of a CSV
    hidden: Annotated[int, Range(ge=1, le=4096)] = 64  # units of each of two layers
    learning_rate: Annotated[float, Range(gt=0)] = 3e-3
    batch_size: Annotated[int, Range(ge=1)] = 256
    weight_decay: Annotated[float, Range(ge=0)] = 1e-4
    patience: Annotated[int, Range(ge=0)] = 0  # validations without a better one before it stops; 0: never

    def splits(self, path: Path | None, *, seed: int) -> Splits:
        """See `supervised.task.TaskConfig`."""
        return growth_splits(self.data, path, seed=seed)

    def build(self, classes: Sequence[str], *, seed: int, device: str = "cpu") -> RegressorModel:
        """An untrained regressor of one input and one target, whose name is the one of `classes`."""
        return RegressorModel(self, tuple(classes), seed, device)

    def baselines(self, train: Dataset, *, seed: int) -> Mapping[str, Perceive]:
        """Straight line of least squares; for the WHO standard also its own distribution, which is exact."""
        found = {"straight line": straight_line(train)}
        if self.data == "who-girls":
            found["exact distribution"] = partial(_standard, target=_target(train))
        return found


class RegressorNetwork(nn.Module):
    """Inputs (B, D) in their own units → mean and standard deviation (B,) each, in the target's unit."""

    def __init__(self, inputs: int, hidden: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Linear(inputs, hidden), nn.Tanh(), nn.Linear(hidden, hidden), nn.Tanh(), nn.Linear(hidden, 2)
        )
        for name, size in (("x_mean", inputs), ("x_std", inputs), ("y_mean", 1), ("y_std", 1)):
            self.register_buffer(name, torch.full((size,), float("std" in name)))
        self.register_buffer("examples", torch.zeros(SHOWN, 2))  # of the training data, for the figure
        self.register_buffer("x_name", torch.zeros(NAME, dtype=torch.uint8))  # of the input, UTF-8

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """See the class."""
        mean, spread = self.body((x - self.x_mean) / self.x_std).unbind(1)  # type: ignore[operator]
        std = functional.softplus(spread) + SMALLEST
        return mean * self.y_std + self.y_mean, std * self.y_std  # type: ignore[operator]


class Rows:
    """Training examples of the regressor."""

    def __init__(self, data: Dataset) -> None:
        self._x = np.asarray(data.values, np.float32)
        self._y = targets(data)

    def __len__(self) -> int:
        """How many."""
        return len(self._x)

    def batch(self, rows: Array, generator: np.random.Generator) -> dict[str, Array]:
        """``x`` (B, D) and ``y`` (B,) float32."""
        return {"x": self._x[rows], "y": self._y[rows]}


class RegressorModel(BaseModel[RegressorNetwork]):
    """Regressor: table rows (D,) → value and standard deviation. Satisfies `supervised.task.TaskModel`."""

    reads = "table"

    def __init__(self, config: Regressor, classes: tuple[str, ...], seed: int, device: str) -> None:
        self.config, self.classes = config, classes
        super().__init__(lambda: RegressorNetwork(1, config.hidden), seed=seed, device=device)

    def fit(self, train: Dataset, validation: Dataset, *, seed: int) -> Fit:
        """A fit to table rows; the scales of inputs and target are those of the training data."""
        self._scale(train)
        options = FitOptions(
            learning_rate=self.config.learning_rate,
            batch_size=min(self.config.batch_size, len(train)),
            weight_decay=self.config.weight_decay,
            patience=self.config.patience,
            validate_every=VALIDATE_EVERY,
            precision="float32",
        )
        return Fit(
            self.network, nll_loss, Rows(train), Rows(validation), options, seed=seed, device=str(self.device)
        )

    def _scale(self, train: Dataset) -> None:
        x, y = np.asarray(train.values, np.float64), targets(train).astype(np.float64)
        few = np.linspace(0, len(y) - 1, SHOWN).astype(int)
        found = {
            "x_mean": x.mean(0),
            "x_std": x.std(0),
            "y_mean": y.mean(keepdims=True),
            "y_std": y.std(keepdims=True),
            "examples": np.stack([x[few, 0], y[few]], 1),
            "x_name": np.frombuffer(train.axes[0].encode()[:NAME].ljust(NAME, b"\0"), np.uint8),
        }
        for name, array in found.items():
            getattr(self.network, name).copy_(torch.from_numpy(array.copy()))

    @torch.no_grad()
    def perceive(self, inputs: Sequence[Array]) -> list[Percept]:
        """Mean and standard deviation of the target for each row (D,)."""
        if not len(inputs):
            return []
        x = torch.from_numpy(np.stack([np.asarray(row, np.float32) for row in inputs])).to(self.device)
        mean, std = (part.double().cpu().tolist() for part in self.network(x))
        name = self.classes[0]
        return [quantity("model", {name: m}, {name: s}) for m, s in zip(mean, std, strict=True)]

    def draw(self, figure: Figure, value: Array, percept: Percept, truth: Percept | None) -> None:
        """The fit with a band of two standard deviations over training examples, and this input on it."""
        examples = self.network.examples.cpu().numpy()  # type: ignore[operator]
        name, axes = self.classes[0], figure.add_subplot()
        low, high = examples[:, 0].min(), examples[:, 0].max()
        low, high = min(low, float(value[0])), max(high, float(value[0]))
        grid = np.linspace(low, high, 200, dtype=np.float32)
        said = self.perceive(list(grid[:, None]))
        mean = np.array([one.extras["value"][name] for one in said])
        std = np.array([one.extras["std"][name] for one in said])
        axes.scatter(
            examples[:, 0], examples[:, 1], s=8, color=MUTED, alpha=0.5, linewidths=0, label="training data"
        )
        axes.fill_between(grid, mean - 2 * std, mean + 2 * std, color=SERIES[0], alpha=0.25, label="± 2 σ")
        axes.plot(grid, mean, color=SERIES[0], label="mean")
        at, std_at = percept.extras["value"][name], percept.extras["std"][name]
        axes.errorbar([value[0]], [at], 2 * std_at, color=ACCENT, marker="o", capsize=5, label="this input")
        if truth is not None:
            axes.scatter(
                value[:1], [truth.extras["value"][name]], color=SERIES[1], s=60, zorder=5, label="truth"
            )
        x_name = self.network.x_name.cpu().numpy().tobytes().rstrip(b"\0").decode("utf-8", "replace")  # type: ignore[operator]
        axes.set(xlabel=x_name, ylabel=name)
        axes.legend(loc="lower right")


def nll_loss(network: nn.Module, batch: Batch) -> tuple[Tensor, dict[str, Tensor]]:
    """The β-NLL in training, the plain negative log-likelihood in validation, in nats; see the module."""
    mean, std = network(batch["x"])
    nll = 0.5 * ((batch["y"] - mean) / std) ** 2 + std.log() + 0.5 * float(np.log(2 * np.pi))
    weight = (std / network.y_std).detach() ** (2 * BETA) if network.training else 1.0
    return (weight * nll).mean(), {"nll": nll.mean()}


def targets(data: Dataset) -> Array:
    """(N,) float32: the one value of each truth."""
    return np.array([next(iter(truth.extras["value"].values())) for truth in data.truths], np.float32)


def straight_line(train: Dataset) -> Perceive:
    """Least squares, with the standard deviation of its residuals everywhere."""
    x, y = np.asarray(train.values, np.float64)[:, 0], targets(train).astype(np.float64)
    line = np.polyfit(x, y, 1)
    std = float(np.sqrt(np.mean((np.polyval(line, x) - y) ** 2)))
    name = _target(train)
    return lambda inputs: [
        quantity("model", {name: float(np.polyval(line, row[0]))}, {name: std}) for row in inputs
    ]


def _standard(inputs: Sequence[Any], target: str) -> list[Percept]:
    """The distribution that the WHO's standard gives for these ages."""
    means, stds = exact(np.array([row[0] for row in inputs], np.float64))
    return [
        quantity("model", {target: m}, {target: s})
        for m, s in zip(means.tolist(), stds.tolist(), strict=True)
    ]


def _target(train: Dataset) -> str:
    name: str = next(iter(train.truths[0].extras["value"]))
    return name
