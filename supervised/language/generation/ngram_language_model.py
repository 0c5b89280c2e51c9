"""N-gram language models with interpolated Kneser–Ney smoothing, and compression: simple text models.

Kneser & Ney 1995, "Improved backing-off for m-gram language modeling", interpolated as in Chen & Goodman
1999, with the discount n₁ / (n₁ + 2 n₂) of each order. Below the highest order, counts are of the different
tokens that come before. Contexts are numbered by sorted pairs (number of the shorter context, token before),
so that tokens may be characters, words or moves.
"""

from __future__ import annotations

import lzma
import math
from collections.abc import Mapping, Sequence

import numpy as np

from sim.records import Array, Percept
from supervised.data.dataset import Dataset
from supervised.task import Perceive

CHARACTER_ORDER, MOVE_ORDER = 12, 6  # longest n-grams; longer ones gained nothing on validation games
FILTERS = ({"id": lzma.FILTER_LZMA2, "preset": 9 | lzma.PRESET_EXTREME},)


class KneserNey:
    """Interpolated Kneser–Ney model of sequences of tokens 0 … V − 1.

    Args:
        sequences: to count in, each (T,) int64; at least one token.
        size: V.
        order: length of the longest n-grams.
    """

    def __init__(self, sequences: Sequence[Array], size: int, order: int) -> None:
        self.size, self.order = size, order
        #: By length of context: the sorted pairs that number the contexts, see the module.
        self._pairs: list[Array] = []
        #: By length of context: sorted keys of (context, token), their discounted counts, and by context the
        #: total and the mass that is left to shorter contexts.
        self._counts: list[tuple[Array, Array]] = []
        self._left: list[tuple[Array, Array]] = []
        contexts = self._contexts(sequences, learn=True)
        tokens = np.concatenate(list(sequences))
        for length in range(order):
            known = contexts[length] >= 0
            keys = contexts[length][known] * size + tokens[known]
            grams, counts = np.unique(keys, return_counts=True)
            if length + 1 < order:  # how many different tokens come before
                counts = self._continuations(contexts[length + 1], tokens, length + 1, grams)
            self._add(grams, counts.astype(np.float64), len(self._pairs[length]) if length else 1)

    def _contexts(self, sequences: Sequence[Array], *, learn: bool) -> list[Array]:
        """By length the number (T,) of each place's context, -1 for unknown; sequences one after another."""
        tokens = np.concatenate(list(sequences))
        place = np.concatenate([np.arange(len(sequence)) for sequence in sequences])
        found = [np.zeros(len(tokens), np.int64)]
        if learn:
            self._pairs.append(np.zeros(1, np.int64))
        for length in range(1, self.order):
            shorter = found[-1]
            before = np.full(len(tokens), -1, np.int64)
            before[length:] = tokens[:-length] if length < len(tokens) else []
            fits = (place >= length) & (shorter >= 0)
            pairs = np.where(fits, shorter * self.size + before, -1)
            if learn:
                self._pairs.append(np.unique(pairs[fits]))
            found.append(_index(self._pairs[length], pairs))
        return found

    def _continuations(self, longer: Array, tokens: Array, length: int, grams: Array) -> Array:
        """For n-grams with contexts one shorter than `length`, the number of different tokens before them.

        N-grams at the very beginning of a sequence have none; they count once.
        """
        known = longer >= 0
        different = np.unique(longer[known] * self.size + tokens[known])
        parent = self._pairs[length][different // self.size] // self.size
        keys, counts = np.unique(parent * self.size + different % self.size, return_counts=True)
        found = np.ones(len(grams), np.int64)
        found[np.searchsorted(grams, keys)] = counts
        return found

    def _add(self, grams: Array, counts: Array, contexts: int) -> None:
        ones, twos = (counts == 1).sum(), (counts == 2).sum()
        discount = ones / (ones + 2 * twos) if ones and twos else 0.5
        own = grams // self.size
        total = np.bincount(own, counts, contexts)
        different = np.bincount(own, minlength=contexts)
        self._counts.append((grams, counts - discount))
        self._left.append((total, discount * different))

    def nats(self, sequences: Sequence[Array]) -> list[Array]:
        """−ln of the probability (T,) of each token, given those before it."""
        contexts = self._contexts(sequences, learn=False)
        tokens = np.concatenate(list(sequences))
        probability = np.full(len(tokens), 1 / self.size)
        for context, (grams, counts), (total, left) in zip(contexts, self._counts, self._left, strict=True):
            known = context >= 0
            known[known] = total[context[known]] > 0
            own = context[known]
            index = _index(grams, own * self.size + tokens[known])
            seen = np.where(index >= 0, counts[index], 0)
            probability[known] = (seen + left[own] * probability[known]) / total[own]
        ends = np.cumsum([len(sequence) for sequence in sequences])[:-1]
        return np.split(-np.log(probability), ends)


def _index(keys: Array, wanted: Array) -> Array:
    """The place of each wanted number among sorted ones; -1 where it is not there."""
    place = np.minimum(np.searchsorted(keys, wanted), len(keys) - 1)
    return np.where(keys[place] == wanted, place, -1) if len(keys) else np.full(len(wanted), -1)


def compressed_bits(train: Sequence[str], test: Sequence[str]) -> float:
    """Bits a character that xz -9e needs more for test texts when the training texts stand before them."""
    one, both = ("\n".join(texts).encode() for texts in (train, [*train, *test]))
    sizes = [len(lzma.compress(raw, lzma.FORMAT_RAW, filters=FILTERS)) for raw in (one, both)]
    return 8 * (sizes[1] - sizes[0]) / sum(map(len, test))


def text_baselines(train: Dataset, moves: bool) -> Mapping[str, Perceive]:
    """Baselines fitted to training texts: n-grams of characters, of words where these are moves, and xz.

    Each move stands for its characters and a space after it, as in the language model.
    """
    texts = [_spaced(text, moves) for text in train.values]
    characters = {character: i for i, character in enumerate(sorted(set("".join(texts))))}
    by_character = KneserNey(
        [_numbers(text, characters) for text in texts], len(characters) + 1, CHARACTER_ORDER
    )

    def of_characters(inputs: Sequence[str]) -> list[Percept]:
        spaced = [_spaced(text, moves) for text in inputs]
        return _told(by_character.nats([_numbers(text, characters) for text in spaced]), spaced)

    def of_xz(inputs: Sequence[str]) -> list[Percept]:
        spaced = [_spaced(text, moves) for text in inputs]
        bits = compressed_bits(texts, spaced)
        return [
            Percept("model", caption="", extras={"bits_per_char": bits, "characters": len(t)}) for t in spaced
        ]

    found: dict[str, Perceive] = {"character n-gram": of_characters, "xz -9e": of_xz}
    if moves:
        words = {word: i for i, word in enumerate(sorted({word for text in texts for word in text.split()}))}
        by_move = KneserNey([_numbers(text.split(), words) for text in texts], len(words) + 1, MOVE_ORDER)

        def of_moves(inputs: Sequence[str]) -> list[Percept]:
            spaced = [_spaced(text, moves) for text in inputs]
            return _told(by_move.nats([_numbers(text.split(), words) for text in spaced]), spaced)

        found = {"character n-gram": of_characters, "move n-gram": of_moves, "xz -9e": of_xz}
    return found


def _spaced(text: str, moves: bool) -> str:
    return text + " " if moves else text


def _numbers(symbols: Sequence[str], known: Mapping[str, int]) -> Array:
    """(T,) int64; those that are not known have the last number."""
    return np.array([known.get(symbol, len(known)) for symbol in symbols], np.int64)


def _told(nats: Sequence[Array], texts: Sequence[str]) -> list[Percept]:
    return [
        Percept("model", caption="", extras={"nats": own, "characters": len(text)})
        for own, text in zip(nats, texts, strict=True)
    ]


def perplexity(nats: Array) -> float:
    """The exponential of the mean −ln p of tokens (T,).

    >>> round(perplexity(np.full(7, math.log(6))), 6)
    6.0
    """
    return math.exp(float(np.mean(nats)))
