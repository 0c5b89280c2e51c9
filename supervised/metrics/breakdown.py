"""Per-class metrics: AP by class, IoU by part, depth errors by distance, PCK by joint, accuracy by fact.

| kind | rows | metrics |
|---|---|---|
| boxes | classes | ap, ap50 |
| mask | parts | miou |
| depth | bands of true depth | abs_rel, rmse, delta1 |
| keypoints | joints | pck_0.1, pixel_error |
| label | true labels | top1 |
| fen | pieces, and the empty square | accuracy |
| caption | facts | accuracy |
"""

from __future__ import annotations

from collections.abc import Sequence

from sim.percept_kind import Kind
from supervised.metrics.kinds import METRICS
from supervised.metrics.percept_metrics import MetricAccumulator, Parser, Percepts, Rows


def by_class(
    kind: Kind,
    counted: MetricAccumulator,
    predicted: Percepts,
    truth: Percepts,
    names: Sequence[str],
    parse: Parser | None = None,
) -> Rows:
    """Metrics by class; see the module's table. Rows that are undefined for these images are left out.

    Args:
        kind: what is compared.
        counted: the tally of these percepts.
        predicted: P percepts.
        truth: the P true ones.
        names: of the classes, in the order of the rows.
        parse: turns captions into facts, for the kind ``"caption"``.
    """
    return METRICS[kind].by_class(counted, predicted, truth, names, parse)
