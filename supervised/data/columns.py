"""Columns of a data set: arrays, class labels, groups, texts, ragged arrays and percepts, one class a kind.

A column holds one value an example and knows how to select rows, to be concatenated and to lie on disk; a
`supervised.data.dataset.Dataset` is a table of them. To add a kind: a class that satisfies `Column`, and its
line in `KINDS`; `tests/supervised/test_dataset.py` checks it from then on.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Protocol, Self

import numpy as np

from sim.records import Array, Percept
from supervised.data.percept_arrays import pack_percepts, unpack_percepts

LARGE = 2**25  # bytes of a selection from which on it is a view
PART = 1_000_000  # groups of one part of a joined data set, or a power of that many


class Column(Protocol):
    """One value for each of N examples."""

    def __len__(self) -> int:
        """N."""

    @property
    def content(self) -> Any:
        """The values as their users read them: an array, or a sequence of N."""

    def take(self, rows: Array) -> Self:
        """The values of the examples `rows` (K,) int64, in that order."""

    @classmethod
    def joined(cls, parts: Sequence[Self]) -> Self:
        """Columns one after another.

        Raises:
            ValueError: if they cannot be joined.
        """

    def arrays(self) -> dict[str, Array]:
        """The column as named arrays without objects."""

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, Array]) -> Self:
        """The inverse of `arrays`, without copying what is large.

        Raises:
            ValueError, KeyError, TypeError: for arrays that hold no such column.
        """


@dataclass(frozen=True)
class ArrayColumn:
    """Array column: values of one shape, such as images, vectors, table rows, actions or rewards.

    A large selection only notes its rows, so that parts of a mapped file take no memory of their own.
    Indexing gathers some examples, `content` all of them, once.

    Attributes:
        stored: (M, …), in memory or mapped from a file.
        axes: the names of the D numbers of (M, D), such as a table's columns; empty where they have none.
        selected: (N,) rows of `stored`; None: all of them.
    """

    stored: Array
    axes: tuple[str, ...] = ()
    selected: Array | None = None

    def __post_init__(self) -> None:
        """Refuse axes that do not fit.

        Raises:
            ValueError: naming how many there are.
        """
        if self.axes and self.shape != (len(self.axes),):
            raise ValueError(f"there are {len(self.axes)} axes for {self.shape} numbers")

    def __len__(self) -> int:
        """N."""
        return len(self.stored if self.selected is None else self.selected)

    def __getitem__(self, rows: Any) -> Array:
        """A copy of the values of some examples, by (K,) numbers or booleans."""
        found: Array = self.stored[rows if self.selected is None else self.selected[rows]]
        return found

    @property
    def shape(self) -> tuple[int, ...]:
        """Of one example."""
        return self.stored.shape[1:]

    @cached_property
    def content(self) -> Array:
        """(N, …) all values."""
        return self.stored if self.selected is None else self.stored[self.selected]

    def take(self, rows: Array) -> ArrayColumn:
        """See `Column`; a view if it is large."""
        chosen = np.arange(len(self))[rows]
        if len(chosen) * self.stored[:1].nbytes < LARGE:
            return ArrayColumn(self[chosen], self.axes)
        return ArrayColumn(self.stored, self.axes, chosen if self.selected is None else self.selected[chosen])

    @classmethod
    def joined(cls, parts: Sequence[ArrayColumn]) -> ArrayColumn:
        """See `Column`."""
        first = parts[0]
        for part in parts:
            if part.shape != first.shape or part.axes != first.axes:
                raise ValueError(f"{part.shape} and {first.shape} cannot be joined")
        return cls(np.concatenate([part.content for part in parts]), first.axes)

    def arrays(self) -> dict[str, Array]:
        """See `Column`."""
        return {"content": self.content, "axes": to_bytes(self.axes)}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, Array]) -> ArrayColumn:
        """See `Column`."""
        return cls(arrays["content"], tuple(from_bytes(arrays["axes"])))


@dataclass(frozen=True)
class LabelColumn:
    """Label column: one class an example.

    Attributes:
        content: (N,) integers, int64 on disk and when joined.
        names: the classes, in the order of their numbers.
    """

    content: Array
    names: tuple[str, ...]

    def __post_init__(self) -> None:
        """Refuse labels without a name.

        Raises:
            ValueError: saying which there are.
        """
        if len(self) and not 0 <= self.content.min() <= self.content.max() < len(self.names):
            raise ValueError(f"labels must be from 0 to {len(self.names) - 1}")

    def __len__(self) -> int:
        """N."""
        return len(self.content)

    def take(self, rows: Array) -> LabelColumn:
        """See `Column`."""
        return LabelColumn(self.content[rows], self.names)

    @classmethod
    def one(cls, name: str, count: int) -> LabelColumn:
        """The column of `count` examples of one class.

        >>> LabelColumn.one("pong", 3).content.tolist()
        [0, 0, 0]
        """
        return cls(np.zeros(count, np.int64), (name,))

    @classmethod
    def joined(cls, parts: Sequence[LabelColumn]) -> LabelColumn:
        """See `Column`; classes of one name stay one class."""
        names = tuple(dict.fromkeys(name for part in parts for name in part.names))
        renumbered = [
            np.array([names.index(name) for name in part.names], np.int64)[part.content] for part in parts
        ]
        return cls(np.concatenate(renumbered), names)

    def arrays(self) -> dict[str, Array]:
        """See `Column`."""
        return {"content": self.content, "names": to_bytes(self.names)}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, Array]) -> LabelColumn:
        """See `Column`."""
        return cls(arrays["content"], tuple(from_bytes(arrays["names"])))


@dataclass(frozen=True)
class GroupColumn:
    """Group column: number (N,) of each example's episode or author; within one they are not independent."""

    content: Array

    def __post_init__(self) -> None:
        """Refuse what is no number of a group.

        Raises:
            ValueError: naming the type.
        """
        if self.content.dtype.kind not in "iu":
            raise ValueError(f"groups are numbered by integers, not {self.content.dtype}")

    def __len__(self) -> int:
        """N."""
        return len(self.content)

    def take(self, rows: Array) -> GroupColumn:
        """See `Column`."""
        return GroupColumn(self.content[rows])

    @classmethod
    def joined(cls, parts: Sequence[GroupColumn]) -> GroupColumn:
        """See `Column`; groups of different parts stay apart."""
        return cls(groups_apart([part.content for part in parts]))

    def arrays(self) -> dict[str, Array]:
        """See `Column`."""
        return {"content": self.content}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, Array]) -> GroupColumn:
        """See `Column`."""
        return cls(arrays["content"])


