"""Scores of percepts against the truth: the metrics of each kind, and their bootstrap intervals.

| kind | fields of the percept | metrics |
|---|---|---|
| boxes | boxes, labels, scores | ap, ap50 |
| mask | mask | miou |
| depth | depth | abs_rel, rmse, delta1 |
| keypoints | keypoints | pck_0.1, pixel_error |
| label | label; scores of shape (1,), its confidence | top1; ece |
| fen | fen | exact, accuracy |
| caption | caption | state_exact, accuracy |
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import TypeAlias

import numpy as np

from sim.percept_kind import Kind
from sim.percept_kinds import PERCEPT_KINDS
from sim.records import Array, Percept
from sim.viewer.contract.moment import Readout
from supervised.metrics.kinds import METRICS
from supervised.metrics.percept_metrics import MetricAccumulator, Parser, Percepts

Interval: TypeAlias = tuple[float, float]


def accumulate(
    kind: Kind, predicted: Percepts, truth: Percepts, *, parse: Parser | None = None
) -> MetricAccumulator:
    """Compare percepts with the truth, image by image.

    Args:
        kind: what to compare; see the module.
        predicted: P percepts of any origin.
        truth: the true ones of the same P images in the same order.
        parse: turns a caption into facts, for the kind ``"caption"``.

    Raises:
        ValueError: for another kind, lists of different length or empty ones, a caption without a parser, or
            naming the image that lacks what is compared.
    """
    if kind not in METRICS:
        raise ValueError(f'percepts have no "{kind}" to grade; they have {", ".join(METRICS)}')
    if not predicted or len(predicted) != len(truth):
        raise ValueError(f"{len(predicted)} percepts cannot be graded by {len(truth)} true ones")
    _check_told(kind, predicted, truth)
    return METRICS[kind].accumulate(predicted, truth, parse)


def grade(
    kind: Kind, predicted: Percepts, truth: Percepts, *, parse: Parser | None = None
) -> dict[str, float]:
    """Metrics of percepts against the truth; see `accumulate` for arguments and errors.

    An undefined metric, such as the average precision where there are no true boxes, is left out.

    >>> grade("label", [Percept("model", label="pong")], [Percept("truth", label="pong")])
    {'top1': 1.0}
    """
    figures = accumulate(kind, predicted, truth, parse=parse).score(np.ones(len(truth)))
    return {name: value for name, value in figures.items() if not np.isnan(value)}


def live_metrics(
    kind: Kind, percept: Percept, truth: Percept, parse: Parser | None = None
) -> tuple[Readout, ...]:
    """Metrics of the percept of one image for the window, the most telling first; empty without a truth.

    >>> real = Percept("truth", label="pong")
    >>> live_metrics("label", Percept("model", label="tennis"), real)
    (Readout(label='', value='wrong', unit=''),)
    """
    metrics = METRICS[kind]
    if metrics.live is not None:
        return metrics.live(percept, truth, parse)
    if not PERCEPT_KINDS[kind].applies_to(truth):
        return ()
    figures = grade(kind, [percept], [truth], parse=parse)
    return tuple(
        Readout(label, round(figures[name], 3), unit)
        for name, (label, unit) in metrics.shown.items()
        if name in figures
    )


def intervals(
    counted: MetricAccumulator, groups: Sequence[Hashable], resamples: int = 1_000
) -> dict[str, Interval]:
    """Cluster bootstrap: 95 % percentile intervals of a tally's metrics, from a fixed generator.

    Images of one episode are not independent: whole groups are drawn, with replacement, as many as there are
    (Field and Welsh 2007, "Bootstrapping clustered data"). With a handful of groups the interval is too
    narrow; with one there is none.

    Args:
        counted: of P images.
        groups: P names of the episode, tune or author that each image comes from.
        resamples: how many.

    Returns:
        Low and high by name; resamples in which a metric is undefined are left out of its interval.

    Raises:
        ValueError: unless each image of the tally has a group.
    """
    from scipy import stats  # slow to import, and the viewer grades without it

    if len(groups) != len(counted):
        raise ValueError(f"{len(groups)} groups are not one for each of {len(counted)} pictures")
    numbers = {group: number for number, group in enumerate(dict.fromkeys(groups))}
    group = np.array([numbers[name] for name in groups])  # (P,)
    names = list(counted.score(np.ones(len(groups))))
    if len(numbers) < 2:
        return {}

    def figures(drawn: Array) -> Array:
        times = np.bincount(drawn.astype(np.int64), minlength=len(numbers))
        score = counted.score(times[group].astype(np.float64))
        values = np.array([score[name] for name in names])
        return np.concatenate([np.nan_to_num(values), ~np.isnan(values)])  # scipy takes no NaN without a word

    found = stats.bootstrap(
        (np.arange(len(numbers)),),
        figures,
        n_resamples=resamples,
        vectorized=False,
        method="percentile",
        rng=np.random.default_rng(0),
    ).bootstrap_distribution
    values, known = np.split(found, 2)  # (figures, resamples) each
    rows = {name: row[has > 0] for name, row, has in zip(names, values, known, strict=True)}
    ends = {name: np.quantile(row, (0.025, 0.975)) for name, row in rows.items() if len(row)}
    return {name: (float(low), float(high)) for name, (low, high) in ends.items()}


def _check_told(kind: Kind, predicted: Percepts, truth: Percepts) -> None:
    """Refuse percepts that lack what is compared; predicted ones may hold an empty value.

    Raises:
        ValueError: naming the first image.
    """
    facts = PERCEPT_KINDS[kind]
    lacking = [("predicted", [facts.value(percept) is None for percept in predicted])]
    lacking += [("true", [not facts.applies_to(percept) for percept in truth])]
    for whose, lacks in lacking:
        if any(lacks):
            raise ValueError(f"the {whose} percept of picture {lacks.index(True)} has no {kind}")
