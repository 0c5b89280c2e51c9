"""Data set of handwritten digits: 1,797 images of 8 × 8 pixels in 17 levels (Alpaydin & Kaynak 1998).

They come with scikit-learn, and stay at 8 × 8, grey in all three colours, so that no pixel is interpolated.
Thirteen people wrote them, one after another; who wrote which is not recorded, so episodes are 13 blocks of
consecutive digits (a writer's last digits may lie in the next one's block).
"""

from __future__ import annotations

import numpy as np
from sklearn.datasets import load_digits

from generative.data.data_request import DataRequest
from supervised.data.columns import LabelColumn
from supervised.data.dataset import Dataset

WRITERS = 13
NAMES = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")


def collect(request: DataRequest) -> Dataset:
    """Make the data set: images (N, 8, 8, 3) uint8; labels "0" to "9"; captions "zero" to "nine"."""
    request.no_variant("digits")
    found = load_digits()
    n = len(found.target)
    grey = np.round(found.images * (255 / 16)).astype(np.uint8)
    rows = np.sort(np.random.default_rng(request.seed).permutation(n)[: request.count])
    whole = Dataset(
        values=np.repeat(grey[..., None], 3, -1),
        labels=LabelColumn(found.target.astype(np.int64), tuple("0123456789")),
        episodes=np.arange(n) * WRITERS // n,
        captions=tuple(NAMES[digit] for digit in found.target),
    )
    return whole.take(rows)
