"""Depth-map inset: a colour for each distance, with near and far in metres on its axis.

The colours lie at even steps on a straight line through Oklab, from yellow (near) to dark blue (far), and
depths on a logarithmic scale, since the ground reaches the horizon: equal ratios of depth look equally
different, to people of any common colour vision as well.

References:
    Ottosson 2020, "A perceptual color space for image processing".
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pygame
from pygame import Rect

from sim.records import Array
from sim.viewer.contract.moment import PerceptView
from sim.viewer.draw.theme import PALETTE, Ink
from sim.viewer.overlays.kind_overlay import Corners

NEAR, FAR = (253, 231, 70), (0, 34, 78)

_TO_CONES = np.array(
    [
        [0.4122214708, 0.5363325363, 0.0514459929],
        [0.2119034982, 0.6806995451, 0.1073969566],
        [0.0883024619, 0.2817188376, 0.6299787005],
    ]
)
_TO_LAB = np.array(
    [
        [0.2104542553, 0.7936177850, -0.0040720468],
        [1.9779984951, -2.4285922050, 0.4505937099],
        [0.0259040371, 0.7827717662, -0.8086757660],
    ]
)

_PAD, _ROW, _BAR = 6, 18, 8  # of the inset: its rim, a line of text, the axis
_LEAST = 76  # width of a map
_SCALE = 132  # width of the colour scale where it stands alone


class Span(NamedTuple):
    """Depth range of the colour scale in metres, and whether something is still farther."""

    near: float
    far: float
    more: bool

    def share(self, metres: Array) -> Array:
        """Position on the log scale: 0 at the near end and below, 1 at the far end and beyond; NaN stays."""
        ratio = np.maximum(metres, self.near) / self.near
        return np.asarray(np.minimum(np.log(ratio) / np.log(self.far / self.near), 1.0))

    @property
    def middle(self) -> float:
        """Metres in the middle of the axis."""
        return float(np.sqrt(self.near * self.far))


def oklab(rgb: Array) -> Array:
    """Convert sRGB (…, 3) in 0…255 to Oklab (…, 3): lightness, green to red, blue to yellow."""
    share = np.asarray(rgb, np.float64) / 255
    linear = np.where(share <= 0.04045, share / 12.92, ((share + 0.055) / 1.055) ** 2.4)
    return np.asarray(np.cbrt(linear @ _TO_CONES.T) @ _TO_LAB.T)


def scale_colors(count: int = 256) -> Array:
    """Colour scale from near to far, (count, 3) uint8 sRGB."""
    weight = np.linspace(0.0, 1.0, count)[:, None]
    lab = oklab(np.array(NEAR)) * (1 - weight) + oklab(np.array(FAR)) * weight
    linear = (lab @ np.linalg.inv(_TO_LAB).T) ** 3 @ np.linalg.inv(_TO_CONES).T
    linear = np.clip(linear, 0.0, 1.0)
    share = np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)
    return np.round(255 * share).astype(np.uint8)


_COLORS = np.concatenate([scale_colors(255), [PALETTE.raised]]).astype(np.uint8)  # the last: no depth


def span(maps: list[Array]) -> Span | None:
    """Depth range from the nearest pixel to the 95th percentile: the horizon must not flatten the rest.

    None where nothing has a depth: (H, W) metres, NaN in the sky.
    """
    if not maps:
        return None
    metres = np.concatenate(
        [depth[:: 1 + len(depth) // 96, :: 1 + len(depth) // 96].ravel() for depth in maps]
    )
    metres = metres[np.isfinite(metres)]
    if not len(metres):
        return None
    near, far, most = np.percentile(metres, (0, 95, 100))
    near, far = max(0.1, np.floor(10 * near) / 10), np.ceil(10 * far) / 10
    return Span(float(near), float(max(far, near + 0.1)), bool(most > far))


def colour_depth(depth: Array, metres: Span) -> Array:
    """Colour a depth map: (H, W) metres → (H, W, 3) uint8; pixels without depth are grey."""
    known = np.isfinite(depth)
    level = np.where(known, 254 * metres.share(np.where(known, depth, metres.far)), 255)
    return np.asarray(_COLORS[level.astype(np.uint8)])


def nearest(values: Array, size: tuple[int, int]) -> Array:
    """Nearest-neighbour resize: (H, W) → (height, width) for a `size` of (width, height)."""
    rows = (np.arange(size[1]) * values.shape[0]) // size[1]
    columns = (np.arange(size[0]) * values.shape[1]) // size[0]
    return np.asarray(values.take(rows, axis=0).take(columns, axis=1))


def inset_size(ink: Ink, seen: PerceptView, area: Rect, picture: Rect) -> tuple[int, int]:
    """Size of the inset, one map over the other: beside `picture` if `area` leaves room, else small."""
    maps, pad = _maps(seen), ink.px(_PAD)
    beside = (area.width - picture.width) // 2 - 3 * pad
    width = min(beside, ink.px(200)) if beside >= ink.px(_LEAST) else max(picture.width // 5, ink.px(_LEAST))
    height = round(width * maps[0][1].shape[0] / maps[0][1].shape[1])
    return width + 2 * pad, len(maps) * (height + ink.px(_ROW)) + pad + ink.px(_ROW + _BAR)


def draw_inset(surface: pygame.Surface, ink: Ink, place: Rect, seen: PerceptView) -> None:
    """Draw the predicted depth map, and the true one under it, on one colour scale."""
    maps, pad = _maps(seen), ink.px(_PAD)
    ink.plate(surface, place, PALETTE.panel, radius=6)
    metres = span([depth for _, depth in maps])
    inside = place.inflate(-2 * pad, 0)
    each = (place.height - pad - ink.px(_ROW + _BAR)) // len(maps)
    for i, (origin, depth) in enumerate(maps):
        top = place.top + i * each + ink.px(_ROW)
        image = Rect(inside.left, top, inside.width, each - ink.px(_ROW))
        text = f"depth, {origin}"
        text = text if ink.width(text) <= inside.width else origin
        ink.write(surface, text, (image.left, top - ink.px(_ROW) // 2), PALETTE.muted)
        if metres is None:
            surface.fill(PALETTE.raised, image)
            continue
        rgb = colour_depth(nearest(depth, image.size), metres)
        surface.blit(pygame.image.frombuffer(rgb.tobytes(), image.size, "RGB"), image)
    if metres is not None:
        top = place.bottom - pad - ink.px(_ROW + _BAR)
        _draw_axis(surface, ink, Rect(inside.left, top, inside.width, ink.px(_BAR)), metres)


def draw_scale(surface: pygame.Surface, ink: Ink, corners: Corners, seen: PerceptView) -> None:
    """Draw the colour scale of a depth map alone, for where the map itself has the size of the picture."""
    metres, pad = span([depth for _, depth in _maps(seen)]), ink.px(_PAD)
    place = corners.take((ink.px(_SCALE), ink.px(2 * _ROW + _BAR) + pad), "right") if metres else None
    if place is None or metres is None:
        return
    ink.plate(surface, place, PALETTE.panel, radius=6)
    ink.write(surface, "depth", (place.left + pad, place.top + ink.px(_ROW) // 2 + pad // 2), PALETTE.muted)
    bar = Rect(place.left + pad, place.top + ink.px(_ROW), place.width - 2 * pad, ink.px(_BAR))
    _draw_axis(surface, ink, bar, metres)


def _draw_axis(surface: pygame.Surface, ink: Ink, bar: Rect, metres: Span) -> None:
    """Draw the colour bar from near to far, with metres."""
    bar = Rect(bar.left, bar.top + ink.px(4), bar.width, bar.height - ink.px(2))
    colors = scale_colors(bar.width)[None].repeat(bar.height, axis=0)
    surface.blit(pygame.image.frombuffer(colors.tobytes(), bar.size, "RGB"), bar)
    y = bar.bottom + ink.px(_ROW) // 2 + ink.px(1)
    left = ink.write(surface, _metres(metres.near), (bar.left, y)).right
    far = f"{_metres(metres.far)}{'+' if metres.more else ''} m"
    right = ink.write(surface, far, (bar.right, y), align="right").left
    middle, gap = _metres(metres.middle), ink.px(6)
    if bar.centerx - left - gap > ink.width(middle) // 2 < right - gap - bar.centerx:
        ink.write(surface, middle, (bar.centerx, y), PALETTE.muted, align="center")


def _metres(depth: float) -> str:
    return f"{depth:.1f}" if depth < 10 else f"{depth:.0f}"


def _maps(seen: PerceptView) -> list[tuple[str, Array]]:
    """Depth maps of the percept and the truth, with their origins as names."""
    both = (seen.percept, *([] if seen.truth is None else [seen.truth]))
    return [(percept.origin, percept.depth) for percept in both if percept.depth is not None]
