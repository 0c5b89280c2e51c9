"""Gallery as a `Show`: takes keys and gestures, and gives moments.

Satisfies `Show`, `Interactive` and `Working` of `sim.viewer.contract`. Attended, it waits for a person, and
heavy work has threads of its own; unattended, as in a recording, it runs through all operations by itself
(`demo`).
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from sim.viewer.contract.gallery_source import GallerySource
from sim.viewer.contract.gesture import Ability, Answer, Gesture
from sim.viewer.contract.moment import Moment, Readout
from sim.viewer.gallery.demo import tour
from sim.viewer.gallery.gallery import SAMPLES, Gallery
from sim.viewer.gallery.mask import brush_radius

RATE = 15.0  # moments a second of a latent walk
NUDGE = 0.04  # of a slider's length that a key moves it

_ARROWS = {"left": (-1, 0), "right": (1, 0), "up": (0, -1), "down": (0, 1)}
_NOTHING = np.zeros(1)


class GalleryShow:
    """A `Show` of the examples of a `GallerySource`.

    Args:
        source: makes the examples; it is closed with the show.
        attended: whether a person is there.
        total: how many pictures are on a page.
    """

    action_names: tuple[str, ...] = ()
    action_labels: tuple[str, ...] = ()
    action_limit = 1.0
    num_worlds = 1
    steps_per_second = RATE

    def __init__(self, source: GallerySource, *, attended: bool = True, total: int = SAMPLES) -> None:
        self._gallery = Gallery(source, threaded=attended, total=total)
        self._source = source
        self._attended = attended
        self.title, self.agent = source.title, source.sampler
        self.training, self.protocol = source.training, source.data
        abilities = {
            Ability.GALLERY: True,
            Ability.LATENTS: source.decodes,
            Ability.FILL: source.fills,
            Ability.TRACE: source.traces,
            Ability.CONDITIONS: len(source.conditions) > 1,
            Ability.TYPE: bool(source.words),
        }
        self.abilities = frozenset(ability for ability, given in abilities.items() if given)
        self._length = 0
        self._programme = tour(self._gallery)

    # Show

    def start(self, seed: int | None) -> Moment:
        """Draw new samples; see `sim.viewer.contract.show.Show`."""
        gallery = self._gallery
        gallery.seed = gallery.seed + 1 if seed is None else seed
        self._length = 0
        self._programme = tour(gallery)
        gallery.make()
        return self.look()

    def step(self, person: int | None, *, drawn: bool = True) -> Moment:
        """Go on with a latent walk or, unattended, with the work in progress and then the tour."""
        gallery = self._gallery
        self._length += 1
        if self._attended:
            if gallery.walked >= 0:
                gallery.walk()
        elif gallery.turn():
            gallery.deliver()
            if gallery.error is not None:  # nobody is there to read about it
                raise gallery.error
        else:
            next(self._programme)
        return self.look()

    def close(self) -> None:
        """Stop working, and close the source."""
        self._gallery.close()
        self._source.close()

    # Interactive, and Working

    @property
    def waits(self) -> bool:
        """Whether nothing moves by itself; see `sim.viewer.contract.gesture.Interactive`."""
        return self._attended and self._gallery.walked < 0

    def listen(self, tell: Callable[[], None]) -> None:
        """See `sim.viewer.contract.show.Working`."""
        self._gallery.listen(tell)

    def touch(self, gesture: Gesture) -> Answer:
        """Handle a gesture; see `sim.viewer.contract.gesture.Interactive`."""
        gallery, x, y = self._gallery, gesture.x, gesture.y
        gallery.fresh = False
        if gesture.kind == "news":
            some = gallery.deliver()
            return Answer(redraw=some and not gallery.fresh, go=gallery.fresh)
        if gesture.kind == "key":
            self._press(gesture.name, columns=int(x), shift=gesture.on)
            return self._answer()
        done: dict[str, Callable[[], None]] = {
            "pick": lambda: gallery.pick(int(x)),
            "aim": lambda: gallery.aim_at(int(x)),
            "join": lambda: gallery.join(int(x), int(y)),
            "slide": lambda: gallery.slide(int(x), y),
            "paint": lambda: gallery.paint(x, y, stroke=gesture.on),
            "fill": gallery.fill,
            "condition": lambda: self._choose_condition(int(x)),
            "leave": gallery.back,
            "type": lambda: gallery.ask(gesture.name),
        }
        if gesture.kind not in done:
            return Answer()
        gallery.trouble = ""
        done[gesture.kind]()
        return self._answer()

    def _answer(self) -> Answer:
        """Answer a gesture: new pictures make a new moment, other changes are drawn over the present one."""
        fresh = self._gallery.fresh
        return Answer(redraw=not fresh, go=fresh)

    def look(self) -> Moment:
        """The gallery as it is now."""
        gallery = self._gallery
        return Moment(
            pictures=tuple(gallery.items.pictures),
            reward=_NOTHING,
            score=_NOTHING,
            length=np.array([self._length]),
            readouts=self._readouts(),
            asks=self._asks(),
            page=gallery.page(self._line()),
        )

    # Keys

    def _asks(self) -> tuple[str, ...]:
        gallery, source = self._gallery, self._source
        keys = ["n", "return", "t", *_ARROWS]
        keys += ["b"] * (len(source.conditions) > 1) + ["f"] * source.fills + ["d"] * source.traces
        keys += ["w", "i", "k", "j", "l"] * source.decodes
        keys += ["x"] * (gallery.mode == "fill")
        return (*keys, "escape") if gallery.returns or gallery.start >= 0 or gallery.walked >= 0 else (*keys,)

    def _press(self, name: str, *, columns: int, shift: bool) -> None:
        """Handle a key."""
        gallery = self._gallery
        gallery.trouble = ""
        if name in _ARROWS:
            right, down = _ARROWS[name]
            stride = brush_radius(self._source.size)
            gallery.move_brush(right * stride, down * stride)
            gallery.pick(gallery.chosen + right + down * columns)
        elif name in ("i", "k"):
            count = max(1, len(gallery.axes))
            gallery.slider = (gallery.slider + (-1 if name == "i" else 1)) % count
        elif name in ("j", "l"):
            self._nudge(-1 if name == "j" else 1)
        elif name == "b":
            self._choose_condition(gallery.condition + (-1 if shift else 1))
        elif name == "return":
            self._enter()
        elif name == "escape":
            self._escape()
        elif name == "w":
            (gallery.stop if gallery.walked >= 0 else gallery.set_off)()
        elif name == "n":
            gallery.seed += 1
            gallery.make()
        else:
            done = {"d": gallery.denoise, "f": gallery.open_fill, "t": gallery.real, "x": gallery.clear}
            done[name]()

    def _nudge(self, way: int) -> None:
        gallery = self._gallery
        sliders = gallery.sliders()
        if gallery.slider < len(sliders):
            slider = sliders[gallery.slider]
            gallery.slide(gallery.slider, slider.value + way * NUDGE * (slider.high - slider.low))

    def _choose_condition(self, number: int) -> None:
        if self._source.conditions:
            self._gallery.condition = number % len(self._gallery.conditions)
            self._gallery.make()

    def _enter(self) -> None:
        """Paint the mask and inpaint, or take the chosen picture for one end of an interpolation."""
        gallery = self._gallery
        if gallery.mode == "fill":
            gallery.paint(*gallery.brush, stroke=False)
            gallery.fill()
        elif gallery.start < 0:
            gallery.start = gallery.chosen
        elif gallery.start != gallery.chosen:
            gallery.join(gallery.start, gallery.chosen)

    def _escape(self) -> None:
        gallery = self._gallery
        if gallery.walked >= 0:
            gallery.stop()
        elif gallery.start >= 0:
            gallery.start = -1
        else:
            gallery.back()

    # Words

    def _line(self) -> str:
        gallery, source = self._gallery, self._source
        if gallery.start >= 0:
            return f"interpolate from picture {gallery.start + 1}: choose another, then Enter · Esc cancels"
        if gallery.mode == "fill":
            return "inpainting: paint a mask by dragging, or arrows and Enter · X clears · Esc goes back"
        if gallery.mode == "path":
            return "interpolation in the latent space · Esc goes back"
        if gallery.mode == "real":
            return "real examples, held out of training · Esc goes back"
        if gallery.mode == "noise":
            return f"denoising step {gallery.steps}"
        if source.prompts and gallery.condition:
            return f"“{gallery.conditions[gallery.condition]}” · Enter: type another prompt"
        parts = ["Enter: type a prompt" * bool(source.words), "N: new samples"]
        parts += ["drag: interpolate" * source.decodes, "F: inpaint" * source.fills]
        parts += ["D: denoising steps" * source.traces, "H: all keys"]
        return " · ".join(filter(None, parts))

    def _readouts(self) -> tuple[Readout, ...]:
        gallery = self._gallery
        found = [Readout("seed", str(gallery.seed))]
        if gallery.mode == "noise" or gallery.steps:
            found.append(Readout("steps", str(gallery.steps)))
        if gallery.mode == "path":
            found.append(Readout("interpolation", gallery.chosen / max(1, gallery.total - 1)))
        if gallery.mode == "fill":
            found.append(Readout("mask area", f"{100 * gallery.mask.mean():.0f}", "%"))
        if self._attended and gallery.mode == "samples" and gallery.seconds:
            found.append(Readout("sampling time", gallery.seconds, "s"))
        return tuple(found)
