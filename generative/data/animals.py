"""Data set of animal silhouettes: 10,000 images of 28 × 28 pixels, 1,000 of each of ten animals.

They ship with the project (`supervised.data.sources.small_images`, from PyPI ``animal-mnist``, MIT), white on
black, grey in all three colours. Images that are equal after halving are one episode, so that no copy of a
held-out image is learned from.
"""

from __future__ import annotations

import numpy as np

from generative.data.data_request import DataRequest
from supervised.data.columns import LabelColumn
from supervised.data.dataset import Dataset
from supervised.data.sources.small_images import ANIMALS, animals, duplicate_units


def collect(request: DataRequest) -> Dataset:
    """Make the data set: images (N, 28, 28, 3) uint8; labels and captions are the animals' names."""
    request.no_variant("animals")
    images, labels = animals()
    rows = np.sort(np.random.default_rng(request.seed).permutation(len(images))[: request.count])
    return Dataset(
        values=np.repeat(images[rows, :, :, None], 3, -1),
        labels=LabelColumn(labels[rows], ANIMALS),
        episodes=duplicate_units(images)[rows],
        captions=tuple(ANIMALS[label] for label in labels[rows]),
    )
