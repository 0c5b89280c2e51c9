"""Pose estimation: keypoints of a body's joints in the image, and whether each is visible.

For every joint a heat map at half resolution gives the probability that it is in each cell, summing to one
over the image (Tompson et al. 2014, with the softmax of Nibali et al. 2018, "Numerical coordinate
regression"), and a second map the probability that it is visible there. Occluded joints are predicted too, as
not visible.

Read from top to bottom: the keys, targets, loss, the estimator that perceives.
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
from supervised.data.capture import same_size_batches
from supervised.data.dataset import Dataset
from supervised.fit import Batch, Fit
from supervised.vision.dense import Dense, DenseConfig, Grid, inputs_of

STRIDE = 2  # pixels a cell
SPREAD = 1.0  # cells; standard deviation of the target heat map
AROUND = 5  # cells a side of the window around the peak, over which the mean is taken


@dataclass(frozen=True)
class Pose(DenseConfig):
    """Configuration of the ``pose`` perception; its fields: `supervised.vision.dense.DenseConfig`."""

    tells: ClassVar[Kind] = "keypoints"

    def build(self, classes: Sequence[str], *, seed: int, device: str = "cpu") -> PoseModel:
        """An untrained estimator for joints `classes`."""
        return PoseModel(self, tuple(classes), seed, device)


def joints(truths: Sequence[Percept], mirrored: Array, grid: Grid) -> dict[str, Array]:
    """Keypoint targets: ``points`` (B, K, 3) float32, x and y in the network's pixels, 1 if visible."""
    points = np.array([list(truth.keypoints.values()) for truth in truths], np.float32)
    points[:, :, 0] *= grid.scaled[1] / grid.shape[1]
    points[:, :, 1] *= grid.scaled[0] / grid.shape[0]
    points[mirrored, :, 0] = grid.scaled[1] - points[mirrored, :, 0]
    return {"points": points}


def pose_loss(network: nn.Module, batch: Batch) -> tuple[Tensor, dict[str, Tensor]]:
    """Cross-entropy of the heat maps of joints within the image, plus that of the joints' visibility."""
    rgb, points = batch["rgb"], batch["points"]
    height, width = rgb.shape[1:3]
    x, y, visible = points.unbind(2)  # (B, K) each
    where, shown = network(inputs_of(rgb)).float().chunk(2, 1)  # (B, K, h, w) each
    rows, columns = (torch.arange(n, device=rgb.device) + 0.5 for n in where.shape[2:])
    off_y = (rows - y[..., None] / STRIDE) / SPREAD
    off_x = (columns - x[..., None] / STRIDE) / SPREAD
    wanted = torch.exp(-(off_y.square()[..., None] + off_x.square()[..., None, :]) / 2)
    wanted = (wanted / wanted.sum((2, 3), keepdim=True).clamp(min=1e-6)).flatten(2)
    inside = (x >= 0) & (x < width) & (y >= 0) & (y < height)
    likely = where.flatten(2).log_softmax(2)
    place = -(wanted * likely).sum(2)[inside].mean()
    seen = (likely.detach().exp() * shown.flatten(2)).sum(2)
    sight = functional.binary_cross_entropy_with_logits(seen, visible)
    return place + 0.3 * sight, {"place": place, "sight": sight}


class PoseModel(Dense):
    """Pose estimator: images → keypoints with visibility. Satisfies `sim.protocols.PerceptionModel`."""

    def __init__(self, config: Pose, names: tuple[str, ...], seed: int, device: str) -> None:
        super().__init__(config, 2 * len(names), seed, device)
        self.names = names

    def fit(self, train: Dataset, validation: Dataset, *, seed: int) -> Fit:
        """A fit of this estimator to images with keypoints."""
        return self.fit_maps(pose_loss, joints, train, validation, seed=seed)

    def perceive(self, inputs: Sequence[Array]) -> list[Percept]:
        """Keypoints of each image (H, W, 3) uint8 of any size, in its own pixels.

        Consecutive images of one size form one batch.
        """
        percepts: list[Percept] = []
        for rgb in same_size_batches(inputs):
            maps, scaled = self.maps(rgb)
            size = rgb.shape[1], rgb.shape[2]
            percepts += [Percept("model", keypoints=self._points(each, scaled, size)) for each in maps]
        return percepts

    @torch.no_grad()
    def _points(
        self, maps: Tensor, scaled: tuple[int, int], size: tuple[int, int]
    ) -> dict[str, tuple[float, float, float]]:
        """Decode maps (2K, h, w) at scale `scaled` (height, width) into keypoints of an image of `size`."""
        height, width = scaled
        cells = -(-height // STRIDE), -(-width // STRIDE)
        where, shown = maps[:, : cells[0], : cells[1]].chunk(2)  # (K, h, w) each
        likely = where.flatten(1).softmax(1).view_as(where)
        seen = (likely * shown).sum((1, 2)).sigmoid()
        places = STRIDE * peaks(likely)
        scale = torch.tensor([size[1] / width, size[0] / height], device=places.device)
        rows = torch.cat([places * scale, seen[:, None]], 1).cpu().tolist()
        return {name: (x, y, visible) for name, (x, y, visible) in zip(self.names, rows, strict=True)}


def peaks(likely: Tensor) -> Tensor:
    """Local soft-argmax of heat maps (K, h, w): x and y (K, 2) in cells, the mean around each peak."""
    count, height, width = likely.shape
    at = likely.flatten(1).argmax(1)
    row, column = at // width, at % width
    step = torch.arange(AROUND, device=likely.device) - AROUND // 2
    rows = (row[:, None] + step).clamp(0, height - 1)  # (K, A); what is cut counts at the edge
    columns = (column[:, None] + step).clamp(0, width - 1)
    k = torch.arange(count, device=likely.device)[:, None, None]
    weight = likely[k, rows[:, :, None], columns[:, None, :]]
    weight = weight / weight.sum((1, 2), keepdim=True).clamp(min=1e-12)
    y = (weight * (rows[:, :, None] + 0.5)).sum((1, 2))
    x = (weight * (columns[:, None, :] + 0.5)).sum((1, 2))
    return torch.stack([x, y], 1)
