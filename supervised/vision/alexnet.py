"""AlexNet, scaled to small images: five convolutions, ReLU, dropout, augmentation (Krizhevsky et al. 2012).

Krizhevsky, Sutskever & Hinton 2012, "ImageNet classification with deep convolutional neural networks": five
convolutional layers, overlapping max-pooling, three fully connected layers with dropout of a half before the
first two, ReLU throughout. Here the input is 28×28 grey in the place of 227×227 colour, so that strides are
smaller, and layers have a quarter of the paper's channels or less. Each of its three novelties has a key to
do without it: ``activation``, ``dropout``, ``augmentation``; what each is worth stands in
``docs/results.md``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

import torch
from torch import Tensor, nn

from sim.fields import Range, Validated
from sim.percept_kind import Kind
from sim.records import Array, Percept
from supervised.data.dataset import Dataset
from supervised.data.sources.small_images import image_splits
from supervised.data.sources.splits import Splits
from supervised.metrics.kinds import METRICS
from supervised.metrics.percept_metrics import PerceptMetrics
from supervised.task import Perceive
from supervised.vision.image_task import ImageTaskModel, as_grey, baselines
from supervised.vision.lenet import draw_probabilities, show_maps

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Activation = Literal["relu", "tanh"]


@dataclass(frozen=True)
class AlexNet(Validated):
    """Configuration of the ``alexnet`` perception; its fields are scene keys."""

    reads: ClassVar[str] = "rgb"
    tells: ClassVar[Kind] = "label"
    metrics: ClassVar[PerceptMetrics] = METRICS["label"]

    data: str = "animals"  # of `supervised.data.sources.small_images`, or a folder with one of each class
    width: Annotated[int, Range(ge=1, le=96)] = 16  # channels of the first layer; the paper has 96
    activation: Activation = "relu"
    dropout: Annotated[float, Range(ge=0, lt=1)] = 0.5  # before the first two fully connected layers
    augmentation: bool = True  # shifts of up to two pixels, and mirroring
    learning_rate: Annotated[float, Range(gt=0)] = 2e-3
    batch_size: Annotated[int, Range(ge=1)] = 128
    weight_decay: Annotated[float, Range(ge=0)] = 1e-2

    def splits(self, path: Path | None, *, seed: int) -> Splits:
        """See `supervised.task.TaskConfig`."""
        return image_splits(self.data, path, seed=seed)

    def build(self, classes: Sequence[str], *, seed: int, device: str = "cpu") -> AlexNetModel:
        """An untrained network for `classes`."""
        return AlexNetModel(
            self, tuple(classes), lambda: self._network(len(classes)), seed=seed, device=device
        )

    def baselines(self, train: Dataset, *, seed: int) -> Mapping[str, Perceive]:
        """A fully connected network of as many parameters, and logistic regression."""
        classes = tuple(sorted({truth.label or "" for truth in train.truths}))
        return baselines(self._network(len(classes)), train, classes, seed)

    def _network(self, classes: int) -> AlexNetNetwork:
        return AlexNetNetwork(self.width, classes, self.activation, self.dropout)


class AlexNetNetwork(nn.Module):
    """Images (B, 28, 28) uint8 → logits (B, C); see the module."""

    def __init__(self, width: int, classes: int, activation: Activation, dropout: float) -> None:
        super().__init__()
        act = {"relu": nn.ReLU, "tanh": nn.Tanh}[activation]
        w = width
        self.first = nn.Sequential(nn.Conv2d(1, w, 7, padding=3), act())  # (B, w, 28, 28)
        self.body = nn.Sequential(
            nn.MaxPool2d(3, 2, 1),  # overlapping, (B, w, 14, 14)
            nn.Conv2d(w, 2 * w, 5, padding=2),
            act(),
            nn.MaxPool2d(3, 2, 1),  # (B, 2w, 7, 7)
            nn.Conv2d(2 * w, 4 * w, 3, padding=1),
            act(),
            nn.Conv2d(4 * w, 4 * w, 3, padding=1),
            act(),
            nn.Conv2d(4 * w, 2 * w, 3, padding=1),
            act(),
            nn.MaxPool2d(3, 2, 1),  # (B, 2w, 4, 4)
            nn.Flatten(),
        )
        self.head = nn.Sequential(
            nn.Dropout(dropout),
            nn.Linear(32 * w, 8 * w),
            act(),
            nn.Dropout(dropout),
            nn.Linear(8 * w, 8 * w),
            act(),
            nn.Linear(8 * w, classes),
        )

    def forward(self, x: Tensor) -> Tensor:
        """See the class."""
        out: Tensor = self.head(self.body(self.first(self.scaled(x))))
        return out

    @staticmethod
    def scaled(x: Tensor) -> Tensor:
        """(B, 28, 28) uint8 → (B, 1, 28, 28) in [−1, 1]."""
        return x[:, None].float() / 127.5 - 1


class AlexNetModel(ImageTaskModel):
    """AlexNet as a task's model, with its first filters and their maps drawn."""

    mirror = True  # an animal that looks the other way is the same animal

    @torch.no_grad()
    def draw(self, figure: Figure, value: Array, percept: Percept, truth: Percept | None) -> None:
        """The image, the probability of each class, the filters of the first layer and their maps."""
        network = self.network
        assert isinstance(network, AlexNetNetwork)
        grey = as_grey(value)
        maps = network.first(network.scaled(torch.from_numpy(grey)[None].to(self.device)))
        convolution = network.first[0]
        assert isinstance(convolution, nn.Conv2d)
        filters = convolution.weight[:, 0]
        top, bottom = figure.subfigures(2, 1, squeeze=False)[:, 0]
        left, right = top.subplots(1, 2, width_ratios=(1, 1.6))
        left.imshow(grey, "gray")
        left.set_title("input")
        left.set_axis_off()
        draw_probabilities(right, self.classes, self.probabilities([value])[0], truth)
        one, other = bottom.subplots(1, 2, width_ratios=(1, 1))
        show_maps(one, filters.cpu().numpy(), 4, f"first layer: {len(filters)} filters of 7×7")
        show_maps(other, maps[0].cpu().numpy(), 4, "and where each responds")
