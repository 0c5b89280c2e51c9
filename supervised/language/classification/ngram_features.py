"""N-gram text classifier: logistic regression on naive Bayes weights and TF-IDF of words, pairs and triples.

Two descriptions of a text stand side by side, each of length 1: which n-grams it has, weighted by their naive
Bayes log-count ratio (Wang & Manning 2012, "Baselines and bigrams"), and TF-IDF with logarithmic counts. Only
the most telling n-grams are kept, each by a hash of 32 bits, so that the classifier is a few arrays of
numbers and no text.
"""

from __future__ import annotations

import re
import zlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
from scipy import optimize, sparse

from sim.records import Array

WORD = re.compile(r"[^\W\d_]+(?:'[^\W\d_]+)*|[!?]")
LONGEST = 3  # words of an n-gram
USUAL_WORD = re.compile(r"\b\w\w+\b")  # that other libraries count by default
RARE = 2  # texts that an n-gram must stand in
COMMON = 1.0  # added to each count of the naive Bayes ratio
INVERSE_PENALTY = 1.0  # of logistic regression, C of other libraries; by cross-validation
TFIDF_INVERSE_PENALTY = 3.0


class Gram(NamedTuple):
    """One n-gram of a text: its words `first` to `last`, and its hash."""

    first: int
    last: int
    hash: int


def words_of(text: str, word: re.Pattern[str] = WORD) -> list[re.Match[str]]:
    """The words, exclamation and question marks of a text, where they stand.

    >>> [word[0] for word in words_of("Don't buy: it's stale!")]
    ["Don't", 'buy', "it's", 'stale', '!']
    """
    return list(word.finditer(text))


def grams_of(words: Sequence[str], longest: int = LONGEST) -> list[Gram]:
    """All n-grams of up to `longest` words, short ones first; case is ignored.

    >>> [(gram.first, gram.last) for gram in grams_of(["not", "good"], 2)]
    [(0, 0), (1, 1), (0, 1)]
    """
    lower = [word.lower() for word in words]
    return [
        Gram(at, at + n - 1, _hashed(" ".join(lower[at : at + n])))
        for n in range(1, longest + 1)
        for at in range(len(lower) - n + 1)
    ]


def _hashed(text: str) -> int:
    return zlib.crc32(text.encode()) - 2**31  # so that it fits an int32


@dataclass(frozen=True)
class NgramClassifier:
    """Binary classifier of texts by their n-grams.

    Attributes:
        hashes: (K,) int32, ascending.
        ratio: (K,) naive Bayes log-count ratios.
        rarity: (K,) inverse document frequencies; 0 for n-grams that TF-IDF leaves out.
        weights: (2, K) of the two descriptions.
        bias: of the logit.
        word: what is counted as a word.
    """

    hashes: Array
    ratio: Array
    rarity: Array
    weights: Array
    bias: float
    word: re.Pattern[str] = WORD

    @classmethod
    def blank(cls, hashes: Array, ratio: Array, rarity: Array) -> NgramClassifier:
        """One that has not been fitted: all weights are 0."""
        return cls(hashes, ratio, rarity, np.zeros((2, len(hashes))), 0.0)

    def logits(self, texts: Sequence[str]) -> Array:
        """(N,) log-odds of the positive class."""
        scores: Array = (
            self.features([_counted(text, self.word) for text in texts]) @ self.weights.ravel() + self.bias
        )
        return scores

    def features(self, counted: Sequence[Counter[int]]) -> sparse.csr_array:
        """(N, 2 K) of texts whose n-grams are counted: naive Bayes, then TF-IDF."""
        counts = count_matrix(counted, self.hashes)
        logs = counts.copy()
        logs.data = 1 + np.log(logs.data)
        counts.data[:] = 1
        parts = [
            _of_length_one(matrix, scale) for matrix, scale in ((counts, self.ratio), (logs, self.rarity))
        ]
        return sparse.csr_array(sparse.hstack(parts, "csr"))

    def contributions(self, text: str) -> Array:
        """(W,) share of each of the text's words in the logit; an n-gram's part is split among its words.

        They sum to the logit without its bias.
        """
        words = words_of(text, self.word)
        grams = grams_of([word[0] for word in words])
        times = Counter(gram.hash for gram in grams)
        row = self.features([times])
        parts = dict(zip(row.indices.tolist(), row.data.tolist(), strict=True))
        shares = np.zeros(len(words))
        size, weights = len(self.hashes), self.weights.ravel()
        for gram in grams:
            at = int(np.searchsorted(self.hashes, gram.hash))
            if at == size or self.hashes[at] != gram.hash:
                continue
            whole = sum(parts.get(column, 0.0) * weights[column] for column in (at, at + size))
            shares[gram.first : gram.last + 1] += whole / times[gram.hash] / (gram.last - gram.first + 1)
        return shares


