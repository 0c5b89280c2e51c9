"""Monocular depth estimation: metric depth of every pixel, in metres, and a sky mask.

The network predicts log depth, so that relative errors count the same near and far, and a separate logit for
the sky, which has no depth (Eigen et al. 2014, who also leave it out). No scale is fitted afterwards: metric
depth is possible because the bodies have known sizes.

Read from top to bottom: the keys, loss, the estimator that perceives.
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
from supervised.data.dataset import Dataset
from supervised.fit import Batch, Fit
from supervised.vision.dense import Dense, DenseConfig, Grid, inputs_of, upscale
from supervised.vision.unet import pixel_shuffle

MIDDLE = 1.3  # log metres that an output of 0 stands for: about where bodies are
NEAREST, FARTHEST = 0.1, 1_000.0  # metres; predictions are clamped to them


@dataclass(frozen=True)
class Depth(DenseConfig):
    """Configuration of the ``depth`` perception; its fields: `supervised.vision.dense.DenseConfig`."""

    tells: ClassVar[Kind] = "depth"

    def build(self, classes: Sequence[str] = (), *, seed: int, device: str = "cpu") -> DepthModel:
        """An untrained estimator; there are no classes."""
        return DepthModel(self, seed, device)


def metres(truths: Sequence[Percept], mirrored: Array, grid: Grid) -> dict[str, Array]:
    """Depth targets: ``depth`` (B, h, w) float32 metres, NaN in the sky."""
    depth = grid.taken(np.stack([truth.depth for truth in truths if truth.depth is not None]))
    depth[mirrored] = depth[mirrored, :, ::-1]
    return {"depth": depth}


def depth_loss(network: nn.Module, batch: Batch) -> tuple[Tensor, dict[str, Tensor]]:
    """L1 loss of log depth where there is any, plus binary cross-entropy of the sky mask."""
    depth = batch["depth"]
    height, width = depth.shape[1:]
    said, sky = pixel_shuffle(network(inputs_of(batch["rgb"])).float())[:, :, :height, :width].unbind(1)
    solid = depth.isfinite()
    wanted = torch.where(solid, depth, 1.0).log() - MIDDLE
    error = (said - wanted).abs()[solid].mean()
    above = functional.binary_cross_entropy_with_logits(sky, (~solid).float())
    return error + 0.3 * above, {"log_error": error, "sky": above}


class DepthModel(Dense):
    """Depth estimator: images → depth maps in metres. Satisfies `sim.protocols.PerceptionModel`."""

    def __init__(self, config: Depth, seed: int, device: str) -> None:
        super().__init__(config, 4 * 2, seed, device)

    def fit(self, train: Dataset, validation: Dataset, *, seed: int) -> Fit:
        """A fit of this estimator to images with depth maps."""
        return self.fit_maps(depth_loss, metres, train, validation, seed=seed)

    def perceive(self, inputs: Sequence[Array]) -> list[Percept]:
        """Depth map (H, W) float32 in metres, NaN in the sky, of each image (H, W, 3) uint8 of any size."""
        return [Percept("model", depth=self._depth(rgb)) for rgb in inputs]

    @torch.no_grad()
    def _depth(self, rgb: Array) -> Array:
        maps, scaled = self.maps(rgb[None])
        height, width = rgb.shape[:2]
        said, sky = upscale(pixel_shuffle(maps), scaled, (height, width))[0]
        depth = (said + MIDDLE).exp().clamp(NEAREST, FARTHEST)
        return torch.where(sky > 0, torch.nan, depth).cpu().numpy()
