"""Minimal perceptions, one for each kind of percept: they predict a constant percept.

They fit one weight to the pictures' mean brightness, so that training and checkpoints have something to do.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from sim.records import Percept
from supervised.fit import Fit, FitOptions
from supervised.tensors import from_arrays, to_arrays

EMPTY = "8/8/8/8/8/8/8/8"


class Brightness(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.level = torch.nn.Parameter(torch.zeros(1, 1))

    def forward(self, mean):
        return self.level[0].expand_as(mean)


class Means:
    def __init__(self, views):
        self._mean = views.values.mean(axis=(1, 2, 3)).astype(np.float32) / 255

    def __len__(self):
        return len(self._mean)

    def batch(self, rows, generator):
        return {"mean": self._mean[rows]}


def loss(network, batch):
    return (network(batch["mean"]) - batch["mean"]).square().mean(), {}


class BlindModel:
    reads = "rgb"

    def __init__(self, tells, classes):
        self.tells, self.classes, self.network = tells, classes, Brightness()

    def fit(self, train, validation, *, seed):
        options = FitOptions(learning_rate=0.1, batch_size=4, validate_every=2)
        return Fit(self.network, loss, Means(train), Means(validation), options, seed=seed)

    def weights(self):
        return to_arrays(self.network.state_dict())

    def load_weights(self, weights):
        from_arrays(self.network, weights)

    def perceive(self, inputs):
        return [Percept("model", **self._told(*rgb.shape[:2])) for rgb in inputs]

    def _told(self, height, width):
        if self.tells == "mask":
            return {"mask": np.zeros((height, width), np.uint8)}
        if self.tells == "depth":
            return {"depth": np.full((height, width), 3.0, np.float32)}
        if self.tells == "keypoints":
            return {"keypoints": {name: (width / 2, height / 2, 1.0) for name in self.classes}}
        if self.tells == "label":
            return {"label": self.classes[0], "scores": np.array([0.5])}
        return {"fen": EMPTY} if self.tells == "fen" else {"caption": " ".join(self.classes)}


class TextBlindModel(BlindModel):
    reads = "text"


@dataclass(frozen=True)
class Blind:
    tells = ""
    views: int = 2
    worlds: tuple[str, ...] = ()

    def build(self, classes, *, seed, device="cpu"):
        return BlindModel(self.tells, tuple(classes))


class BlindMask(Blind):
    tells = "mask"


class BlindDepth(Blind):
    tells = "depth"


class BlindKeypoints(Blind):
    tells = "keypoints"


class BlindLabel(Blind):
    tells = "label"


class BlindFen(Blind):
    tells = "fen"


class BlindCaption(Blind):
    tells = "caption"


class BlindReader(BlindFen):
    """It reads text."""

    def build(self, classes, *, seed, device="cpu"):
        return TextBlindModel(self.tells, tuple(classes))
