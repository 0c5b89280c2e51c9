"""Unattended tour of a gallery, for recordings: all of its operations in turn."""

from __future__ import annotations

from collections.abc import Iterator

from sim.viewer.gallery.gallery import LEG, Gallery

DWELL = 12  # moments that a page stays


def tour(gallery: Gallery) -> Iterator[None]:
    """Run through all operations, a moment at a time; the caller lets the worker finish before each."""
    source = gallery.source
    while True:
        gallery.pick(gallery.seed % gallery.total)
        yield from dwell()
        if source.traces:
            gallery.denoise()
            yield from dwell()
        if source.decodes:
            gallery.set_off()
            while 0 <= gallery.walked < 2 * LEG:
                gallery.walk()
                yield
            gallery.stop()
            gallery.join(0, len(gallery.items) // 2)
            yield from dwell()
            gallery.back()
        if source.fills:
            gallery.open_fill()
            yield from scribble(gallery)
            gallery.fill()
            yield from dwell()
            gallery.back()
        gallery.seed += 1
        gallery.condition = (gallery.condition + 1) % max(1, len(source.conditions))
        gallery.make()
        yield


def dwell() -> Iterator[None]:
    """Stay at the page for `DWELL` moments."""
    yield from [None] * DWELL


def scribble(gallery: Gallery) -> Iterator[None]:
    """Paint a stroke of the mask over the middle, from left to right."""
    width, height = gallery.source.size
    steps = 8
    for step in range(steps + 1):
        gallery.paint(width * (0.2 + 0.6 * step / steps), height / 2, stroke=step > 0)
        yield
