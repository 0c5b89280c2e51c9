"""Latent-axes panel (2) of a gallery: a slider for each direction of the latent space."""

from __future__ import annotations

from collections.abc import Hashable

import pygame
from pygame import Rect

from sim.viewer.contract.gallery_page import GalleryPage, Slider
from sim.viewer.contract.gallery_source import AxisEnds
from sim.viewer.draw.card import ROW, Note, height_of, say
from sim.viewer.draw.charts import number
from sim.viewer.draw.layout import Need
from sim.viewer.draw.theme import PALETTE, Ink
from sim.viewer.overlays.world_picture import blit
from sim.viewer.overlays.world_picture import place as picture_place
from sim.viewer.playback.view import Choices, Facts, View

NEED = Need(height_of(3), height_of(8), height_of(14))

_NAME = 0.44  # share of the width that names have
_VALUE = 48  # width of a value, at scale 1
_PAIR = 35  # height of the rows where pictures stand for names
_ARROW = 14  # between the two pictures


def page_of(view: View) -> GalleryPage | None:
    """The page of the moment shown, or None."""
    return view.moment.page if view.moment else None


def note(facts: Facts, choices: Choices, view: View) -> Note:
    """Title note: that the values are those of the chosen picture."""
    page = page_of(view)
    return ("of the chosen picture", "") if page is not None and page.sliders else ("", "")


def key(facts: Facts, choices: Choices, view: View) -> Hashable:
    """Cache key: all that `draw` depends on."""
    page = page_of(view)
    return None if page is None else (page.sliders, page.slider)  # of `ends`, their identity


def row_height(ink: Ink, page: GalleryPage) -> int:
    """Height of a row in pixels: larger where pictures stand for names."""
    return ink.px(_PAIR if any(slider.ends is not None for slider in page.sliders) else ROW)


def visible_rows(inside: Rect, ink: Ink, page: GalleryPage) -> range:
    """Numbers of the sliders that find room, the chosen one among them."""
    rows = max(1, inside.height // row_height(ink, page))
    first = min(max(0, page.slider - rows + 1), max(0, len(page.sliders) - rows))
    return range(first, min(first + rows, len(page.sliders)))


def track(inside: Rect, ink: Ink, row: int, height: int) -> Rect:
    """Rectangle of a row's track, where its knob can be; rows are `height` pixels high."""
    left = inside.left + round(_NAME * inside.width)
    top = inside.top + row * height
    return Rect(left, top, max(1, inside.right - ink.px(_VALUE) - ink.px(8) - left), height)


def value_at(slider: Slider, rect: Rect, x: int) -> float:
    """Value of a knob at `x` pixels, within the slider's ends."""
    share = min(max((x - rect.left) / rect.width, 0.0), 1.0)
    return slider.low + share * (slider.high - slider.low)


def draw(surface: pygame.Surface, ink: Ink, inside: Rect, facts: Facts, choices: Choices, view: View) -> None:
    """Draw the inside of the panel."""
    page = page_of(view)
    if page is None or not page.sliders:
        nowhere = page is not None and bool(view.moment and view.moment.pictures) and not page.busy
        say(surface, ink, inside, "no latents of these pictures" if nowhere else "not computed yet")
        return
    height = row_height(ink, page)
    for row, i in enumerate(visible_rows(inside, ink, page)):
        rect = track(inside, ink, row, height)
        _draw_name(
            surface, ink, Rect(inside.left, rect.top, rect.left - inside.left - ink.px(8), height), page, i
        )
        draw_slider(surface, ink, rect, inside.right, page.sliders[i], lit=i == page.slider)


def _draw_name(surface: pygame.Surface, ink: Ink, place: Rect, page: GalleryPage, number: int) -> None:
    """Write the name of a slider, before it the pictures at both of its ends where there are any."""
    slider, lit = page.sliders[number], number == page.slider
    left = place.left
    if slider.ends is not None:
        left = _draw_ends(surface, ink, place, slider.ends, lit=lit) + ink.px(8)
    name = ink.elided(slider.name, place.right - left, bold=lit)
    ink.write(surface, name, (left, place.centery), PALETTE.text if lit else PALETTE.muted, bold=lit)


def _draw_ends(surface: pygame.Surface, ink: Ink, place: Rect, ends: AxisEnds, *, lit: bool) -> int:
    """Draw two pictures with an arrow between them at the left of `place`; returns where they end."""
    side = min(place.height - ink.px(3), (place.width - ink.px(_ARROW)) // 2)
    left = place.left
    for picture in (ends.low, ends.high):
        room = Rect(left, place.centery - side // 2, side, side)
        rect = picture_place((picture.shape[1], picture.shape[0]), room, whole=False)
        blit(surface, picture, rect)
        pygame.draw.rect(surface, PALETTE.accent if lit else PALETTE.line, rect.inflate(2, 2), 1)
        left = room.right + ink.px(_ARROW)
    arrow = (place.left + side + ink.px(_ARROW) // 2, place.centery)
    ink.write(surface, "→", arrow, PALETTE.muted, align="center")
    return left - ink.px(_ARROW)


def draw_slider(
    surface: pygame.Surface, ink: Ink, rect: Rect, right: int, slider: Slider, *, lit: bool
) -> None:
    """Draw a track with its knob, and the value, which beyond the data's range is told as that."""
    thick = max(2, ink.px(4))
    surface.fill(PALETTE.raised, Rect(rect.left, rect.centery - thick // 2, rect.width, thick))
    length = max(slider.high - slider.low, 1e-9)
    middle = rect.left + round(-slider.low / length * rect.width)
    if rect.left < middle < rect.right:
        surface.fill(PALETTE.line, Rect(middle, rect.centery - ink.px(5), max(1, ink.px(1)), ink.px(10)))
    share = min(max((slider.value - slider.low) / length, 0.0), 1.0)
    knob = (rect.left + round(share * rect.width), rect.centery)
    pygame.draw.aacircle(surface, PALETTE.accent if lit else PALETTE.series[0], knob, ink.px(6))
    ink.write(surface, value_in_words(slider), (right, rect.centery), align="right")


def value_in_words(slider: Slider) -> str:
    """Value of a slider; of one beyond its ends only that it is, as there it is no more than extrapolated.

    >>> value_in_words(Slider("ball y", 0.5, -1.0, 2.0)), value_in_words(Slider("ball y", 1553.0, -1.0, 2.0))
    ('0.50', '> 2')
    """
    sign = "> " if slider.value > slider.high else "< " if slider.value < slider.low else ""
    return sign + number(round(min(max(slider.value, slider.low), slider.high), 2))
