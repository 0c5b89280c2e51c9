"""Anchor-free object detection: bounding boxes with classes and scores.

Every cell of a map at half resolution predicts, for each class, the probability that it holds the centre of
an object, and the box around it (Zhou et al. 2019, "Objects as Points"; the generalised IoU as in Tian et al.
2019, "FCOS"). Half resolution because a ball may be two pixels wide. The backbone is a small U-Net
(Ronneberger et al. 2015).

Read from top to bottom: the keys, the network, targets, loss, the detector that perceives.
"""

from __future__ import annotations

import math
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
from supervised.data.capture import same_size_batches
from supervised.data.dataset import Dataset
from supervised.fit import Batch, Fit, FitOptions
from supervised.tensors import Precision
from supervised.vision.unet import UNet, padded

STRIDE = 2  # pixels a cell
PERIODS = (8, 16, 32, 64, 128, 256)  # pixels: of the position encoding
#: (9, 2) row and column offsets from a centre's cell to itself and its 8 neighbours.
AROUND = np.array([(dy, dx) for dy in (-1, 0, 1) for dx in (-1, 0, 1)])
DIVISOR = 8  # images are padded to a multiple of it
VALIDATE_EVERY = 100  # updates; also where a fit can be stopped and saved


@dataclass(frozen=True)
class Detector:
    """Configuration of the ``detector`` perception; its fields are scene keys."""

    tells: ClassVar[Kind] = "boxes"

    channels: int = 24  # at half resolution; twice and three times as many at a quarter and an eighth
    positions: bool = False  # position encoding as further inputs: bricks of one colour show no borders
    learning_rate: float = 3e-3
    batch_size: int = 16
    views: int = 4_000  # training images; a tenth as many more to validate
    threshold: float = 0.3  # boxes below this score are left out
    most: int = 200  # boxes an image
    precision: Precision = "auto"

    def __post_init__(self) -> None:
        """Refuse values out of range.

        Raises:
            ValueError: naming the field.
        """
        for name in ("channels", "batch_size", "views", "most"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, not {getattr(self, name)}")
        if not 0 < self.threshold < 1:
            raise ValueError(f"threshold must be between 0 and 1, not {self.threshold}")
        if not 0 < self.learning_rate:
            raise ValueError(f"learning_rate must be above 0, not {self.learning_rate}")

    def build(self, classes: Sequence[str], *, seed: int, device: str = "cpu") -> DetectorModel:
        """An untrained detector for objects of `classes`."""
        return DetectorModel(self, tuple(classes), seed, device)


class DetectorNetwork(UNet):
    """Detection U-Net: images (N, 3, H, W) in [0, 1] → centre logits and box parameters (N, C + 4, H/2, W/2).

    `decode_boxes` decodes the box parameters.
    """

    def __init__(self, channels: int, classes: int, positions: bool = False) -> None:
        super().__init__(3 + (4 * len(PERIODS) if positions else 0), channels, classes + 4, levels=3)
        self.positions = positions
        bias = self.last.bias
        assert bias is not None
        nn.init.normal_(self.last.weight, std=0.01)
        nn.init.constant_(bias[:classes], -4.6)  # at first 1 cell of 100 (Lin et al. 2017)
        nn.init.zeros_(bias[classes : classes + 2])  # it is in the middle of its cell
        nn.init.constant_(bias[classes + 2 :], 1.5)  # and 4.5 pixels wide and high

    def forward(self, x: Tensor) -> Tensor:
        """See the class."""
        if self.positions:
            x = torch.cat([x, position_encoding(x).expand(len(x), -1, -1, -1)], 1)
        return super().forward(x)


def position_encoding(x: Tensor) -> Tensor:
    """Sinusoidal position encoding of the pixels of (N, C, H, W), (1, 4 P, H, W) for P periods.

    Vaswani et al. 2017, section 3.5, in two dimensions. In the middle of a wide plain surface no edge shows
    where a pixel lies.
    """
    periods = torch.tensor(PERIODS, device=x.device)[:, None]
    h, w = x.shape[2:]
    down, across = (2 * math.pi * torch.arange(size, device=x.device) / periods for size in (h, w))
    planes = [turn(down)[:, :, None].expand(-1, -1, w) for turn in (torch.sin, torch.cos)]
    planes += [turn(across)[:, None, :].expand(-1, h, -1) for turn in (torch.sin, torch.cos)]
    return torch.cat(planes)[None].to(x.dtype)


class DetectorExamples:
    """Training examples of the detector: images with target maps of centres and boxes."""

    def __init__(self, views: Dataset, classes: Sequence[str]) -> None:
        self._views = views
        self._number = {name: i for i, name in enumerate(classes)}
        height, width = views.values.shape[1:3]
        self._cells = padded(height, DIVISOR) // STRIDE, padded(width, DIVISOR) // STRIDE

    def __len__(self) -> int:
        """How many pictures."""
        return len(self._views)

    def batch(self, rows: Array, generator: np.random.Generator) -> dict[str, Array]:
        """Images (B, H, W, 3) uint8 with their targets.

        ``centre`` (B, C, h, w) uint8 is 1 in the cell of an object's centre, and 2 in those beside it, which
        the focal loss ignores; ``reach`` (B, 4, h, w) float32 pixels to the left, up, right and down of a
        cell's middle, for both: whichever of them scores highest must predict the box.
        """
        h, w = self._cells
        centre = np.zeros((len(rows), len(self._number), h, w), np.uint8)
        reach = np.zeros((len(rows), 4, h, w), np.float32)
        for b, row in enumerate(rows):
            truth = self._views.truths[row]
            if truth.boxes is None or not len(truth.boxes):
                continue
            self._write(truth.boxes, truth.labels, centre[b], reach[b])
        return {"rgb": self._views.values[rows], "centre": centre, "reach": reach}

    def _write(self, boxes: Array, labels: Sequence[str], centre: Array, reach: Array) -> None:
        """Write one image's K objects into its ``centre`` (C, h, w) and ``reach`` (4, h, w)."""
        h, w = self._cells
        label = np.array([self._number[name] for name in labels])
        middle = (boxes[:, :2] + boxes[:, 2:]) / 2  # (K, 2) x, y
        own = np.minimum(middle[:, ::-1] // STRIDE, (h - 1, w - 1)).astype(int)  # (K, 2) line, column
        near = np.clip(own[:, None] + AROUND, 0, (h - 1, w - 1))  # (K, 9, 2)
        at = STRIDE * (near[:, :, ::-1] + 0.5)  # (K, 9, 2) x, y of the cells' middles
        distance = np.linalg.norm(at - middle[:, None], axis=2)
        distance[(near == own[:, None]).all(2)] = -1.0  # the cell of a centre belongs to its own object
        # The nearest object is written last, and so prevails where several are close to one cell.
        thing, beside = np.unravel_index(np.argsort(-distance, axis=None, kind="stable"), distance.shape)
        lines, columns = near[thing, beside].T
        centre[label[thing], lines, columns] = np.where(distance[thing, beside] < 0, 1, 2)
        here = at[thing, beside]
        reach[:, lines, columns] = np.concatenate([here - boxes[thing, :2], boxes[thing, 2:] - here], 1).T


def detection_loss(network: nn.Module, batch: Batch) -> tuple[Tensor, dict[str, Tensor]]:
    """Focal loss of the centres (Lin et al. 2017, γ = 2) plus generalised IoU and L1 losses of the boxes.

    All classes weigh the same: otherwise one ball would hardly count beside a hundred bricks.
    """
    out = network(from_rgb(batch["rgb"])).float()
    centre, reach = batch["centre"], batch["reach"]
    classes = centre.shape[1]
    probability = out[:, :classes].sigmoid().clamp(1e-4, 1 - 1e-4)
    here, elsewhere = centre == 1, centre == 0
    things = here.sum((0, 2, 3)).clamp(min=1)  # (C,)
    focal = -(1 - probability).square() * probability.log() * here
    focal = focal - probability.square() * (1 - probability).log() * elsewhere
    positive = (centre > 0).any(1)  # (B, h, w)
    told = decode_boxes(out[:, classes:].permute(0, 2, 3, 1)[positive])  # (M, 4)
    wanted = reach.permute(0, 2, 3, 1)[positive]
    # IoU alone is nearly flat once boxes overlap well, and an object two pixels wide needs exact edges.
    edges = functional.smooth_l1_loss(told, wanted, reduction="none").mean(1)
    boxes = 1 - generalized_iou(told, wanted) + edges
    thing = (centre > 0).permute(0, 2, 3, 1)[positive].float()  # (M, C)
    weight = (thing / thing.sum(0).clamp(min=1)).sum(1)
    centre_loss = (focal.sum((0, 2, 3)) / things).mean()
    box_loss = (boxes * weight).sum() / weight.sum().clamp(min=1e-6)
    return centre_loss + 2 * box_loss, {"centre": centre_loss, "box": box_loss}


def decode_boxes(out: Tensor) -> Tensor:
    """Box decoding: from the centre's offset in pixels and the log size (M, 4) to distances of the edges.

    Returns:
        (M, 4) pixels from the cell's middle to the left, up, right and down. Log distances would not do: an
        edge may lie in the cell's very middle.
    """
    offset, half = out[:, :2], out[:, 2:].clamp(max=6).exp() / 2
    return torch.cat([half - offset, half + offset], 1)


def generalized_iou(told: Tensor, wanted: Tensor) -> Tensor:
    """Generalised IoU (M,) (Rezatofighi et al. 2019) of boxes as edge distances (M, 4) from one point."""
    width = torch.min(told[:, 0], wanted[:, 0]) + torch.min(told[:, 2], wanted[:, 2])
    height = torch.min(told[:, 1], wanted[:, 1]) + torch.min(told[:, 3], wanted[:, 3])
    common = width.clamp(min=0) * height.clamp(min=0)
    union = area(told) + area(wanted) - common
    hull_width = torch.max(told[:, 0], wanted[:, 0]) + torch.max(told[:, 2], wanted[:, 2])
    hull_height = torch.max(told[:, 1], wanted[:, 1]) + torch.max(told[:, 3], wanted[:, 3])
    hull = hull_width * hull_height
    return common / union.clamp(min=1e-6) - (hull - union) / hull.clamp(min=1e-6)


def area(reach: Tensor) -> Tensor:
    """Area (M,) of boxes given as edge distances (M, 4)."""
    return (reach[:, 0] + reach[:, 2]) * (reach[:, 1] + reach[:, 3])


def from_rgb(rgb: Tensor) -> Tensor:
    """Images (N, H, W, 3) uint8 → (N, 3, H', W') in [0, 1], padded with black at right and bottom."""
    height, width = rgb.shape[1:3]
    x = rgb.permute(0, 3, 1, 2).float() / 255
    return functional.pad(x, (0, padded(width, DIVISOR) - width, 0, padded(height, DIVISOR) - height))


class DetectorModel(BaseModel[DetectorNetwork]):
    """Object detector: images → boxes, classes and scores. Satisfies `sim.protocols.Perception`."""

    reads = "rgb"

    def __init__(self, config: Detector, classes: tuple[str, ...], seed: int, device: str) -> None:
        self.config, self.classes = config, classes
        super().__init__(
            lambda: DetectorNetwork(config.channels, len(classes), config.positions), seed=seed, device=device
        )
        self.network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def fit(self, train: Dataset, validation: Dataset, *, seed: int) -> Fit:
        """A fit of this detector to images with boxes."""
        options = FitOptions(
            learning_rate=self.config.learning_rate,
            batch_size=self.config.batch_size,
            precision=self.config.precision,
            weight_decay=1e-4,
            max_grad_norm=5.0,
            validate_every=VALIDATE_EVERY,
        )
        examples = DetectorExamples(train, self.classes), DetectorExamples(validation, self.classes)
        return Fit(self.network, detection_loss, *examples, options, seed=seed, device=str(self.device))

    @torch.no_grad()
    def perceive(self, inputs: Sequence[Array]) -> list[Percept]:
        """Boxes with classes and scores, highest first, of each image (H, W, 3) uint8 of any size.

        Consecutive images of one size form one batch.
        """
        percepts: list[Percept] = []
        for pictures in same_size_batches(inputs):
            rgb = torch.from_numpy(pictures).to(self.device)
            x = from_rgb(rgb).contiguous(memory_format=torch.channels_last)
            percepts += [self._decoded(out, rgb.shape[1:3]) for out in self.network(x).float()]
        return percepts

    def _decoded(self, out: Tensor, size: Sequence[int]) -> Percept:
        """Decode the network's output (C + 4, h, w) for one image of `size` (H, W) into boxes."""
        classes = len(self.classes)
        score = out[:classes].sigmoid()
        peak = functional.max_pool2d(score[None], 3, 1, 1)[0] == score
        value, at = (score * peak).flatten().topk(min(self.config.most, score.numel()))
        at = at[value >= self.config.threshold]
        cells = score.shape[1] * score.shape[2]
        label, cell = at // cells, at % cells
        reach = decode_boxes(out[classes:].flatten(1)[:, cell].T).T  # (4, K)
        x, y = (cell % score.shape[2] + 0.5) * STRIDE, (cell // score.shape[2] + 0.5) * STRIDE
        boxes = torch.stack([x - reach[0], y - reach[1], x + reach[2], y + reach[3]], 1).cpu().numpy()
        height, width = size
        boxes = np.clip(boxes, 0, [width, height, width, height]).astype(np.float32)
        return Percept(
            origin="model",
            boxes=boxes,
            labels=tuple(self.classes[i] for i in label.tolist()),
            scores=score.flatten()[at].cpu().numpy(),
        )
