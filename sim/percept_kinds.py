"""Kinds of percept: fields, rules, words, JSON and files of each kind, in one table.

Whatever depends on a percept's kind looks it up by name, here or in a table with the same keys:

| table | what it holds |
|---|---|
| `PERCEPT_KINDS` | what it is: fields, conformance rules, words, JSON, file, large arrays |
| `sim.viewer.overlays.percept_overlay.OVERLAYS` | how it is drawn over a picture |
| `supervised.metrics.kinds.METRICS` | metrics, constant baseline, breakdown by class, live metrics |
| `supervised.observation.percept_noise.NOISE` | how noise moves it |
| `supervised.observation.percept_observation.SLOTS` | how it becomes an agent's observation |

To add a kind: a module with its `sim.percept_kind.PerceptKind` and a line in `PERCEPT_KINDS`, one with its
`supervised.metrics.percept_metrics.PerceptMetrics` and a line in `METRICS`, and lines in the other tables
where they apply. A value that `sim.records.Percept` has no field for goes into its `extras`, under the kind's
name. `tests/scenes/test_new_percept_kind.py` adds one.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from sim.percept_kind import Kind, Names, PerceptFile, PerceptKind, Placement, Rules, field_of, with_fields
from sim.plurals import number_of
from sim.records import Array, Percept

VISIBLE = 0.5  # from this confidence on a keypoint counts as in sight


def kinds_in(percept: Percept) -> list[Kind]:
    """The kinds of a percept, in the table's order."""
    return [name for name, kind in PERCEPT_KINDS.items() if kind.applies_to(percept)]


def most_specific_kinds(percept: Percept) -> list[Kind]:
    """The kinds of a percept that none of its other kinds includes."""
    told = kinds_in(percept)
    covered = {name for kind in told for name in PERCEPT_KINDS[kind].covers}
    return [kind for kind in told if kind not in covered]


def only(percept: Percept, kind: Kind) -> Percept:
    """Restrict a percept to the fields of one kind, and its facts.

    >>> only(Percept("truth", label="pong", fen="8/8/8/8/8/8/8/8"), "label").fen is None
    True
    """
    kept = {name: field_of(percept, name) for name in PERCEPT_KINDS[kind].fields}
    told = {name: value for name, value in kept.items() if value is not None}
    return with_fields(Percept(percept.origin, facts=percept.facts), told)


def in_words(percept: Percept, classes: Names = (), *, in_full: bool = False) -> str:
    """Summarise a percept in a few words, or `in_full` with whole texts.

    >>> in_words(Percept("model", fen="8/8/8/8/8/8/8/K1k5"))
    '2 pieces'
    >>> in_words(Percept("model", fen="8/8/8/8/8/8/8/K1k5"), in_full=True)
    '8/8/8/8/8/8/8/K1k5'
    """
    kinds = [PERCEPT_KINDS[kind] for kind in most_specific_kinds(percept)]
    parts = [kind.in_full(percept, classes) if in_full else kind.words(percept, classes) for kind in kinds]
    return " · ".join(part for part in parts if part)


def transform_percept(percept: Percept, placement: Placement) -> Percept:
    """A percept in another picture's pixels; masks and depths cover all of a picture at any size."""
    for kind in PERCEPT_KINDS.values():
        if kind.placed is not None and kind.applies_to(percept):
            percept = kind.placed(percept, placement)
    return percept


def class_name(number: int, classes: Names) -> str:
    """The name of a mask's class by number."""
    return classes[number] if number < len(classes) else f"class {number}"


def classes_in(mask: Array) -> list[int]:
    """Numbers of the classes that occur in a mask (H, W), without 0, the background."""
    return [int(number) for number in np.flatnonzero(np.bincount(mask.ravel())) if number]


