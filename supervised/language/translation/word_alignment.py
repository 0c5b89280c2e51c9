"""Word alignment and phrases: IBM model 1, phrase pairs that agree with an alignment, greedy translation.

Brown et al. 1993, "The mathematics of statistical machine translation" (model 1); Koehn, Och & Marcu 2003,
"Statistical phrase-based translation" (which phrase pairs an alignment allows). What translates here is the
simple baseline of `supervised.language.translation.translator`: the longest known phrase first, from left to
right.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from sim.records import Array

ITERATIONS = 8  # of expectation maximisation
LONGEST = 6  # pieces of a phrase
_PIECE = re.compile(r"\s?\w+|\s?[^\w\s]")


def lexicon(
    pairs: Sequence[tuple[Array, Array]], sizes: tuple[int, int], iterations: int = ITERATIONS
) -> Array:
    """IBM model 1: (S, T) probability of each target token given a source token; rows sum to 1, or are 0.

    Args:
        pairs: numbers of source and target tokens, (N,) and (M,) each.
        sizes: S and T, of the vocabularies.
        iterations: of expectation maximisation, from equal probabilities.
    """
    kept = [(s, t) for s, t in pairs if len(s) and len(t)]
    source = np.concatenate([np.repeat(s, len(t)) for s, t in kept])
    target = np.concatenate([np.tile(t, len(s)) for s, t in kept])
    starts = np.cumsum([0, *(len(t) for _, t in kept)])
    place = np.concatenate(
        [
            np.tile(np.arange(start, start + len(t)), len(s))
            for start, (s, t) in zip(starts, kept, strict=False)
        ]
    )
    cell, key = np.unique(source * sizes[1] + target, return_inverse=True)
    probability = np.ones(len(cell))
    for _ in range(iterations):
        share = probability[key]
        share = share / np.bincount(place, share)[place]  # of each source token in that target token
        counts = np.bincount(key, share)
        probability = counts / np.bincount(cell // sizes[1], counts)[cell // sizes[1]]
    table = np.zeros(sizes)
    table.ravel()[cell] = probability
    return table


def pieces(text: str) -> list[str]:
    """Words and punctuation with the space before each, so that joining them gives the text.

    >>> pieces("Enter a date.")
    ['Enter', ' a', ' date', '.']
    """
    return _PIECE.findall(text)


@dataclass(frozen=True)
class PhraseTable:
    """Translations of phrases.

    Attributes:
        phrases: lower-case pieces without outer spaces → the commonest translation.
    """

    phrases: Mapping[tuple[str, ...], str]

    def translate(self, text: str, longest: int = LONGEST) -> str:
        """The longest known phrase first, from left to right; unknown pieces are copied."""
        words = pieces(text)
        plain = [word.strip().lower() for word in words]
        said, at = "", 0
        while at < len(words):
            sizes = range(min(longest, len(words) - at), 0, -1)
            size = next((n for n in sizes if tuple(plain[at : at + n]) in self.phrases), 0)
            found = self.phrases[tuple(plain[at : at + size])] if size else words[at].strip()
            spaced = found and words[at].startswith(" ")
            said += f" {found}" if spaced else found
            at += max(size, 1)
        said = " ".join(said.split())
        return said[:1].upper() + said[1:] if text[:1].isupper() else said


def word_table(pairs: Sequence[tuple[str, str]]) -> PhraseTable:
    """Word by word: the likeliest target word of each source word by `lexicon`."""
    sources, targets, coded = _coded(pairs)
    table = lexicon(coded, (len(sources), len(targets)))
    best = table.argmax(1)
    return PhraseTable({(word,): targets[best[i]].strip() for i, word in enumerate(sources)})


def phrase_table(pairs: Sequence[tuple[str, str]]) -> PhraseTable:
    """Phrases of up to `LONGEST` pieces that agree with the word alignment, and whole messages."""
    sources, targets, coded = _coded(pairs)
    sizes = (len(sources), len(targets))
    forth = lexicon(coded, sizes)
    back = lexicon([(t, s) for s, t in coded], sizes[::-1]).T
    counts: dict[tuple[str, ...], Counter[str]] = defaultdict(Counter)
    for (source, target), (s, t) in zip(pairs, coded, strict=True):
        if not len(s) or not len(t):
            continue
        words, said = [word.strip().lower() for word in pieces(source)], pieces(target)
        counts[tuple(words)][target] += 100  # a whole message counts for more than its phrases
        links = _links(forth[np.ix_(s, t)], back[np.ix_(s, t)])
        for (first, last), (low, high) in agreeing(links, LONGEST):
            counts[tuple(words[first : last + 1])]["".join(said[low : high + 1]).strip()] += 1
    words_alone = word_table(pairs).phrases
    return PhraseTable({**words_alone, **{key: found.most_common(1)[0][0] for key, found in counts.items()}})


def _coded(
    pairs: Sequence[tuple[str, str]],
) -> tuple[list[str], list[str], list[tuple[Array, Array]]]:
    """Source words (lower case), target pieces, and the pairs as their numbers."""
    sources: dict[str, int] = {}
    targets: dict[str, int] = {}
    coded = [
        (
            np.array([sources.setdefault(w.strip().lower(), len(sources)) for w in pieces(source)], np.int64),
            np.array([targets.setdefault(w.strip(), len(targets)) for w in pieces(target)], np.int64),
        )
        for source, target in pairs
    ]
    return list(sources), list(targets), coded


def _links(forth: Array, back: Array) -> Array:
    """(N, M) bool: the intersection of both directions' best links, and neighbours in one of them."""
    n, m = forth.shape
    best_source = np.zeros((n, m), bool)
    best_source[forth.argmax(0), np.arange(m)] = True
    best_target = np.zeros((n, m), bool)
    best_target[np.arange(n), back.argmax(1)] = True
    links, either = best_source & best_target, best_source | best_target
    while True:
        padded = np.pad(links, 1)
        near: Array = padded[:-2, 1:-1] | padded[2:, 1:-1] | padded[1:-1, :-2] | padded[1:-1, 2:]
        taken = np.outer(links.any(1), links.any(0))
        grown = links | (near & either & ~taken)
        if (grown == links).all():
            return links
        links = grown


def agreeing(links: Array, longest: int) -> list[tuple[tuple[int, int], tuple[int, int]]]:
    """Pairs of spans, first and last, that no link of `links` (N, M) leaves.

    >>> agreeing(np.eye(2, dtype=bool), 2)
    [((0, 0), (0, 0)), ((0, 1), (0, 1)), ((1, 1), (1, 1))]
    """
    found = []
    for first in range(len(links)):
        for last in range(first, min(first + longest, len(links))):
            reached = np.flatnonzero(links[first : last + 1].any(0))
            if not len(reached):
                continue
            low, high = int(reached[0]), int(reached[-1])
            inside = np.flatnonzero(links[:, low : high + 1].any(1))
            if high - low < longest + 2 and inside[0] >= first and inside[-1] <= last:
                found.append(((first, last), (low, high)))
    return found
