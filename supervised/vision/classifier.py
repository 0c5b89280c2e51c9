"""Image classification: one label for the whole image, with its probability.

Images are downscaled to 64 × 64; three strided convolutions and global average pooling follow (Lin et al.
2014, "Network in network"). Labels are smoothed a little (Szegedy et al. 2016, section 7), without which a
classifier that is never wrong in training is overconfident.

Read from top to bottom: the keys, the network, loss, the classifier that perceives.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from sim.percept_kind import Kind
from sim.records import Array, Percept
from supervised.base_model import BaseModel
from supervised.data.dataset import Dataset
from supervised.fit import Batch, Fit, FitOptions
from supervised.tensors import Precision
from supervised.vision.unet import conv

SIDE = 64  # pixels; images of any shape are downscaled to it
LIKELIEST = 5  # labels that are told with their probabilities
VALIDATE_EVERY = 50  # updates; also where a fit can be stopped and saved


@dataclass(frozen=True)
class Classifier:
    """Configuration of the ``classifier`` perception; its fields are scene keys."""

    tells: ClassVar[Kind] = "label"

    worlds: tuple[str, ...] = ()  # to tell apart, by their names; none: the scene's own
    channels: int = 16
    learning_rate: float = 3e-3
    batch_size: int = 32
    views: int = 2_000  # training images, in equal shares; a tenth as many more to validate
    smoothing: float = 0.01  # label smoothing: the probability that is spread evenly over all classes
    precision: Precision = "auto"

    def __post_init__(self) -> None:
        """Refuse values out of range.

        Raises:
            ValueError: naming the field.
        """
        for name in ("batch_size", "views"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, not {getattr(self, name)}")
        if self.channels < 4 or self.channels % 4:
            raise ValueError(f"channels must be a multiple of 4, not {self.channels}")
        if not 0 <= self.smoothing < 1:
            raise ValueError(f"smoothing must be in [0, 1), not {self.smoothing}")
        if not 0 < self.learning_rate:
            raise ValueError(f"learning_rate must be above 0, not {self.learning_rate}")

    def build(self, classes: Sequence[str], *, seed: int, device: str = "cpu") -> ClassifierModel:
        """An untrained classifier for `classes`."""
        return ClassifierModel(self, tuple(classes), seed, device)


class ClassifierNetwork(nn.Module):
    """Convolutional classifier: images (N, 3, S, S) in [0, 1] → logits (N, C)."""

    def __init__(self, channels: int, classes: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            conv(3, channels, 2), conv(channels, 2 * channels, 2), conv(2 * channels, 4 * channels, 2)
        )
        self.head = nn.Linear(4 * channels, classes)

    def forward(self, x: Tensor) -> Tensor:
        """See the class."""
        out: Tensor = self.head(self.body(x).mean((2, 3)))
        return out


class ClassifierExamples:
    """Training examples of the classifier: images and class indices."""

    def __init__(self, views: Dataset, classes: Sequence[str]) -> None:
        number = {name: i for i, name in enumerate(classes)}
        self._views = views
        self._label = np.array([number[truth.label or ""] for truth in views.truths], np.int64)

    def __len__(self) -> int:
        """How many pictures."""
        return len(self._views)

    def batch(self, rows: Array, generator: np.random.Generator) -> dict[str, Array]:
        """``rgb`` (B, H, W, 3) uint8 and ``label`` (B,) int64."""
        return {"rgb": self._views.values[rows], "label": self._label[rows]}


def shrunk(rgb: Tensor) -> Tensor:
    """Downscale images (N, H, W, 3) uint8 to (N, 3, S, S) in [0, 1] by area averaging."""
    return functional.adaptive_avg_pool2d(rgb.permute(0, 3, 1, 2).float() / 255, SIDE)


class ClassifierModel(BaseModel[ClassifierNetwork]):
    """Image classifier: images → label and probability. Satisfies `sim.protocols.PerceptionModel`."""

    reads = "rgb"

    def __init__(self, config: Classifier, classes: tuple[str, ...], seed: int, device: str) -> None:
        self.config, self.classes = config, classes
        super().__init__(lambda: ClassifierNetwork(config.channels, len(classes)), seed=seed, device=device)

    def fit(self, train: Dataset, validation: Dataset, *, seed: int) -> Fit:
        """A fit of this classifier to labelled images."""
        options = FitOptions(
            learning_rate=self.config.learning_rate,
            batch_size=self.config.batch_size,
            precision=self.config.precision,
            weight_decay=1e-4,
            validate_every=VALIDATE_EVERY,
        )
        examples = ClassifierExamples(train, self.classes), ClassifierExamples(validation, self.classes)
        return Fit(self.network, self._loss, *examples, options, seed=seed, device=str(self.device))

    def _loss(self, network: nn.Module, batch: Batch) -> tuple[Tensor, dict[str, Tensor]]:
        """Cross-entropy against smoothed labels, and the share that is right."""
        logits = network(shrunk(batch["rgb"])).float()
        label = batch["label"]
        loss = functional.cross_entropy(logits, label, label_smoothing=self.config.smoothing)
        return loss, {"top1": (logits.argmax(1) == label).float().mean()}

    @torch.no_grad()
    def perceive(self, inputs: Sequence[Array]) -> list[Percept]:
        """The most probable label of each image (H, W, 3) uint8 of any size, and its probability.

        The `LIKELIEST` most probable ones are in ``extras["likeliest"]``.
        """
        percepts = []
        for rgb in inputs:
            picture = torch.from_numpy(np.ascontiguousarray(rgb))[None].to(self.device)
            shares = self.network(shrunk(picture)).float()[0].softmax(0)
            best = shares.topk(min(LIKELIEST, len(self.classes)))
            named = zip(best.indices.tolist(), best.values.tolist(), strict=True)
            likeliest = tuple((self.classes[label], share) for label, share in named)
            percepts.append(
                Percept(
                    "model",
                    label=likeliest[0][0],
                    scores=np.array([likeliest[0][1]]),
                    extras={"likeliest": likeliest},
                )
            )
        return percepts
