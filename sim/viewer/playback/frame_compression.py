"""Lossless compression of remembered moments: their pictures, masks and depth maps."""

from __future__ import annotations

import zlib
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np

from sim.percept_kind import field_of, with_fields
from sim.percept_kinds import PERCEPT_KINDS
from sim.records import Array, Percept
from sim.viewer.contract.moment import Moment


class CompressedArray(NamedTuple):
    """One array, compressed."""

    shape: tuple[int, ...]
    dtype: str
    content: bytes

    @classmethod
    def of(cls, array: Array) -> CompressedArray:
        """Compress, for speed rather than size."""
        return cls(array.shape, array.dtype.str, zlib.compress(np.ascontiguousarray(array).data, 1))

    def array(self) -> Array:
        """Decompress; the array is read-only."""
        return np.frombuffer(zlib.decompress(self.content), self.dtype).reshape(self.shape)


@dataclass(frozen=True, slots=True)
class CompressedMoment:
    """A moment whose large arrays are compressed without loss.

    Attributes:
        moment: without pictures; its percepts' large arrays, such as masks and depths, are empty.
        pictures: in their order.
        maps: the large arrays, in the order of `maps_of`.
        nbytes: freed by forgetting it; without the pictures if those are also another moment's.
    """

    moment: Moment
    pictures: tuple[CompressedArray, ...]
    maps: tuple[CompressedArray, ...]
    nbytes: int

    @classmethod
    def of(
        cls, moment: Moment, before: tuple[Array, ...] = (), packed: CompressedMoment | None = None
    ) -> CompressedMoment:
        """Compress a moment.

        Args:
            moment: as it is shown.
            before: pictures of an earlier one; those that are also this one's are not compressed again.
            packed: that one, compressed.
        """
        known = {} if packed is None else dict(zip(map(id, before), packed.pictures, strict=True))
        maps = tuple(CompressedArray.of(array) for array in maps_of(moment))
        pictures = tuple(known.get(id(picture)) or CompressedArray.of(picture) for picture in moment.pictures)
        own = [
            blob for picture, blob in zip(moment.pictures, pictures, strict=True) if id(picture) not in known
        ]
        small = replace(_with_maps(moment, [np.empty(0)] * len(maps)), pictures=())
        return cls(small, pictures, maps, sum(len(blob.content) for blob in (*own, *maps)))

    def unpacked(self) -> Moment:
        """The moment as it was."""
        whole = _with_maps(self.moment, [blob.array() for blob in self.maps])
        return replace(whole, pictures=tuple(blob.array() for blob in self.pictures))


def maps_of(moment: Moment) -> list[Array]:
    """The large arrays of all percepts of a moment, such as masks and depths, and of their truths."""
    percepts = [percept for one in moment.seen for percept in (one.percept, one.truth) if percept]
    return [array for percept in percepts for array in _large(percept).values()]


def _large(percept: Percept) -> dict[str, Array]:
    """The arrays of a percept that are worth compressing, by field; see `sim.percept_kind.PerceptKind`."""
    names = [name for kind in PERCEPT_KINDS.values() for name in kind.large]
    found = {name: field_of(percept, name) for name in names}
    return {name: array for name, array in found.items() if array is not None}


def _with_maps(moment: Moment, maps: list[Array]) -> Moment:
    """The moment with other large arrays, in the order of `maps_of`."""
    left = iter(maps)

    def changed(percept: Percept) -> Percept:
        return with_fields(percept, {name: next(left) for name in _large(percept)})

    seen = []
    for one in moment.seen:  # the percept before the truth
        percept = changed(one.percept)
        seen.append(replace(one, percept=percept, truth=one.truth and changed(one.truth)))
    return replace(moment, seen=tuple(seen))


def size_of(kept: Moment | CompressedMoment) -> int:
    """Bytes freed by forgetting a moment."""
    if isinstance(kept, CompressedMoment):
        return kept.nbytes
    return sum(array.nbytes for array in (*kept.pictures, *maps_of(kept)))
