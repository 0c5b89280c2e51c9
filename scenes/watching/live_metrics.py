"""Live metrics in the window: the error of one frame's percept against the ground truth."""

from __future__ import annotations

import numpy as np

from sim.records import Array, Percept
from sim.viewer.contract.moment import Readout
from supervised.language.caption_grammars import parse
from supervised.metrics.answers import facts_of, squares
from supervised.metrics.detection import overlaps
from supervised.metrics.grading import Kind, grade

HIT = 0.5  # IoU from which a box counts as found
#: Metric of `grade` → its label in the window, and its unit.
NAMES = {
    "miou": ("mIoU", ""),
    "abs_rel": ("AbsRel", ""),
    "rmse": ("RMSE", "m"),
    "pck_0.1": ("PCK@0.1", ""),
    "pixel_error": ("joints", "px off"),
}


def live_metrics(kind: Kind, percept: Percept, truth: Percept) -> tuple[Readout, ...]:
    """Metrics of one percept against the ground truth, the most important first.

    >>> real = Percept("truth", label="pong")
    >>> live_metrics("label", Percept("model", label="tennis"), real)
    (Readout(label='', value='wrong', unit=''),)
    """
    if kind == "boxes":
        return of_boxes(percept, truth)
    if kind == "label":
        return (Readout("", "right" if percept.label == truth.label else "wrong"),)
    if kind == "fen":
        return (of_board(percept.fen or "", truth.fen or ""),)
    if kind == "caption":
        return (of_caption(percept.caption or "", truth.caption or ""),)
    if kind == "keypoints" and not any(visible for _, _, visible in truth.keypoints.values()):
        return ()
    figures = grade(kind, [percept], [truth])
    names = ("pixel_error", "pck_0.1") if kind == "keypoints" else tuple(figures)
    return tuple(
        Readout(NAMES[name][0], round(figures[name], 3), NAMES[name][1])
        for name in names
        if name in NAMES and name in figures
    )


def of_boxes(percept: Percept, truth: Percept) -> tuple[Readout, ...]:
    """Metrics of boxes: distance to the smallest true object, then how many objects are found.

    >>> box = np.array([[10.0, 10.0, 12.0, 14.0]], np.float32)
    >>> real = Percept("truth", boxes=box, labels=("ball",))
    >>> of_boxes(Percept("model", boxes=box + np.float32(3), labels=("ball",)), real)[0]
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
    found = 0
    if len(percept.boxes):
        found = int(((overlaps(percept.boxes, truth.boxes) >= HIT) & agree).any(0).sum())
    return first, Readout("found", f"{found} of {len(truth.boxes)}")


def of_board(said: str, true: str) -> Readout:
    """Number of wrong squares of a FEN.

    >>> of_board("8/8/8/8/8/8/8/k1K5", "8/8/8/8/8/8/8/k2K4").value
    '2 of 64 wrong'
    """
    try:
        wrong = sum(a != b for a, b in zip(squares(said), squares(true), strict=True))
    except ValueError:
        wrong = 64
    return Readout("squares", f"{wrong} of 64 wrong" if wrong else "all right")


def of_caption(said: str, true: str) -> Readout:
    """Number of facts of the true caption that the predicted one states."""
    facts, told = parse(true), facts_of(said, parse) or {}
    right = sum(name in told and told[name] == value for name, value in facts.items())
    return Readout("facts", f"{right} of {len(facts)}")


def centres(boxes: Array) -> Array:
    """Centres (K, 2) of boxes (K, 4)."""
    return np.asarray((boxes[:, :2] + boxes[:, 2:]) / 2)
