"""Interactive renderer of a twin: emulator and dream side by side, their difference, and fans of futures.

The picture fills the room that the window gives it: two frames above, the difference below, and beside it one
column an action with the emulator's future over the dream's. Frames are enlarged by whole factors.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from generative.dream.renderer import STEPS, STEPS_KEY, nearest_step, next_step
from generative.twin.divergence import Divergence
from sim.atari.resize import AreaResize
from sim.plurals import number_of
from sim.records import Array
from sim.viewer.contract.gallery_page import Slider
from sim.viewer.contract.gesture import Ability, Answer, Gesture
from sim.viewer.contract.moment import PictureLabel, Readout

if TYPE_CHECKING:
    from generative.twin.world import TwinWorld

SYNCHRONISE, BRANCH, HORIZON = "y", "b", "l"
HORIZONS = (5, 15, 30, 60, 120)  # frames
LONGEST_FAN = 15  # frames
HINTS = ("B: futures of all actions", "Y: synchronise the dream")
GROUND = (17, 20, 24)  # of the window
ROOM = (640, 480)  # before the window has told its own
GAP, MIN_BAND = 8, 18
LEAST_SHARE = 0.5  # of the height of the upper frames that the lower row has
SAME = 0.22  # brightness of what both have, in the difference picture
EMULATOR_ONLY, DREAM_ONLY = (86, 180, 233), (230, 159, 0)  # Okabe–Ito sky blue and orange
TRAIL = 0.45  # brightness of where a fan's objects have been


@dataclass(frozen=True)
class Places:
    """Where the parts of a picture go, in its pixels; a line of text lies above each.

    Attributes:
        large: factor of the two frames above.
        small: factor of the difference.
        band: height of a line of text.
        frame: height and width of a frame.
        actions: how many columns a fan has.
    """

    large: int
    small: int
    band: int
    frame: tuple[int, int]
    actions: int

    @classmethod
    def within(cls, room: tuple[int, int], frame: tuple[int, int], actions: int) -> Places:
        """The largest frames that fit into a room (width, height); at least the frames themselves."""
        (width, height), (rows, columns) = room, frame
        band = max(MIN_BAND, height // 36)
        free = height - 2 * band - GAP  # for two rows of frames
        large = max(1, min((width - GAP) // (2 * columns), int(free / rows / (1 + LEAST_SHARE))))
        small = max(1, min(large, free // rows - large))
        return cls(large, small, band, frame, actions)

    @property
    def size(self) -> tuple[int, int]:
        """Width and height of the whole picture."""
        rows, columns = self.frame
        height = (self.large + self.small) * rows + 2 * self.band + GAP
        return 2 * self.large * columns + GAP, height

    @property
    def second(self) -> int:
        """Left edge of the dream."""
        return self.large * self.frame[1] + GAP

    @property
    def below(self) -> int:
        """Top edge of the difference and of the fan."""
        return self.large * self.frame[0] + 2 * self.band + GAP

    @property
    def beside(self) -> bool:
        """Whether a fan has room beside the difference; if not it takes its place."""
        return self.tile(self.small * self.frame[1] + GAP) >= min(self.frame)

    @property
    def fan_left(self) -> int:
        """Left edge of the fan."""
        return self.small * self.frame[1] + GAP if self.beside else 0

    def tile(self, left: int) -> int:
        """Width and height of each picture of a fan that begins at `left`."""
        across = (self.size[0] - left) // self.actions - GAP // 2
        return max(1, min(across, (self.small * self.frame[0] - self.band - GAP // 2) // 2))


def difference(emulator: Array, dream: Array) -> Array:
    """Difference of two pictures (H, W, 3) uint8: dark where they are the same.

    Where they differ, what stands out from the ground in the emulator's is blue, what does in the dream's is
    orange; the ground is the emulator's most frequent colour.
    """
    differ = (emulator != dream).any(axis=-1)
    ground = most_frequent(emulator)
    picture = (emulator * SAME).astype(np.uint8)
    picture[differ & (dream != ground).any(axis=-1)] = DREAM_ONLY
    picture[differ & (emulator != ground).any(axis=-1)] = EMULATOR_ONLY
    return picture


def most_frequent(picture: Array) -> Array:
    """The colour (3,) that most pixels of a picture (H, W, 3) have."""
    colors, counts = np.unique(picture.reshape(-1, 3), axis=0, return_counts=True)
    found: Array = colors[counts.argmax()]
    return found


def trail(pictures: Array) -> Array:
    """Last of T pictures (T, H, W, 3) uint8, with what stood out from the ground before it, darker."""
    ground = most_frequent(pictures[-1])
    merged: Array = pictures[-1].copy()
    for picture in pictures[:-1]:
        past = (picture != ground).any(axis=-1) & (merged == ground).all(axis=-1)
        merged[past] = (TRAIL * picture[past] + (1 - TRAIL) * ground).astype(np.uint8)
    return merged


def enlarged(picture: Array, factor: int) -> Array:
    """Picture with every pixel `factor` times as wide and high."""
    return picture.repeat(factor, axis=0).repeat(factor, axis=1)


def resized(picture: Array, side: int) -> Array:
    """Square picture (side, side, 3): larger by nearest pixels, which loses none, smaller by averaging."""
    rows, columns = picture.shape[:2]
    if side < max(rows, columns):
        shrink = AreaResize((rows, columns), (side, side))
        return np.stack([shrink(picture[..., channel]) for channel in range(3)], axis=-1)
    at = [np.arange(side) * length // side for length in (rows, columns)]
    larger: Array = picture[at[0]][:, at[1]]
    return larger


class TwinRenderer:
    """Interactive renderer of one `generative.twin.world.TwinWorld`."""

    abilities = frozenset({Ability.TARGETS, Ability.DREAM, Ability.TWIN})
    turns = False
    asks: tuple[str, ...] = (SYNCHRONISE, BRANCH, STEPS_KEY, HORIZON)
    caption = ""

    def __init__(self, world: TwinWorld) -> None:
        self._world = world
        self._room = ROOM
        self._pair: tuple[Array, Array] | None = None  # pictures of both, as they were noted
        self._divergence = Divergence()
        self._fan: tuple[Array, Array] | None = None  # pictures (A, H, W, 3) of both sides
        self._fan_age = self._fan_length = 0  # steps

    def note(self) -> None:
        """Copy both frames and their divergence; see `InteractiveRenderer`."""
        self._pair = self._world.pictures
        self._fan_age += self._world.divergence is not self._divergence
        self._divergence = self._world.divergence

    @property
    def _places(self) -> Places:
        assert self._pair is not None
        height, width = self._pair[0].shape[:2]
        return Places.within(self._room, (height, width), len(self._world.action_names))

    def draw(self) -> Array:
        """Both frames, their difference and the fan, (H, W, 3) uint8."""
        if self._pair is None:
            self.note()
        assert self._pair is not None
        at = self._places
        width, height = at.size
        picture = np.empty((height, width, 3), np.uint8)
        picture[:] = GROUND
        emulator, dream = self._pair
        _put(picture, enlarged(emulator, at.large), 0, at.band)
        _put(picture, enlarged(dream, at.large), at.second, at.band)
        if self._fan is None or at.beside:
            _put(picture, enlarged(difference(emulator, dream), at.small), 0, at.below)
        if self._fan is not None:
            side, left = at.tile(at.fan_left), at.fan_left
            for row, pictures in enumerate(self._fan):
                for column, one in enumerate(pictures):
                    x = left + column * (side + GAP // 2)
                    _put(picture, resized(one, side), x, at.below + at.band + row * (side + GAP // 2))
        return picture

    @property
    def labels(self) -> tuple[PictureLabel, ...]:
        """Lines of text over the parts of the picture; see `LabelsPicture`."""
        if self._pair is None:
            return ()
        at, middle = self._places, self._places.band // 2
        wide, steps = at.large * at.frame[1], self._world.denoising_steps
        below = at.below - at.band + middle
        found = [
            PictureLabel("Emulator", 0, middle, wide),
            PictureLabel(f"Dream · {number_of(steps, 'denoising step')}", at.second, middle, wide),
        ]
        if self._fan is None or at.beside:
            words = "Difference · blue: emulator only, orange: dream only"
            width = at.size[0]
            if self._fan is not None:
                words, width = "Blue: emulator, orange: dream", at.fan_left - GAP
            found.append(PictureLabel(words, 0, below, width))
        if self._fan is None:
            for line, words in enumerate(HINTS):
                left, top = at.small * at.frame[1] + 2 * GAP, below + (2 + line) * at.band
                found.append(PictureLabel(words, left, top, at.size[0] - left))
        else:
            side, left = at.tile(at.fan_left), at.fan_left
            words = f"{self._fan_length} frames of each action, {self._fan_age} ago: emulator, dream below"
            found.append(PictureLabel(words, left, below, at.size[0] - left))
            for column, name in enumerate(self._world.action_meanings):
                x = left + column * (side + GAP // 2)
                found.append(PictureLabel(name, x, below + at.band, side))
        return tuple(found)

    @property
    def targets(self) -> tuple[Slider, ...]:
        """Denoising steps, and steps until the dream is synchronised again."""
        steps, horizon = float(self._world.denoising_steps), float(self._world.horizon)
        return (
            Slider("steps", steps, STEPS[0], STEPS[-1]),
            Slider("horizon", horizon, HORIZONS[0], HORIZONS[-1]),
        )

    @property
    def readouts(self) -> tuple[Readout, ...]:
        """Divergence since both were the same, and how long it takes."""
        now = self._divergence
        at = "together" if now.diverged_at is None else f"diverged at {now.diverged_at}"
        mean, low, high, count = self._world.meter.summary(self._world.horizon)
        until = f"{mean:.1f} [{low:.1f}, {high:.1f}]" if count else "–"
        scores = [f"{score:.0f}".replace("-", "−") for score in (now.emulator_score, now.dream_score)]
        return (
            Readout("frame", f"{now.frames} of {self._world.horizon} · {at}"),
            *(_off(name, now.off) for name in self._world.objects),
            Readout("pixels that differ", 100 * now.pixels, "%"),
            Readout("points", f"emulator {scores[0]}, dream {scores[1]}"),
            Readout(f"diverges after (n = {count})", until, "frames" if count else ""),
        )

    def touch(self, gesture: Gesture) -> Answer:
        """Synchronise, branch, change steps or horizon, or take the size of the room."""
        if gesture.kind == "resize":
            self._room = max(1, int(gesture.x)), max(1, int(gesture.y))
            return Answer(redraw=True)
        if gesture.kind == "key" and gesture.name == SYNCHRONISE:
            self._world.synchronise()
            self.note()
            return Answer(redraw=True, message="the dream goes on from the emulator's frames")
        if gesture.kind == "key" and gesture.name == BRANCH:
            return self._branch()
        return self._slide(gesture)

    def _branch(self) -> Answer:
        """Show the fan of the present state, or take it away."""
        if self._fan is not None:
            self._fan = None
            return Answer(redraw=True)
        self._fan_length, self._fan_age = min(LONGEST_FAN, self._world.horizon), 0
        fan = self._world.branch(self._fan_length)
        emulator, dream = (
            np.stack([trail(np.stack([self._world.picture(f) for f in future])) for future in futures])
            for futures in fan
        )
        self._fan = emulator, dream
        return Answer(redraw=True, message="one column an action: emulator above, dream below")

    def _slide(self, gesture: Gesture) -> Answer:
        """Change the denoising steps or the horizon by a slider or its key."""
        world, back = self._world, -1 if gesture.on or gesture.y < 0 else 1
        if gesture.kind == "slide" and gesture.x == 0:
            world.denoising_steps = nearest_step(gesture.y)
        elif gesture.kind == "slide":
            world.horizon = min(HORIZONS, key=lambda frames: abs(frames - gesture.y))
        elif gesture.kind == "nudge" or (gesture.kind == "key" and gesture.name == STEPS_KEY):
            world.denoising_steps = next_step(world.denoising_steps, back)
        elif gesture.kind == "key" and gesture.name == HORIZON:
            nearest = min(HORIZONS, key=lambda frames: abs(frames - world.horizon))
            world.horizon = HORIZONS[(HORIZONS.index(nearest) + back) % len(HORIZONS)]
        else:
            return Answer()
        return Answer(redraw=True)


def _off(name: str, off: Mapping[str, float]) -> Readout:
    """How far one object is off; of one that nobody has there is nothing to say."""
    if name not in off:
        return Readout(f"{name} off", "in neither")
    return (
        Readout(f"{name} off", "in one only")
        if np.isnan(off[name])
        else Readout(f"{name} off", off[name], "px")
    )


def _put(picture: Array, part: Array, left: int, top: int) -> None:
    picture[top : top + part.shape[0], left : left + part.shape[1]] = part
