"""Pictures with what was seen drawn over them, for files instead of the window."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pygame
from PIL import Image

from sim.records import Array
from sim.viewer.contract.moment import Seen
from sim.viewer.draw.theme import Ink
from sim.viewer.overlays.percept_overlay import draw_captions, draw_seen, speaks

CAPTION_ROOM = 56  # pixels under the picture where something is said in words


def draw_percepts(rgb: Array, seen: Seen, factor: int) -> Array:
    """The picture `factor` times as large with everything drawn over it.

    Args:
        rgb: (H, W, 3) uint8.
        seen: what was seen in it.
        factor: a whole number from 1.

    Returns:
        (factor · H, factor · W, 3) uint8, and a strip more below for a caption.
    """
    height, width = rgb.shape[0] * factor, rgb.shape[1] * factor
    room = CAPTION_ROOM if speaks((seen,)) else 0
    surface = pygame.Surface((width, height + room))
    large = rgb.repeat(factor, 0).repeat(factor, 1).swapaxes(0, 1)
    pygame.surfarray.blit_array(surface.subsurface((0, 0, width, height)), large)
    picture, ink = pygame.Rect(0, 0, width, height), Ink()
    draw_seen(surface, ink, picture, picture, factor, (seen,))
    if room:
        draw_captions(surface, ink, pygame.Rect(0, height, width, room), (seen,))
    return np.ascontiguousarray(pygame.surfarray.array3d(surface).swapaxes(0, 1))


def save_picture(file: Path, picture: Array) -> None:
    """Write (H, W, 3) colours or (H, W) numbers, uint8, as PNG."""
    Image.fromarray(picture).save(file, "PNG")
