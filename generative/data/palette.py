"""Palette of a game: its playing field as a small map of pixel classes, and back to the television picture.

Of each block of 2 × 2 pixels the highest class counts, so that an object of two pixels is one or two wide and
the middle of its bounding box is exact: nothing of Pong's field is lost. The walls
outside the field do not move and are drawn from a constant; the score's strip stays blank.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from sim.errors import RequestError
from sim.fields import nearest
from sim.records import Array

FOLD = 2  # pixels of the television picture to one of a frame, in both directions
SCREEN = (210, 160)  # of the television picture
Box = tuple[int, int, int, int]  # top, left, bottom, right, half-open


class PaletteError(RequestError, ValueError):
    """A game without a palette, or a picture of another game."""


@dataclass(frozen=True)
class Palette:
    """Classes of a game's pixels.

    Attributes:
        game: as in ``atari/<game>``.
        action_names: of the minimal action set, in the order of their numbers.
        area: first row, first column, last row and last column + 1 of the field in the television picture.
        classes: names; class 0 is the background, the others are objects.
        colours: (R, G, B) of each class.
        first_colours: those of the very first picture after a reset, where the game draws it otherwise.
        bands: (first row, last row + 1, colour) of what never moves above and below the field.
        sizes: object → (height, width) in pixels of the television picture.
        movable: objects that the action moves → the action that raises and the one that lowers them.
        most_points: at which the game ends; None where it ends otherwise.
        score_bytes: addresses of both sides' points in the console's memory; None: there are none.
    """

    game: str
    action_names: tuple[str, ...]
    area: tuple[int, int, int, int]
    classes: tuple[str, ...]
    colours: tuple[tuple[int, int, int], ...]
    first_colours: tuple[tuple[int, int, int], ...]
    bands: tuple[tuple[int, int, tuple[int, int, int]], ...]
    sizes: Mapping[str, tuple[int, int]]
    movable: Mapping[str, tuple[str, str]]
    most_points: int | None = None
    score_bytes: tuple[int, int] | None = None

    @property
    def shape(self) -> tuple[int, int]:
        """Height and width of a frame."""
        top, left, bottom, right = self.area
        return (bottom - top) // FOLD, (right - left) // FOLD

    def encode(self, screen: Array) -> Array:
        """Television picture (210, 160, 3) uint8 → frame (H, W) uint8 of classes.

        Raises:
            PaletteError: if its size or a colour of the field is not this game's.
        """
        if screen.shape != (*SCREEN, 3) or screen.dtype != np.uint8:
            raise PaletteError(
                f"a screen of {self.game} is uint8 {(*SCREEN, 3)}, not {screen.dtype} {screen.shape}"
            )
        top, left, bottom, right = self.area
        field = screen[top:bottom, left:right].astype(np.int32)
        code = (field[..., 0] << 16) | (field[..., 1] << 8) | field[..., 2]
        classes = np.full(code.shape, 255, np.uint8)
        for colours in (self.colours, self.first_colours):
            for number, (red, green, blue) in enumerate(colours):
                classes[code == (red << 16 | green << 8 | blue)] = number
        if (classes == 255).any():
            row, column = np.argwhere(classes == 255)[0]
            odd = tuple(field[row, column].tolist())
            raise PaletteError(
                f"the screen is not one of {self.game}: its pixel ({top + row}, {left + column}) has the "
                f"colour {odd}, and the field has {', '.join(str(colour) for colour in self.colours)}"
            )
        rows = np.maximum(classes[::FOLD], classes[1::FOLD])
        return np.maximum(rows[:, ::FOLD], rows[:, 1::FOLD])

    def picture(self, frames: Array) -> Array:
        """Frames (…, H, W) uint8 → their colours (…, H, W, 3) uint8."""
        return np.asarray(np.array(self.colours, np.uint8)[frames])

    def screen(self, frame: Array) -> Array:
        """Frame (H, W) uint8 → television picture (210, 160, 3) uint8, without a score.

        The inverse of `encode`, but for objects that the field's edge cuts, which may be a pixel too large.
        """
        top, left, bottom, right = self.area
        screen = np.empty((*SCREEN, 3), np.uint8)
        screen[:] = self.colours[0]
        for first, last, colour in self.bands:
            screen[first:last] = colour
        screen[top:bottom, left:right] = self.picture(self.fields(frame[None])[0])
        return screen

    def fields(self, frames: Array) -> Array:
        """Frames (N, H, W) uint8 → the field in the television picture's pixels, (N, 2 H, 2 W) uint8.

        Of an object between blocks the outer lines of the first and last block are background.
        """
        fields = frames.repeat(FOLD, 1).repeat(FOLD, 2)
        for number, name in enumerate(self.classes[1:], 1):
            masks = frames == number
            for field, boxes in zip(fields, boxes_of(masks), strict=True):
                self._trim(field, number, boxes, self.sizes[name])
        return fields

    @staticmethod
    def _trim(field: Array, number: int, boxes: list[Box], size: tuple[int, int]) -> None:
        """Make background of the outer lines of objects that are a block larger than the game draws them."""
        height, width = size
        for first, start, last, end in boxes:
            own = field[FOLD * first : FOLD * last, FOLD * start : FOLD * end]
            if FOLD * (last - first) == height + FOLD:
                own[[0, -1]] = np.where(own[[0, -1]] == number, 0, own[[0, -1]])
            if FOLD * (end - start) == width + FOLD:
                own[:, [0, -1]] = np.where(own[:, [0, -1]] == number, 0, own[:, [0, -1]])

    def objects(self, frame: Array) -> dict[str, tuple[float, float] | None]:
        """Objects of one frame (H, W) uint8: the middle (x, y) of each in pixels, None where it is not there.

        The middle of a pixel is at .5. Where a class has several groups of pixels, the object is the largest.
        """
        found: dict[str, tuple[float, float] | None] = {}
        for number, name in enumerate(self.classes[1:], 1):
            boxes = groups(frame == number)
            if not boxes:
                found[name] = None
                continue
            _, top, left, bottom, right = max(boxes)
            found[name] = ((left + right) / 2, (top + bottom) / 2)
        return found

    def positions(self, frames: Array) -> Array:
        """Objects of frames (N, H, W) as (N, K − 1, 2) float32 of x and y, NaN where one is not there."""
        missing = (np.nan, np.nan)
        rows = [[where or missing for where in self.objects(frame).values()] for frame in frames]
        return np.array(rows, np.float32).reshape(len(frames), len(self.classes) - 1, 2)

    def counts(self, frame: Array) -> dict[str, int]:
        """How many objects of each class a frame shows; −1 for one that is larger than the game draws it."""
        found: dict[str, int] = {}
        for number, name in enumerate(self.classes[1:], 1):
            boxes = groups(frame == number)
            height, width = (size // FOLD + 1 for size in self.sizes[name])
            large = any(
                bottom - top > height or right - left > width for _, top, left, bottom, right in boxes
            )
            found[name] = -1 if large else len(boxes)
        return found


def groups(mask: Array) -> list[tuple[int, int, int, int, int]]:
    """Connected groups of True pixels (4 neighbours): size, top, left, bottom, right each, half-open.

    >>> groups(np.array([[True, True, False], [False, False, True]]))
    [(2, 0, 0, 1, 2), (1, 1, 2, 2, 3)]
    """
    left = {(int(row), int(column)) for row, column in np.argwhere(mask)}
    found = []
    while left:
        first = min(left)
        left.remove(first)
        group, edge = [first], [first]
        while edge:
            row, column = edge.pop()
            for place in ((row - 1, column), (row + 1, column), (row, column - 1), (row, column + 1)):
                if place in left:
                    left.remove(place)
                    group.append(place)
                    edge.append(place)
        rows, columns = zip(*group, strict=True)
        found.append((len(group), min(rows), min(columns), max(rows) + 1, max(columns) + 1))
    return found


def boxes_of(masks: Array) -> list[list[Box]]:
    """Of each mask (N, H, W) the boxes of its groups, see `groups`: top, left, bottom, right, half-open.

    A mask that is one filled rectangle, as nearly all are, needs no search.

    >>> boxes_of(np.array([[[True, True, False]], [[True, False, True]]]))
    [[(0, 0, 1, 2)], [(0, 0, 1, 1), (0, 2, 1, 3)]]
    """
    lines, columns = np.asarray(masks.any(2)), np.asarray(masks.any(1))
    top, left = lines.argmax(1), columns.argmax(1)
    bottom = masks.shape[1] - lines[:, ::-1].argmax(1)
    right = masks.shape[2] - columns[:, ::-1].argmax(1)
    sizes = masks.sum((1, 2))
    filled = sizes == (bottom - top) * (right - left)
    around = np.stack([top, left, bottom, right], 1).tolist()
    return [
        [] if not size else [tuple(box)] if one else [group[1:] for group in groups(mask)]
        for size, one, box, mask in zip(sizes, filled, around, masks, strict=True)
    ]


_WHITE = (236, 236, 236)
PONG = Palette(
    game="pong",
    action_names=("NOOP", "FIRE", "RIGHT", "LEFT", "RIGHTFIRE", "LEFTFIRE"),
    area=(34, 0, 194, 160),
    classes=("background", "enemy", "player", "ball"),
    colours=((144, 72, 17), (213, 130, 74), (92, 186, 92), _WHITE),
    first_colours=((109, 118, 43), (210, 182, 86), (101, 111, 228), (53, 95, 24)),
    bands=((24, 34, _WHITE), (194, 210, _WHITE)),
    sizes={"enemy": (16, 4), "player": (16, 4), "ball": (4, 2)},
    movable={"player": ("RIGHT", "LEFT")},
    most_points=21,
    score_bytes=(13, 14),  # the enemy's, the player's; as in sim.atari.truth
)
PALETTES = {"pong": PONG}


def palette(game: str) -> Palette:
    """The palette of a game.

    Raises:
        PaletteError: naming the games that have one.

    >>> palette("pong").shape
    (80, 80)
    """
    if game not in PALETTES:
        raise PaletteError(f'there is no palette of the game "{game}"; {nearest(game, list(PALETTES))}')
    return PALETTES[game]
