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

from sim.percept_kind import Kind
from sim.records import Percept
from supervised.metrics.kinds import METRICS
from supervised.metrics.percept_metrics import Parser, Percepts


def constant_baseline(kind: Kind, truths: Percepts, parse: Parser | None = None) -> Percept:
    """The constant baseline for one kind of percept; see the module's table.

    Args:
        kind: of the percepts.
        truths: of the training images, at least one, all of one size.
        parse: turns captions into facts, for the kind ``"caption"``.

    Raises:
        ValueError: for captions without a parser.

    >>> truths = [Percept("truth", label=name) for name in ("pong", "skiing", "pong")]
    >>> constant_baseline("label", truths).label
    'pong'
    """
    return METRICS[kind].baseline(truths, parse)
