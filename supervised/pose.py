"""A pose estimator: where the joints of a body are in the picture, and which of them can be seen.

For every joint one map of half the picture's size says how likely the joint is in each cell, as
probabilities that sum to one over the picture (heat maps; Tompson et al. 2014, with the softmax of Nibali et
al. 2018, "Numerical coordinate regression"), and another, how likely it would be seen there. A joint that a
limb hides is still somewhere, so it is told too, as hidden.

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

from sim.records import Array, Percept
from supervised.dense import Dense, DenseConfig, Grid, inputs_of
from supervised.fit import Batch, Fit
from supervised.metrics.grading import Kind
from supervised.views import Views, together

STRIDE = 2  # pixels a cell
SPREAD = 1.0  # cells; standard deviation of the wanted probabilities
AROUND = 5  # cells a side of the window around the likeliest whose mean is the place


@dataclass(frozen=True)
class Pose(DenseConfig):
    """The scene keys of ``pose``; see also `supervised.dense.DenseConfig`."""

    tells: ClassVar[Kind] = "keypoints"

    def build(self, classes: Sequence[str], *, seed: int, device: str = "cpu") -> PoseModel:
        """A fresh estimator for joints `classes`."""
        return PoseModel(self, tuple(classes), seed, device)


def joints(truths: Sequence[Percept], mirrored: Array, grid: Grid) -> dict[str, Array]:
    """``points`` (B, K, 3) float32: x and y in the network's pixels, and 1 if the joint is visible."""
    points = np.array([list(truth.keypoints.values()) for truth in truths], np.float32)
    points[:, :, 0] *= grid.scaled[1] / grid.shape[1]
    points[:, :, 1] *= grid.scaled[0] / grid.shape[0]
    points[mirrored, :, 0] = grid.scaled[1] - points[mirrored, :, 0]
    return {"points": points}


def pose_loss(network: nn.Module, batch: Batch) -> tuple[Tensor, dict[str, Tensor]]:
    """Cross-entropy of where joints in the picture are, and of whether joints are visible."""
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
    """Tells where joints are. Satisfies `sim.protocols.PerceptionModel`."""

    def __init__(self, config: Pose, names: tuple[str, ...], seed: int, device: str) -> None:
        super().__init__(config, 2 * len(names), seed, device)
        self.names = names

    def fit(self, train: Views, validation: Views, *, seed: int) -> Fit:
        """A fit of this estimator to views."""
        return self.fit_maps(pose_loss, joints, train, validation, seed=seed)

    def perceive(self, inputs: Sequence[Array]) -> list[Percept]:
        """The joints in each picture (H, W, 3) uint8 of any size, in its own pixels.

        Neighbours of one size are looked at together.
        """
        percepts: list[Percept] = []
        for rgb in together(inputs):
            maps, scaled = self.maps(rgb)
            size = rgb.shape[1], rgb.shape[2]
            percepts += [Percept("model", keypoints=self._points(each, scaled, size)) for each in maps]
        return percepts

    @torch.no_grad()
    def _points(
        self, maps: Tensor, scaled: tuple[int, int], size: tuple[int, int]
    ) -> dict[str, tuple[float, float, float]]:
        """The joints that maps (2K, h, w) tell, in a picture of `size` that they show at `scaled`."""
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
    """(K, 2) x and y in cells of the mean place in a window around the likeliest cell of maps (K, h, w)."""
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
