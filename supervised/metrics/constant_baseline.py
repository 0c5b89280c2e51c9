"""Constant baselines: the single percept, the same for every image, that fits the training set best.

| kind | the percept |
|---|---|
| boxes | one box of each class, the median of all; its score: the share of images that hold the class |
| mask | at each pixel the commonest class |
| depth | at each pixel the median of the depths there; where there never is one, the median of all |
| keypoints | each point's median place where it is visible |
| label | the commonest label; its score is its share |
| fen | the commonest board |
| caption | a caption with the commonest set of facts |

A model that is not clearly better than this has learned nothing from the images.
"""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Callable, Sequence

import numpy as np

from sim.records import Array, Percept
from supervised.metrics.answers import Parser
from supervised.metrics.grading import Kind


def constant_baseline(kind: Kind, truths: Sequence[Percept], parse: Parser | None = None) -> Percept:
    """The constant baseline for one kind of percept; see the module's table.

    Args:
        kind: of the percepts.
        truths: of the training images, at least one, all of one size.
        parse: turns captions into facts, for the kind ``"caption"``.

    Raises:
        ValueError: for captions without a parser.

    >>> usual("label", [Percept("truth", label=name) for name in ("pong", "skiing", "pong")]).label
    'pong'
    """
    if kind == "caption":
        return _caption(truths, parse)
    return _USUAL[kind](truths)


def _boxes(truths: Sequence[Percept]) -> Percept:
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


def _mask(truths: Sequence[Percept]) -> Percept:
    masks = np.stack([truth.mask for truth in truths if truth.mask is not None])
    counts = np.stack([(masks == part).sum(0) for part in range(int(masks.max()) + 1)])
    return Percept("model", mask=counts.argmax(0).astype(masks.dtype))


def _depth(truths: Sequence[Percept]) -> Percept:
    depths = np.stack([truth.depth for truth in truths if truth.depth is not None])
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "All-NaN slice")  # where there is sky in every picture
        median = np.nanmedian(depths, 0)
    return Percept("model", depth=np.where(np.isnan(median), np.nanmedian(depths), median))


def _keypoints(truths: Sequence[Percept]) -> Percept:
    points = {}
    for name in truths[0].keypoints:
        seen = np.array([truth.keypoints[name] for truth in truths])  # (N, 3)
        visible = seen[:, 2] > 0.5
        x, y = np.median(seen[visible if visible.any() else slice(None), :2], 0)
        points[name] = float(x), float(y), float(visible.mean())
    return Percept("model", keypoints=points)


def _label(truths: Sequence[Percept]) -> Percept:
    label, times = Counter(truth.label for truth in truths).most_common(1)[0]
    return Percept("model", label=label, scores=np.array([times / len(truths)]))


def _fen(truths: Sequence[Percept]) -> Percept:
    return Percept("model", fen=Counter(truth.fen for truth in truths).most_common(1)[0][0])


def _caption(truths: Sequence[Percept], parse: Parser | None) -> Percept:
    if parse is None:
        raise ValueError("captions are compared by what they say: give a parser")
    said = {frozenset(parse(truth.caption or "").items()): truth.caption for truth in truths}
    states = Counter(frozenset(parse(truth.caption or "").items()) for truth in truths)
    return Percept("model", caption=said[states.most_common(1)[0][0]])


_USUAL: dict[Kind, Callable[[Sequence[Percept]], Percept]] = {
    "boxes": _boxes,
    "mask": _mask,
    "depth": _depth,
    "keypoints": _keypoints,
    "label": _label,
    "fen": _fen,
}
