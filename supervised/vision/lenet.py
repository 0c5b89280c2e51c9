"""LeNet-5: convolution, subsampling and weight sharing read handwritten digits (LeCun et al. 1989, 1998).

LeCun et al. 1998, "Gradient-based learning applied to document recognition": images are padded to 32×32; C1
is six maps of 5×5, S2 a trainable subsampling, C3 sixteen maps, S4 another one, C5 and F6 are of 120 and 84
units, all with the scaled tanh. C3 sees all maps of S2 in the place of a hand-made table, and a softmax
stands for the radial basis functions of the output. The claim of the paper, small: it beats a fully connected
network of as many parameters.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, ClassVar

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from sim.fields import Range, Validated
from sim.percept_kind import Kind
from sim.records import Array, Percept
from supervised.data.dataset import Dataset
from supervised.data.sources.small_images import image_splits
from supervised.data.sources.splits import Splits
from supervised.figure import ACCENT, POSITIVE, SERIES
from supervised.metrics.kinds import METRICS
from supervised.metrics.percept_metrics import PerceptMetrics
from supervised.task import Perceive
from supervised.vision.image_task import ImageTaskModel, as_grey, baselines

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass(frozen=True)
class LeNet(Validated):
    """Configuration of the ``lenet`` perception; its fields are scene keys."""

    reads: ClassVar[str] = "rgb"
    tells: ClassVar[Kind] = "label"
    metrics: ClassVar[PerceptMetrics] = METRICS["label"]

    data: str = "mnist-5k"  # of `supervised.data.sources.small_images`, or a folder with one of each class
    learning_rate: Annotated[float, Range(gt=0)] = 2e-3
    batch_size: Annotated[int, Range(ge=1)] = 64
    weight_decay: Annotated[float, Range(ge=0)] = 1e-2
    augmentation: bool = False  # 1989 had none: shifts of up to two pixels

    def splits(self, path: Path | None, *, seed: int) -> Splits:
        """See `supervised.task.TaskConfig`."""
        return image_splits(self.data, path, seed=seed)

    def build(self, classes: Sequence[str], *, seed: int, device: str = "cpu") -> LeNetModel:
        """An untrained LeNet-5 for `classes`."""
        return LeNetModel(self, tuple(classes), lambda: LeNet5(len(classes)), seed=seed, device=device)

    def baselines(self, train: Dataset, *, seed: int) -> Mapping[str, Perceive]:
        """A fully connected network of as many parameters, and logistic regression."""
        classes = tuple(sorted({truth.label or "" for truth in train.truths}))
        return baselines(LeNet5(len(classes)), train, classes, seed)


class ScaledTanh(nn.Module):
    """1.7159 tanh(2x/3), which maps ±1 to ±1 (LeCun et al. 1998, appendix A)."""

    def forward(self, x: Tensor) -> Tensor:
        """See the class."""
        return 1.7159 * torch.tanh(2 / 3 * x)


class Subsampling(nn.Module):
    """Mean of 2×2 pixels, times a weight plus a bias of each map."""

    def __init__(self, maps: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(maps, 1, 1))
        self.bias = nn.Parameter(torch.zeros(maps, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) → (B, C, H/2, W/2)."""
        return functional.avg_pool2d(x, 2) * self.weight + self.bias


class LeNet5(nn.Module):
    """Images (B, 28, 28) uint8 → logits (B, C); see the module."""

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.c1 = nn.Sequential(nn.Conv2d(1, 6, 5), ScaledTanh())
        self.s2 = nn.Sequential(Subsampling(6), ScaledTanh())
        self.c3 = nn.Sequential(nn.Conv2d(6, 16, 5), ScaledTanh())
        self.s4 = nn.Sequential(Subsampling(16), ScaledTanh())
        self.c5 = nn.Sequential(nn.Conv2d(16, 120, 5), ScaledTanh())
        self.f6 = nn.Sequential(nn.Linear(120, 84), ScaledTanh())
        self.output = nn.Linear(84, classes)

    def forward(self, x: Tensor) -> Tensor:
        """See the class."""
        x = self.c5(self.s4(self.c3(self.s2(self.c1(self.padded(x))))))  # (B, 120, 1, 1)
        out: Tensor = self.output(self.f6(x.flatten(1)))
        return out

    @staticmethod
    def padded(x: Tensor) -> Tensor:
        """(B, 28, 28) uint8 → (B, 1, 32, 32): ground −0.1, ink 1.175: mean and variance are about 0 and 1."""
        return functional.pad(x[:, None].float() / 255 * 1.275 - 0.1, (2, 2, 2, 2), value=-0.1)


class LeNetModel(ImageTaskModel):
    """LeNet-5 as a task's model, with its feature maps drawn."""

    @torch.no_grad()
    def draw(self, figure: Figure, value: Array, percept: Percept, truth: Percept | None) -> None:
        """The image, the maps of C1 and C3, and the probability of each class."""
        network = self.network
        assert isinstance(network, LeNet5)
        grey = as_grey(value)
        first = network.c1(network.padded(torch.from_numpy(grey)[None].to(self.device)))
        third = network.c3(network.s2(first))
        top, bottom = figure.subfigures(2, 1, squeeze=False)[:, 0]
        left, right = top.subplots(1, 2, width_ratios=(1, 1.6))
        left.imshow(grey, "gray")
        left.set_title("input")
        left.set_axis_off()
        draw_probabilities(right, self.classes, self.probabilities([value])[0], truth)
        maps, more = bottom.subplots(1, 2, width_ratios=(1, 1.6))
        show_maps(maps, first[0].cpu().numpy(), 3, "C1: 6 maps of 28×28")
        show_maps(more, third[0].cpu().numpy(), 4, "C3: 16 maps of 10×10")


def draw_probabilities(axes: object, classes: Sequence[str], values: Array, truth: Percept | None) -> None:
    """Horizontal bars of at most ten classes, the most probable first; the true one is green."""
    from matplotlib.axes import Axes

    assert isinstance(axes, Axes)
    order = np.argsort(-values)[:10][::-1]
    right = None if truth is None else truth.label
    colors = [POSITIVE if classes[i] == right else ACCENT if i == order[-1] else SERIES[0] for i in order]
    axes.barh([classes[i] for i in order], values[order], color=colors)
    axes.set(xlim=(0, 1), xlabel="probability (green: the truth)")


def show_maps(axes: object, maps: Array, columns: int, title: str) -> None:
    """Feature maps (C, H, W) side by side, `columns` in a row."""
    from matplotlib.axes import Axes

    assert isinstance(axes, Axes)
    count, height, width = maps.shape
    rows = -(-count // columns)
    sheet = np.full((rows * (height + 1) - 1, columns * (width + 1) - 1), np.nan)
    for i, one in enumerate(maps):
        top, left = i // columns * (height + 1), i % columns * (width + 1)
        sheet[top : top + height, left : left + width] = one
    axes.imshow(sheet)
    axes.set_title(title)
    axes.set_axis_off()
