"""Target panel of a world whose agent is told what to do: a slider for each target, such as a speed."""

from __future__ import annotations

from collections.abc import Hashable

import pygame
from pygame import Rect

from sim.viewer.contract.gallery_page import Slider
from sim.viewer.draw.card import ROW, Note, height_of
from sim.viewer.draw.layout import Need
from sim.viewer.draw.theme import Ink
from sim.viewer.panels.latent_sliders import draw_slider, track
from sim.viewer.playback.view import Choices, Facts, View


def targets_of(view: View) -> tuple[Slider, ...]:
    """The targets of the moment shown."""
    return view.moment.targets if view.moment is not None else ()


def need(view: View) -> Need | None:
    """Height of the panel: a row a target; None without any."""
    rows = height_of(len(targets_of(view)))
    return Need(rows, rows, rows) if targets_of(view) else None


def note(facts: Facts, choices: Choices, view: View) -> Note:
    """Title note: the keys."""
    if "dream" in facts.abilities:
        return "K, L" if "twin" in facts.abilities else "K", ""
    return "Q less, W more", ""


def key(facts: Facts, choices: Choices, view: View) -> Hashable:
    """Cache key: all that `draw` depends on."""
    return targets_of(view)


def row_at(inside: Rect, ink: Ink, at: tuple[int, int], targets: tuple[Slider, ...]) -> int:
    """Number of the target at a place of the window; −1 for none."""
    row = (at[1] - inside.top) // ink.px(ROW)
    return row if inside.collidepoint(at) and row < len(targets) else -1


def draw(surface: pygame.Surface, ink: Ink, inside: Rect, facts: Facts, choices: Choices, view: View) -> None:
    """Draw the inside of the panel."""
    for row, slider in enumerate(targets_of(view)):
        rect = track(inside, ink, row, ink.px(ROW))
        name = ink.elided(slider.name, rect.left - inside.left - ink.px(8))
        ink.write(surface, name, (inside.left, rect.centery))
        draw_slider(surface, ink, rect, inside.right, slider, lit=True)
