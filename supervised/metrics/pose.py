"""Keypoints: how many lie close to the true ones, and how far off they are.

PCK@0.1, the percentage of correct keypoints (Yang and Ramanan 2013): a keypoint is right when it lies at most
0.1 of the body's size from the true one. The body's size is the larger side of the smallest box around the
true keypoints that are visible in that picture. A share here, from 0 to 1, of all visible
keypoints of all pictures together. A picture with fewer than two visible keypoints, or with all in one
place, shows no size and is left out of PCK, not of the mean error. Keypoints that the truth does
not see are not asked for, and whether the prediction calls them visible plays no part.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from sim.records import Array

Points = Mapping[str, tuple[float, float, float]]
ALPHA = 0.1


class PoseTally:
    """Right, sized and all visible keypoints, and the sum of their errors, for each picture.

    Args:
        predicted: P poses, name → (x, y, visible), pixels.
        truth: the true ones.

    Raises:
        ValueError: naming the picture and the keypoint that was not predicted, or is not finite.
    """

    def __init__(self, predicted: Sequence[Points], truth: Sequence[Points]) -> None:
        pairs = enumerate(zip(predicted, truth, strict=True))
        self.rows = np.array([_counted(index, *pair) for index, pair in pairs])  # (P, 4)

    def __len__(self) -> int:
        """How many pictures."""
        return len(self.rows)

    def score(self, weights: Array) -> dict[str, float]:
        """`pck_0.1` and `pixel_error` (mean, pixels); NaN where nothing is visible."""
        right, sized, error, visible = (weights @ self.rows).tolist()
        return {
            "pck_0.1": right / sized if sized else np.nan,
            "pixel_error": error / visible if visible else np.nan,
        }


def _counted(index: int, predicted: Points, truth: Points) -> tuple[float, float, float, float]:
    """Keypoints that are right, that have a size, the sum of their errors, and how many are visible."""
    names = [name for name, (_, _, visible) in truth.items() if visible > 0.5]
    for name in names:
        if name not in predicted or not np.isfinite(predicted[name][:2]).all():
            raise ValueError(f'the keypoint "{name}" of picture {index} is nowhere in the prediction')
    true = np.array([truth[name][:2] for name in names], np.float64).reshape(-1, 2)
    said = np.array([predicted[name][:2] for name in names], np.float64).reshape(-1, 2)
    distance = np.hypot(*(said - true).T)  # (K,)
    size = float(np.ptp(true, axis=0).max()) if len(names) else 0.0
    right = float(np.sum(distance <= ALPHA * size)) if size else 0.0
    return right, float(len(names)) if size else 0.0, float(distance.sum()), float(len(names))
