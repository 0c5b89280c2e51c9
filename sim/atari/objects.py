"""Format of a game's object table: boxes read from memory, then fitted to pixels of the object's colours.

The console's memory holds the game's own record of its objects and where they are; the picture shows
which of them were drawn. Some games draw before they move, so that their memory is a frame ahead, and
some draw their objects in turn, every second frame or more rarely. A table therefore reads each
object from memory and names the colours that it is drawn in; `fit_box` looks for these around the
place in memory, and gives the exact box, or nothing where nothing was drawn.

Everything here is counted in whole pixels and Python's own integers: memory bytes are uint8, and
numpy's would wrap around.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import NamedTuple

import numpy as np

from sim.records import Array

#: The console's 128 bytes as Python integers.
Ram = Sequence[int]


#: x0, y0, x1, y1 in pixels, half-open.
Box = tuple[int, int, int, int]


class DetectedObject(NamedTuple):
    """A detected object: class label, bounding box and, where its class has several, its own colours.

    Attributes:
        label: its class.
        box: where it is; a box from memory may reach out of the picture.
        colours: the palette indices of this one object, if its class has more.
    """

    label: str
    box: Box
    colours: frozenset[int] | None = None


def object_at(
    label: str, x: int, y: int, width: int, height: int, colours: frozenset[int] | None = None
) -> DetectedObject:
    """Make an object from its upper left corner and its size.

    >>> object_at("ball", 10, 20, 2, 4).box
    (10, 20, 12, 24)
    """
    return DetectedObject(label, (x, y, x + width, y + height), colours)


def class_colours(*colours: int) -> frozenset[int]:
    """The palette indices that a class is drawn in."""
    return frozenset(colours)


def all_colours_but(*colours: int) -> frozenset[int]:
    """All palette indices but `colours`, for a class of many colours on a known background."""
    return frozenset(range(256)) - frozenset(colours)


def decode_bcd(*digits: int) -> int:
    """Decode binary-coded decimal: bytes of two digits each, the highest first, as games store scores.

    >>> decode_bcd(0x01, 0x23)
    123
    """
    number = 0
    for byte in digits:
        number = 100 * number + 10 * (byte >> 4) + (byte & 15)
    return number


def decode_signed(byte: int) -> int:
    """Decode a two's-complement byte, −128 to 127, as games store velocities.

    >>> decode_signed(255)
    -1
    """
    return byte - 256 if byte > 127 else byte


@dataclass(frozen=True)
class GameTable:
    """Object table of one game: its classes with their colours, and functions that read its memory.

    Attributes:
        classes: class → the palette indices that it is drawn in.
        find: the objects in memory, in a fixed order.
        facts: numbers by name: scores, lives, positions in pixels.
        area: where objects are drawn; scores and frames around it are not objects.
        reach: class → how many pixels around its remembered box it may be drawn, (across, down);
            the sprite's animation and the frame that memory is ahead add up to it.
        crown: class → rows on top of the found ones, in a colour that other classes share.
    """

    classes: Mapping[str, frozenset[int]]
    find: Callable[[Ram], Iterable[DetectedObject]]
    facts: Callable[[Ram], dict[str, int]]
    area: Box
    reach: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    crown: Mapping[str, int] = field(default_factory=dict)


_REACH = (2, 2)


def clip_box(box: Box, area: Box) -> Box | None:
    """The part of `box` within `area`, or None if there is none.

    >>> clip_box((-3, 5, 4, 9), (0, 0, 160, 210))
    (0, 5, 4, 9)
    """
    x0, y0 = max(box[0], area[0]), max(box[1], area[1])
    x1, y1 = min(box[2], area[2]), min(box[3], area[3])
    return (x0, y0, x1, y1) if x0 < x1 and y0 < y1 else None


def fit_box(table: GameTable, found: DetectedObject, screen: Array) -> DetectedObject | None:
    """Fit an object's box to the pixels of its colours near its place in memory; None if there are none.

    Args:
        table: the game's.
        found: an object from memory.
        screen: (H, W) uint8 palette indices.
    """
    across, down = table.reach.get(found.label, _REACH)
    x0, y0, x1, y1 = found.box
    window = clip_box((x0 - across, y0 - down, x1 + across, y1 + down), table.area)
    if window is None:
        return None
    colours = found.colours or table.classes[found.label]
    drawn = _marked(colours)[screen[window[1] : window[3], window[0] : window[2]]]
    rows, columns = drawn.nonzero()  # row by row
    if not len(rows):
        return None
    left, top = window[0] + int(columns.min()), window[1] + int(rows[0])
    top = max(table.area[1], top - table.crown.get(found.label, 0))
    right, bottom = window[0] + int(columns.max()) + 1, window[1] + int(rows[-1]) + 1
    return DetectedObject(found.label, (left, top, right, bottom), found.colours)


@cache
def _marked(colours: frozenset[int]) -> Array:
    """(256,) bool: which palette indices are among `colours`."""
    return np.isin(np.arange(256), list(colours))
