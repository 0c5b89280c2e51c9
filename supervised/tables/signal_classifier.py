"""Generalisation on MNIST-1D: a network that over-fits, and what cures it; double descent.

Over-fitting is cured here by what a lecture names: weight decay (Krogh & Hertz 1991), dropout (Srivastava et
al. 2014), augmentation, and stopping early. The demonstration trains a network without and one with them side
by side, and then draws the double-descent curve of random features (Belkin et al. 2019, "Reconciling modern
machine-learning practice and the bias-variance trade-off"): the test error peaks where the features are as
many as the training examples, and falls again beyond.

Read from top to bottom: the keys, the networks, the model, the demonstration.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from sim.fields import Range, Validated
from sim.percept_kind import Kind
from sim.records import Array, Budget, Percept
from sim.viewer.contract.moment import Readout
from supervised.base_model import BaseModel
from supervised.data.dataset import Dataset
from supervised.data.sources.mnist_1d import mnist_1d_splits
from supervised.data.sources.splits import DataError, Splits
from supervised.figure import ACCENT, MUTED, SERIES
from supervised.fit import Batch, Fit, FitOptions
from supervised.metrics.label_accuracy import ACCURACY
from supervised.metrics.percept_metrics import PerceptMetrics
from supervised.tables.perceptron import logistic_regression
from supervised.task import Frame, Perceive

if TYPE_CHECKING:
    from matplotlib.figure import Figure

LENGTH = 40
VALIDATE_EVERY = 50
BASELINE_EPOCHS = 28  # of the fully connected baseline
FEW = 400  # training examples of the demonstration: few enough to learn by heart
PICTURES, A_PICTURE = 60, 10  # of the two fits, and updates between two
POINTS, NOISY = 200, 0.15  # training examples of the double descent, and the share of wrong labels among them
WIDTHS = np.unique(np.geomspace(10, 3_000, 36).round().astype(int))  # numbers of random features


@dataclass(frozen=True)
class SignalClassifier(Validated):
    """Configuration of the ``signal_classifier`` perception; its fields are scene keys."""

    reads: ClassVar[str] = "table"
    tells: ClassVar[Kind] = "label"
    metrics: ClassVar[PerceptMetrics] = ACCURACY

    data: str = "mnist-1d"  # or mnist-1d-shuffled
    network: Literal["cnn", "mlp"] = "cnn"
    channels: Annotated[int, Range(ge=1, le=512)] = 32  # of each convolution; units of a layer of the mlp
    learning_rate: Annotated[float, Range(gt=0)] = 3e-3
    batch_size: Annotated[int, Range(ge=1)] = 100
    weight_decay: Annotated[float, Range(ge=0)] = 1e-2
    dropout: Annotated[float, Range(ge=0, lt=1)] = 0.1
    augmentation: bool = True  # signals are shifted in a circle, scaled and made noisier
    patience: Annotated[int, Range(ge=0)] = 0  # validations without a better one before it stops; 0: never

    def splits(self, path: Path | None, *, seed: int) -> Splits:
        """See `supervised.task.TaskConfig`."""
        if path is not None:
            raise DataError(
                f"{path}: this scene draws its own data; use a name, mnist-1d or mnist-1d-shuffled"
            )
        return mnist_1d_splits(self.data)

    def build(self, classes: Sequence[str], *, seed: int, device: str = "cpu") -> SignalClassifierModel:
        """An untrained network."""
        return SignalClassifierModel(self, tuple(classes), seed, device)

    def baselines(self, train: Dataset, *, seed: int) -> Mapping[str, Perceive]:
        """A network with one hidden layer, fitted as long without any cure, and logistic regression."""
        classes = tuple(sorted({truth.label or "" for truth in train.truths}))
        plain = replace(self, network="mlp", channels=100, weight_decay=0.0, dropout=0.0, augmentation=False)
        model = plain.build(classes, seed=seed)
        updates = max(1, BASELINE_EPOCHS * len(train) // plain.batch_size)
        for _ in model.fit(train, train.take(np.arange(10)), seed=seed).learn(Budget(None, updates)):
            pass
        return {"fully connected": model.perceive, "logistic regression": logistic_regression(train)}

    def demonstrate(self, splits: Splits, *, seed: int) -> Iterator[Frame]:
        """Two fits side by side, one without and one with the cures; then double descent, point by point."""
        yield from over_fitting(self, splits, seed)
        yield from double_descent(splits, seed)


def make_network(config: SignalClassifier, classes: int) -> nn.Module:
    """Signals (B, 40) → logits (B, C)."""
    c, drop = config.channels, nn.Dropout(config.dropout)
    if config.network == "mlp":
        return nn.Sequential(
            nn.Linear(LENGTH, c), nn.ReLU(), drop, nn.Linear(c, c), nn.ReLU(), drop, nn.Linear(c, classes)
        )
    return nn.Sequential(
        nn.Unflatten(1, (1, LENGTH)),
        nn.Conv1d(1, c, 5, 2, 2),  # (B, c, 20)
        nn.ReLU(),
        nn.Conv1d(c, c, 3, 2, 1),  # (B, c, 10)
        nn.ReLU(),
        nn.Conv1d(c, c, 3, 2, 1),  # (B, c, 5)
        nn.ReLU(),
        nn.Flatten(),
        drop,
        nn.Linear(5 * c, classes),
    )


class Signals:
    """Training examples: signals, shifted in a circle by up to three places, scaled and made noisier."""

    def __init__(self, data: Dataset, classes: Sequence[str], *, augment: bool) -> None:
        self._x = np.asarray(data.values, np.float32)
        self._label = np.array([classes.index(truth.label or "") for truth in data.truths], np.int64)
        self._augment = augment

    def __len__(self) -> int:
        """How many."""
        return len(self._x)

    def batch(self, rows: Array, generator: np.random.Generator) -> dict[str, Array]:
        """``x`` (B, 40) float32 and ``label`` (B,) int64."""
        x = self._x[rows]
        if self._augment:
            by = generator.integers(-3, 4, (len(rows), 1))
            x = np.take_along_axis(x, (np.arange(LENGTH) - by) % LENGTH, 1)
            noise = generator.normal(0, 0.1, x.shape)
            x = (x * generator.uniform(0.8, 1.2, (len(rows), 1)) + noise).astype(np.float32)
        return {"x": x, "label": self._label[rows]}


class SignalClassifierModel(BaseModel[nn.Module]):
    """Classifier of signals (40,) → label and probability. Satisfies `supervised.task.TaskModel`."""

    reads = "table"

    def __init__(self, config: SignalClassifier, classes: tuple[str, ...], seed: int, device: str) -> None:
        self.config, self.classes = config, classes
        super().__init__(lambda: make_network(config, len(classes)), seed=seed, device=device)

    def fit(self, train: Dataset, validation: Dataset, *, seed: int, every: int = VALIDATE_EVERY) -> Fit:
        """A fit to labelled signals by cross-entropy; it validates after `every` updates."""
        config = self.config
        options = FitOptions(
            learning_rate=config.learning_rate,
            batch_size=min(config.batch_size, len(train)),
            weight_decay=config.weight_decay,
            patience=config.patience,
            validate_every=every,
            precision="float32",
        )
        learned = Signals(train, self.classes, augment=config.augmentation)
        held_out = Signals(validation, self.classes, augment=False)
        return Fit(self.network, _loss, learned, held_out, options, seed=seed, device=str(self.device))

    @torch.no_grad()
    def probabilities(self, inputs: Sequence[Array]) -> Array:
        """(N, C) float64 of signals (40,)."""
        x = np.stack([_checked(row) for row in inputs])
        logits = self.network.eval()(torch.from_numpy(x).to(self.device))
        return np.asarray(logits.double().softmax(1).cpu().numpy())

    def perceive(self, inputs: Sequence[Array]) -> list[Percept]:
        """The most probable class of each signal, and its probability.

        Raises:
            ValueError: for a signal that is not of 40 numbers.
        """
        if not len(inputs):
            return []
        found = self.probabilities(inputs)
        return [
            Percept("model", label=self.classes[int(p.argmax())], scores=np.array([p.max()])) for p in found
        ]

    def draw(self, figure: Figure, value: Array, percept: Percept, truth: Percept | None) -> None:
        """The signal, and the probability of each class."""
        left, right = figure.subplots(1, 2, width_ratios=(1.4, 1))
        left.plot(_checked(value), color=SERIES[0], marker="o", markersize=3)
        left.set(xlabel="place", ylabel="value", title="signal")
        p = self.probabilities([value])[0]
        colors = [SERIES[0]] * len(p)
        colors[int(p.argmax())] = ACCENT
        if truth is not None:
            colors[self.classes.index(truth.label or "")] = SERIES[1]
        right.barh(self.classes, p, color=colors)
        right.invert_yaxis()
        right.set(xlim=(0, 1), xlabel="probability (green: the truth)")


def _checked(row: Array) -> Array:
    signal = np.asarray(row, np.float32)
    if signal.shape != (LENGTH,):
        raise ValueError(f"a signal has {LENGTH} numbers, not {signal.size}")
    return signal


def _loss(network: nn.Module, batch: Batch) -> tuple[Tensor, dict[str, Tensor]]:
    logits = network(batch["x"])
    right = (logits.argmax(1) == batch["label"]).float().mean()
    return functional.cross_entropy(logits, batch["label"]), {"accuracy": right}


def over_fitting(config: SignalClassifier, splits: Splits, seed: int) -> Iterator[Frame]:
    """Pictures of two networks that learn from a few examples: one without any cure, one with all of them."""
    few = splits.train.take(np.arange(FEW))
    plain = replace(config, network="mlp", channels=100, weight_decay=0.0, dropout=0.0, augmentation=False)
    cured = replace(plain, weight_decay=0.1, dropout=0.3, augmentation=True)
    fits = [
        each.build(splits.classes, seed=seed)
        .fit(few, splits.validation, seed=seed, every=A_PICTURE)
        .learn(Budget(None, PICTURES * A_PICTURE))
        for each in (plain, cured)
    ]
    curves: list[list[tuple[float, float]]] = [[], []]
    for both in zip(*fits, strict=True):
        for progress, curve in zip(both, curves, strict=True):
            curve.append((progress.metrics["train_loss"], progress.metrics["validation_loss"]))
        kept = [np.array(curve) for curve in curves]
        readouts = tuple(
            Readout(f"validation loss {name}", round(float(curve[-1, 1]), 3), "nats")
            for name, curve in zip(("without", "with cures"), kept, strict=True)
        )
        yield Frame(lambda figure, kept=kept: _draw_fits(figure, kept), readouts=readouts)  # type: ignore[misc]


def _draw_fits(figure: Figure, curves: Sequence[Array]) -> None:
    titles = ("no weight decay, dropout or augmentation", "with all three")
    for axes, curve, title in zip(figure.subplots(1, 2, sharey=True), curves, titles, strict=True):
        updates = np.arange(1, len(curve) + 1) * A_PICTURE
        axes.plot(updates, curve[:, 0], color=SERIES[0], label="training")
        axes.plot(updates, curve[:, 1], color=ACCENT, label="validation")
        best = int(curve[:, 1].argmin())
        axes.axvline(updates[best], color=MUTED, linestyle=":", label="stop early here")
        axes.set(xlabel="update", xlim=(0, PICTURES * A_PICTURE), ylim=(0, 5), title=title)
        axes.legend(loc="upper right")
    figure.axes[0].set_ylabel("loss (nats)")


def double_descent(splits: Splits, seed: int) -> Iterator[Frame]:
    """Pictures of the test error of least squares on more and more random features; see the module."""
    train, test = splits.train.take(np.arange(POINTS)), splits.test
    x, y = np.asarray(train.values), one_hot(train, splits.classes, NOISY, seed)
    x_test, y_test = np.asarray(test.values), one_hot(test, splits.classes, 0.0, seed)
    found: list[tuple[int, float, float]] = []
    for width in WIDTHS:
        errors = random_feature_errors(x, y, x_test, y_test, int(width), seed)
        found.append((int(width), *errors))
        kept = np.array(found)
        readouts = (
            Readout("random features", float(width)),
            Readout("training error", round(errors[0], 3)),
            Readout("test error", round(errors[1], 3)),
        )
        yield Frame(lambda figure, kept=kept: _draw_descent(figure, kept), readouts=readouts)  # type: ignore[misc]


def one_hot(data: Dataset, classes: Sequence[str], noisy: float, seed: int) -> Array:
    """(N, C) targets; a share `noisy` of the labels is drawn at random."""
    labels = np.array([classes.index(truth.label or "") for truth in data.truths])
    generator = np.random.default_rng(seed)
    wrong = generator.random(len(labels)) < noisy
    labels[wrong] = generator.integers(len(classes), size=int(wrong.sum()))
    return np.asarray(np.eye(len(classes))[labels])


def random_feature_errors(
    x: Array, y: Array, x_test: Array, y_test: Array, width: int, seed: int
) -> tuple[float, float]:
    """Training and test error rates of the minimum-norm least-squares fit on `width` random features."""
    weights = np.random.default_rng((seed, width)).standard_normal((x.shape[1] + 1, width)) / np.sqrt(
        x.shape[1]
    )

    def features(rows: Array) -> Array:
        return np.asarray(np.maximum(np.concatenate([rows, np.ones((len(rows), 1))], 1) @ weights, 0))

    solution = np.linalg.lstsq(features(x), y, rcond=None)[0]
    errors = [
        float(((features(rows) @ solution).argmax(1) != target.argmax(1)).mean())
        for rows, target in ((x, y), (x_test, y_test))
    ]
    return errors[0], errors[1]


def _draw_descent(figure: Figure, found: Array) -> None:
    axes = figure.add_subplot()
    axes.plot(found[:, 0], found[:, 1], color=SERIES[0], marker="o", markersize=3, label="training error")
    axes.plot(found[:, 0], found[:, 2], color=ACCENT, marker="o", markersize=3, label="test error")
    axes.axvline(POINTS, color=MUTED, linestyle=":", label=f"as many as training examples ({POINTS})")
    axes.set(xscale="log", xlim=(WIDTHS[0], WIDTHS[-1]), ylim=(0, 1))
    axes.set(xlabel="random features", ylabel="error rate", title="double descent")
    axes.legend(loc="lower left")
