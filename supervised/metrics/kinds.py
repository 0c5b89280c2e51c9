"""Table of metrics by kind of percept; the kinds themselves stand in `sim.percept_kinds`.

To add a kind: a module with its `PerceptMetrics`, and a line here.
"""

from __future__ import annotations

from sim.percept_kind import Kind
from supervised.metrics.answers import CAPTION, FEN, LABEL
from supervised.metrics.detection import BOXES
from supervised.metrics.percept_metrics import PerceptMetrics
from supervised.metrics.pixels import DEPTH, MASK
from supervised.metrics.pose import KEYPOINTS
from supervised.metrics.regression import VALUE

METRICS: dict[Kind, PerceptMetrics] = {
    "boxes": BOXES,
    "mask": MASK,
    "depth": DEPTH,
    "keypoints": KEYPOINTS,
    "label": LABEL,
    "fen": FEN,
    "caption": CAPTION,
    "value": VALUE,
}
