"""Backpropagation: gradient descent through a small network, layer by layer (Rumelhart et al. 1986).

Rumelhart, Hinton & Williams 1986, "Learning representations by back-propagating errors". The network is fully
connected, tanh inside and logistic at the end; the loss is the binary cross-entropy. No automatic
differentiation: `Network.backward` is the chain rule, δ of a layer from δ of the next, and
`finite_difference_error` compares it with (L(w + h) − L(w − h)) / 2h. Learning is full-batch gradient descent
with momentum, as in the paper.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, ClassVar

import numpy as np

from sim.fields import Range, Validated
from sim.percept_kind import Kind
from sim.records import Array, Percept, State
from sim.viewer.contract.moment import Readout
from supervised.data.dataset import Dataset
from supervised.data.sources.plane_points import plane_splits
from supervised.data.sources.splits import Splits
from supervised.metrics.label_accuracy import ACCURACY
from supervised.metrics.percept_metrics import PerceptMetrics
from supervised.tables.backpropagation_figure import draw_example, draw_learning
from supervised.tables.perceptron import logistic_regression
from supervised.tables.stepwise_fit import StepwiseFit
from supervised.task import Frame, Perceive

if TYPE_CHECKING:
    from matplotlib.figure import Figure

VALIDATE_EVERY = 50  # updates
A_PICTURE = 2  # updates between two pictures of the demonstration
PICTURES = 300
STEP = 1e-5  # of the finite differences


@dataclass(frozen=True)
class Backpropagation(Validated):
    """Configuration of the ``backpropagation`` perception; its fields are scene keys."""

    reads: ClassVar[str] = "table"
    tells: ClassVar[Kind] = "label"
    metrics: ClassVar[PerceptMetrics] = ACCURACY

    data: str = "moons"  # of `supervised.data.sources.plane_points`, or the path of a CSV
    hidden: tuple[int, ...] = (8, 8)  # units of each hidden layer
    learning_rate: Annotated[float, Range(gt=0)] = 0.3
    momentum: Annotated[float, Range(ge=0, lt=1)] = 0.9

    def __post_init__(self) -> None:
        """Refuse values out of range.

        Raises:
            ValueError: naming the field.
        """
        super().__post_init__()
        if not self.hidden or not all(1 <= units <= 64 for units in self.hidden):
            raise ValueError(f"hidden must name layers of 1…64 units each, not {self.hidden}")

    def splits(self, path: Path | None, *, seed: int) -> Splits:
        """See `supervised.task.TaskConfig`."""
        return plane_splits(self.data, path, seed=seed)

    def build(self, classes: Sequence[str], *, seed: int, device: str = "cpu") -> BackpropagationModel:
        """An untrained network; it is computed on the CPU whatever `device` is."""
        return BackpropagationModel(self, tuple(classes), seed)

    def baselines(self, train: Dataset, *, seed: int) -> Mapping[str, Perceive]:
        """Logistic regression: the same without a hidden layer."""
        return {"logistic regression": logistic_regression(train)}

    def demonstrate(self, splits: Splits, *, seed: int) -> Iterator[Frame]:
        """The network while it learns: weights, activations, decision surface, loss and its landscape."""
        model = self.build(splits.classes, seed=seed)
        learner = GradientDescent(model, splits.train)
        held_out = inputs_of(splits.validation), targets_of(splits.validation, model.classes)
        losses: list[tuple[float, float]] = []
        for picture in range(PICTURES):
            losses.append((learner.loss(), model.network.loss(*held_out)))
            yield learner.frame(picture * A_PICTURE, list(losses))
            for update in range(A_PICTURE):
                learner.step(picture * A_PICTURE + update)


class Network:
    """Fully connected network of the plane: weights and biases as arrays.

    Attributes:
        weights: (inputs, outputs) of each layer.
        biases: (outputs,) of each layer.
    """

    def __init__(self, sizes: Sequence[int], generator: np.random.Generator) -> None:
        """Draw weights with a variance of 1 / inputs; biases are 0."""
        pairs = list(zip(sizes[:-1], sizes[1:], strict=True))
        self.weights = [generator.standard_normal(pair) / np.sqrt(pair[0]) for pair in pairs]
        self.biases = [np.zeros(outputs) for _, outputs in pairs]

    def forward(self, x: Array) -> list[Array]:
        """Activations (B, …) of every layer: inputs first, the probability (B, 1) last."""
        activations = [x]
        for number, (weight, bias) in enumerate(zip(self.weights, self.biases, strict=True)):
            z = activations[-1] @ weight + bias
            last = number == len(self.weights) - 1
            activations.append(1 / (1 + np.exp(-z)) if last else np.tanh(z))
        return activations

    def loss(self, x: Array, target: Array) -> float:
        """Mean binary cross-entropy, in nats, for targets (B,) of 0 or 1."""
        p = np.clip(self.forward(x)[-1][:, 0], 1e-12, 1 - 1e-12)
        return float(-np.mean(target * np.log(p) + (1 - target) * np.log(1 - p)))

    def backward(self, x: Array, target: Array) -> tuple[list[Array], list[Array], list[Array]]:
        """Gradients of the mean loss: of weights, of biases, and δ (B, …) of each layer's sums.

        With z = a W + b: δ of the last layer is (p − target) / B; δ before a tanh is (δ Wᵀ)(1 − a²); the
        gradient of W is aᵀ δ, and that of b the sum of δ.
        """
        activations = self.forward(x)
        delta = (activations[-1] - target[:, None]) / len(x)
        weights: list[Array] = []
        biases: list[Array] = []
        deltas: list[Array] = []
        for number in reversed(range(len(self.weights))):
            before = activations[number]
            weights.append(before.T @ delta)
            biases.append(delta.sum(0))
            deltas.append(delta)
            if number:
                delta = delta @ self.weights[number].T * (1 - before**2)
        return weights[::-1], biases[::-1], deltas[::-1]

    def parameters(self) -> list[Array]:
        """The arrays that are learned: weights, then biases."""
        return [*self.weights, *self.biases]


def finite_difference_error(network: Network, x: Array, target: Array, step: float = STEP) -> float:
    """Largest difference between backpropagated and numerical gradients, over all parameters."""
    weights, biases, _ = network.backward(x, target)
    worst = 0.0
    for parameter, gradient in zip(network.parameters(), [*weights, *biases], strict=True):
        for place in np.ndindex(parameter.shape):
            kept = parameter[place]
            found = []
            for sign in (1, -1):
                parameter[place] = kept + sign * step
                found.append(network.loss(x, target))
            parameter[place] = kept
            worst = max(worst, abs(float((found[0] - found[1]) / (2 * step) - gradient[place])))
    return worst


class BackpropagationModel:
    """Network of the plane: points (2,) → class and probability. Satisfies `supervised.task.TaskModel`."""

    reads = "table"

    def __init__(self, config: Backpropagation, classes: tuple[str, ...], seed: int) -> None:
        self.config, self.classes = config, classes
        self.network = Network((2, *config.hidden, 1), np.random.default_rng(seed))

    def fit(self, train: Dataset, validation: Dataset, *, seed: int) -> StepwiseFit:
        """Full-batch gradient descent with momentum."""
        held_out = inputs_of(validation), targets_of(validation, self.classes)

        def validate() -> dict[str, float]:
            said = self.network.forward(held_out[0])[-1][:, 0] > 0.5
            right = float((said == (held_out[1] > 0.5)).mean())
            return {"loss": self.network.loss(*held_out), "accuracy": right}

        learner = GradientDescent(self, train)
        return StepwiseFit(learner, validate, every=VALIDATE_EVERY, weights=self.weights)

    def perceive(self, inputs: Sequence[Array]) -> list[Percept]:
        """The more probable class of each point, and its probability."""
        if not len(inputs):
            return []
        x = np.stack([np.asarray(row, np.float64)[:2] for row in inputs])
        second = self.network.forward(x)[-1][:, 0]
        return [
            Percept("model", label=self.classes[int(p > 0.5)], scores=np.array([max(p, 1 - p)]))
            for p in second
        ]

    def weights(self) -> dict[str, Array]:
        """``weight.0``, …, ``bias.0``, … float64."""
        named = {f"weight.{i}": array.copy() for i, array in enumerate(self.network.weights)}
        return named | {f"bias.{i}": array.copy() for i, array in enumerate(self.network.biases)}

    def load_weights(self, weights: Mapping[str, Array]) -> None:
        """Take up parameters from a checkpoint.

        Raises:
            ValueError: if names or shapes differ.
        """
        mine = self.weights()
        if {name: array.shape for name, array in mine.items()} != {
            name: array.shape for name, array in weights.items()
        }:
            raise ValueError(
                f"names or shapes differ from those of a network with layers {self.config.hidden}"
            )
        layers = range(len(self.network.weights))
        self.network.weights = [np.array(weights[f"weight.{i}"], np.float64) for i in layers]
        self.network.biases = [np.array(weights[f"bias.{i}"], np.float64) for i in layers]

    def draw(self, figure: Figure, value: Array, percept: Percept, truth: Percept | None) -> None:
        """The network with the activations that this point causes, and the decision surface."""
        activations = self.network.forward(np.asarray(value, np.float64)[None, :2])
        draw_example(figure, self.network, activations, self.classes, percept, truth)


class GradientDescent:
    """Full-batch gradient descent with momentum on a network of the plane; satisfies `Stepwise`."""

    def __init__(self, model: BackpropagationModel, train: Dataset) -> None:
        self.model = model
        self.x, self.target = inputs_of(train), targets_of(train, model.classes)
        self.velocity = [np.zeros_like(array) for array in model.network.parameters()]

    def loss(self) -> float:
        """Of the training data."""
        return self.model.network.loss(self.x, self.target)

    def step(self, update: int) -> dict[str, float]:
        """V ← momentum v − learning_rate ∇L; w ← w + v."""
        network, config = self.model.network, self.model.config
        loss = self.loss()
        weights, biases, _ = network.backward(self.x, self.target)
        gradients = [*weights, *biases]
        for parameter, velocity, gradient in zip(network.parameters(), self.velocity, gradients, strict=True):
            velocity *= config.momentum
            velocity -= config.learning_rate * gradient
            parameter += velocity
        return {"loss": loss, "grad_norm": float(np.sqrt(sum(float((g**2).sum()) for g in gradients)))}

    def arrays(self) -> dict[str, Array]:
        """See `Stepwise`."""
        return self.model.weights() | {f"velocity.{i}": v.copy() for i, v in enumerate(self.velocity)}

    def load_arrays(self, arrays: State) -> None:
        """See `Stepwise`."""
        named = {name: array for name, array in arrays.items() if not name.startswith("velocity")}
        self.model.load_weights(named)
        self.velocity = [np.array(arrays[f"velocity.{i}"]) for i in range(len(self.velocity))]

    def frame(self, update: int, losses: list[tuple[float, float]]) -> Frame:
        """The network as it is now, drawn later: everything is copied."""
        network = Network.__new__(Network)
        network.weights = [array.copy() for array in self.model.network.weights]
        network.biases = [array.copy() for array in self.model.network.biases]
        weights, biases, deltas = network.backward(self.x, self.target)
        norms = [float(np.linalg.norm(gradient)) for gradient in weights]
        few = slice(0, 20)
        error = finite_difference_error(network, self.x[few], self.target[few])
        readouts = (
            Readout("update", float(update)),
            Readout("training loss", round(losses[-1][0], 4), "nats"),
            Readout("validation loss", round(losses[-1][1], 4), "nats"),
            *(Readout(f"gradient of layer {i + 1}", f"{norm:.2e}") for i, norm in enumerate(norms)),
            Readout("finite differences differ by", f"{error:.0e}"),
        )

        def draw(figure: Figure) -> None:
            gradients = [*weights, *biases]
            draw_learning(figure, network, self.x, self.target, gradients, deltas, losses, A_PICTURE)

        return Frame(draw, readouts=readouts)


def inputs_of(data: Dataset) -> Array:
    """(N, 2) float64."""
    return np.asarray(data.values, np.float64)


def targets_of(data: Dataset, classes: Sequence[str]) -> Array:
    """(N,) 1 for the second class, else 0."""
    return np.array([float(truth.label == classes[1]) for truth in data.truths])
