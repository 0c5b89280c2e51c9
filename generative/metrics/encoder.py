"""Image encoder for metrics of generative models: features of a network trained on simulator labels.

Metrics on pixels punish invisible differences and miss a ball of two pixels. `Encoder` is trained to predict
the game of an image, the number and mean position of objects of each class, and the game's own numbers; its
64 features before these heads are the space of the Fréchet distance and the other metrics. It takes the place
of Inception (Heusel et al. 2017), which would have to be downloaded and was trained on photographs. The
trained one ships inside this package, `shipped`, and its hash is in the protocol of every metric.

`RandomEncoder` has fixed random weights, which Naeem et al. 2020 recommend away from photographs. A model
that scores well in both spaces was not tuned to either.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from sim.records import Array, Percept
from sim.storage.checkpoints import Card, check_fits, load_checkpoint, make_card
from supervised.base_model import BaseModel
from supervised.data.dataset import Dataset
from supervised.fit import Batch, Fit, FitOptions
from supervised.tensors import Precision

SIZE = 64  # pixels on a side; other images are scaled to it
FEATURES = 64
AT_ONCE = 256  # images in one batch
THERE = ", there"  # suffix of the target that says whether a number is present
SHIPPED = Path(__file__).parent.parent / "checkpoints" / "encoder"


class PictureEncoder(Protocol):
    """Encoder of images as feature vectors."""

    def encode(self, pictures: Array) -> Array:
        """Features: images (N, H, W, 3) uint8 → (N, D) float32."""

    def stamp(self) -> dict[str, str]:
        """Its identity in a protocol."""


@dataclass(frozen=True)
class Encoder:
    """Configuration of the image encoder."""

    channels: int = 16  # at half resolution; 2, 4 and 6 times as many at coarser ones
    features: int = FEATURES
    learning_rate: float = 2e-3
    batch_size: int = 64
    precision: Precision = "auto"

    def build(self, questions: ProbeTargets, *, seed: int, device: str = "cpu") -> EncoderModel:
        """An untrained encoder with the targets `questions`."""
        return EncoderModel(self, questions, seed, device)


@dataclass(frozen=True)
class ProbeTargets:
    """Prediction targets of the encoder, derived from the truths of a data set.

    Attributes:
        labels: the classes of whole images.
        numbers: Q names of regression targets, such as ``pong: ball x``; each belongs to one class.
        mean: (Q,) of each number, over the images that have it.
        scale: (Q,) its standard deviation there.
    """

    labels: tuple[str, ...]
    numbers: tuple[str, ...]
    mean: tuple[float, ...]
    scale: tuple[float, ...]

    @classmethod
    def about(cls, dataset: Dataset) -> ProbeTargets:
        """The targets that the truths of these images give; numbers that never change are left out.

        Raises:
            ValueError: if the dataset has no truths.
        """
        if not dataset.truths:
            raise ValueError("an encoder learns from pictures with truths, and these have none")
        values: dict[str, list[float]] = {}
        for numbers in _told(dataset):
            for name, value in numbers.items():
                values.setdefault(name, []).append(value)
        shown = np.bincount(dataset.labels, minlength=len(dataset.label_names))
        pictures = dict(zip(dataset.label_names, shown.tolist(), strict=True))
        for name, found in list(values.items()):
            often = pictures[name.partition(": ")[0]]
            if len(found) < often:
                values[name + THERE] = [1.0] * len(found) + [0.0] * (often - len(found))
        kept = sorted(name for name, found in values.items() if np.std(found) > 1e-6)
        return cls(
            dataset.label_names,
            tuple(kept),
            tuple(float(np.mean(values[name])) for name in kept),
            tuple(float(np.std(values[name])) for name in kept),
        )

    def answers(self, dataset: Dataset) -> tuple[Array, Array]:
        """Target values (N, Q) float32 in standard deviations, and where they are defined, (N, Q) bool."""
        values = np.zeros((len(dataset), len(self.numbers)), np.float32)
        known = np.zeros(values.shape, bool)
        for row, numbers in enumerate(_told(dataset)):
            label = dataset.label_names[dataset.labels[row]]
            for i, name in enumerate(self.numbers):
                if name in numbers:
                    values[row, i], known[row, i] = numbers[name], True
                elif name.endswith(THERE) and name.startswith(f"{label}: "):
                    values[row, i], known[row, i] = name.removesuffix(THERE) in numbers, True
        return ((values - np.array(self.mean)) / np.array(self.scale)).clip(-5, 5).astype(np.float32), known

    def read(self, label: str, numbers: Sequence[float]) -> dict[str, int]:
        """Rounded numbers by name from predictions (Q,) for an image of `label`: those that are present."""
        said = {
            name: m + s * n
            for name, m, s, n in zip(self.numbers, self.mean, self.scale, numbers, strict=True)
        }
        return {
            name.removeprefix(f"{label}: "): round(value)
            for name, value in said.items()
            if name.startswith(f"{label}: ")
            and not name.endswith(THERE)
            and said.get(name + THERE, 1.0) > 0.5
        }


def _told(dataset: Dataset) -> list[dict[str, float]]:
    """The truth of each image as numbers: count and mean centre of each class of boxes, and all facts."""
    labels = (dataset.label_names[label] for label in dataset.labels.tolist())
    return [regression_targets(truth, label) for truth, label in zip(dataset.truths, labels, strict=True)]


def regression_targets(truth: Percept, label: str) -> dict[str, float]:
    """Regression targets of one image: count and mean centre of each class of boxes, and all facts.

    >>> regression_targets(Percept("truth", facts={"lives": 3}), "pong")
    {'pong: lives': 3.0}
    """
    numbers = {f"{label}: {name}": float(value) for name, value in truth.facts.items()}
    if truth.boxes is not None:
        names = np.array(truth.labels)
        for name in sorted(set(truth.labels)):
            x0, y0, x1, y1 = truth.boxes[names == name].T
            numbers[f"{label}: {name}, how many"] = float(len(x0))
            numbers[f"{label}: {name}, across"] = float((x0 + x1).mean() / 2)
            numbers[f"{label}: {name}, down"] = float((y0 + y1).mean() / 2)
    return numbers


class EncoderNetwork(nn.Module):
    """Encoder network: images (N, 3, 64, 64) in [0, 1] → features (N, F); heads for labels and numbers."""

    def __init__(self, channels: int, features: int, labels: int, numbers: int) -> None:
        super().__init__()
        widths = (channels, 2 * channels, 4 * channels, 6 * channels)
        layers: list[nn.Module] = []
        for before, after in zip((3, *widths), widths, strict=False):
            layers += [nn.Conv2d(before, after, 4, 2, 1), nn.GroupNorm(4, after), nn.SiLU()]
        self.body = nn.Sequential(*layers, nn.Flatten(), nn.Linear(widths[-1] * 16, features))
        self.head = nn.Sequential(nn.SiLU(), nn.Linear(features, 128), nn.SiLU())
        self.label = nn.Linear(128, labels)
        self.number = nn.Linear(128, numbers)

    def forward(self, x: Tensor) -> Tensor:
        """See the class."""
        out: Tensor = self.body(x)
        return out

    def answers(self, features: Tensor) -> tuple[Tensor, Tensor]:
        """The heads: features (N, F) → logits of labels (N, L) and numbers (N, Q)."""
        hidden = self.head(features)
        return self.label(hidden), self.number(hidden)


class EncoderExamples:
    """Training examples of the encoder: images with labels and regression targets."""

    def __init__(self, dataset: Dataset, questions: ProbeTargets) -> None:
        self._pictures, self._labels = dataset.values_by_row, dataset.labels
        self._values, self._known = questions.answers(dataset)

    def __len__(self) -> int:
        """How many pictures."""
        return len(self._pictures)

    def batch(self, rows: Array, generator: np.random.Generator) -> dict[str, Array]:
        """Images (B, H, W, 3) uint8, labels (B,), numbers (B, Q) and which of them are defined."""
        return {
            "rgb": self._pictures[rows],
            "label": self._labels[rows],
            "number": self._values[rows],
            "known": self._known[rows],
        }


def encoder_loss(network: nn.Module, batch: Batch) -> tuple[Tensor, dict[str, Tensor]]:
    """Cross-entropy of the label plus L1 loss of the numbers, in standard deviations."""
    assert isinstance(network, EncoderNetwork)
    logits, numbers = network.answers(network(from_pictures(batch["rgb"])))
    label = functional.cross_entropy(logits.float(), batch["label"])
    apart = (numbers.float() - batch["number"]).abs() * batch["known"]
    number = apart.sum() / batch["known"].sum().clamp(min=1)
    right = (logits.argmax(1) == batch["label"]).float().mean()
    return label + 2 * number, {"accuracy": right, "number_error": number.detach()}


def from_pictures(rgb: Tensor) -> Tensor:
    """Images (N, H, W, 3) uint8 → (N, 3, 64, 64) in [0, 1]; by area averaging, smaller ones by repetition."""
    x = rgb.permute(0, 3, 1, 2).float() / 255
    if x.shape[2:] != (SIZE, SIZE):
        grows = x.shape[2] < SIZE or x.shape[3] < SIZE
        x = functional.interpolate(x, (SIZE, SIZE), mode="nearest" if grows else "area")
    return x


class EncoderModel(BaseModel[EncoderNetwork]):
    """Trained image encoder: features, and labels and numbers. Satisfies `sim.protocols.Perception`."""

    reads = "rgb"

    def __init__(self, config: Encoder, questions: ProbeTargets, seed: int, device: str) -> None:
        self.config, self.questions = config, questions
        self.sha256 = ""  # of its weights' file, where they were loaded from one
        super().__init__(
            lambda: EncoderNetwork(
                config.channels, config.features, len(questions.labels), len(questions.numbers)
            ),
            seed=seed,
            device=device,
        )

    def fit(self, train: Dataset, validation: Dataset, *, seed: int) -> Fit:
        """A fit of this encoder to images with truths."""
        options = FitOptions(
            learning_rate=self.config.learning_rate,
            batch_size=self.config.batch_size,
            precision=self.config.precision,
            weight_decay=1e-3,
            ema=0.99,
            validate_every=100,
        )
        examples = EncoderExamples(train, self.questions), EncoderExamples(validation, self.questions)
        return Fit(self.network, encoder_loss, *examples, options, seed=seed, device=str(self.device))

    def encode(self, pictures: Array) -> Array:
        """Features: images (N, H, W, 3) uint8 → (N, F) float32."""
        return np.concatenate([part.cpu().numpy() for part in self._features(pictures)])

    def stamp(self) -> dict[str, str]:
        """The hash of its weights."""
        return {"encoder": f"trained, sha256 {self.sha256[:16]}"}

    @torch.no_grad()
    def perceive(self, inputs: Sequence[Array]) -> list[Percept]:
        """Label, its probability and predicted numbers of each image (H, W, 3) uint8."""
        percepts: list[Percept] = []
        for features in self._features(np.stack(inputs)) if len(inputs) else ():
            logits, numbers = self.network.answers(features)
            sure, label = logits.softmax(1).max(1)
            for i, which in enumerate(label.tolist()):
                percepts.append(self._percept(which, float(sure[i]), numbers[i].tolist()))
        return percepts

    def _percept(self, label: int, sure: float, numbers: list[float]) -> Percept:
        name = self.questions.labels[label]
        return Percept("model", label=name, scores=np.array([sure]), facts=self.questions.read(name, numbers))

    @torch.no_grad()
    def _features(self, pictures: Array) -> list[Tensor]:
        self.network.eval()
        starts = range(0, len(pictures), AT_ONCE)
        parts = (np.ascontiguousarray(pictures[start : start + AT_ONCE]) for start in starts)
        return [self.network(from_pictures(torch.from_numpy(part).to(self.device))).float() for part in parts]


class RandomEncoder:
    """Random convolutional features: four layers of fixed random filters and a random projection to 64."""

    def __init__(self, seed: int = 0, device: str = "cpu") -> None:
        self._seed, self.device = seed, torch.device(device)
        generator = torch.Generator().manual_seed(seed)
        widths = (3, 32, 64, 128, 128)
        self._filters = [
            (torch.randn(after, before, 4, 4, generator=generator) * (2 / (16 * before)) ** 0.5).to(
                self.device
            )
            for before, after in zip(widths, widths[1:], strict=False)
        ]
        size = widths[-1] * (SIZE // 16) ** 2
        self._projection = (torch.randn(size, FEATURES, generator=generator) / size**0.5).to(self.device)

    @torch.no_grad()
    def encode(self, pictures: Array) -> Array:
        """Features: images (N, H, W, 3) uint8 → (N, 64) float32."""
        parts = []
        for start in range(0, len(pictures), AT_ONCE):
            part = np.ascontiguousarray(pictures[start : start + AT_ONCE])
            x = from_pictures(torch.from_numpy(part).to(self.device)) - 0.5
            for filters in self._filters:
                x = functional.conv2d(x, filters, stride=2, padding=1).relu()
            parts.append((x.flatten(1) @ self._projection).cpu().numpy())
        return np.concatenate(parts)

    def stamp(self) -> dict[str, str]:
        """Its seed."""
        return {"encoder": f"random, seed {self._seed}"}


def encoder_card(
    model: EncoderModel, trained: Mapping[str, Any], scores: Mapping[str, Any], seed: int
) -> Card:
    """Make the card of an encoder's checkpoint, with its prediction targets."""
    card = make_card(
        "encoder",
        "pictures",
        asdict(model.config),
        seed=seed,
        trained=trained,
        preprocessing="pictures (H, W, 3) uint8 of any size; the model scales them itself",
        scores=scores,
    )
    questions = {name: list(value) for name, value in asdict(model.questions).items()}
    return card | {"questions": questions}


def load_encoder(folder: Path, device: str = "cpu") -> EncoderModel:
    """Load an encoder from its checkpoint.

    Raises:
        CheckpointError: if it is damaged or something else.
    """
    loaded = load_checkpoint(folder)
    check_fits(loaded, kind="encoder", name="pictures")
    questions = ProbeTargets(**{name: tuple(value) for name, value in loaded.card["questions"].items()})
    model = Encoder(**loaded.card["config"]).build(questions, seed=0, device=device)
    model.load_weights(loaded.weights)
    model.sha256 = loaded.card["weights"]["sha256"]
    return model


@cache
def shipped(device: str = "cpu") -> EncoderModel:
    """The shipped encoder, trained on fourteen Atari games and chess boards; see `docs/results.md`."""
    return load_encoder(SHIPPED, device)
