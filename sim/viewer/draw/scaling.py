"""Display scale of the window: text grows with the window, and by Ctrl + and −, in whole pixels."""

from __future__ import annotations

from sim.viewer.draw.layout import MINIMUM
from sim.viewer.draw.theme import SMALL

FULL = (1248, 702)  # window at scale 1 from which text grows: 13 px at 1280×800, 20 px at 1920×1080
STEP = 1.15  # a press of Ctrl + or −
STEPS = (-4, 8)  # presses from the size that the window asks for
LEAST = 10  # pixels of the smallest text


def grown(size: tuple[int, int], density: float = 1.0) -> float:
    """Pixels that a length of 1 takes in a window of `size` pixels, of which a display's unit has `density`.

    >>> [round(13 * grown(size)) for size in ((640, 480), (1280, 800), (1920, 1080), (3840, 2160))]
    [13, 13, 20, 40]
    """
    return sharp(density * max(1.0, min(size[0] / density / FULL[0], size[1] / density / FULL[1])))


def zoomed(scale: float, zoom: int, size: tuple[int, int]) -> float:
    """`scale` after `zoom` steps, as far as the least window still fits into `size` pixels.

    >>> zoomed(1.0, 0, (640, 480)), zoomed(1.0, 8, (640, 480)), zoomed(1.5, 0, (640, 480))
    (1.0, 1.3076923076923077, 1.5)
    """
    if zoom == 0:
        return scale
    most = min(size[0] / MINIMUM[0], size[1] / MINIMUM[1])
    wanted = min(scale * STEP**zoom, max(scale, int(most * SMALL) / SMALL))
    return sharp(max(wanted, min(scale, LEAST / SMALL)))


def sharp(scale: float) -> float:
    """The nearest scale at which the smallest text is a whole number of pixels high, as all glyphs are."""
    return round(scale * SMALL) / SMALL
