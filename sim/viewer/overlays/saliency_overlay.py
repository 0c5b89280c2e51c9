"""Saliency overlay on the world's picture: blue where pixels move the action, red where the value."""

from __future__ import annotations

import numpy as np
import pygame
from pygame import Rect

from sim.records import Array
from sim.viewer.draw import charts
from sim.viewer.draw.theme import PALETTE, Color, Ink
from sim.viewer.playback.attribution import OPACITIES, Attributed

ACTION: Color = (40, 130, 255)
VALUE: Color = (255, 45, 85)
_LEAST = 0.04  # of the strongest place; what is weaker is left clear

LEGEND_ROW = 26  # height of the legend at scale 1


def draw_saliency(picture: pygame.Surface, attributed: Attributed) -> None:
    """Draw both saliency maps over a whole picture, whatever its shape: they cover the same view."""
    if attributed.maps is not None:
        tint = colour_saliency(attributed.maps, attributed.both, attributed.opacity)
        height, width = tint.shape[:2]
        image = pygame.image.frombuffer(tint.tobytes(), (width, height), "RGBA")
        picture.blit(pygame.transform.smoothscale(image, picture.get_size()), (0, 0))


def colour_saliency(
    maps: Array, shown: tuple[bool, bool] = (True, True), opacity: float = OPACITIES[0]
) -> Array:
    """Colour saliency maps: (2, h, w) of action and value, as far as `shown` → (h, w, 4) uint8 RGBA.

    `opacity` is that of the strongest place.

    Each map is divided by its own maximum: action and value have different units. Square roots, so that
    the weaker half is not lost: the maps hold squares.
    """
    most = maps.max(axis=(1, 2), keepdims=True)
    share = np.sqrt(np.divide(maps, most, out=np.zeros_like(maps), where=most > 0))
    share = np.clip((share - _LEAST) / (1 - _LEAST), 0.0, 1.0) * np.array(shown)[:, None, None]
    colors = np.array([ACTION, VALUE], np.float32)
    total = share.sum(0)
    mixed = np.einsum("khw,kc->hwc", share, colors) / np.maximum(total, 1e-9)[..., None]
    alpha = 255 * opacity * share.max(0)
    return np.concatenate([mixed, alpha[..., None]], axis=2).astype(np.uint8)


def draw_legend(surface: pygame.Surface, ink: Ink, world: Rect, attributed: Attributed, number: int) -> None:
    """Draw the legend: what the colours mean, the largest change of value, and the maps' age at `number`."""
    pad, swatch, gap = ink.px(12), ink.px(10), ink.px(6)
    for entries in _wordings(attributed, number):  # the longest that fits
        widths = [ink.width(text) + (swatch + gap if color else 0) for color, text in entries]
        width = sum(widths) + pad * (len(entries) + 1)
        if width <= world.width:
            break
    box = Rect(0, 0, width, ink.px(LEGEND_ROW))
    box.midbottom = (world.centerx, world.bottom - ink.px(4))
    ink.plate(surface, box, PALETTE.panel, radius=LEGEND_ROW / 2)
    x = box.left + pad
    for (color, text), width in zip(entries, widths, strict=True):
        left = x
        if color is not None:
            surface.fill(color, Rect(left, box.centery - swatch // 2, swatch, swatch))
            left += swatch + gap
        ink.write(surface, text, (left, box.centery), PALETTE.text if color else PALETTE.muted)
        x += width + pad


def _wordings(attributed: Attributed, number: int) -> list[list[tuple[Color | None, str]]]:
    """The legend's entries, from the longest wording to the shortest."""
    if attributed.maps is None:
        failed = f"no saliency: {attributed.error}"
        return [
            [(None, text)]
            for text in ((failed, "no saliency") if attributed.error else ("computing saliency …",))
        ]
    value = charts.number(float(np.sqrt(2 * attributed.maps[1].max())))  # S = ½ d²
    behind = number - attributed.number
    age: list[tuple[Color | None, str]] = (
        [(None, f"{behind} frame{'s' * (behind > 1)} ago")] if behind else []
    )
    wordings = (
        ("action saliency", f"value saliency, change up to {value}"),
        ("action saliency", "value saliency"),
        ("action", "value"),
    )
    colors = (ACTION, VALUE)
    return [
        [(color, text) for color, text, shown in zip(colors, words, attributed.both, strict=True) if shown]
        + age
        for words in wordings
    ]
