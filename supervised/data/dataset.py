"""Data set: N examples in named columns, for every model that is fitted; split by episode, joined, windowed.

All models that learn from examples, perceptions and generative models alike, take a `Dataset`. Does not know
where examples come from, models, or files (`supervised.data.dataset_cache` keeps data sets on disk).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

import numpy as np

from sim.records import Array, Percept
from supervised.captions.grammar import split
from supervised.data.columns import (
    KINDS,
    ArrayColumn,
    Column,
    GroupColumn,
    LabelColumn,
    PerceptColumn,
    TextColumn,
    from_bytes,
    to_bytes,
)
from supervised.data.split import HASHED, held_out_episodes

#: Columns whose kind follows from their name; any other plain array is an `ArrayColumn`.
STANDARD: dict[str, Any] = {"episodes": GroupColumn, "captions": TextColumn, "truths": PerceptColumn}


@dataclass(frozen=True)
class Spec:
    """Specification of a data set: shape, classes and vocabulary; kept in a checkpoint's card.

    Attributes:
        shape: (H, W, 3) of images, (D,) of vectors; empty for what has no one shape.
        label_names: the classes, in the order of their numbers.
        axes: the names of the D numbers of a vector; empty for images.
        words: the tokens of all captions, in alphabetical order; empty where there are none.
    """

    shape: tuple[int, ...]
    label_names: tuple[str, ...]
    axes: tuple[str, ...] = ()
    words: tuple[str, ...] = ()

    @property
    def pictures(self) -> bool:
        """Whether the examples are images."""
        return len(self.shape) == 3

    def table(self) -> dict[str, list[Any]]:
        """As a table of a card."""
        return {name: list(getattr(self, name)) for name in self.__dataclass_fields__}

    @classmethod
    def of(cls, table: Mapping[str, Any]) -> Spec:
        """From a card's table.

        Raises:
            ValueError: naming what it lacks.

        >>> Spec.of(Spec((2,), ("all",), ("x", "y")).table()).axes
        ('x', 'y')
        """
        lacking = {"shape", "label_names"} - set(table)
        if lacking:
            raise ValueError(f"its spec lacks {', '.join(sorted(lacking))}")
        return cls(**{name: tuple(table.get(name, ())) for name in cls.__dataclass_fields__})


class Dataset:
    """Data set of N examples in named columns.

    | column | kind | holds |
    |---|---|---|
    | ``values`` | any | what a model reads or makes: (N, H, W, 3) uint8, (N, D) float32, sounds, texts, … |
    | ``labels`` | `LabelColumn` | classes |
    | ``captions`` | `TextColumn` | sentences, empty for examples without one |
    | ``truths`` | `PerceptColumn` | ground truth |
    | ``episodes`` | `GroupColumn` | groups; no group is on both sides of a split |
    | ``order`` | `ArrayColumn` | (N,) integers: place within the episode, 0, 1, 2, …; see `windows` |
    | ``actions``, ``rewards``, … | `ArrayColumn` | of each example's step; see `supervised.data.episodes` |
    | others | any | what else there is |

    A graph is two columns: ``values`` ragged (nodes, D) and ``edges`` ragged (edges, 2).

    >>> data = Dataset(values=np.zeros((3, 4, 4, 3), np.uint8), episodes=np.array([0, 0, 1]))
    >>> len(data), data.take(np.array([2])).episodes.tolist()
    (3, [1])
    """

    def __init__(self, **columns: Column | Array | Sequence[str] | Sequence[Percept]) -> None:
        """Of columns, or of plain contents where the kind follows from the name (`STANDARD`).

        Raises:
            ValueError: naming the column that does not fit the others, or is of the wrong type.
        """
        self._columns: dict[str, Column] = {name: _column(name, content) for name, content in columns.items()}
        if "values" not in self._columns:
            raise ValueError('a data set has a column "values"')
        self._check_values()
        for name, column in self._columns.items():
            if len(column) != len(self):
                raise ValueError(f"there are {len(column)} {name} for {len(self)} values")

    def __len__(self) -> int:
        """N."""
        return len(self._columns["values"])

    def __contains__(self, name: str) -> bool:
        """Whether there is a column of that name."""
        return name in self._columns

    def __getitem__(self, name: str) -> Any:
        """The content of a column: an array, N strings or percepts, or a `RaggedColumn`.

        Raises:
            KeyError: naming the columns that there are.
        """
        return self.column(name).content

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the columns."""
        return tuple(self._columns)

    def column(self, name: str) -> Column:
        """A column with its names and kind.

        Raises:
            KeyError: naming the columns that there are.
        """
        if name not in self._columns:
            raise KeyError(f'there is no column "{name}"; there are {", ".join(self._columns)}')
        return self._columns[name]

    @property
    def values(self) -> Any:
        """What a model reads or makes; (N, H, W, 3) uint8 images, (N, D) float32 vectors, or a sequence."""
        return self["values"]

    @property
    def values_by_row(self) -> Any:
        """`values` to index by (K,) rows, such as those of a batch: of a large part only these are read.

        >>> Dataset(values=np.array([3, 1, 2])).take(np.array([2, 0])).values_by_row[np.array([1])].tolist()
        [3]
        """
        column = self._columns["values"]
        return column if isinstance(column, ArrayColumn) else column.content

    @property
    def axes(self) -> tuple[str, ...]:
        """The names of the D numbers of vectors; empty for all else."""
        column = self._columns["values"]
        return column.axes if isinstance(column, ArrayColumn) else ()

    @property
    def labels(self) -> Array:
        """(N,) integers into `label_names`; all 0 without classes."""
        labels: Array = self["labels"] if "labels" in self else np.zeros(len(self), np.int64)
        return labels

    @property
    def label_names(self) -> tuple[str, ...]:
        """The classes; empty without any."""
        column = self._columns.get("labels")
        return column.names if isinstance(column, LabelColumn) else ()

    @property
    def episodes(self) -> Array:
        """(N,) integers: examples of one episode, game or author are not independent.

        Raises:
            KeyError: without such a column.
        """
        episodes: Array = self["episodes"]
        return episodes

    @property
    def captions(self) -> tuple[str, ...]:
        """N sentences, empty for examples without one; or none at all."""
        return self["captions"] if "captions" in self else ()

    @property
    def truths(self) -> tuple[Percept, ...]:
        """N percepts of ground truth; or none at all."""
        return self["truths"] if "truths" in self else ()

    def spec(self) -> Spec:
        """What a model must know of it."""
        column = self._columns["values"]
        shape = column.shape if isinstance(column, ArrayColumn) else ()
        words = {word for caption in self.captions for word in split(caption)}
        return Spec(shape, self.label_names, self.axes, tuple(sorted(words)))

    def assign(self, **columns: Column | Array | Sequence[str] | Sequence[Percept]) -> Dataset:
        """The data set with these columns added or replaced, as in pandas."""
        return Dataset(**(self._columns | columns))

    def drop(self, *names: str) -> Dataset:
        """The data set without these columns, whether it has them or not."""
        return Dataset(**{name: column for name, column in self._columns.items() if name not in names})

    def take(self, rows: Array) -> Dataset:
        """The examples `rows` (K,), in that order; what is large is not copied, see `ArrayColumn`."""
        rows = np.asarray(rows, np.int64)
        return Dataset(**{name: column.take(rows) for name, column in self._columns.items()})

    def parted(self, share: float, seed: int = 0, rule: str = HASHED) -> tuple[Dataset, Dataset]:
        """Two data sets without a common episode; the second holds about `share` of the examples.

        See `supervised.data.split`.

        Raises:
            ValueError: if no class has a second episode.
        """
        held = held_out_episodes(self.episodes, self.labels, share, seed=seed, rule=rule)
        chosen = np.isin(self.episodes, sorted(held))
        if not chosen.any() or chosen.all():
            raise ValueError("there is but one episode: nothing can be held out for validation")
        return self.take(np.flatnonzero(~chosen)), self.take(np.flatnonzero(chosen))

    def windows(self, length: int, stride: int = 1) -> Array:
        """Rows (K, length) int64 of sequences: consecutive examples of one episode.

        Consecutive are those whose ``order`` goes up by one; without that column, an episode's examples as
        they stand, even where those of other episodes stand between them.

        Args:
            length: T, at least 1.
            stride: between the beginnings of two windows of one episode, at least 1.

        Raises:
            ValueError: for a length or stride below 1.

        >>> data = Dataset(values=np.zeros((5, 1), np.float32), episodes=np.array([0, 1, 0, 1, 0]))
        >>> data.windows(2).tolist()
        [[0, 2], [2, 4], [1, 3]]
        """
        if length < 1 or stride < 1:
            raise ValueError(f"length and stride must be at least 1, not {length} and {stride}")
        order = np.asarray(self["order"] if "order" in self else np.arange(len(self)))
        rows = np.lexsort((order, self.episodes))
        new = np.diff(self.episodes[rows]) != 0
        if "order" in self:
            new |= np.diff(order[rows]) != 1
        run = np.concatenate([[0], np.cumsum(new)])  # (N,) the number of the run that each row is in
        begins = np.arange(max(0, len(rows) - length + 1))
        place = begins - np.searchsorted(run, run[begins])  # within the run
        begins = begins[(run[begins] == run[begins + length - 1]) & (place % stride == 0)]
        return np.asarray(rows[begins[:, None] + np.arange(length)], np.int64)

    def arrays(self) -> dict[str, Array]:
        """It as arrays without objects."""
        names = {kind: name for name, kind in KINDS.items()}
        found = {"columns": to_bytes([[name, names[type(self.column(name))]] for name in self.names])}
        for name, column in self._columns.items():
            found |= {f"{name}.{part}": array for part, array in column.arrays().items()}
        return found

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, Array]) -> Dataset:
        """The inverse of `arrays`; large arrays are not copied.

        Raises:
            ValueError, KeyError, TypeError: if something is missing or does not fit.
        """
        columns: dict[str, Column] = {}
        for name, kind in from_bytes(arrays["columns"]):
            start = f"{name}."
            own = {key.removeprefix(start): array for key, array in arrays.items() if key.startswith(start)}
            columns[name] = KINDS[kind].from_arrays(own)
        return cls(**columns)

    def _check_values(self) -> None:
        column = self._columns["values"]
        if not isinstance(column, ArrayColumn):
            return
        values = column.stored
        pictures, reals = values.ndim == 4, values.dtype.kind == "f"
        if (pictures and values.dtype != np.uint8) or (reals and values.dtype != np.float32):
            raise ValueError(f"values are {values.dtype} {values.shape}, not pictures or vectors")


def concatenate(parts: Sequence[Dataset]) -> Dataset:
    """Concatenate data sets; equal labels stay equal, episodes stay distinct.

    Raises:
        ValueError: if they differ in columns, shape or axes.
    """
    first = parts[0]
    for part in parts:
        if set(part.names) != set(first.names):
            odd = ", ".join(sorted(set(part.names) ^ set(first.names)))
            raise ValueError(f"not all parts have {odd}: they cannot be joined")
    columns: dict[str, Column] = {}
    for name in first.names:
        own = [part.column(name) for part in parts]
        if len({type(column) for column in own}) > 1:
            raise ValueError(f"the parts' {name} are of several kinds: they cannot be joined")
        columns[name] = type(own[0]).joined(own)
    return Dataset(**columns)


def _column(name: str, content: Column | Array | Sequence[str] | Sequence[Percept]) -> Column:
    """The column of a content: of the kind that goes with its name, unless it is a column already."""
    if not isinstance(content, np.ndarray | tuple | list):
        return cast(Column, content)
    kind = STANDARD.get(name, ArrayColumn)
    column: Column = kind(content if isinstance(content, np.ndarray) else tuple(content))
    return column
