"""Semantic segmentation: the class of every pixel, such as a body's parts and the ground.

A U-Net gives each pixel a logit for each class. The loss is the pixels' cross-entropy plus the Dice overlap
of each class (Milletari et al. 2016, "V-Net", equation 3): limbs are only four pixels wide, and most errors
are at their edges.

Read from top to bottom: the keys, loss, the segmenter that perceives.
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


@dataclass(frozen=True)
class Segmenter(DenseConfig):
    """Configuration of the ``segmenter`` perception; its fields: `supervised.vision.dense.DenseConfig`."""

    tells: ClassVar[Kind] = "mask"

    def build(self, classes: Sequence[str], *, seed: int, device: str = "cpu") -> SegmenterModel:
        """An untrained segmenter; mask value i is ``classes[i]``."""
        return SegmenterModel(self, tuple(classes), seed, device)


def parts(truths: Sequence[Percept], mirrored: Array, grid: Grid) -> dict[str, Array]:
    """Segmentation targets: ``mask`` (B, h, w) int64, the class of every pixel."""
    masks = np.stack([truth.mask for truth in truths if truth.mask is not None])
    mask = grid.taken(masks).astype(np.int64)
    mask[mirrored] = mask[mirrored, :, ::-1]
    return {"mask": mask}


def segmentation_loss(network: nn.Module, batch: Batch) -> tuple[Tensor, dict[str, Tensor]]:
    """Segmentation loss: cross-entropy of pixels plus 1 − Dice of the classes that occur in the batch."""
    mask = batch["mask"]
    height, width = mask.shape[1:]
    logits = pixel_shuffle(network(inputs_of(batch["rgb"])).float())[:, :, :height, :width]
    pixels = functional.cross_entropy(logits, mask)
    said = logits.softmax(1)
    true = functional.one_hot(mask, logits.shape[1]).permute(0, 3, 1, 2)
    common, either = (said * true).sum((0, 2, 3)), (said + true).sum((0, 2, 3))
    there = true.sum((0, 2, 3)) > 0
    overlap = 1 - (2 * common / either.clamp(min=1e-6))[there].mean()
    return pixels + overlap, {"pixels": pixels, "overlap": overlap}


class SegmenterModel(Dense):
    """Semantic segmenter: images → masks of class indices. Satisfies `sim.protocols.PerceptionModel`."""

    def __init__(self, config: Segmenter, classes: tuple[str, ...], seed: int, device: str) -> None:
        super().__init__(config, 4 * len(classes), seed, device)
        self.classes = classes

    def fit(self, train: Dataset, validation: Dataset, *, seed: int) -> Fit:
        """A fit of this segmenter to images with masks."""
        return self.fit_maps(segmentation_loss, parts, train, validation, seed=seed)

    def perceive(self, inputs: Sequence[Array]) -> list[Percept]:
        """Mask (H, W) uint8 of class indices of each image (H, W, 3) uint8 of any size."""
        return [Percept("model", mask=self._mask(rgb)) for rgb in inputs]

    @torch.no_grad()
    def _mask(self, rgb: Array) -> Array:
        maps, scaled = self.maps(rgb[None])
        height, width = rgb.shape[:2]
        mask = upscale(pixel_shuffle(maps), scaled, (height, width))[0].argmax(0)
        return mask.to(torch.uint8).cpu().numpy()
