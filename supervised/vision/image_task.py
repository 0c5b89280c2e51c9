"""Base class of image classifiers with data of their own, such as LeNet and AlexNet: fit, inference, loss.

A subclass gives the network and its figure. Pictures of any size and colour become 28×28 grey, white on
black: one whose border is bright is inverted, so that ink on paper is read as the training images are.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from sim.records import Array, Budget, Percept
from supervised.base_model import BaseModel
from supervised.data.dataset import Dataset
from supervised.data.sources.small_images import SIDE
from supervised.fit import Batch, Fit, FitOptions
from supervised.task import Perceive

VALIDATE_EVERY = 100
TOGETHER = 256  # images of one forward pass
PAPER = 127  # mean grey of a border from which on a picture is dark ink on bright paper


class ImageTaskConfig(Protocol):
    """Keys that the loop needs."""

    @property
    def learning_rate(self) -> float:
        """Of AdamW."""

    @property
    def batch_size(self) -> int:
        """Images."""

    @property
    def weight_decay(self) -> float:
        """Of AdamW."""

    @property
    def augmentation(self) -> bool:
        """Whether training images are shifted, and mirrored where that changes nothing."""


class GreyImages:
    """Training examples: grey images; with augmentation shifted by up to two pixels, and mirrored."""

    def __init__(self, data: Dataset, classes: Sequence[str], *, augment: bool, mirror: bool) -> None:
        number = {name: i for i, name in enumerate(classes)}
        self._images = np.asarray(data.values)[..., 0]
        self._labels = np.array([number[truth.label or ""] for truth in data.truths], np.int64)
        self._augment, self._mirror = augment, mirror

    def __len__(self) -> int:
        """How many."""
        return len(self._images)

    def batch(self, rows: Array, generator: np.random.Generator) -> dict[str, Array]:
        """``x`` (B, 28, 28) uint8 and ``label`` (B,) int64."""
        images = self._images[rows]
        if self._augment:
            images = shifted(images, generator.integers(-2, 3, (len(rows), 2)))
            if self._mirror:
                mirrored = generator.random(len(rows)) < 0.5
                images[mirrored] = images[mirrored, :, ::-1]
        return {"x": images, "label": self._labels[rows]}


def shifted(images: Array, by: Array) -> Array:
    """Images (B, H, W) moved down and right by (B, 2) pixels; black comes in.

    >>> shifted(np.array([[[1, 2], [3, 4]]]), np.array([[1, 0]])).tolist()
    [[[0, 0], [1, 2]]]
    """
    most = int(np.abs(by).max(initial=0))
    height, width = images.shape[1:]
    padded = np.pad(images, ((0, 0), (most, most), (most, most)))
    rows = (most - by[:, :1] + np.arange(height))[:, :, None]
    columns = (most - by[:, 1:] + np.arange(width))[:, None, :]
    return np.asarray(padded[np.arange(len(images))[:, None, None], rows, columns])


class ImageTaskModel(BaseModel[nn.Module]):
    """Image classifier: pictures (H, W, 3) uint8 → label. Satisfies `supervised.task.TaskModel`."""

    reads = "rgb"
    mirror = False  # whether a mirrored image is of the same class

    def __init__(
        self,
        config: ImageTaskConfig,
        classes: tuple[str, ...],
        make: Callable[[], nn.Module],
        *,
        seed: int,
        device: str,
    ) -> None:
        self._keys, self.classes = config, classes
        super().__init__(make, seed=seed, device=device)

    def fit(self, train: Dataset, validation: Dataset, *, seed: int) -> Fit:
        """A fit of the network to labelled images, by cross-entropy."""
        keys = self._keys
        options = FitOptions(
            learning_rate=keys.learning_rate,
            batch_size=min(keys.batch_size, len(train)),
            weight_decay=keys.weight_decay,
            validate_every=VALIDATE_EVERY,
        )
        learned = GreyImages(train, self.classes, augment=keys.augmentation, mirror=self.mirror)
        held_out = GreyImages(validation, self.classes, augment=False, mirror=False)
        device = str(self.device)
        return Fit(self.network, cross_entropy, learned, held_out, options, seed=seed, device=device)

    @torch.no_grad()
    def probabilities(self, inputs: Sequence[Array]) -> Array:
        """(N, C) float64 of pictures (H, W, 3) uint8."""
        parts = []
        self.network.eval()
        for first in range(0, len(inputs), TOGETHER):
            grey = np.stack([as_grey(rgb) for rgb in inputs[first : first + TOGETHER]])
            logits = self.network(torch.from_numpy(grey).to(self.device))
            parts.append(logits.double().softmax(1).cpu().numpy())
        return np.concatenate(parts) if parts else np.zeros((0, len(self.classes)))

    def perceive(self, inputs: Sequence[Array]) -> list[Percept]:
        """The most probable class of each picture, and its probability."""
        found = self.probabilities(inputs)
        return [
            Percept("model", label=self.classes[int(row.argmax())], scores=np.array([row.max()]))
            for row in found
        ]


def cross_entropy(network: nn.Module, batch: Batch) -> tuple[Tensor, dict[str, Tensor]]:
    """Mean cross-entropy in nats, and the share that is right."""
    logits = network(batch["x"]).float()
    right = (logits.argmax(1) == batch["label"]).float().mean()
    return functional.cross_entropy(logits, batch["label"]), {"top1": right}


def as_grey(rgb: Array) -> Array:
    """A picture (H, W, 3) uint8 of any size as (28, 28) uint8, white on black; see the module."""
    grey = np.asarray(rgb, np.float32).mean(2)
    border = np.concatenate([grey[0], grey[-1], grey[:, 0], grey[:, -1]])
    if grey.shape != (SIDE, SIDE):
        if border.mean() > PAPER:
            grey = 255 - grey
        side = max(grey.shape)
        square = np.zeros((side, side), np.float32)
        top, left = (side - grey.shape[0]) // 2, (side - grey.shape[1]) // 2
        square[top : top + grey.shape[0], left : left + grey.shape[1]] = grey
        grey = functional.adaptive_avg_pool2d(torch.from_numpy(square)[None], SIDE)[0].numpy()
    return np.asarray(grey.round(), np.uint8)


def logistic_regression(train: Dataset) -> Perceive:
    """Logistic regression on the pixels, by scikit-learn: the linear model to beat."""
    from sklearn.linear_model import LogisticRegression

    def flat(inputs: Sequence[Array]) -> Array:
        return np.stack([as_grey(rgb).ravel() for rgb in inputs]).astype(np.float32) / 255

    model = LogisticRegression(C=0.1, tol=1e-2, max_iter=1000)
    model.fit(flat(list(train.values)), [truth.label for truth in train.truths])

    def perceive(inputs: Sequence[Array]) -> list[Percept]:
        found = model.predict_proba(flat(inputs))
        return [
            Percept("model", label=str(model.classes_[row.argmax()]), scores=np.array([row.max()]))
            for row in found
        ]

    return perceive


def fully_connected(parameters: int, train: Dataset, classes: tuple[str, ...], seed: int) -> Perceive:
    """A network with one hidden layer and about as many parameters, trained as long on the same images."""
    updates = max(1, PLAIN_EPOCHS * len(train) // _Plain.batch_size)
    units = max(1, round((parameters - len(classes)) / (SIDE * SIDE + 1 + len(classes))))
    model = ImageTaskModel(
        _Plain(), classes, lambda: FullyConnected(units, len(classes)), seed=seed, device="cpu"
    )
    for _ in model.fit(train, train, seed=seed).learn(Budget(None, updates)):
        pass
    return model.perceive


PLAIN_EPOCHS = 20  # of the fully connected baseline: more make it worse


class _Plain:
    """Keys of the fully connected baseline."""

    learning_rate, batch_size, weight_decay, augmentation = 1e-3, 128, 1e-2, False


class FullyConnected(nn.Module):
    """Images (B, 28, 28) uint8 → logits (B, C) through one hidden layer of ReLU."""

    def __init__(self, units: int, classes: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Flatten(), nn.Linear(SIDE * SIDE, units), nn.ReLU(), nn.Linear(units, classes)
        )

    def forward(self, x: Tensor) -> Tensor:
        """See the class."""
        out: Tensor = self.layers(x.float() / 255)
        return out


def parameter_count(network: nn.Module) -> int:
    """Number of trainable parameters."""
    return sum(parameter.numel() for parameter in network.parameters())


def baselines(
    network: nn.Module, train: Dataset, classes: tuple[str, ...], seed: int
) -> Mapping[str, Perceive]:
    """A fully connected network of as many parameters, and logistic regression."""
    count = parameter_count(network)
    return {
        f"fully connected, {count:,} parameters": fully_connected(count, train, classes, seed),
        "logistic regression": logistic_regression(train),
    }
