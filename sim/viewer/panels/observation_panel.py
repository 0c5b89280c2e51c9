"""Observation panel (9) of a game: the stacked frames that the agent's network sees, in their own pixels."""

from __future__ import annotations

from collections.abc import Hashable

import numpy as np
import pygame
from pygame import Rect

from sim.records import Array
from sim.viewer.draw.card import Note, say
from sim.viewer.draw.layout import TITLE_ROW, Need
from sim.viewer.draw.theme import PALETTE, Ink
from sim.viewer.overlays.world_picture import blit
from sim.viewer.playback.view import Choices, Facts, View

_GAP = 6  # between two frames, at scale 1
_LABEL = 20  # height of the line below them
_HIGH = 84  # of a frame of Mnih et al. 2015, at scale 1

NEED = Need(TITLE_ROW + 48 + _LABEL + 6, TITLE_ROW + _HIGH + _LABEL + 6, TITLE_ROW + 2 * _HIGH + _LABEL + 6)


def observation_of(view: View) -> Array | None:
    """(k, h, w) uint8, oldest first; None where the agent observes something else."""
    return None if view.moment is None else view.moment.observation


def note(facts: Facts, choices: Choices, view: View) -> Note:
    """Title note: size and number of the frames."""
    frames = observation_of(view)
    if frames is None:
        return "", ""
    count, height, width = frames.shape
    paired = "left · " if view.moment is not None and view.moment.names else ""
    return f"{paired}{count} frame{'s' * (count > 1)} of {width} × {height}", ""


def key(facts: Facts, choices: Choices, view: View) -> Hashable:
    """Cache key: all that `draw` depends on; an observation lasts for all pictures of a step."""
    frames = observation_of(view)
    return None if frames is None else (hash(frames.tobytes()), frames.shape)


def draw(surface: pygame.Surface, ink: Ink, inside: Rect, facts: Facts, choices: Choices, view: View) -> None:
    """Draw the inside of the panel: the frames side by side, the newest at the right."""
    frames = observation_of(view)
    if frames is None:
        say(surface, ink, inside, "the agent observes no pictures")
        return
    for number, (frame, rect) in enumerate(zip(frames, places(ink, inside, frames.shape), strict=True)):
        blit(surface, np.repeat(frame[..., None], 3, axis=2), rect)
        age = number + 1 - len(frames)
        text = "newest" if age == 0 else f"−{-age}"
        ink.write(
            surface, text, (rect.centerx, rect.bottom + ink.px(_LABEL) // 2), PALETTE.muted, align="center"
        )


def places(ink: Ink, inside: Rect, shape: tuple[int, ...]) -> list[Rect]:
    """Rectangles of `shape[0]` frames of `shape[1:]`: as large as fit in a row, centred."""
    count, height, width = shape
    gap = ink.px(_GAP)
    room = (inside.width - (count - 1) * gap) / count
    factor = max(0.0, min(room / width, (inside.height - ink.px(_LABEL)) / height))
    size = max(1, int(width * factor)), max(1, int(height * factor))
    left = inside.centerx - (count * size[0] + (count - 1) * gap) // 2
    return [Rect(left + i * (size[0] + gap), inside.top, *size) for i in range(count)]