def fit_ngrams(texts: Sequence[str], positive: Array, kept: int) -> NgramClassifier:
    """Fit the classifier.

    Args:
        texts: N of the training data.
        positive: (N,) bool, both values among them.
        kept: n-grams at most; those with the largest ratio times root of document frequency.
    """
    counted = [_counted(text) for text in texts]
    hashes, ratio, found = _frequent(counted, positive)
    best = np.sort(np.argsort(-np.abs(ratio) * np.sqrt(found), kind="stable")[:kept])
    hashes, ratio, found = hashes[best], ratio[best], found[best]
    rarity = _rarity(texts, hashes, found)
    return _fitted(NgramClassifier.blank(hashes, ratio, rarity), counted, positive, INVERSE_PENALTY)


def fit_tfidf(texts: Sequence[str], positive: Array) -> NgramClassifier:
    """Fit the usual baseline: TF-IDF of all words and pairs, without naive Bayes; arguments as above."""
    counted = [_counted(text, USUAL_WORD) for text in texts]
    hashes, _, found = _frequent(counted, positive)
    rarity = _rarity(texts, hashes, found, USUAL_WORD)
    pairs = rarity > 0
    none = np.zeros(int(pairs.sum()))
    blank = replace(NgramClassifier.blank(hashes[pairs], none, rarity[pairs]), word=USUAL_WORD)
    return _fitted(blank, counted, positive, TFIDF_INVERSE_PENALTY)


def _fitted(
    blank: NgramClassifier, counted: Sequence[Counter[int]], positive: Array, inverse_penalty: float
) -> NgramClassifier:
    weights, bias = logistic_regression(blank.features(counted), positive, inverse_penalty)
    return replace(blank, weights=weights.reshape(2, -1), bias=bias)


def _counted(text: str, word: re.Pattern[str] = WORD) -> Counter[int]:
    return Counter(gram.hash for gram in grams_of([found[0] for found in words_of(text, word)]))


def _frequent(counted: Sequence[Counter[int]], positive: Array) -> tuple[Array, Array, Array]:
    """Hashes, naive Bayes ratios and document frequencies (K,) each of the n-grams that are not rare."""
    texts = Counter(one for counts in counted for one in counts)
    hashes = np.array(sorted(one for one, times in texts.items() if times >= RARE), np.int64)
    has = count_matrix(counted, hashes)
    has.data[:] = 1
    each = [np.asarray(has[positive == side].sum(0)).ravel() for side in (True, False)]
    share = [(times + COMMON) / (times + COMMON).sum() for times in each]
    return hashes, np.log(share[0] / share[1]), each[0] + each[1]


def _rarity(texts: Sequence[str], hashes: Array, found: Array, word: re.Pattern[str] = WORD) -> Array:
    """Inverse document frequencies (K,); 0 for triples, which make TF-IDF worse."""
    short = {gram.hash for text in texts for gram in grams_of([w[0] for w in words_of(text, word)], 2)}
    keep = np.array([one in short for one in hashes.tolist()], bool)
    return np.where(keep, np.log((1 + len(texts)) / (1 + found)) + 1, 0.0)


def count_matrix(counted: Sequence[Counter[int]], hashes: Array) -> sparse.csr_array:
    """(N, K) how often each text has each of the ascending `hashes`."""
    ends = np.cumsum([0, *map(len, counted)])
    keys = np.fromiter((one for counts in counted for one in counts), np.int64, ends[-1])
    times = np.fromiter((n for counts in counted for n in counts.values()), np.float64, ends[-1])
    at = np.searchsorted(hashes, keys)
    known = at < len(hashes)
    known[known] = hashes[at[known]] == keys[known]
    rows = np.repeat(np.arange(len(counted)), np.diff(ends))
    shape = (len(counted), len(hashes))
    return sparse.csr_array(sparse.coo_array((times[known], (rows[known], at[known])), shape=shape))


def _of_length_one(matrix: sparse.csr_array, scale: Array) -> sparse.csr_array:
    """Columns times `scale`, then rows of Euclidean length 1; empty rows stay."""
    scaled = sparse.csr_array(matrix.multiply(scale[None]))
    length = np.sqrt(np.asarray(scaled.multiply(scaled).sum(1)).ravel())
    return sparse.csr_array(scaled.multiply(1 / np.where(length > 0, length, 1.0)[:, None]))


def logistic_regression(
    features: sparse.csr_array, positive: Array, inverse_penalty: float
) -> tuple[Array, float]:
    """Weights (K,) and bias that minimise C · Σ log-loss + ½ ‖weights‖², by L-BFGS.

    Args:
        features: (N, K).
        positive: (N,) bool.
        inverse_penalty: C.
    """
    sign = np.where(positive, 1.0, -1.0)

    def loss(point: Array) -> tuple[float, Array]:
        margin = sign * (features @ point[:-1] + point[-1])
        slope = -inverse_penalty * sign / (1 + np.exp(np.clip(margin, -500, 500)))
        value = inverse_penalty * np.logaddexp(0, -margin).sum() + 0.5 * point[:-1] @ point[:-1]
        return float(value), np.append(features.T @ slope + point[:-1], slope.sum())

    start = np.zeros(features.shape[1] + 1)
    found = optimize.minimize(loss, start, jac=True, method="L-BFGS-B", options={"maxiter": 500})
    return found.x[:-1], float(found.x[-1])