@dataclass(frozen=True)
class RaggedColumn(Sequence[Array]):
    """Ragged column: arrays of different lengths, such as sounds, token sequences, or a graph's edges.

    Attributes:
        flat: (M, …) all of them one after another.
        offsets: (N + 1,) int64; array i is ``flat[offsets[i]:offsets[i + 1]]``.
    """

    flat: Array
    offsets: Array

    def __post_init__(self) -> None:
        """Refuse offsets that do not fit.

        Raises:
            ValueError: saying what is wrong.
        """
        whole = len(self.offsets) > 0 and self.offsets[0] == 0 and self.offsets[-1] == len(self.flat)
        if not whole or (np.diff(self.offsets) < 0).any():
            raise ValueError(f"offsets must rise from 0 to {len(self.flat)}")

    @classmethod
    def of(cls, arrays: Sequence[Array]) -> RaggedColumn:
        """Pack arrays (length, …) of one type and, but for the length, of one shape; at least one.

        >>> RaggedColumn.of([np.array([1, 2]), np.array([3])]).offsets.tolist()
        [0, 2, 3]
        """
        lengths = np.array([len(array) for array in arrays], np.int64)
        return cls(np.concatenate(list(arrays)), np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64))

    def __len__(self) -> int:
        """N."""
        return len(self.offsets) - 1

    def __getitem__(self, row: Any) -> Any:
        """The array of one example, or a list of a slice of them."""
        if isinstance(row, slice):
            return [self[i] for i in range(*row.indices(len(self)))]
        row = range(len(self))[row]
        return self.flat[self.offsets[row] : self.offsets[row + 1]]

    def __iter__(self) -> Iterator[Array]:
        """The arrays in order."""
        return (self[row] for row in range(len(self)))

    @property
    def content(self) -> RaggedColumn:
        """Itself, a sequence of arrays."""
        return self

    def take(self, rows: Array) -> RaggedColumn:
        """See `Column`."""
        lengths = np.diff(self.offsets)[rows]
        offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
        shift = np.repeat(self.offsets[:-1][rows] - offsets[:-1], lengths)
        return RaggedColumn(self.flat[np.arange(offsets[-1]) + shift], offsets)

    @classmethod
    def joined(cls, parts: Sequence[RaggedColumn]) -> RaggedColumn:
        """See `Column`."""
        shapes = {part.flat.shape[1:] for part in parts}
        if len(shapes) > 1:
            raise ValueError(f"arrays of {' and '.join(map(str, sorted(shapes)))} cannot be joined")
        lengths = np.concatenate([np.diff(part.offsets) for part in parts])
        flat = np.concatenate([part.flat for part in parts])
        return cls(flat, np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64))

    def arrays(self) -> dict[str, Array]:
        """See `Column`."""
        return {"flat": self.flat, "offsets": self.offsets}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, Array]) -> RaggedColumn:
        """See `Column`."""
        return cls(arrays["flat"], arrays["offsets"])


