"""Packed rows of documents: training examples of a language model, many short texts in one row of tokens."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from sim.records import Array

IGNORED = -1  # target of a place that is not learned from, document of one that is empty


@dataclass(frozen=True)
class Document:
    """One text of T places: each has the token before, and the one that is to be told.

    Attributes:
        tokens: (T,) int64 inputs; the first is the start.
        marks: (T,) int64 of the inputs.
        targets: (T,) int64 next tokens.
        states: (T, F / 8) uint8 of the inputs; None of texts.
        allowed: numbers (L,) of the tokens that the rules allow at each place, one place after another.
        counts: (T,) how many of them each place has; none where there are no rules.
    """

    tokens: Array
    marks: Array
    targets: Array
    states: Array | None
    allowed: Array
    counts: Array


class PackedRows:
    """Rows of `block` tokens, each filled with documents one after another; longer ones go into several.

    Args:
        documents: at least one.
        block: tokens of a row.
    """

    def __init__(self, documents: Sequence[Document], block: int) -> None:
        self.block = block
        starts = placed([len(document.tokens) for document in documents], block)
        rows = max(place // block for place, _, _ in starts) + 1
        shape = rows * block
        self._flat = {
            "tokens": np.zeros(shape, np.int64),
            "marks": np.zeros(shape, np.int64),
            "targets": np.full(shape, IGNORED, np.int64),
            "documents": np.full(shape, IGNORED, np.int64),
            "positions": np.zeros(shape, np.int64),
        }
        first = documents[0].states
        if first is not None:
            self._flat["features"] = np.zeros((shape, first.shape[1]), np.uint8)
        self._allowed = np.concatenate([document.allowed for document in documents]).astype(np.int64)
        self._first, self._count = np.zeros(shape, np.int64), np.zeros(shape, np.int64)
        before = np.cumsum([0, *(len(document.allowed) for document in documents)])
        offsets = [np.cumsum(one.counts) - one.counts + before[i] for i, one in enumerate(documents)]
        for number, (place, at, size) in enumerate(_with_parts(starts)):
            index, part = at
            document, here, own = documents[index], slice(place, place + size), slice(part, part + size)
            for name in ("tokens", "marks", "targets"):
                self._flat[name][here] = getattr(document, name)[own]
            if document.states is not None:
                self._flat["features"][here] = document.states[own]
            self._flat["documents"][here] = number
            self._flat["positions"][here] = np.arange(size)
            self._first[here], self._count[here] = offsets[index][own], document.counts[own]
        self._most = int(self._count.max())

    def __len__(self) -> int:
        """How many rows."""
        return len(self._count) // self.block

    def batch(self, rows: Array, generator: np.random.Generator) -> dict[str, Array]:
        """The rows as int64 arrays by name.

        ``tokens, marks, targets, documents, positions`` (B, T); ``allowed`` (B, T, K), -1 for none.
        """
        places = rows[:, None] * self.block + np.arange(self.block)  # (B, T)
        found = {name: array[places] for name, array in self._flat.items()}
        if self._most:
            slots = np.arange(self._most)
            index = np.minimum(self._first[places][..., None] + slots, len(self._allowed) - 1)
            filled = slots < self._count[places][..., None]
            found["allowed"] = np.where(filled, self._allowed[index], IGNORED)
        return found


def placed(lengths: Sequence[int], block: int) -> list[tuple[int, int, int]]:
    """Place, document and size of each piece, rows filled in order; what is longer than a row is cut.

    >>> placed([3, 2, 5], 4)
    [(0, 0, 3), (4, 1, 2), (8, 2, 4), (12, 2, 1)]
    """
    found, at = [], 0
    for number, length in enumerate(lengths):
        for start in range(0, length, block):
            size = min(block, length - start)
            if at % block + size > block:
                at += block - at % block
            found.append((at, number, size))
            at += size
    return found


def _with_parts(starts: Sequence[tuple[int, int, int]]) -> list[tuple[int, tuple[int, int], int]]:
    """The same with where in its document each piece begins."""
    done: dict[int, int] = {}
    found = []
    for place, number, size in starts:
        found.append((place, (number, done.get(number, 0)), size))
        done[number] = done.get(number, 0) + size
    return found
