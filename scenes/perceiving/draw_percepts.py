"""Images with their percepts drawn over them, as in the window, for files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pygame
from PIL import Image

from sim.records import Array
from sim.viewer.contract.moment import PerceptView
from sim.viewer.draw.theme import Ink
from sim.viewer.overlays.percept_overlay import draw_percept_overlay
from sim.viewer.overlays.subtitles import draw_subtitles, has_text

CAPTION_ROOM = 60  # pixels of the strip below the image for a caption or FEN


def draw_percepts(rgb: Array, seen: PerceptView, factor: int) -> Array:
    """Draw a percept over its image, enlarged by `factor`.

    Args:
        rgb: (H, W, 3) uint8.
        seen: its percept.
        factor: a whole number from 1.

    Returns:
        (factor · H, factor · W, 3) uint8, plus a strip below for a caption or FEN.
    """
    height, width = rgb.shape[0] * factor, rgb.shape[1] * factor
    room = CAPTION_ROOM if has_text((seen,)) else 0
    surface = pygame.Surface((width, height + room))
    large = rgb.repeat(factor, 0).repeat(factor, 1).swapaxes(0, 1)
    pygame.surfarray.blit_array(surface.subsurface((0, 0, width, height)), large)
    picture, ink = pygame.Rect(0, 0, width, height), Ink()
    draw_percept_overlay(surface, ink, picture, picture, factor, (seen,))
    if room:
        draw_subtitles(surface, ink, pygame.Rect(0, height, width, room), (seen,))
    return np.ascontiguousarray(pygame.surfarray.array3d(surface).swapaxes(0, 1))


def save_picture(file: Path, picture: Array) -> None:
    """Write an image (H, W, 3) or a mask (H, W), uint8, as PNG."""
    Image.fromarray(picture).save(file, "PNG")