@dataclass(frozen=True)
class TextColumn:
    """Text column: a string an example, empty where there is none."""

    content: tuple[str, ...]

    def __len__(self) -> int:
        """N."""
        return len(self.content)

    def take(self, rows: Array) -> TextColumn:
        """See `Column`."""
        return TextColumn(tuple(self.content[row] for row in rows))

    @classmethod
    def joined(cls, parts: Sequence[TextColumn]) -> TextColumn:
        """See `Column`."""
        return cls(tuple(text for part in parts for text in part.content))

    def arrays(self) -> dict[str, Array]:
        """See `Column`."""
        return {"texts": to_bytes(self.content)}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, Array]) -> TextColumn:
        """See `Column`."""
        return cls(tuple(from_bytes(arrays["texts"])))


@dataclass(frozen=True)
class PerceptColumn:
    """Percept column: ground truth or another percept of each example, of any kind."""

    content: tuple[Percept, ...]

    def __len__(self) -> int:
        """N."""
        return len(self.content)

    def take(self, rows: Array) -> PerceptColumn:
        """See `Column`."""
        return PerceptColumn(tuple(self.content[row] for row in rows))

    @classmethod
    def joined(cls, parts: Sequence[PerceptColumn]) -> PerceptColumn:
        """See `Column`."""
        return cls(tuple(percept for part in parts for percept in part.content))

    def arrays(self) -> dict[str, Array]:
        """See `Column`."""
        return pack_percepts(self.content)

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, Array]) -> PerceptColumn:
        """See `Column`."""
        return cls(unpack_percepts(arrays))


#: Name of a kind, as it stands on disk → its class.
KINDS: dict[str, type[Column]] = {
    "array": ArrayColumn,
    "label": LabelColumn,
    "group": GroupColumn,
    "ragged": RaggedColumn,
    "text": TextColumn,
    "percept": PerceptColumn,
}


def groups_apart(parts: Sequence[Array]) -> Array:
    """(N,) int64 groups of several data sets one after another, renumbered so that none is in two of them.

    A group's new number depends on nothing but its old one and its part's place, so that what is held out
    (`supervised.data.split`) does not change where an earlier part has one group more.

    >>> groups_apart([np.array([0, 0, 3]), np.array([0, 1])]).tolist()
    [0, 0, 3, 1000000, 1000001]
    """
    room = PART
    while any(len(part) and part.max() >= room for part in parts):
        room *= PART
    return np.concatenate([part + i * room for i, part in enumerate(parts)]).astype(np.int64)


def to_bytes(value: Any) -> Array:
    """A plain value as JSON in an array of bytes."""
    return np.frombuffer(json.dumps(value).encode(), np.uint8)


def from_bytes(array: Array) -> Any:
    """The inverse of `to_bytes`; tuples come back as lists.

    Raises:
        ValueError: for bytes that are no JSON.
    """
    return json.loads(array.tobytes())