def _box_words(percept: Percept, classes: Names) -> str:
    """Counts of the boxes' classes, in the order of `classes`."""
    counts = Counter(percept.labels)
    names = [name for name in classes if name in counts] + [name for name in counts if name not in classes]
    return ", ".join(f"{counts[name]} × {name}" if counts[name] > 1 else name for name in names)


def _box_rules(percept: Percept, shape: tuple[int, int], names: Names) -> Rules:
    boxes, scores = percept.boxes, percept.scores
    assert boxes is not None
    corner = np.array([shape[1], shape[0], shape[1], shape[0]])
    yield boxes.shape == (len(percept.labels), 4), "one class a box"
    yield boxes.dtype == np.float32, "boxes are float32"
    yield bool((boxes[:, :2] <= boxes[:, 2:]).all()), "boxes go from upper left to lower right"
    yield bool(((boxes >= 0) & (boxes <= corner)).all()), "boxes stay inside the picture"
    yield scores is not None and scores.shape == (len(boxes),), "one score a box"
    yield scores is None or bool(((scores >= 0) & (scores <= 1)).all()), "scores are in [0, 1]"


def _box_entries(percept: Percept) -> dict[str, Any]:
    assert percept.boxes is not None
    scores = [None] * len(percept.boxes) if percept.scores is None else percept.scores.tolist()
    rows = zip(percept.labels, scores, percept.boxes, strict=True)
    return {
        "boxes": [
            {"label": label, "score": score, "xyxy": [round(float(v), 2) for v in box]}
            for label, score, box in rows
        ]
    }


def _box_placed(percept: Percept, to: Placement) -> Percept:
    assert percept.boxes is not None
    corner = np.array([to.left, to.top, to.left, to.top], percept.boxes.dtype)
    return replace(percept, boxes=percept.boxes * to.scale + corner)


def _mask_words(percept: Percept, classes: Names) -> str:
    assert percept.mask is not None
    return ", ".join(class_name(number, classes) for number in classes_in(percept.mask))


def _mask_rules(percept: Percept, shape: tuple[int, int], names: Names) -> Rules:
    mask = percept.mask
    assert mask is not None
    yield mask.shape == shape, "a mask covers the picture"
    known = np.issubdtype(mask.dtype, np.integer) and mask.min() >= 0 and mask.max() < len(names)
    yield bool(known), "a mask holds the numbers of its classes"


def _write_mask(file: Path, percept: Percept) -> None:
    """Write the class numbers as a grey PNG."""
    from PIL import Image

    assert percept.mask is not None
    Image.fromarray(percept.mask.astype(np.uint8)).save(file, "PNG")


def _depth_words(percept: Percept, classes: Names) -> str:
    depth = percept.depth
    if depth is None or not np.isfinite(depth).any():
        return ""
    near, far = np.nanmin(depth), np.nanmax(depth)
    return f"{near:.1f} to {far:.{0 if far >= 10 else 1}f} m"


def _depth_rules(percept: Percept, shape: tuple[int, int], names: Names) -> Rules:
    depth = percept.depth
    assert depth is not None
    yield depth.shape == shape, "a depth covers the picture"
    yield not (depth <= 0).any() and not np.isinf(depth).any(), "depths are metres or NaN"


def _write_depth(file: Path, percept: Percept) -> None:
    """Write the metres as NPY."""
    assert percept.depth is not None
    np.save(file, percept.depth)


def _keypoint_words(percept: Percept, classes: Names) -> str:
    visible = sum(point[2] >= VISIBLE for point in percept.keypoints.values())
    return f"{visible} of {len(percept.keypoints)} points"


def _keypoint_rules(percept: Percept, shape: tuple[int, int], names: Names) -> Rules:
    yield list(percept.keypoints) == list(names), "every keypoint is told, in order"
    yield bool(np.isfinite(list(percept.keypoints.values())).all()), "keypoints are finite"


def _keypoint_entries(percept: Percept) -> dict[str, Any]:
    return {"keypoints": {name: list(point) for name, point in percept.keypoints.items()}}


