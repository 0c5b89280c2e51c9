"""Augmented pictures of chess boards with ground truth: rotation, scale, blur, lighting and noise.

A pure function: position, style and generator give the picture and its truth, bit for bit.

    board ── draw_board ──► a flat drawing ── turn, shrink, shift ──► blur ── light, noise ──► rgb

A board with Black at the bottom always shows its coordinates. Without them its orientation is ambiguous
once the pieces have left home, and the ground truth must be what can be read off the picture.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, fields, replace

import chess
import numpy as np

from sim.chess.diagrams.draw import SMALLEST, BoardStyle, draw_board
from sim.chess.diagrams.truth import Place, truth_of
from sim.records import Array, Percept

GREY = 128.0  # that contrast leaves alone


@dataclass(frozen=True)
class Variation:
    """Augmentation ranges of a board picture, all sampled uniformly; zeros give the plain drawing.

    Attributes:
        margin: ground at each side of the board at most, of the picture's side; it may lie anywhere on that.
        degrees: turned by at most, either way.
        shift: moved by at most, either way along each axis, of the picture's side.
        flipped: chance that Black sits at the bottom.
        bare: chance that a board that White sits at shows no coordinates.
        marked: chance that the last move and a check are shown.
        blur: share of a pixel at most that each of its neighbours along a row or column takes; below 1/3.
        contrast: changed by a factor of 1 ± at most this.
        brightness: moved up or down by at most this, in levels of 255.
        tint: each colour is changed by a factor of 1 ± at most this.
        slope: from the middle to an edge, light falls or grows by a factor of 1 ± at most this.
        noise: standard deviation at most, in levels of 255.
    """

    margin: float = 0.0
    degrees: float = 0.0
    shift: float = 0.0
    flipped: float = 0.0
    bare: float = 0.0
    marked: float = 0.0
    blur: float = 0.0
    contrast: float = 0.0
    brightness: float = 0.0
    tint: float = 0.0
    slope: float = 0.0
    noise: float = 0.0

    def __post_init__(self) -> None:
        """Refuse values outside [0, 1] where they are shares, and those that leave no board.

        Raises:
            ValueError: naming the field.
        """
        most = {
            "margin": 0.25,
            "shift": 0.25,
            "degrees": 45.0,
            "blur": 1 / 3,
            "brightness": 255,
            "noise": 255,
        }
        for field in fields(self):
            value, limit = getattr(self, field.name), most.get(field.name, 1.0)
            if not 0 <= value <= limit:
                raise ValueError(f"{field.name} must be from 0 to {limit:.3g}, not {value}")


PLAIN = Variation()
VARIED = Variation(
    margin=0.06,
    degrees=3.0,
    shift=0.012,
    flipped=0.4,
    bare=0.4,
    marked=0.5,
    blur=0.2,
    contrast=0.25,
    brightness=25.0,
    tint=0.08,
    slope=0.12,
    noise=8.0,
)


def picture(
    board: chess.Board,
    style: BoardStyle,
    generator: np.random.Generator,
    size: int = 128,
    variation: Variation = VARIED,
) -> tuple[Array, Percept]:
    """Draw an augmented picture of `board`, with its ground truth.

    Args:
        board: the position; the last move of its `move_stack` may be marked.
        style: colours and piece set.
        generator: draws all that varies, always the same count of numbers.
        size: pixels of a side S, at least 64.
        variation: how far from the plain drawing.

    Returns:
        (S, S, 3) uint8, and its ground truth; see `sim.chess.diagrams.truth.truth_of`.

    Raises:
        ValueError: for a size below 64.

    >>> from sim.chess.diagrams.themes import board_style
    >>> rgb, percept = picture(chess.Board(), board_style("walnut", "diagram"), np.random.default_rng(0))
    >>> rgb.shape, percept.labels[0], percept.fen
    ((128, 128, 3), 'white rook', 'rnbqkbnr/pppppppp/8/8/8/8/PPPPPPPP/RNBQKBNR')
    """
    if size < SMALLEST:
        raise ValueError(f"a picture of a board needs at least {SMALLEST} pixels, not {size}")
    chance, spread = generator.random(3), generator.uniform(-1, 1, 4)
    flipped, bare, marked = chance < (variation.flipped, variation.bare, variation.marked)
    if flipped or bare:
        style = replace(style, coordinates=bool(flipped))
    place = _place(size, generator.random(), spread, variation)
    drawing = draw_board(
        board,
        place.drawn,
        flipped=bool(flipped),
        last_move=board.move_stack[-1] if marked and board.move_stack else None,
        check=bool(marked),
        style=style,
    )
    ground = np.clip(generator.uniform(10, 245) + generator.uniform(-25, 25, 3), 0, 255).astype(np.float32)
    planes = drawing.transpose(2, 0, 1).astype(np.float32)  # each colour by itself: numpy is faster so
    planes = _laid(planes, place, size, ground) if place.moves else planes
    rgb = _lit(_blurred(planes, generator.random() * variation.blur), generator, variation)
    return rgb, truth_of(board, place, size, flipped=bool(flipped), style=style)


def _place(size: int, margin: float, spread: Array, variation: Variation) -> Place:
    """Where the board lies, from a number in [0, 1) and four in [−1, 1)."""
    ground = margin * variation.margin * size
    side = size - 2 * ground
    # Close to its final size, so that a piece is drawn for the pixels that it will have.
    drawn = size if side == size else max(SMALLEST, 8 * round(side / 8))
    middle = size / 2 + spread[:2] * ground + spread[2:] * variation.shift * size
    angle = math.radians(variation.degrees) * float(spread[0] - spread[3]) / 2
    return Place(drawn, side / drawn, angle, float(middle[0]), float(middle[1]))


def _laid(drawing: Array, place: Place, size: int, ground: Array) -> Array:
    """A drawing (3, D, D) on a ground of one colour, (3, S, S): each pixel between the four nearest."""
    side = place.drawn + 4
    padded = np.empty((3, side, side), np.float32)
    padded[:] = ground[:, None, None]
    padded[:, 2:-2, 2:-2] = drawing
    flat = padded.reshape(3, -1)
    cos, sin = math.cos(place.radians) / place.scale, math.sin(place.radians) / place.scale
    along = np.arange(size, dtype=np.float32) + np.float32(0.5)
    dx, dy = along - np.float32(place.x), along - np.float32(place.y)
    middle, last = side / 2 - 0.5, side - 1.001
    x = np.clip((dx * cos + middle)[None, :] + (dy * sin)[:, None], 0, last)
    y = np.clip((dy * cos + middle)[:, None] - (dx * sin)[None, :], 0, last)
    left, top = x.astype(np.int32), y.astype(np.int32)
    x -= left
    y -= top
    first = (top * side + left).astype(np.intp)
    laid = np.empty((3, size, size), np.float32)
    # Plane by plane and in place: memory taken and given back for each step would cost twice the time.
    for plane, upper in zip(flat, laid, strict=True):
        plane.take(first, out=upper, mode="clip")
        near = plane[1:].take(first, mode="clip")
        _mix(upper, near, x)
        lower = plane[side:].take(first, mode="clip")
        plane[side + 1 :].take(first, out=near, mode="clip")
        _mix(lower, near, x)
        _mix(upper, lower, y)
    return laid


def _mix(one: Array, other: Array, share: Array) -> None:
    """Move `one` towards `other` by `share`; in place, `other` is spoilt."""
    other -= one
    other *= share
    one += other


def _blurred(planes: Array, share: float) -> Array:
    """Each pixel of (3, S, S) mixed with its neighbours along the columns, then along the rows."""
    if share == 0:
        return planes
    for _ in range(2):
        neighbours = planes * np.float32(share)
        planes = planes * np.float32(1 - 2 * share)
        planes[:, 1:] += neighbours[:, :-1]
        planes[:, :-1] += neighbours[:, 1:]
        planes[:, [0, -1]] += neighbours[:, [0, -1]]  # beyond the edge it goes on as it is there
        planes = planes.transpose(0, 2, 1)
    return planes


def _lit(planes: Array, generator: np.random.Generator, variation: Variation) -> Array:
    """(3, S, S) in another light and with noise, as (S, S, 3) uint8."""
    size = planes.shape[1]
    contrast, brightness, slope, towards, *tint = generator.uniform(-1, 1, 7)
    deviation = generator.random() * variation.noise
    contrast, brightness = 1 + contrast * variation.contrast, brightness * variation.brightness
    across = np.linspace(-1, 1, size, dtype=np.float32) * np.float32(slope * variation.slope)
    light = 1 + across * math.cos(math.pi * towards) + (across * math.sin(math.pi * towards))[:, None]
    gain = (contrast * (1 + np.array(tint) * variation.tint)).astype(np.float32)
    lit = planes * light
    lit *= gain[:, None, None]
    lit += np.float32(GREY * (1 - contrast) + brightness + 0.5)  # the half makes cutting off round
    if variation.noise:
        lit += _noise(generator, lit.shape, deviation)
    np.clip(lit, 0, 255, out=lit)
    return np.ascontiguousarray(lit.astype(np.uint8).transpose(1, 2, 0))


def _noise(generator: np.random.Generator, shape: tuple[int, ...], deviation: float) -> Array:
    """Noise of mean 0: sums of two uniform bytes, five times faster than normal numbers."""
    pair = generator.integers(0, 256, (2, *shape), np.uint8)
    total: Array = pair[0].astype(np.float32)
    total += pair[1]
    total -= np.float32(255)
    total *= np.float32(deviation / math.sqrt((256**2 - 1) / 6))
    return total
