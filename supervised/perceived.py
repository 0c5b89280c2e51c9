"""From what is seen in pictures to what an agent gets: numbers in fixed places, one row a world.

Every thing that an agent may know of has a *slot*: so many for each class of boxes, one for each keypoint,
in a fixed order. A slot holds

    box       present, x, y, width, height, dx, dy
    keypoint  present, x, y, dx, dy

`present` is 1 where the newest picture shows the thing, else 0. x and y are its middle, x to the right and y
down, all four in [0, 1] of the picture; dx and dy say how far it moved since the picture before, in
[−1, 1], where 1 is an eighth of the picture (`FASTEST`). A thing that is missed goes on as it went for up to
`MEMORY` pictures; then, and before it is first seen, its slot is all zeros.

Who gets which slot does not depend on the order in which things are told. Of each class the likeliest things
are taken, equally likely ones from left to right and from top to bottom. Slots with a memory take what lies
nearest to where they expect their thing, the closest pair first; what is left fills the empty slots in
that order. So a thing keeps its slot from picture to picture as long as it is seen.

Pure functions of arrays; nothing here knows worlds, models or agents.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import gymnasium
import numpy as np

from sim.errors import RequestError
from sim.records import Array, Percept

MEMORY = 8  # pictures
FASTEST = 1 / 8  # of the picture, from one picture to the next
BOX = ("present", "x", "y", "width", "height", "dx", "dy")
POINT = ("present", "x", "y", "dx", "dy")


class SlotError(RequestError, ValueError):
    """Slots for things that nobody tells, or none at all."""


@dataclass(frozen=True)
class Layout:
    """Which slots there are, in order: the boxes', then the keypoints'.

    Attributes:
        boxes: the class of each slot for a box; slots of one class stand together.
        points: the name of each slot for a keypoint.
        width: of the pictures, pixels.
        height: of the pictures, pixels.

    >>> Layout(("ball",), ("toe",), 160, 210).names[5:]
    ('ball 0 dx', 'ball 0 dy', 'toe present', 'toe x', 'toe y', 'toe dx', 'toe dy')
    """

    boxes: tuple[str, ...]
    points: tuple[str, ...]
    width: int
    height: int

    def __post_init__(self) -> None:
        """Refuse a layout without slots.

        Raises:
            SlotError: if nothing is to be seen.
        """
        if not self.boxes and not self.points:
            raise SlotError("an agent needs at least one box or keypoint to live on")

    @cached_property
    def slots_of(self) -> dict[str, Array]:
        """Class of boxes → its slots, (S,) indices."""
        return {name: np.flatnonzero(np.array(self.boxes) == name) for name in dict.fromkeys(self.boxes)}

    @property
    def slots(self) -> int:
        """K, how many slots there are."""
        return len(self.boxes) + len(self.points)

    @property
    def names(self) -> tuple[str, ...]:
        """What each number of an observation is."""
        numbered = [f"{name} {i}" for name, slots in self.slots_of.items() for i in range(len(slots))]
        boxes = [f"{thing} {number}" for thing in numbered for number in BOX]
        return (*boxes, *(f"{thing} {number}" for thing in self.points for number in POINT))

    @property
    def space(self) -> gymnasium.spaces.Box:
        """What observations look like: (D,) float32."""
        low = np.array([-1 if name.endswith((" dx", " dy")) else 0 for name in self.names], np.float32)
        return gymnasium.spaces.Box(low, np.ones_like(low))


def layout_of(
    classes: Sequence[str], points: Sequence[str], counts: Mapping[str, int], *, width: int, height: int
) -> Layout:
    """One slot for each class of boxes, or as many as `counts` says; one for each keypoint.

    Raises:
        SlotError: for counts of classes that there are not, or below 0.
    """
    for name, count in counts.items():
        if name not in classes:
            raise SlotError(f'slots: there is no class "{name}"; there are {", ".join(classes) or "none"}')
        if not isinstance(count, int) or isinstance(count, bool) or count < 0:
            raise SlotError(f"slots.{name} must be a whole number from 0 on, not {count}")
    boxes = [name for name in classes for _ in range(counts.get(name, 1))]
    return Layout(tuple(boxes), tuple(points), width, height)


@dataclass(frozen=True)
class Tracks:
    """What is remembered of the things in the K slots of N worlds.

    Attributes:
        place: (N, K, 4) x, y, width, height, in shares of the picture; where things are expected now.
        motion: (N, K, 2) how far they go from picture to picture.
        unseen: (N, K) pictures since they were seen: 0 is now, above `MEMORY` is forgotten, or never.
    """

    place: Array
    motion: Array
    unseen: Array

    @property
    def remembered(self) -> Array:
        """(N, K) bool: which slots hold something."""
        return np.asarray(self.unseen <= MEMORY)


def no_tracks(layout: Layout, num: int) -> Tracks:
    """The memory of `num` worlds before their first picture."""
    shape = num, layout.slots
    unseen = np.full(shape, MEMORY + 1, np.int64)
    return Tracks(np.zeros((*shape, 4), np.float32), np.zeros((*shape, 2), np.float32), unseen)


def followed(tracks: Tracks, found: Array) -> Tracks:
    """The memory after one picture more.

    Args:
        tracks: before it.
        found: (N, K, 4) where things are, NaN in slots whose thing is not seen; see `placed`.
    """
    seen = ~np.isnan(found[..., 0])
    since = tracks.unseen[..., None] + 1
    first = tracks.place[..., :2] - tracks.motion * tracks.unseen[..., None]  # where it was last seen
    measured = np.where(tracks.remembered[..., None], (found[..., :2] - first) / since, 0)
    expected = tracks.place.copy()
    expected[..., :2] += tracks.motion
    unseen = np.where(seen, 0, np.minimum(tracks.unseen + 1, MEMORY + 1))
    gone = (unseen > MEMORY)[..., None]
    place = np.where(gone, 0, np.where(seen[..., None], found, expected))
    motion = np.where(gone, 0, np.where(seen[..., None], measured, tracks.motion))
    return Tracks(place.astype(np.float32), motion.astype(np.float32), unseen)


def observed(layout: Layout, tracks: Tracks) -> Array:
    """(N, D) float32: what agents get; `Layout.names` says which number is what."""
    present = (tracks.unseen == 0)[..., None]
    place = np.clip(tracks.place, 0, 1)
    motion = np.clip(tracks.motion / FASTEST, -1, 1)
    boxes, n = len(layout.boxes), len(place)
    whole = np.concatenate([present, place, motion], -1)[:, :boxes].reshape(n, -1)
    points = np.concatenate([present, place[..., :2], motion], -1)[:, boxes:].reshape(n, -1)
    return np.concatenate([whole, points], 1).astype(np.float32)


def placed(layout: Layout, percept: Percept, tracks: Tracks, world: int) -> Array:
    """(K, 4) which slot takes what of a percept, in shares of the picture; NaN where its thing is missing.

    Args:
        layout: the slots.
        percept: of the newest picture of one world.
        tracks: the memory before it.
        world: whose row it is.
    """
    found = np.full((layout.slots, 4), np.nan)
    expected = tracks.place[world, :, :2] + tracks.motion[world]
    known = tracks.remembered[world]
    if percept.boxes is not None and len(percept.boxes):
        things = middles(percept.boxes) / [layout.width, layout.height, layout.width, layout.height]
        ranks = ranked(percept)
        for name, slots in layout.slots_of.items():
            mine = [i for i in ranks if percept.labels[i] == name][: len(slots)]
            if mine:
                taken = shared_out(things[mine][:, :2], expected[slots], known[slots])
                found[slots[taken]] = things[mine]
    for slot, name in enumerate(layout.points, len(layout.boxes)):
        x, y, visible = percept.keypoints.get(name, (0.0, 0.0, 0.0))
        if visible >= 0.5:
            found[slot] = x / layout.width, y / layout.height, 0, 0
    return found


def middles(boxes: Array) -> Array:
    """(M, 4) boxes as x, y of the middle, width and height.

    >>> middles(np.array([[10, 20, 14, 30]]))
    array([[12., 25.,  4., 10.]])
    """
    first, last = np.asarray(boxes[:, :2], float), np.asarray(boxes[:, 2:], float)
    return np.concatenate([(first + last) / 2, last - first], 1)


def ranked(percept: Percept) -> list[int]:
    """The numbers of a percept's boxes: likeliest first, then from left to right, from top to bottom."""
    boxes = np.asarray(percept.boxes, float)
    unlikely = np.zeros(len(boxes)) if percept.scores is None else -np.asarray(percept.scores, float)
    order: list[int] = np.lexsort((*boxes.T[::-1], unlikely)).tolist()
    return order


def shared_out(things: Array, expected: Array, known: Array) -> list[int]:
    """Which slot each of M things goes to.

    Args:
        things: (M, 2) places.
        expected: (S, 2) where the slots expect theirs, S at least M.
        known: (S,) bool, which slots expect anything.

    Returns:
        M different slots.
    """
    if len(expected) == 1:
        return [0]
    slots = np.full(len(things), -1)
    free = known.copy()
    distance = np.linalg.norm(things[:, None] - expected[None], axis=-1)
    for pair in np.argsort(distance, axis=None, kind="stable").tolist():
        thing, slot = divmod(pair, len(expected))
        if slots[thing] < 0 and free[slot]:
            slots[thing], free[slot] = slot, False
    left = np.flatnonzero(slots < 0)
    slots[left] = np.flatnonzero(~known)[: len(left)]
    return slots.tolist()
