"""Latent-axes panel (2) of a gallery: a slider for each direction of the latent space."""

from __future__ import annotations

from collections.abc import Hashable

import pygame
from pygame import Rect

from sim.viewer.contract.gallery_page import GalleryPage, Slider
from sim.viewer.draw.card import ROW, Note, height_of, say
from sim.viewer.draw.charts import number
from sim.viewer.draw.layout import Need
from sim.viewer.draw.theme import PALETTE, Ink
from sim.viewer.playback.view import Choices, Facts, View

NEED = Need(height_of(3), height_of(8), height_of(8))

_NAME = 0.44  # share of the width that names have
_VALUE = 40  # width of a value, at scale 1


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
    return None if page is None else (page.sliders, page.slider)


def visible_rows(inside: Rect, ink: Ink, page: GalleryPage) -> range:
    """Numbers of the sliders that find room, the chosen one among them."""
    rows = max(1, inside.height // ink.px(ROW))
    first = min(max(0, page.slider - rows + 1), max(0, len(page.sliders) - rows))
    return range(first, min(first + rows, len(page.sliders)))


def track(inside: Rect, ink: Ink, row: int) -> Rect:
    """Rectangle of a row's track, where its knob can be."""
    left = inside.left + round(_NAME * inside.width)
    top = inside.top + row * ink.px(ROW)
    return Rect(left, top, max(1, inside.right - ink.px(_VALUE) - ink.px(8) - left), ink.px(ROW))


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
    for row, i in enumerate(visible_rows(inside, ink, page)):
        _draw_slider(surface, ink, inside, row, page.sliders[i], lit=i == page.slider)


def _draw_slider(
    surface: pygame.Surface, ink: Ink, inside: Rect, row: int, slider: Slider, *, lit: bool
) -> None:
    rect = track(inside, ink, row)
    name = ink.elided(slider.name, rect.left - inside.left - ink.px(8), bold=lit)
    color = PALETTE.text if lit else PALETTE.muted
    ink.write(surface, name, (inside.left, rect.centery), color, bold=lit)
    thick = max(2, ink.px(4))
    surface.fill(PALETTE.raised, Rect(rect.left, rect.centery - thick // 2, rect.width, thick))
    middle = rect.left + round(-slider.low / (slider.high - slider.low) * rect.width)
    if rect.left < middle < rect.right:
        surface.fill(PALETTE.line, Rect(middle, rect.centery - ink.px(5), max(1, ink.px(1)), ink.px(10)))
    share = min(max((slider.value - slider.low) / (slider.high - slider.low), 0.0), 1.0)
    knob = (rect.left + round(share * rect.width), rect.centery)
    pygame.draw.aacircle(surface, PALETTE.accent if lit else PALETTE.series[0], knob, ink.px(6))
    ink.write(surface, number(round(slider.value, 2)), (inside.right, rect.centery), align="right")
