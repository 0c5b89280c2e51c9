"""Beam search over token sequences, for any model that extends hypotheses by a token.

Scores are log-probabilities over the length penalty of Wu et al. 2016, "Google's neural machine translation
system", equation 14: ((5 + length) / 6) to the power `alpha`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

from sim.records import Array

#: (numbers, in the last call, of the hypotheses that go on; the token that each goes on with) → (B, V)
#: log-probabilities of the tokens that follow. The first call has one hypothesis, 0.
Extend: TypeAlias = Callable[[Sequence[int], Sequence[int]], Array]


@dataclass(frozen=True)
class Hypothesis:
    """A finished or cut sequence.

    Attributes:
        tokens: without the first and the end token.
        log_probability: of tokens and end, in nats.
        score: that over the length penalty.
    """

    tokens: tuple[int, ...]
    log_probability: float
    score: float


def beam_search(
    extend: Extend, *, begin: int, end: int, beams: int, longest: int, alpha: float = 1.0
) -> list[Hypothesis]:
    """The best sequences found, best first, at most `beams`.

    Args:
        extend: the model, which keeps its caches; see `Extend`.
        begin: first token, which is not part of a sequence.
        end: token that ends one.
        beams: hypotheses at a time; 1 is greedy search.
        longest: tokens of a sequence, the end not counted; a longer one is cut.
        alpha: of the length penalty; 0 for none.
    """
    alive: list[tuple[tuple[int, ...], float]] = [((), 0.0)]
    parents, last = [0], [begin]
    done: list[Hypothesis] = []
    for length in range(1, longest + 2):
        total = np.array([log for _, log in alive])[:, None] + extend(parents, last)
        done += [_finished(alive[i][0], float(total[i, end]), length, alpha) for i in range(len(alive))]
        done = sorted(done, key=lambda one: -one.score)[:beams]
        if length > longest:
            break
        total[:, end] = -np.inf
        flat = np.argsort(-total, axis=None, kind="stable")[:beams]
        flat = flat[np.isfinite(total.ravel()[flat])]
        if not len(flat) or (len(done) == beams and _bound(total.max(), longest, alpha) <= done[-1].score):
            break
        parents, last = (flat // total.shape[1]).tolist(), (flat % total.shape[1]).tolist()
        alive = [
            ((*alive[parent][0], token), float(total[parent, token]))
            for parent, token in zip(parents, last, strict=True)
        ]
    return done


def _finished(tokens: tuple[int, ...], log: float, length: int, alpha: float) -> Hypothesis:
    return Hypothesis(tokens, log, log / _penalty(length, alpha))


def _penalty(length: int, alpha: float) -> float:
    penalty: float = ((5 + length) / 6) ** alpha
    return penalty


def _bound(log: float, longest: int, alpha: float) -> float:
    """The best score that a hypothesis of this log-probability can still reach."""
    return log / _penalty(longest + 1, alpha)
