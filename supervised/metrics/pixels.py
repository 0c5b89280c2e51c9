"""Dense metrics: mean IoU of masks; AbsRel, RMSE and δ1 of depth maps.

Masks: intersection over union of each class from one confusion matrix over all pictures, then the mean over
classes (Everingham et al. 2010, Pascal VOC). The background is a class like any other and counted;
a class is left out only where neither truth nor prediction has it.

Depth: AbsRel, RMSE and δ1 of each picture, then the mean over pictures (Eigen et al. 2014, as evaluated by
Depth Anything), in metres as they are: no scale or shift is fitted. Pixels where the truth has no depth, the
sky, are left out; a pixel whose depth was not predicted (NaN) although it has one counts as 0 m.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence

import numpy as np

from sim.records import Array, Percept
from supervised.metrics.percept_metrics import Parser, PerceptMetrics, Percepts, Rows, without_nan

#: Metres; the last band reaches the horizon.
BANDS = ((0.0, 3.0), (3.0, 10.0), (10.0, np.inf))


def confusion(predicted: Array, truth: Array, classes: int) -> Array:
    """Confusion matrix (C, C) int64 of pixels: true classes are rows, predicted ones columns.

    >>> confusion(np.array([[0, 1]]), np.array([[0, 0]]), 2).tolist()
    [[1, 1], [0, 0]]
    """
    pairs = truth.astype(np.int64).ravel() * classes + predicted.astype(np.int64).ravel()
    return np.bincount(pairs, minlength=classes * classes).reshape(classes, classes)


def intersection_over_union(counts: Array) -> Array:
    """IoU (C,) of each class of a confusion matrix (C, C); NaN for classes that are in neither.

    >>> intersection_over_union(np.array([[1, 1, 0], [0, 2, 0], [0, 0, 0]])).round(3).tolist()
    [0.5, 0.667, nan]
    """
    both = np.diagonal(counts)
    either = counts.sum(axis=0) + counts.sum(axis=1) - both
    shares: Array = np.divide(both, either, out=np.full(len(counts), np.nan), where=either > 0)
    return shares


class MaskTally:
    """Tally of masks: a confusion matrix for each image.

    Args:
        predicted: P arrays (H, W) of class indices.
        truth: the same of the true ones.

    Raises:
        ValueError: naming the image whose masks differ in shape or are no class indices.
    """

    def __init__(self, predicted: Sequence[Array], truth: Sequence[Array]) -> None:
        for index, (said, true) in enumerate(zip(predicted, truth, strict=True)):
            _same_shape("masks", index, said, true)
            for mask in (said, true):
                if not np.issubdtype(mask.dtype, np.integer) or mask.min(initial=0) < 0:
                    raise ValueError(f"the mask of picture {index} must hold class indices from 0")
        classes = 1 + max(int(mask.max(initial=0)) for mask in (*predicted, *truth))
        pairs = zip(predicted, truth, strict=True)
        self.counts = np.stack([confusion(said, true, classes) for said, true in pairs])  # (P, C, C)

    def by_class(self, weights: Array) -> Array:
        """(C,) IoU of each class index, NaN for classes that are in neither."""
        return intersection_over_union(np.tensordot(weights, self.counts, axes=1))

    def __len__(self) -> int:
        """How many pictures."""
        return len(self.counts)

    def score(self, weights: Array) -> dict[str, float]:
        """`miou`."""
        shares = self.by_class(weights)
        return {"miou": float(np.mean(shares[~np.isnan(shares)]))}


class DepthTally:
    """Tally of depth maps: AbsRel, RMSE and δ1 of each image that has a depth anywhere.

    Args:
        predicted: P arrays (H, W) in metres.
        truth: the same of the true ones, NaN or infinite where there is none.

    Raises:
        ValueError: naming the image whose depths differ in shape, or whose prediction is infinite or
            whose truth not positive where there is a depth.
    """

    def __init__(self, predicted: Sequence[Array], truth: Sequence[Array]) -> None:
        rows = []
        for index, (said, true) in enumerate(zip(predicted, truth, strict=True)):
            _same_shape("depths", index, said, true)
            solid = np.isfinite(true)
            said, true = (
                np.nan_to_num(said[solid].astype(np.float64), posinf=np.inf, neginf=-np.inf),
                true[solid],
            )
            if not np.isfinite(said).all() or (true <= 0).any():
                raise ValueError(f"a depth in picture {index} is no length in metres")
            rows.append(depth_figures(said, true.astype(np.float64)) if len(true) else np.full(3, np.nan))
        self.rows = np.stack(rows)  # (P, 3)

    def __len__(self) -> int:
        """How many pictures."""
        return len(self.rows)

    def score(self, weights: Array) -> dict[str, float]:
        """`abs_rel`, `rmse` (m) and `delta1`; NaN where all is sky."""
        solid = ~np.isnan(self.rows[:, 0])
        shares = weights[solid] @ self.rows[solid]
        total = weights[solid].sum()
        means = shares / total if total else np.full(3, np.nan)
        return dict(zip(("abs_rel", "rmse", "delta1"), means.tolist(), strict=True))


def depth_figures(predicted: Array, truth: Array) -> Array:
    """AbsRel, RMSE (m) and δ1, the share of δ < 1.25, of depths (N,) in metres; predictions ≤ 0 fail δ1.

    >>> depth_figures(np.array([1.0, 3.0]), np.array([1.0, 2.0])).round(3).tolist()
    [0.25, 0.707, 0.5]
    """
    error = predicted - truth
    near = (predicted < 1.25 * truth) & (truth < 1.25 * predicted)
    return np.array([np.mean(np.abs(error) / truth), np.sqrt(np.mean(error**2)), near.mean()])


def _same_shape(what: str, index: int, predicted: Array, truth: Array) -> None:
    if predicted.shape != truth.shape:
        raise ValueError(f"the {what} of picture {index} are {predicted.shape} and {truth.shape}")


def commonest_mask(truths: Percepts, parse: Parser | None = None) -> Percept:
    """Constant baseline: at each pixel the commonest class."""
    masks = np.stack(masks_of(truths))
    counts = np.stack([(masks == part).sum(0) for part in range(int(masks.max()) + 1)])
    return Percept("model", mask=counts.argmax(0).astype(masks.dtype))


def median_depth(truths: Percepts, parse: Parser | None = None) -> Percept:
    """Constant baseline: each pixel's median depth; where there never is one, that of all pixels."""
    depths = np.stack(depths_of(truths))
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "All-NaN slice")  # where there is sky in every picture
        median = np.nanmedian(depths, 0)
    return Percept("model", depth=np.where(np.isnan(median), np.nanmedian(depths), median))


