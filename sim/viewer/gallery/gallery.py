"""Operations of a sample gallery: sampling, denoising, interpolation, latent walks and inpainting."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

from sim.records import Array
from sim.viewer.contract.gallery_page import GalleryPage, Mode, Slider
from sim.viewer.contract.gallery_source import ExampleDetails, GallerySamples, GallerySource, SliderAxis
from sim.viewer.gallery.items import Items
from sim.viewer.gallery.mask import brush_radius, painted
from sim.viewer.gallery.worker import Worker

SAMPLES = 24  # on a page: 6 × 4 at twice their size in a window of 1280 × 800, if they are 64 × 64
FILLS = 6  # inpainted variants
LEG = 30  # moments that a latent walk takes from one sample to the next
CHUNK = 8  # examples on a path that are decoded together

T = TypeVar("T")


@dataclass
class Page:
    """One page of examples, as far as they have been made."""

    mode: Mode
    items: Items
    total: int
    chosen: int = 0
    about: ExampleDetails = ExampleDetails()


class Gallery:
    """Pages of a sampler's examples, and the operations on them.

    Args:
        source: makes the examples.
        threaded: whether heavy work has a thread of its own; if not, the worker's `turn` does it.
        total: how many pictures are on a page.

    Attributes:
        worker: makes the pages.
        scout: finds neighbours and axes of the chosen example, which may need all real examples first.
        seed: of the samples.
        condition: index of the chosen condition.
        conditions: names of the conditions, the last ones sentences that a person has typed.
        slider: index of the chosen one.
        start: index of the picture where an interpolation will begin; −1 for none.
        aim: of the one where a drag would end now; −1 for none.
        steps: of denoising, so far.
        walked: moments since a latent walk began; −1: none.
        trouble: what has failed or is impossible, in words.
        error: what was raised last.
        fresh: whether the pictures have changed since it was last set to False.
        seconds: that the last page of samples took.
    """

    def __init__(self, source: GallerySource, *, threaded: bool = True, total: int = SAMPLES) -> None:
        self.source = source
        self.total = total
        self._threaded = threaded
        self.worker = Worker(self._failed, threaded=threaded)
        self.scout = Worker(self._failed, threaded=threaded)
        self.seed, self.condition = 0, 0
        self.conditions = source.conditions
        self.slider = 0
        self.start = self.aim = -1
        self.steps = 0
        self.walked = -1
        self.trouble = ""
        self.error: Exception | None = None
        self.fresh = False
        self.seconds = 0.0
        self.mask: Array = np.zeros(source.size[::-1], bool)
        self.brush = (source.size[0] / 2, source.size[1] / 2)
        self._begun = 0.0  # time.perf_counter() when a page was asked for
        self._page = Page("samples", Items(source), total)
        self._before: list[Page] = []  # pages to go back to
        self._route: Array = np.zeros(0)  # (n, L) of a latent walk, in the order of the page it began on

    @property
    def mode(self) -> Mode:
        """The kind of pictures on the page."""
        return self._page.mode

    @property
    def items(self) -> Items:
        """The examples on the page."""
        return self._page.items

    @property
    def chosen(self) -> int:
        """Index of the chosen example."""
        return min(self._page.chosen, max(0, len(self.items) - 1))

    @property
    def returns(self) -> bool:
        """Whether there is a page to go back to."""
        return bool(self._before)

    # Background work

    def listen(self, tell: Callable[[], None]) -> None:
        """Call `tell`, from other threads, whenever there is a result."""
        self.worker.listen(tell)
        self.scout.listen(tell)

    def deliver(self) -> bool:
        """Apply finished results of the work, one at a time, so that each can be seen."""
        made, found = self.worker.deliver(), self.scout.deliver()
        return made or found

    def turn(self) -> bool:
        """Work a little in the calling thread; False if there is nothing to do."""
        return self.worker.turn() or self.scout.turn()

    def close(self) -> None:
        """Stop working."""
        self.worker.close()
        self.scout.close()

    # Pages

    def make(self) -> None:
        """Draw new samples."""
        self._before = []
        self._turn_to("samples", "sampling", self.source.make(self.total, self._condition_name, self.seed))

    def ask(self, sentence: str) -> None:
        """Draw samples of a sentence that a person has typed."""
        if sentence not in self.conditions:
            self.conditions = (*self.conditions, sentence)
        self.condition = self.conditions.index(sentence)
        self.make()

    def denoise(self) -> None:
        """Show the denoising of the same samples, step by step."""
        if not self.source.traces:
            self.trouble = f"a {self.agent} samples in one step: there are no denoising steps"
            return
        self._before = []
        self.steps = 0
        work = self.source.trace(self.total, self._condition_name, self.seed)
        self._turn_to("noise", "denoising", work, take=self._lay_step, end=self._denoised)

    def real(self) -> None:
        """Show real examples; from these, go back to the samples."""
        if self.mode == "real":
            self.back()
            return
        self._keep()
        self._turn_to(
            "real", "loading real examples", self.source.real(self.total, self._condition_name, self.seed)
        )

    def join(self, first: int, second: int) -> None:
        """Interpolate in the latent space between two examples."""
        latents = self.items.latents
        if not 0 <= min(first, second) <= max(first, second) < len(latents):
            self.trouble = f"a {self.agent} has no latents of these pictures: they cannot be interpolated"
            return
        way = self.source.between(latents[first], latents[second], self.total)
        self._keep()
        self._turn_to("path", "interpolating", self._decoded(way))

    def open_fill(self) -> None:
        """Open the chosen example for inpainting; from there, go back."""
        if self.mode == "fill":
            self.back()
            return
        if not self.source.fills:
            self.trouble = f"a {self.agent} cannot inpaint"
            return
        if not len(self.items):
            return
        one, about = self.items.only(self.chosen), self._page.about
        self._keep()
        self.worker.drop("page")
        self._page = Page("fill", one, 1 + FILLS, 0, about)
        self._settle()
        self.clear()

    def back(self) -> None:
        """Go back to the previous page."""
        if self._before:
            self.worker.drop("page")
            self._page = self._before.pop()
            self._settle()
            self._look_around()

    def _keep(self) -> None:
        """Remember the page to go back to, cut to the examples that it has: no more are made for it."""
        if self.mode in ("samples", "real", "noise") and len(self.items):
            page = self._page
            self._before = [*self._before, Page(page.mode, page.items, len(page.items), page.chosen)]

    def _turn_to(
        self,
        mode: Mode,
        words: str,
        work: Iterator[GallerySamples],
        take: Callable[[GallerySamples], None] | None = None,
        end: Callable[[], None] | None = None,
    ) -> None:
        chosen = self._page.chosen if mode != "path" else 0
        self._page = Page(mode, Items(self.source), self.total, chosen, ExampleDetails(axes=self.axes))
        self._settle()
        self._begun, self.seconds = time.perf_counter(), 0.0
        self.worker.ask("page", words, work, take or self._lay, end or self._laid)

    def _settle(self) -> None:
        """Reset what belonged to the previous page."""
        self.start = self.aim = self.walked = -1
        self.trouble = ""
        self.fresh = True
        self.scout.drop("about")

    def _lay(self, drawn: GallerySamples) -> None:
        known = len(self.items) > self._page.chosen
        self.items.lay(drawn)
        self.fresh = True
        if not known and len(self.items) > self._page.chosen:
            self._look_around()

    def _laid(self) -> None:
        self.seconds = time.perf_counter() - self._begun
        self._page.total = max(1, len(self.items)) if self.mode != "fill" else self._page.total

    def _lay_step(self, drawn: GallerySamples) -> None:
        self._page.items = Items(self.source)
        self._page.items.lay(drawn)
        self.steps += 1
        self.fresh = True

    def _denoised(self) -> None:
        self._page.mode = "samples"
        self._laid()
        self._look_around()

    def _decoded(self, way: Array) -> Iterator[GallerySamples]:
        for first in range(0, len(way), CHUNK):
            values = self.source.decode(way[first : first + CHUNK])
            yield GallerySamples(values, way[first : first + CHUNK], self.source.notes(values))

    # The chosen example

    def pick(self, number: int) -> None:
        """Choose an example."""
        if self.mode != "fill" and 0 <= number < len(self.items):
            self._page.chosen = number
            self.aim = -1
            self._look_around()

    def aim_at(self, number: int) -> None:
        """Mark the example where a drag would end; −1: none."""
        self.aim = number

    def slide(self, number: int, value: float) -> None:
        """Move the chosen example along an axis of the latent space."""
        latents = self.items.latents
        if self.mode == "fill" or not (0 <= number < len(self.axes) and self.chosen < len(latents)):
            return
        self.walked, self.slider = -1, number
        moved = self.axes[number].moved(latents[self.chosen], value)
        self.items.move([self.chosen], moved[None])
        self._look_around()

    def _look_around(self) -> None:
        """Find neighbours and latent axes of the chosen example."""
        if self.mode == "fill" or not len(self.items):
            return
        value, page = self.items.values[self.chosen], self._page

        def found(about: ExampleDetails) -> None:
            page.about = about if self.walked < 0 else ExampleDetails(axes=about.axes)

        self.scout.ask("about", "finding neighbours", once(lambda: self.source.about(value)), found)

    @property
    def axes(self) -> tuple[SliderAxis, ...]:
        """The latent axes with a slider at the chosen example."""
        return self._page.about.axes

    # Latent walks

    def set_off(self) -> None:
        """Begin a walk through the latent space; neighbours are not searched until it ends."""
        if len(self.items.latents) < 2:
            self.trouble = f"a {self.agent} has no latents of these pictures: no walk is possible"
            return
        self.worker.drop("page")
        self._page.about = ExampleDetails(axes=self.axes)
        self._route = np.stack(self.items.latents)
        self.walked, self.fresh = 0, True

    def stop(self) -> None:
        """End a walk."""
        if self.walked >= 0:
            self.walked = -1
            self._look_around()

    def walk(self) -> None:
        """Go one moment on: from example to example, only the chosen one where a person waits for it."""
        self.walked += 1
        leg, step = divmod(self.walked, LEG)
        count = len(self._route)
        numbers = [self.chosen] if self._threaded else list(range(count))
        ends = [(self._route[(i + leg) % count], self._route[(i + leg + 1) % count]) for i in numbers]
        way = [self.source.between(start, end, LEG + 1)[step] for start, end in ends]
        self.items.move(numbers, np.stack(way))
        self.fresh = True

    # Inpainting

    def paint(self, x: float, y: float, *, stroke: bool) -> None:
        """Paint the mask at (x, y) in the picture's pixels; with `stroke`, from the last place on."""
        if self.mode != "fill":
            return
        self.worker.drop("page")
        start = self.brush if stroke else (x, y)
        self.mask = painted(self.mask, start, (x, y), brush_radius(self.source.size))
        self.brush = (x, y)
        self._page.items = self.items.first(1)

    def move_brush(self, right: float, down: float) -> None:
        """Move the brush by so many pixels, not beyond the edge."""
        width, height = self.source.size
        x, y = self.brush
        self.brush = (min(max(x + right, 0.5), width - 0.5), min(max(y + down, 0.5), height - 0.5))

    def clear(self) -> None:
        """Clear the mask."""
        self.mask = np.zeros(self.source.size[::-1], bool)
        self.brush = (self.source.size[0] / 2, self.source.size[1] / 2)
        self.worker.drop("page")
        self._page.items = self.items.first(1)

    def fill(self) -> None:
        """Inpaint the mask."""
        if self.mode != "fill" or not self.mask.any():
            return
        self._page.items = self.items.first(1)
        value, mask, seed = self.items.values[0], self.mask, self.seed
        self.trouble = ""

        def work() -> GallerySamples:
            values = self.source.fill(value, mask, FILLS, seed)
            return GallerySamples(values, None, self.source.notes(values))

        self.worker.ask("page", "inpainting", once(work), self._lay, self._laid)

    # Output

    def _failed(self, words: str, error: Exception) -> None:
        self.error = error
        self.trouble = f"{words} failed: {error}" if str(error) else f"{words} failed: {type(error).__name__}"

    @property
    def agent(self) -> str:
        """The sampler's family in a word."""
        return self.source.sampler

    @property
    def _condition_name(self) -> str:
        return self.conditions[self.condition] if self.conditions else ""

    @property
    def busy(self) -> str:
        """Work in progress, in words."""
        making = self.worker.busy
        if making and 0 < len(self.items) < self._page.total and self.mode != "fill":
            return f"{making} … {len(self.items)} of {self._page.total}"
        words = making or self.scout.busy
        return f"{words} …" if words else ""

    def sliders(self) -> tuple[Slider, ...]:
        """Values of the latent axes at the chosen example."""
        if self.chosen >= len(self.items.latents):
            return ()
        latent = self.items.latents[self.chosen]
        return tuple(Slider(a.name, a.value(latent), a.low, a.high, a.ends) for a in self.axes)

    def page(self, line: str) -> GalleryPage:
        """The page as it is now, with a line of text below."""
        return GalleryPage(
            mode=self.mode,
            size=self.source.size,
            total=self._page.total,
            chosen=self.chosen,
            start=self.start,
            aim=self.aim,
            notes=tuple(self.items.notes),
            sliders=self.sliders(),
            slider=min(self.slider, max(0, len(self.axes) - 1)),
            neighbours=self._page.about.neighbours,
            walking=self.walked >= 0,
            conditions=self.conditions,
            prompts=self.source.prompts,
            words=self.source.words,
            condition=self.condition,
            mask=self.mask if self.mode == "fill" else None,
            brush=(*self.brush, brush_radius(self.source.size)),
            line=line,
            busy=self.busy,
            trouble=self.trouble,
        )


def once(work: Callable[[], T]) -> Iterator[T]:
    """Iterator of one result, computed when it is asked for."""
    yield work()
