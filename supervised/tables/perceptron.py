"""Perceptron: Rosenblatt's rule finds a separating line, and its mistakes are bounded (1958; Novikoff 1962).

Rosenblatt 1958, "The perceptron": an example that is on the wrong side is added to the weights, w ← w + y x.
Novikoff 1962, "On convergence proofs for perceptrons": if some unit vector has y u·x ≥ γ for all examples,
whose norm is at most R, the rule errs at most (R/γ)² times. The bound is computed for the training data (γ
from a hard-margin support vector machine) and checked at every mistake; where the classes cannot be separated
there is none, and the rule never comes to rest.

An input (x, y) has a third coordinate 1, so that the line need not go through the origin.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from sim.percept_kind import Kind
from sim.records import Array, Percept, State
from sim.viewer.contract.moment import Readout
from supervised.data.dataset import Dataset
from supervised.data.sources.plane_points import plane_splits
from supervised.data.sources.splits import Splits
from supervised.figure import ACCENT, MUTED, SERIES
from supervised.metrics.label_accuracy import ACCURACY
from supervised.metrics.percept_metrics import PerceptMetrics
from supervised.tables.stepwise_fit import StepwiseFit
from supervised.task import Frame, Perceive

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

VALIDATE_EVERY = 10  # updates
CERTAIN = 5.0  # of the logistic function of the distance to the line, in its own unit
RESTING = 24  # pictures of a demonstration that has come to rest


@dataclass(frozen=True)
class Perceptron:
    """Configuration of the ``perceptron`` perception; its fields are scene keys."""

    reads: ClassVar[str] = "table"
    tells: ClassVar[Kind] = "label"
    metrics: ClassVar[PerceptMetrics] = ACCURACY

    data: str = "line"  # of `supervised.data.sources.plane_points`, or the path of a CSV

    def splits(self, path: Path | None, *, seed: int) -> Splits:
        """See `supervised.task.TaskConfig`."""
        return plane_splits(self.data, path, seed=seed)

    def build(self, classes: Sequence[str], *, seed: int, device: str = "cpu") -> PerceptronModel:
        """A perceptron whose weights are 0; `seed` and `device` change nothing."""
        return PerceptronModel(tuple(classes))

    def baselines(self, train: Dataset, *, seed: int) -> Mapping[str, Perceive]:
        """Logistic regression, whose loss has a minimum that separable data push to infinity."""
        return {"logistic regression": logistic_regression(train)}

    def demonstrate(self, splits: Splits, *, seed: int) -> Iterator[Frame]:
        """The rule at work: one picture a correction, then the line at rest."""
        model = self.build(splits.classes, seed=seed)
        learner = PerceptronRule(model, splits.train)
        yield learner.frame()
        while (row := learner.first_mistake()) is not None:
            learner.correct(row)
            yield learner.frame(row)
            if learner.mistakes > 10 * len(splits.train):  # not separable: it goes on for ever
                break
        for _ in range(RESTING):
            yield learner.frame()


class PerceptronModel:
    """Perceptron: points (2,) → side of a line. Satisfies `supervised.task.TaskModel`."""

    reads = "table"

    def __init__(self, classes: tuple[str, ...]) -> None:
        self.classes = classes
        self.line = np.zeros(3)  # w₁, w₂, b

    def fit(self, train: Dataset, validation: Dataset, *, seed: int) -> StepwiseFit:
        """Rosenblatt's rule on the training points in their order; one update is one look at a point."""
        rule = PerceptronRule(self, train)

        def validate() -> dict[str, float]:
            values, sides = extended(validation), signs(validation, self.classes)
            wrong = values @ self.line * sides <= 0
            return {"loss": float(wrong.mean()), "accuracy": float(1 - wrong.mean())}

        return StepwiseFit(rule, validate, every=VALIDATE_EVERY, weights=self.weights)

    def perceive(self, inputs: Sequence[Array]) -> list[Percept]:
        """The side of each point; the score is the logistic function of its distance, and not calibrated."""
        found = []
        for point in inputs:
            place = np.append(np.asarray(point, np.float64)[:2], 1)
            distance = float(place @ self.line / (np.linalg.norm(self.line[:2]) or 1.0))
            score = 1 / (1 + math.exp(-CERTAIN * min(abs(distance), 100.0)))
            found.append(Percept("model", label=self.classes[int(distance > 0)], scores=np.array([score])))
        return found

    def weights(self) -> dict[str, Array]:
        """``line`` (3,) float64."""
        return {"line": self.line.copy()}

    def load_weights(self, weights: Mapping[str, Array]) -> None:
        """Take up parameters from a checkpoint.

        Raises:
            ValueError: if names or shapes differ.
        """
        if set(weights) != {"line"} or weights["line"].shape != (3,):
            raise ValueError("a perceptron of the plane has one array, line (3,)")
        self.line = np.asarray(weights["line"], np.float64)

    def draw(self, figure: Figure, value: Array, percept: Percept, truth: Percept | None) -> None:
        """The line with its two sides, and the point."""
        axes = figure.add_subplot()
        span = max(1.2, float(np.abs(value[:2]).max()) * 1.1)
        draw_line(axes, self.line, span)
        axes.scatter([value[0]], [value[1]], s=90, color=ACCENT, zorder=5)
        right = "" if truth is None else ", in truth " + str(truth.label)
        axes.set_title(f"({value[0]:.2f}, {value[1]:.2f}): {percept.label}{right}")