def masks_of(percepts: Percepts) -> list[Array]:
    """The masks (H, W) of percepts that have one."""
    return [percept.mask for percept in percepts if percept.mask is not None]


def depths_of(percepts: Percepts) -> list[Array]:
    """The depth maps (H, W) of percepts that have one."""
    return [percept.depth for percept in percepts if percept.depth is not None]


def _accumulate_masks(predicted: Percepts, truth: Percepts, parse: Parser | None) -> MaskTally:
    return MaskTally(masks_of(predicted), masks_of(truth))


def _accumulate_depths(predicted: Percepts, truth: Percepts, parse: Parser | None) -> DepthTally:
    return DepthTally(depths_of(predicted), depths_of(truth))


def _by_part(
    counted: MaskTally, predicted: Percepts, truth: Percepts, names: Sequence[str], parse: Parser | None
) -> Rows:
    """IoU of each part."""
    shares = counted.by_class(np.ones(len(truth))).tolist()
    pairs = zip(names, shares, strict=False)  # later parts may be nowhere
    return without_nan({name: {"miou": share} for name, share in pairs})


def _by_distance(
    counted: DepthTally, predicted: Percepts, truth: Percepts, names: Sequence[str], parse: Parser | None
) -> Rows:
    """Depth errors in bands of the true depth."""
    rows = {}
    for low, high in BANDS:
        name = f"{low:.0f} to {high:.0f} m" if np.isfinite(high) else f"beyond {low:.0f} m"
        inside = [_between(depth, low, high) for depth in depths_of(truth)]
        rows[name] = DepthTally(depths_of(predicted), inside).score(np.ones(len(truth)))
    return without_nan(rows)


def _between(depth: Array, low: float, high: float) -> Array:
    with np.errstate(invalid="ignore"):
        return np.where((depth >= low) & (depth < high), depth, np.nan)


MASK = PerceptMetrics(_accumulate_masks, commonest_mask, _by_part, shown={"miou": ("mIoU", "")})
DEPTH = PerceptMetrics(
    _accumulate_depths,
    median_depth,
    _by_distance,
    shown={"abs_rel": ("AbsRel", ""), "rmse": ("RMSE", "m")},
)
