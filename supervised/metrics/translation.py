"""Metrics of translation: corpus BLEU of sacreBLEU, and chrF.

Post 2018, "A call for clarity in reporting BLEU scores"; Popović 2015, "chrF: character n-gram F-score". Both
from 0 to 100, one reference a sentence. `signature` says by which settings. A translation is a percept's
caption.
"""

from __future__ import annotations

from collections import Counter
from functools import cache
from typing import Any

import numpy as np

from sim.catalog import MissingPackageError, install_hint
from sim.records import Array, Percept
from sim.viewer.contract.moment import Readout
from supervised.metrics.percept_metrics import Parser, PerceptMetrics, Percepts

WORDS, LETTERS = 4, 6  # longest n-grams of BLEU and of chrF
BETA = 2  # recall counts twice as much as precision


class TranslationTally:
    """Counts of n-grams of N sentences.

    Args:
        predicted: N sentences.
        truth: N references.
    """

    def __init__(self, predicted: list[str], truth: list[str]) -> None:
        scores = [_bleu().sentence_score(said, [true]) for said, true in zip(predicted, truth, strict=True)]
        #: (N, 2 · WORDS + 2): matches, n-grams of each order, lengths of both sides in words.
        self.words = np.array(
            [[*score.counts, *score.totals, score.sys_len, score.ref_len] for score in scores], np.float64
        )
        #: (N, LETTERS, 3): matches, n-grams of the prediction, of the reference.
        self.letters = np.array(
            [letter_counts(said, true) for said, true in zip(predicted, truth, strict=True)], np.float64
        )

    def __len__(self) -> int:
        """N."""
        return len(self.words)

    def score(self, weights: Array) -> dict[str, float]:
        """``bleu`` and ``chrf`` of the whole."""
        total = np.tensordot(weights, self.words, 1)
        bleu = 0.0
        if total[-2]:
            right, all_of = total[:WORDS].tolist(), total[WORDS : 2 * WORDS].tolist()
            lengths = (round(total[-2]), round(total[-1]))
            bleu = float(_bleu().compute_bleu(right, all_of, *lengths, smooth_method="exp").score)
        return {"bleu": bleu, "chrf": chrf(np.tensordot(weights, self.letters, 1))}


def letter_counts(predicted: str, truth: str) -> list[tuple[int, int, int]]:
    """For each order: n-grams of letters that match, of the prediction, of the reference; spaces don't count.

    As in sacreBLEU, orders that the reference is too short for count neither.

    >>> letter_counts("ab", "a b c")[:2]
    [(2, 2, 3), (1, 1, 2)]
    """
    said, true = "".join(predicted.split()), "".join(truth.split())
    rows = []
    for n in range(1, LETTERS + 1):
        one, other = (Counter(text[i : i + n] for i in range(len(text) - n + 1)) for text in (said, true))
        rows.append(((one & other).total(), one.total() if other else 0, other.total()))
    return rows


def chrf(counts: Array) -> float:
    """ChrF of counts (LETTERS, 3), over the orders that both sides have."""
    known = counts[(counts[:, 1] > 0) & (counts[:, 2] > 0)]
    if not len(known):
        return 0.0
    precision, recall = (known[:, 0] / known[:, 1]).mean(), (known[:, 0] / known[:, 2]).mean()
    below = BETA**2 * precision + recall
    return float(100 * (1 + BETA**2) * precision * recall / below) if below else 0.0


@cache
def _bleu() -> Any:
    try:
        from sacrebleu.metrics.bleu import BLEU
    except ModuleNotFoundError as error:
        raise MissingPackageError(f"BLEU needs {install_hint(error.name or 'sacrebleu')}") from error
    return BLEU(effective_order=True)  # by sentence; the counts are the same


def signature() -> dict[str, str]:
    """What the figures were computed by, in sacreBLEU's words."""
    from sacrebleu import __version__

    return {
        "bleu": f"nrefs:1|case:mixed|eff:no|tok:13a|smooth:exp|version:{__version__}",
        "chrf": "nrefs:1|case:mixed|eff:yes|nc:6|nw:0|space:no",
    }


def _accumulate(predicted: Percepts, truth: Percepts, parse: Parser | None) -> TranslationTally:
    return TranslationTally([one.caption or "" for one in predicted], [one.caption or "" for one in truth])


def _commonest(truths: Percepts, parse: Parser | None) -> Percept:
    """Constant baseline: the commonest translation."""
    return Percept("model", caption=Counter(truth.caption for truth in truths).most_common(1)[0][0])


def _live(percept: Percept, truth: Percept, parse: Parser | None) -> tuple[Readout, ...]:
    """ChrF of one sentence."""
    counts = np.array(letter_counts(percept.caption or "", truth.caption or ""), np.float64)
    return (Readout("chrF", f"{chrf(counts):.0f}"),)


TRANSLATION = PerceptMetrics(_accumulate, _commonest, live=_live, protocol=signature)