def _keypoint_placed(percept: Percept, to: Placement) -> Percept:
    points = {
        name: (to.left + to.scale * x, to.top + to.scale * y, visible)
        for name, (x, y, visible) in percept.keypoints.items()
    }
    return replace(percept, keypoints=points)


def _label_words(percept: Percept, classes: Names) -> str:
    return (percept.label or "").replace("_", " ")


def _label_rules(percept: Percept, shape: tuple[int, int], names: Names) -> Rules:
    scores = percept.scores
    yield percept.label in names, "a label is one of its classes"
    sure = scores is not None and scores.shape == (1,) and bool(0 <= scores[0] <= 1)
    yield sure, "a label comes with its confidence"


def _label_entries(percept: Percept) -> dict[str, Any]:
    sure = percept.boxes is None and percept.scores is not None  # else they are the boxes' scores
    score = {"score": float(percept.scores[0])} if sure and percept.scores is not None else {}
    return {"label": percept.label, **score}


def _fen_words(percept: Percept, classes: Names) -> str:
    if not percept.fen:
        return "no board"
    return number_of(sum(letter.isalpha() for letter in percept.fen.partition(" ")[0]), "piece")


def _fen_text(percept: Percept) -> str:
    return percept.fen or ""


def _caption_text(percept: Percept) -> str:
    return percept.caption or ""


def _caption_words(percept: Percept, classes: Names) -> str:
    return _caption_text(percept)


def _value_words(percept: Percept, classes: Names) -> str:
    """``height 87.3 ± 3.2``, one after another; the spread is one standard deviation."""
    values, stds = field_of(percept, "value"), field_of(percept, "std") or {}
    return ", ".join(
        f"{name} {value:.4g}" + (f" ± {stds[name]:.2g}" if name in stds else "")
        for name, value in values.items()
    )


def _value_rules(percept: Percept, shape: tuple[int, int], names: Names) -> Rules:
    values, stds = field_of(percept, "value"), field_of(percept, "std") or {}
    yield list(values) == list(names), "every target has a value, in order"
    yield bool(np.isfinite(list(values.values())).all()), "values are finite"
    yield all(std > 0 for std in stds.values()), "standard deviations are above 0"


def _value_entries(percept: Percept) -> dict[str, Any]:
    """``value`` and ``std``: numbers of one target, tables by name of several."""
    rows = {name: field_of(percept, name) for name in ("value", "std")}
    return {
        name: next(iter(row.values())) if len(row) == 1 else dict(row) for name, row in rows.items() if row
    }


#: Kind → what it is, in the order in which words follow one another: whole pictures first.
PERCEPT_KINDS: dict[Kind, PerceptKind] = {
    "caption": PerceptKind(("caption",), _caption_words, text=_caption_text),
    "label": PerceptKind(("label", "likeliest"), _label_words, _label_rules, _label_entries),
    "fen": PerceptKind(
        ("fen", "keypoints", "certainty"), _fen_words, text=_fen_text, covers=("boxes", "keypoints", "label")
    ),
    "boxes": PerceptKind(
        ("boxes", "labels", "scores"),
        _box_words,
        _box_rules,
        _box_entries,
        placed=_box_placed,
        covers=("label",),
    ),
    "mask": PerceptKind(
        ("mask",),
        _mask_words,
        _mask_rules,
        file=PerceptFile("mask.png", _write_mask),
        large=("mask",),
        covers=("label",),
    ),
    "depth": PerceptKind(
        ("depth",),
        _depth_words,
        _depth_rules,
        file=PerceptFile("depth.npy", _write_depth),
        large=("depth",),
        covers=("label",),
    ),
    "keypoints": PerceptKind(
        ("keypoints", "places"),
        _keypoint_words,
        _keypoint_rules,
        _keypoint_entries,
        placed=_keypoint_placed,
        covers=("label",),
    ),
    "value": PerceptKind(("value", "std"), _value_words, _value_rules, _value_entries),
}
