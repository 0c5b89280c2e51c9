"""Average precision of boxes, as COCO computes it (Lin et al. 2014; cocodataset.org, "Detection evaluation").

In each image the boxes of one class are taken in order of confidence; each is matched to the unmatched true
box with the highest IoU, if that reaches the threshold. Over all images that gives a precision–recall curve,
of which the best precision at that recall or a higher one is read off at 101 recalls and averaged.

- Classes without a true box are left out of the mean, also where boxes of them were predicted.
- Equal confidences keep the order of images, and within an image the order of boxes.
- COCO's own limit is 100 boxes a class and image. Here it is 300, because Breakout has 108 bricks.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from sim.records import Array, Percept
from sim.viewer.contract.moment import Readout
from supervised.metrics.percept_metrics import Parser, PerceptMetrics, Percepts, Rows, without_nan

#: IoU thresholds of a match: AP is the mean over all of them, AP@.5 that of the first.
THRESHOLDS = np.linspace(0.5, 0.95, 10)
RECALLS = np.linspace(0.0, 1.0, 101)
MAX_DETS = 300
HIT = 0.5  # IoU from which a box counts as found in the window


def overlaps(first: Array, second: Array) -> Array:
    """IoU matrix (N, M) float64 of half-open boxes (N, 4) and (M, 4); 0 for empty boxes.

    >>> overlaps(np.array([[0, 0, 2, 2]]), np.array([[1, 0, 3, 2], [5, 5, 6, 6]])).round(3).tolist()
    [[0.333, 0.0]]
    """
    first, second = first.astype(np.float64)[:, None], second.astype(np.float64)[None]  # (N, 1, 4), (1, M, 4)
    low, high = np.maximum(first[..., :2], second[..., :2]), np.minimum(first[..., 2:], second[..., 2:])
    shared = np.prod(np.maximum(high - low, 0.0), axis=-1)
    areas = (
        np.prod(first[..., 2:] - first[..., :2], axis=-1),
        np.prod(second[..., 2:] - second[..., :2], axis=-1),
    )
    either = areas[0] + areas[1] - shared
    share: Array = np.divide(shared, either, out=np.zeros_like(shared), where=either > 0)
    return share


def match_boxes(overlap: Array) -> Array:
    """Greedy matching: which predicted boxes are true positives at each of `THRESHOLDS`.

    Args:
        overlap: IoU (D, G) of D predicted boxes, the most confident first, with G true ones.

    Returns:
        (10, D) bool.
    """
    least = np.minimum(THRESHOLDS, 1 - 1e-10)  # an overlap of 1 may be a rounding error short of it
    hits = np.zeros((len(THRESHOLDS), len(overlap)), bool)
    if not overlap.size:
        return hits
    free = np.ones((len(THRESHOLDS), overlap.shape[1]), bool)
    rows = np.arange(len(THRESHOLDS))
    for box in np.flatnonzero(overlap.max(axis=1) >= least[0]):
        open_to = np.where(free & (overlap[box] >= least[:, None]), overlap[box], -1.0)  # (10, G)
        best = overlap.shape[1] - 1 - open_to[:, ::-1].argmax(axis=1)  # of equal ones the last, as COCO does
        hits[:, box] = open_to[rows, best] >= 0
        free[rows, best] &= ~hits[:, box]
    return hits


@dataclass(frozen=True)
class ClassTally:
    """Matched boxes of one class in P images.

    Attributes:
        picture: (D,) the image index of each predicted box, the most confident box first.
        hits: (10, D) bool, true positives by threshold; see `match_boxes`.
        true: (P,) the number of true boxes in each image.
    """

    picture: Array
    hits: Array
    true: Array

    def average_precision(self, weights: Array) -> Array:
        """AP (10,) at each threshold with images counted `weights` (P,) times; NaN without a true box."""
        true = float(self.true @ weights)
        if not true:
            return np.full(len(THRESHOLDS), np.nan)
        weight = weights[self.picture]
        so_far = np.cumsum(weight)
        return np.array(
            [_interpolated(weight[at], so_far[at], true) for at in map(np.flatnonzero, self.hits)]
        )


def _interpolated(weight: Array, so_far: Array, true: float) -> float:
    """Interpolated AP: the mean over `RECALLS` of the best precision at that recall or a higher one, else 0.

    Precision falls with every false positive, so its maxima are at true positives, and only these are used.

    Args:
        weight: (R,) how often each true positive counts, the most confident first.
        so_far: (R,) boxes up to and with each of them, right or wrong.
        true: how many true boxes there are.
    """
    right = np.cumsum(weight)
    precision = right / np.maximum(so_far, np.finfo(float).tiny)
    best = np.append(np.maximum.accumulate(precision[::-1])[::-1], 0.0)
    return float(best[np.searchsorted(right / true, RECALLS)].mean())


class BoxTally:
    """Tally of boxes of all images, matched once with the true ones.

    Args:
        predicted: P percepts with boxes and labels; a box without a score has confidence 1.
        truth: the P true ones, in the same order.
        max_dets: of one class in one image, only so many of the most confident boxes count.

    Raises:
        ValueError: naming the image whose boxes, labels and scores do not fit together or are not finite.
    """

    def __init__(
        self, predicted: Sequence[Percept], truth: Sequence[Percept], max_dets: int = MAX_DETS
    ) -> None:
        said = [_columns(percept, index) for index, percept in enumerate(predicted)]
        real = [_columns(percept, index) for index, percept in enumerate(truth)]
        names = sorted({name for percept in truth for name in percept.labels})
        self._pictures = len(truth)
        self.classes = {name: _tallied(name, said, real, max_dets) for name in names}

    def by_class(self, weights: Array) -> dict[str, dict[str, float]]:
        """Class → `ap` and `ap50`, NaN where the weighted images have no true box of it."""
        precision = {name: tally.average_precision(weights) for name, tally in self.classes.items()}
        return {name: {"ap": float(ap.mean()), "ap50": float(ap[0])} for name, ap in precision.items()}

    def __len__(self) -> int:
        """How many pictures."""
        return self._pictures

    def score(self, weights: Array) -> dict[str, float]:
        """`ap` and `ap50`, the means over classes that the weighted images show; NaN if they show none."""
        rows = [row for row in self.by_class(weights).values() if not np.isnan(row["ap"])]
        return {name: float(np.mean([row[name] for row in rows] or [np.nan])) for name in ("ap", "ap50")}


_Columns = tuple[Array, Array, Array]  # boxes (K, 4), labels (K,), scores (K,)


def _columns(percept: Percept, index: int) -> _Columns:
    """The boxes of one picture, checked."""
    boxes = np.asarray(() if percept.boxes is None else percept.boxes, np.float64).reshape(-1, 4)
    scores = np.ones(len(boxes)) if percept.scores is None else np.asarray(percept.scores, np.float64)
    if not len(boxes) == len(percept.labels) == len(scores):
        raise ValueError(
            f"picture {index} has {len(boxes)} boxes, {len(percept.labels)} labels and {len(scores)} scores"
        )
    if not (np.isfinite(boxes).all() and np.isfinite(scores).all()):
        raise ValueError(f"picture {index} has a box or a score that is not finite")
    return boxes, np.array(percept.labels, dtype=object), scores


def _tallied(name: str, said: list[_Columns], real: list[_Columns], max_dets: int) -> ClassTally:
    """The tally of the class `name`."""
    matched = list(_matched(name, said, real, max_dets))
    scores = np.concatenate([scores for scores, _, _ in matched])
    picture = np.repeat(np.arange(len(matched)), [len(scores) for scores, _, _ in matched])
    order = np.argsort(-scores, kind="stable")
    hits = np.concatenate([hits for _, hits, _ in matched], axis=1)
    return ClassTally(picture[order], hits[:, order], np.array([true for _, _, true in matched]))


def _matched(
    name: str, said: list[_Columns], real: list[_Columns], max_dets: int
) -> Iterator[tuple[Array, Array, int]]:
    """For each image: scores (D,) of one class's boxes, which are true positives, number of true boxes."""
    for (boxes, labels, scores), (true_boxes, true_labels, _) in zip(said, real, strict=True):
        mine, true = np.flatnonzero(labels == name), true_boxes[true_labels == name]
        mine = mine[np.argsort(-scores[mine], kind="stable")[:max_dets]]
        yield scores[mine], match_boxes(overlaps(boxes[mine], true)), len(true)


