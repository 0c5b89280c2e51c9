"""Data sets of generative models: images or vectors with labels, captions, truths, and their specification.

Every family of models is fitted to the same `Collection`, so that they can be compared. Does not know where
examples come from (`generative.data`), nor models.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from sim.records import Array, Percept
from supervised.data.percept_arrays import pack_percepts, unpack_percepts
from supervised.data.split import HASHED, held_out_episodes
from supervised.data.views import episodes_apart
from supervised.language.grammar import split


@dataclass(frozen=True)
class Spec:
    """Specification of a data set: shape, classes and vocabulary; kept in a checkpoint's card.

    Attributes:
        shape: (H, W, 3) of images, (D,) of vectors.
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


@dataclass(frozen=True)
class Collection:
    """Data set of N examples, images or vectors.

    Attributes:
        values: (N, H, W, 3) uint8 images, or (N, D) float32 vectors.
        labels: (N,) int64 into `label_names`; all 0 where there is one class.
        label_names: the classes.
        episodes: (N,) int64 episode, game or author; examples of one are not independent.
        captions: N sentences, empty for examples without one; or none at all.
        truths: N percepts of ground truth; or none at all.
        axes: the names of the D numbers, for vectors.
    """

    values: Array
    labels: Array
    label_names: tuple[str, ...]
    episodes: Array
    captions: tuple[str, ...] = ()
    truths: tuple[Percept, ...] = ()
    axes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Refuse parts that do not fit together.

        Raises:
            ValueError: naming the part.
        """
        kind = np.uint8 if self.values.ndim == 4 else np.float32
        if self.values.ndim not in (2, 4) or self.values.dtype != kind:
            raise ValueError(f"values are {self.values.dtype} {self.values.shape}, not pictures or vectors")
        if self.values.ndim == 2 and len(self.axes) != self.values.shape[1]:
            raise ValueError(f"there are {len(self.axes)} axes for {self.values.shape[1]} numbers")
        for name in ("labels", "episodes", "captions", "truths"):
            part = getattr(self, name)
            if len(part) != len(self) and not (name in ("captions", "truths") and not part):
                raise ValueError(f"there are {len(part)} {name} for {len(self)} values")
        if len(self) and not 0 <= self.labels.min() <= self.labels.max() < len(self.label_names):
            raise ValueError(f"labels must be from 0 to {len(self.label_names) - 1}")

    def __len__(self) -> int:
        """N."""
        return len(self.values)

    def spec(self) -> Spec:
        """Its specification."""
        words = {word for caption in self.captions for word in split(caption)}
        return Spec(self.values.shape[1:], self.label_names, self.axes, tuple(sorted(words)))

    def take(self, rows: Array) -> Collection:
        """The examples `rows` (K,), in that order."""
        rows = np.asarray(rows, np.int64)
        return Collection(
            self.values[rows],
            self.labels[rows],
            self.label_names,
            self.episodes[rows],
            tuple(self.captions[row] for row in rows) if self.captions else (),
            tuple(self.truths[row] for row in rows) if self.truths else (),
            self.axes,
        )

    def parted(self, share: float, seed: int = 0, rule: str = HASHED) -> tuple[Collection, Collection]:
        """Two collections without a common episode; the second holds about `share` of the examples.

        See `supervised.data.split`.

        Raises:
            ValueError: if no class has a second episode.
        """
        held = held_out_episodes(self.episodes, self.labels, share, seed=seed, rule=rule)
        chosen = np.isin(self.episodes, sorted(held))
        if not chosen.any() or chosen.all():
            raise ValueError("there is but one episode: nothing can be held out for validation")
        return self.take(np.flatnonzero(~chosen)), self.take(np.flatnonzero(chosen))

    def arrays(self) -> dict[str, Array]:
        """It as arrays without objects; see `supervised.data.dataset_cache.Storable`."""
        words = {name: getattr(self, name) for name in ("label_names", "captions", "axes")}
        return {
            "values": self.values,
            "labels": self.labels,
            "episodes": self.episodes,
            "words": np.frombuffer(json.dumps(words).encode(), np.uint8),
            **pack_percepts(self.truths),
        }

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, Array]) -> Collection:
        """The inverse of `arrays`.

        Raises:
            ValueError, KeyError, TypeError: if something is missing or does not fit.
        """
        own: dict[str, Any] = {name: arrays[name] for name in ("values", "labels", "episodes")}
        own |= {name: tuple(told) for name, told in json.loads(arrays["words"].tobytes()).items()}
        return cls(**own, truths=unpack_percepts(arrays))


def class_means(values: Array, labels: Array) -> Iterator[tuple[int, Array]]:
    """Mean (…) float64 of the examples (N, …) of each class (N,), by class number.

    >>> {label: mean.tolist() for label, mean in class_means(np.array([[1], [4], [2]]), np.array([3, 0, 3]))}
    {0: [4.0], 3: [1.5]}
    """
    for label in np.unique(labels):
        yield int(label), values[labels == label].mean(0, dtype=np.float64)


def joined(parts: Sequence[Collection]) -> Collection:
    """Concatenate data sets; equal labels stay equal, episodes stay distinct.

    Raises:
        ValueError: if they differ in shape or axes, or only some have captions or truths.
    """
    first = parts[0]
    names = tuple(dict.fromkeys(name for part in parts for name in part.label_names))
    labels = []
    for part in parts:
        if part.values.shape[1:] != first.values.shape[1:] or part.axes != first.axes:
            raise ValueError(f"{part.values.shape[1:]} and {first.values.shape[1:]} cannot be joined")
        labels.append(np.array([names.index(name) for name in part.label_names])[part.labels])
    return Collection(
        np.concatenate([part.values for part in parts]),
        np.concatenate(labels).astype(np.int64),
        names,
        episodes_apart([part.episodes for part in parts]),
        tuple(caption for part in parts for caption in part.captions),
        tuple(truth for part in parts for truth in part.truths),
        first.axes,
    )
