"""Image grids and strips as PNG, enlarged by whole factors so that each pixel can be seen."""

from __future__ import annotations

import io
import math
from collections.abc import Sequence

import numpy as np
from PIL import Image

from generative.gallery.content import Strip
from sim.records import Array
from sim.viewer.draw.theme import PALETTE

LEAST = 256  # pixels on a side to which a single image is enlarged
IN_A_GRID = 128  # the same in a grid, at most
GUTTER = 4  # pixels between the images of a grid


def png(picture: Array) -> bytes:
    """Encode an image (H, W, 3) uint8 as PNG."""
    buffer = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(picture)).save(buffer, "PNG", optimize=True)
    return buffer.getvalue()


def grid(pictures: Sequence[Array], columns: int | None = None) -> Array:
    """Arrange images (H, W, 3) in a grid with gutters, small ones enlarged.

    >>> grid([np.zeros((64, 64, 3), np.uint8)] * 4).shape
    (268, 268, 3)
    """
    across = columns or math.ceil(math.sqrt(len(pictures)))
    down = math.ceil(len(pictures) / across)
    longest = max(pictures[0].shape[:2])
    factor = max(1, min(enlarging(pictures[0].shape[:2]), IN_A_GRID // longest))
    height, width = pictures[0].shape[0] * factor, pictures[0].shape[1] * factor
    sheet = np.empty((down * (height + GUTTER) + GUTTER, across * (width + GUTTER) + GUTTER, 3), np.uint8)
    sheet[:] = PALETTE.ground
    for i, picture in enumerate(pictures):
        top, left = GUTTER + i // across * (height + GUTTER), GUTTER + i % across * (width + GUTTER)
        sheet[top : top + height, left : left + width] = picture.repeat(factor, 0).repeat(factor, 1)
    return sheet


def strip_picture(strip: Strip) -> Array:
    """Arrange the images of a strip in its rows and columns."""
    rows, columns = strip.pictures.shape[:2]
    return grid(list(strip.pictures.reshape(rows * columns, *strip.pictures.shape[2:])), columns)


def enlarging(size: tuple[int, ...]) -> int:
    """The least whole factor that enlarges (H, W) to at least `LEAST` pixels on its longer side."""
    return max(1, math.ceil(LEAST / max(size)))