def median_boxes(truths: Percepts, parse: Parser | None = None) -> Percept:
    """Constant baseline: the median box of each class, scored by the share of images that hold the class."""
    boxes: dict[str, list[Array]] = {}
    for truth in truths:
        assert truth.boxes is not None
        for name, box in zip(truth.labels, truth.boxes, strict=True):
            boxes.setdefault(name, []).append(box)
    holding = Counter(name for truth in truths for name in set(truth.labels))
    names = sorted(boxes)
    return Percept(
        origin="model",
        boxes=np.array([np.median(boxes[name], 0) for name in names], np.float32).reshape(-1, 4),
        labels=tuple(names),
        scores=np.array([holding[name] / len(truths) for name in names]),
    )


def live_boxes(percept: Percept, truth: Percept, parse: Parser | None = None) -> tuple[Readout, ...]:
    """Distance from the smallest true box to the nearest of its class, then the share of boxes found.

    A true box is found if one of its class reaches an IoU of `HIT` with it.

    >>> box = np.array([[10.0, 10.0, 12.0, 14.0]], np.float32)
    >>> real = Percept("truth", boxes=box, labels=("ball",))
    >>> live_boxes(Percept("model", boxes=box + np.float32(3), labels=("ball",)), real)[0]
    Readout(label='ball', value=4.2, unit='px off')
    """
    if truth.boxes is None or percept.boxes is None or not len(truth.boxes):
        return ()
    sizes = (truth.boxes[:, 2:] - truth.boxes[:, :2]).prod(1)
    smallest = int(sizes.argmin())
    name = truth.labels[smallest]
    same = [i for i, label in enumerate(percept.labels) if label == name]
    off = centres(percept.boxes[same]) - centres(truth.boxes[smallest : smallest + 1])
    distance = np.linalg.norm(off, axis=1)
    first = Readout(name, round(float(distance.min()), 1), "px off") if same else Readout(name, "missed")
    agree = np.array([[said == real for real in truth.labels] for said in percept.labels], bool)
    hits = 0
    if len(percept.boxes):
        hits = int(((overlaps(percept.boxes, truth.boxes) >= HIT) & agree).any(0).sum())
    return first, Readout("", f"{hits}/{len(truth.boxes)}", f"at IoU ≥ {HIT:g}".replace("0.", "."))


def centres(boxes: Array) -> Array:
    """(K, 2) the middles of boxes (K, 4)."""
    return np.asarray((boxes[:, :2] + boxes[:, 2:]) / 2)


def _accumulate(predicted: Percepts, truth: Percepts, parse: Parser | None) -> BoxTally:
    return BoxTally(predicted, truth)


def _by_class(
    counted: BoxTally, predicted: Percepts, truth: Percepts, names: Sequence[str], parse: Parser | None
) -> Rows:
    """AP of each class."""
    rows = counted.by_class(np.ones(len(truth)))
    return without_nan({name: rows[name] for name in names if name in rows})


BOXES = PerceptMetrics(_accumulate, median_boxes, _by_class, live_boxes)
