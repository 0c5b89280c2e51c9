"""Keypoint metrics: PCK@0.1 and the mean pixel error.

PCK@0.1, the percentage of correct keypoints (Yang and Ramanan 2013): a keypoint is right when it lies at most
0.1 of the body's size from the true one. The body's size is the larger side of the smallest box around the
true keypoints that are visible in that image. PCK is here a share, from 0 to 1, of all visible keypoints of
all images together. An image with fewer than two visible keypoints, or with all in one place, gives no size
and is left out of PCK, not of the mean error. Keypoints that are truly not visible are left out, and
predicted visibility is not scored.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from sim.records import Array, Percept
from supervised.metrics.percept_metrics import Parser, PerceptMetrics, Percepts, Rows, without_nan

Points = Mapping[str, tuple[float, float, float]]
ALPHA = 0.1


class PoseTally:
    """Tally of poses: counts of right and of visible keypoints and their errors, for each image and joint.

    Args:
        predicted: P poses, name → (x, y, visible), pixels.
        truth: the true ones.

    Raises:
        ValueError: naming the image and the keypoint that was not predicted, or is not finite.
    """

    def __init__(self, predicted: Sequence[Points], truth: Sequence[Points]) -> None:
        self.names = tuple(dict.fromkeys(name for points in truth for name in points))
        self.rows = np.zeros((len(truth), len(self.names), 4))  # (P, K, 4)
        column = {name: k for k, name in enumerate(self.names)}
        for index, (said, true) in enumerate(zip(predicted, truth, strict=True)):
            names = [name for name, (_, _, visible) in true.items() if visible > 0.5]
            self.rows[index, [column[name] for name in names]] = _counted(index, names, said, true)

    def __len__(self) -> int:
        """How many pictures."""
        return len(self.rows)

    def score(self, weights: Array) -> dict[str, float]:
        """`pck_0.1` and `pixel_error` (mean, pixels); NaN where nothing is visible."""
        return _figures(weights @ self.rows.sum(1))

    def by_class(self, weights: Array) -> dict[str, dict[str, float]]:
        """Keypoint → the metrics of `score`."""
        sums = np.tensordot(weights, self.rows, axes=1)  # (K, 4)
        return {name: _figures(row) for name, row in zip(self.names, sums, strict=True)}


def _figures(sums: Array) -> dict[str, float]:
    right, sized, error, visible = sums.tolist()
    return {
        "pck_0.1": right / sized if sized else np.nan,
        "pixel_error": error / visible if visible else np.nan,
    }


def _counted(index: int, names: Sequence[str], predicted: Points, truth: Points) -> Array:
    """(K, 4) of each visible keypoint: right, has a size, its error in pixels, and a 1."""
    for name in names:
        if name not in predicted or not np.isfinite(predicted[name][:2]).all():
            raise ValueError(f'the keypoint "{name}" of picture {index} is nowhere in the prediction')
    true = np.array([truth[name][:2] for name in names], np.float64).reshape(-1, 2)
    said = np.array([predicted[name][:2] for name in names], np.float64).reshape(-1, 2)
    distance = np.hypot(*(said - true).T)  # (K,)
    size = float(np.ptp(true, axis=0).max()) if len(names) else 0.0
    sized = np.full(len(names), float(size > 0))
    return np.stack([(distance <= ALPHA * size) * sized, sized, distance, np.ones(len(names))], axis=1)


def median_keypoints(truths: Percepts, parse: Parser | None = None) -> Percept:
    """Constant baseline: each keypoint's median place where it is visible."""
    points = {}
    for name in truths[0].keypoints:
        seen = np.array([truth.keypoints[name] for truth in truths])  # (N, 3)
        visible = seen[:, 2] > 0.5
        x, y = np.median(seen[visible if visible.any() else slice(None), :2], 0)
        points[name] = float(x), float(y), float(visible.mean())
    return Percept("model", keypoints=points)


def _accumulate(predicted: Percepts, truth: Percepts, parse: Parser | None) -> PoseTally:
    return PoseTally([percept.keypoints for percept in predicted], [percept.keypoints for percept in truth])


def _by_joint(
    counted: PoseTally, predicted: Percepts, truth: Percepts, names: Sequence[str], parse: Parser | None
) -> Rows:
    """PCK and pixel error of each joint."""
    rows = counted.by_class(np.ones(len(truth)))
    return without_nan({name: rows[name] for name in names if name in rows})


KEYPOINTS = PerceptMetrics(
    _accumulate,
    median_keypoints,
    _by_joint,
    shown={"pixel_error": ("joints", "px off"), "pck_0.1": ("PCK@0.1", "")},
)
