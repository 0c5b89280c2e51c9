"""What a gallery shows when nobody is there: everything it can do, in turn, for a recording."""

from __future__ import annotations

from collections.abc import Iterator

from sim.viewer.gallery.gallery import LEG, Gallery

DWELL = 12  # moments that a sheet stays


def tour(gallery: Gallery) -> Iterator[None]:
    """Go through it, a moment at a time; whoever asks for the next one lets the worker finish before."""
    studio = gallery.studio
    while True:
        gallery.pick(gallery.seed % gallery.total)
        yield from dwell()
        if studio.traces:
            gallery.denoise()
            yield from dwell()
        if studio.decodes:
            gallery.set_off()
            while 0 <= gallery.walked < 2 * LEG:
                gallery.walk()
                yield
            gallery.stop()
            gallery.join(0, len(gallery.tray) // 2)
            yield from dwell()
            gallery.back()
        if studio.fills:
            gallery.open_fill()
            yield from scribble(gallery)
            gallery.fill()
            yield from dwell()
            gallery.back()
        gallery.seed += 1
        gallery.wish = (gallery.wish + 1) % max(1, len(studio.wishes))
        gallery.make()
        yield


def dwell() -> Iterator[None]:
    """Hold still for a while."""
    yield from [None] * DWELL


def scribble(gallery: Gallery) -> Iterator[None]:
    """Paint over the middle, from the left to the right."""
    width, height = gallery.studio.size
    steps = 8
    for step in range(steps + 1):
        gallery.paint(width * (0.2 + 0.6 * step / steps), height / 2, stroke=step > 0)
        yield
