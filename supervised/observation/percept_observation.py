"""Observations from percepts: tracked boxes and keypoints in the fixed slots of one vector a world.

Every object has a *slot*: a number of them for each class of boxes, one for each keypoint, in a fixed order.
A slot holds

    box       present, x, y, width, height, dx, dy
    keypoint  present, x, y, dx, dy

`present` is 1 where the newest image shows the object, else 0. x and y are its centre, x to the right and y
down, all four in [0, 1] of the image; dx and dy are its motion since the previous image, in [−1, 1], where 1
is an eighth of the image (`FASTEST`). A missed object is extrapolated at constant velocity for up to `MEMORY`
images; then, and before it is first seen, its slot is all zeros.

Noisy detections may be smoothed by a g-h filter, which fits a straight line to the past with weights
1, θ, θ², … (`gains`).

With relations, dx and dy follow for each pair of boxes: the offset of the second from the first, in [−1, 1],
where 1 is an eighth of the image (`NEAR`) or more; zeros unless both are tracked. What matters between two
objects, such as whether a ball will meet a paddle, is often much smaller than the image.

The assignment to slots does not depend on the order of detections. Of each class the highest scores are
taken, equal ones from left to right and from top to bottom. Slots with a track take the detection nearest to
where they expect their object, the closest pair first; the rest fills the empty slots in that order. So an
object keeps its slot from image to image as long as it is seen.

Pure functions of arrays; nothing here knows worlds, models or agents.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import combinations
from typing import NamedTuple, TypeAlias

import gymnasium
import numpy as np

from sim.errors import RequestError
from sim.percept_kind import Kind
from sim.records import Array, Percept

MEMORY = 8  # images
FASTEST = 1 / 8  # of the image, from one image to the next
NEAR = 1 / 8  # of the image; offsets between objects are clipped to it
BOX = ("present", "x", "y", "width", "height", "dx", "dy")
POINT = ("present", "x", "y", "dx", "dy")


Place: TypeAlias = tuple[float, float, float, float]
UNSEEN: Place = (math.nan, math.nan, math.nan, math.nan)


class SlotError(RequestError, ValueError):
    """Slots for classes that the perception does not have, or none at all."""


@dataclass(frozen=True)
class SlotLayout:
    """Layout of an observation vector: its slots, first those of boxes, then those of keypoints.

    Attributes:
        boxes: the class of each slot for a box; slots of one class stand together.
        points: the name of each slot for a keypoint.
        width: of the images, pixels.
        height: of the images, pixels.
        relations: whether offsets between boxes are given, pair by pair.
        smoothing: θ in [0, 1), the weight of the past; 0: the newest image alone.

    >>> SlotLayout(("ball",), ("toe",), 160, 210).names[5:]
    ('ball 0 dx', 'ball 0 dy', 'toe present', 'toe x', 'toe y', 'toe dx', 'toe dy')
    """

    boxes: tuple[str, ...]
    points: tuple[str, ...]
    width: int
    height: int
    relations: bool = False
    smoothing: float = 0.0

    def __post_init__(self) -> None:
        """Refuse a layout without slots, and smoothing that never moves.

        Raises:
            SlotError: if there are no slots, or `smoothing` is out of its range.
        """
        if not 0 <= self.smoothing < 1:
            raise SlotError(f"smoothing must be at least 0 and below 1, not {self.smoothing}")
        if not self.boxes and not self.points:
            raise SlotError("an agent's observation needs at least one box or keypoint")

    @cached_property
    def slots_of(self) -> dict[str, list[int]]:
        """Class of boxes → the indices of its slots."""
        return {
            name: [slot for slot, box in enumerate(self.boxes) if box == name]
            for name in dict.fromkeys(self.boxes)
        }

    @property
    def slots(self) -> int:
        """K, the number of slots."""
        return len(self.boxes) + len(self.points)

    @cached_property
    def pairs(self) -> list[tuple[int, int]]:
        """The pairs of box slots whose offset is given."""
        return list(combinations(range(len(self.boxes)), 2)) if self.relations else []

    @property
    def names(self) -> tuple[str, ...]:
        """The name of each number of an observation."""
        numbered = [f"{name} {i}" for name, slots in self.slots_of.items() for i in range(len(slots))]
        boxes = [f"{thing} {number}" for thing in numbered for number in BOX]
        points = [f"{thing} {number}" for thing in self.points for number in POINT]
        between = [f"{numbered[j]} from {numbered[i]} {axis}" for i, j in self.pairs for axis in ("dx", "dy")]
        return (*boxes, *points, *between)

    @property
    def space(self) -> gymnasium.spaces.Box:
        """The observation space: (D,) float32."""
        low = np.array([-1 if name.endswith((" dx", " dy")) else 0 for name in self.names], np.float32)
        return gymnasium.spaces.Box(low, np.ones_like(low))


def slot_layout(
    classes: Sequence[str],
    points: Sequence[str],
    counts: Mapping[str, int],
    *,
    width: int,
    height: int,
    relations: bool = False,
    smoothing: float = 0.0,
) -> SlotLayout:
    """Make a layout: one slot for each class of boxes, or as many as `counts` says; one for each keypoint.

    Raises:
        SlotError: for counts of unknown classes, or below 0.
    """
    for name, count in counts.items():
        if name not in classes:
            raise SlotError(f'slots: there is no class "{name}"; there are {", ".join(classes) or "none"}')
        if not isinstance(count, int) or isinstance(count, bool) or count < 0:
            raise SlotError(f"slots.{name} must be a whole number from 0 on, not {count}")
    boxes = [name for name in classes for _ in range(counts.get(name, 1))]
    return SlotLayout(tuple(boxes), tuple(points), width, height, relations, smoothing)


class ObservedKind(NamedTuple):
    """How a kind of percept becomes slots of an agent's observation.

    Attributes:
        points: whether its class names are keypoints, which have one slot each; else classes of boxes.
        kinds: of truth that are asked for, where the simulator knows several.
    """

    points: bool
    kinds: tuple[Kind, ...] = ()


#: Kind of percept that an agent can live on → how it becomes slots.
SLOTS: dict[Kind, ObservedKind] = {
    "boxes": ObservedKind(points=False),
    "keypoints": ObservedKind(points=True, kinds=("keypoints",)),
}


@dataclass(frozen=True)
class Tracks:
    """Tracks of the objects in the K slots of N worlds: position, velocity and age.

    Attributes:
        place: (N, K, 4) x, y, width, height, in shares of the image; the current estimate.
        motion: (N, K, 2) velocity, in shares of the image from one image to the next.
        unseen: (N, K) images since the last detection: 0 is now, above `MEMORY` is lost, or never seen.
    """

    place: Array
    motion: Array
    unseen: Array

    @property
    def remembered(self) -> Array:
        """(N, K) bool: which slots have a track."""
        return np.asarray(self.unseen <= MEMORY)


def no_tracks(layout: SlotLayout, num: int) -> Tracks:
    """Empty tracks of `num` worlds, before their first image."""
    shape = num, layout.slots
    unseen = np.full(shape, MEMORY + 1, np.int64)
    return Tracks(np.zeros((*shape, 4), np.float32), np.zeros((*shape, 2), np.float32), unseen)


def update_tracks(tracks: Tracks, found: Array, smoothing: float = 0.0) -> Tracks:
    """Update tracks with the detections of one image (g-h filter).

    Args:
        tracks: before it.
        found: (N, K, 4) detections, NaN in slots without one; see `fill_slots`.
        smoothing: see `SlotLayout`.
    """
    seen = ~np.isnan(found[..., 0])
    unseen = np.where(seen, 0, np.minimum(tracks.unseen + 1, MEMORY + 1))
    expected = tracks.place.copy()
    expected[..., :2] += tracks.motion
    since = tracks.unseen[..., None] + 1
    known = tracks.remembered[..., None]
    of_place, of_motion = gains(smoothing, since)
    error = np.where(seen[..., None], found - expected, 0)
    place = np.where(known, expected + of_place * error, found)
    motion = np.where(known, tracks.motion + of_motion / since * error[..., :2], 0)
    gone = (unseen > MEMORY)[..., None]
    place, motion = np.where(gone, 0, place), np.where(gone, 0, motion)
    return Tracks(place.astype(np.float32), motion.astype(np.float32), unseen)


def gains(smoothing: float, since: Array) -> tuple[Array, Array]:
    """Gains g and h of a critically damped g-h filter for detections `since` images apart; 1 each at θ = 0.

    1 − θ² and (1 − θ)², with θ to the power of `since`, fit a straight line to the past with weights that
    decay by θ an image (Brookner 1998, "Tracking and Kalman Filtering Made Easy", section 1.2.6).
    """
    theta = smoothing**since
    return 1 - theta**2, (1 - theta) ** 2


def observations(layout: SlotLayout, tracks: Tracks) -> Array:
    """Observations (N, D) float32 of tracks; `SlotLayout.names` names the columns."""
    present = (tracks.unseen == 0)[..., None]
    place = np.clip(tracks.place, 0, 1)
    motion = np.clip(tracks.motion / FASTEST, -1, 1)
    boxes, n = len(layout.boxes), len(place)
    whole = np.concatenate([present, place, motion], -1)[:, :boxes].reshape(n, -1)
    points = np.concatenate([present, place[..., :2], motion], -1)[:, boxes:].reshape(n, -1)
    return np.concatenate([whole, points, pairwise_offsets(layout, tracks)], 1).astype(np.float32)


def pairwise_offsets(layout: SlotLayout, tracks: Tracks) -> Array:
    """Offsets (N, 2P) in x and y from the first to the second box of each of P pairs, in [−1, 1]."""
    first, second = np.array(layout.pairs, int).reshape(-1, 2).T
    apart = (tracks.place[:, second, :2] - tracks.place[:, first, :2]) / NEAR
    both = tracks.remembered[:, first] & tracks.remembered[:, second]
    return np.asarray(np.where(both[..., None], np.clip(apart, -1, 1), 0).reshape(len(apart), -1))


def fill_slots(layout: SlotLayout, percept: Percept, tracks: Tracks, world: int) -> Array:
    """Assign a percept's boxes and keypoints to slots: (K, 4) in shares of the image, NaN if missing.

    Args:
        layout: the slots.
        percept: of the newest image of one world.
        tracks: before it.
        world: the index of that world in `tracks`.
    """
    found = [UNSEEN] * layout.slots
    things = ranked(percept)
    for name, slots in layout.slots_of.items():
        mine = [shares(box, layout) for label, box in things if label == name][: len(slots)]
        taken = slots
        if mine and len(slots) > 1:
            expected = tracks.place[world, slots, :2] + tracks.motion[world, slots]
            known = tracks.unseen[world, slots] <= MEMORY
            taken = [slots[i] for i in assign_nearest(np.array(mine)[:, :2], expected, known)]
        for slot, place in zip(taken, mine, strict=False):
            found[slot] = place
    for slot, name in enumerate(layout.points, len(layout.boxes)):
        x, y, visible = percept.keypoints.get(name, (0.0, 0.0, 0.0))
        if visible >= 0.5:
            found[slot] = x / layout.width, y / layout.height, 0.0, 0.0
    return np.array(found)


def ranked(percept: Percept) -> list[tuple[str, list[float]]]:
    """Sort a percept's boxes by score, equal ones from left to right and from top to bottom; class and box.

    >>> ranked(Percept("truth", boxes=np.array([[7, 0, 9, 9], [0, 0, 2, 9]]), labels=("a", "b")))
    [('b', [0, 0, 2, 9]), ('a', [7, 0, 9, 9])]
    """
    if percept.boxes is None:
        return []
    boxes = percept.boxes.tolist()
    scores = [0.0] * len(boxes) if percept.scores is None else percept.scores.tolist()
    known = sorted(zip([-score for score in scores], boxes, percept.labels, strict=True))
    return [(label, box) for _, box, label in known]


def shares(box: list[float], layout: SlotLayout) -> Place:
    """A box's centre x and y, width and height, in shares of the image."""
    x0, y0, x1, y1 = box
    width, height = layout.width, layout.height
    return (x0 + x1) / 2 / width, (y0 + y1) / 2 / height, (x1 - x0) / width, (y1 - y0) / height


def assign_nearest(things: Array, expected: Array, known: Array) -> list[int]:
    """Greedy nearest-neighbour assignment of M detections to S slots.

    Args:
        things: (M, 2) positions.
        expected: (S, 2) predicted positions of the slots' tracks, S at least M.
        known: (S,) bool, which slots have a track.

    Returns:
        M different slots.
    """
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