class PerceptronRule:
    """Rosenblatt's rule on a data set, with Novikoff's bound checked at every mistake."""

    def __init__(self, model: PerceptronModel, train: Dataset) -> None:
        self.model = model
        self.points, self.sides = extended(train), signs(train, model.classes)
        self.mistakes = 0
        self.bound = mistake_bound(self.points, self.sides)

    def step(self, update: int) -> dict[str, float]:
        """Look at one point, and correct if it is on the wrong side."""
        row = update % len(self.points)
        wrong = bool(self.points[row] @ self.model.line * self.sides[row] <= 0)
        if wrong:
            self.correct(row)
        return {"mistake": float(wrong), "mistakes": float(self.mistakes)}

    def correct(self, row: int) -> None:
        """W ← w + y x.

        Raises:
            AssertionError: if there are more mistakes than Novikoff's theorem allows.
        """
        self.model.line = self.model.line + self.sides[row] * self.points[row]
        self.mistakes += 1
        assert self.mistakes <= self.bound, "the convergence theorem does not hold"

    def first_mistake(self) -> int | None:
        """The first point on the wrong side, or None."""
        wrong = np.flatnonzero(self.points @ self.model.line * self.sides <= 0)
        return int(wrong[0]) if len(wrong) else None

    def arrays(self) -> dict[str, Array]:
        """See `Stepwise`."""
        return {"line": self.model.line.copy(), "mistakes": np.array(self.mistakes)}

    def load_arrays(self, arrays: State) -> None:
        """See `Stepwise`."""
        self.model.line, self.mistakes = np.asarray(arrays["line"]), int(arrays["mistakes"])

    def frame(self, row: int | None = None) -> Frame:
        """The points, the line and the one that was corrected."""
        line = self.model.line.copy()
        wrong = int((self.points @ line * self.sides <= 0).sum())

        def draw(figure: Figure) -> None:
            axes = figure.add_subplot()
            for side, color, name in zip((-1, 1), (SERIES[4], SERIES[0]), self.model.classes, strict=True):
                own = self.points[self.sides == side]
                axes.scatter(own[:, 0], own[:, 1], s=14, color=color, label=name)
            draw_line(axes, line, 1.2)
            if row is not None:
                point = self.points[row]
                axes.scatter(
                    [point[0]], [point[1]], s=160, facecolors="none", edgecolors=ACCENT, linewidths=2
                )
                axes.set_title("the circled point was on the wrong side and is added to the weights")
            axes.legend(loc="upper right")

        bound = f"{self.bound:,.0f}" if math.isfinite(self.bound) else "none: not separable"
        readouts = (
            Readout("mistakes so far", float(self.mistakes)),
            Readout("Novikoff's bound (R/γ)²", bound),
            Readout("points on the wrong side", float(wrong)),
        )
        return Frame(draw, readouts=readouts)


def extended(data: Dataset) -> Array:
    """(N, 3) float64: the points with a third coordinate 1."""
    points = np.asarray(data.values, np.float64)
    return np.concatenate([points, np.ones((len(points), 1))], 1)


def signs(data: Dataset, classes: Sequence[str]) -> Array:
    """(N,) −1 for the first class and 1 for the second."""
    return np.array([1.0 if truth.label == classes[1] else -1.0 for truth in data.truths])


def mistake_bound(points: Array, sides: Array) -> float:
    """Novikoff's bound (R/γ)² for points (N, D) and sides (N,); infinite where no plane separates them.

    γ is the margin of a plane through the origin that a support vector machine finds; any plane's margin
    gives a bound, and the largest margin the least one.

    >>> points = np.array([[1.0, 0.0], [-1.0, 0.0]])
    >>> round(mistake_bound(points, np.array([1.0, -1.0])), 3)
    1.0
    """
    plane = _largest_margin(points, sides)
    margins = points @ plane * sides
    if margins.min() <= 0:
        return math.inf
    gamma = margins.min() / np.linalg.norm(plane)
    return float((np.linalg.norm(points, axis=1).max() / gamma) ** 2)


def _largest_margin(points: Array, sides: Array) -> Array:
    """Normal (D,) of the plane through the origin with about the largest margin, by scikit-learn."""
    from sklearn.svm import LinearSVC

    both, targets = np.concatenate([points, -points]), np.concatenate([sides, -sides])
    found = LinearSVC(C=1e4, fit_intercept=False, max_iter=100_000, dual=False).fit(both, targets)
    return np.asarray(found.coef_[0], np.float64)


def draw_line(axes: Axes, line: Array, span: float) -> None:
    """The line w·x + b = 0 within [−span, span]², and which side is which."""
    axes.set(xlim=(-span, span), ylim=(-span, span), xlabel="x", ylabel="y", aspect="equal")
    normal = np.linalg.norm(line[:2])
    if normal == 0:
        axes.text(0, 0, "no line yet: all weights are 0", color=MUTED, ha="center")
        return
    unit, offset = line[:2] / normal, line[2] / normal
    along = np.array([-unit[1], unit[0]])
    ends = -offset * unit + np.array([[-3 * span], [3 * span]]) * along
    axes.plot(ends[:, 0], ends[:, 1], color=ACCENT)
    middle = -offset * unit
    axes.annotate("", middle + 0.25 * unit, middle, arrowprops={"arrowstyle": "->", "color": ACCENT, "lw": 2})


def logistic_regression(train: Dataset) -> Perceive:
    """Logistic regression on the inputs, by scikit-learn."""
    from sklearn.linear_model import LogisticRegression

    model = LogisticRegression(max_iter=1000)
    model.fit(np.asarray(train.values), [truth.label for truth in train.truths])

    def perceive(inputs: Sequence[Array]) -> list[Percept]:
        found = model.predict_proba(np.stack([np.asarray(row) for row in inputs]))
        return [
            Percept("model", label=str(model.classes_[row.argmax()]), scores=np.array([row.max()]))
            for row in found
        ]

    return perceive
