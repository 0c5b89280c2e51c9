"""GallerySource for the gallery's tests: pictures computed from four latent numbers, exactly and at once."""

from __future__ import annotations

import numpy as np

from sim.viewer.contract.gallery_source import AxisEnds, ExampleDetails, GallerySamples, Neighbour, SliderAxis

AXES = ("left", "down", "red", "round")


def pictures_of(latents, size=16):
    """(n, size, size, 3) uint8: a bright square, moved left and down, over a ground as red as the third."""
    latents = np.asarray(latents, np.float32).reshape(-1, 4)
    made = np.full((len(latents), size, size, 3), 30, np.uint8)
    made[..., 0] = np.clip(90 + 40 * latents[:, 2], 0, 255).astype(np.uint8)[:, None, None]
    for picture, (left, down, _, round_) in zip(made, latents, strict=True):
        x, y = (int(np.clip(size / 2 + 2 * c, 0, size - 4)) for c in (left, down))
        picture[y : y + 4, x : x + 4] = (240, 240, int(np.clip(128 + 60 * round_, 0, 255)))
    return made


def neighbour_of(picture, levels):
    """A picture that lies `levels` away from `picture` in every pixel: no other picture has it."""
    return np.where(picture < 128, picture + levels, picture - levels).astype(np.uint8)


class TinyGallerySource:
    """Sampler "TINY"; its abilities can be taken away, calls can fail, and `make` can wait for a gate."""

    title, sampler, training, data = "Squares", "TINY", "9 updates", "squares · 300"
    size = (16, 16)

    def __init__(
        self,
        gate=None,
        fails=(),
        noted=False,
        chunk=8,
        conditions=("anything", "few", "many"),
        words=(),
        unnamed=False,
        **can,
    ):
        self.unnamed, self.prompts, self.words = unnamed, bool(words), words
        self.gate, self.fails, self.noted, self.chunk = gate, set(fails), noted, chunk
        self.conditions = conditions
        for ability in ("decodes", "encodes", "fills", "traces"):
            setattr(self, ability, can.get(ability, True))
        self.asked = []  # (what, …) of every call that makes something
        self.closed = 0

    def _work(self, what, *details):
        self.asked.append((what, *details))
        if self.gate is not None and what == "make":
            self.gate.acquire(timeout=10)
        if what in self.fails:
            raise RuntimeError("the paint is dry")

    def _drawn(self, latents):
        values = pictures_of(latents)
        return GallerySamples(values, latents if self.decodes else None, self.notes(values))

    def latents(self, n, seed):
        return np.random.default_rng(seed).standard_normal((n, 4), np.float32)

    def make(self, n, condition, seed):
        latents = self.latents(n, seed)
        for first in range(0, n, self.chunk):
            self._work("make", condition, seed, first)
            yield self._drawn(latents[first : first + self.chunk])

    def trace(self, n, condition, seed):
        noise = np.random.default_rng(seed).integers(0, 256, (n, *self.size, 3))
        latents = self.latents(n, seed)
        made = pictures_of(latents).astype(float)
        for step in range(1, 6):
            self._work("trace", condition, seed, step)
            values = ((5 - step) * noise / 5 + step * made / 5).astype(np.uint8)
            yield GallerySamples(values, latents if self.decodes else None)

    def real(self, n, condition, seed):
        self._work("real", n)
        latents = np.linspace(-1, 1, n)[:, None] * np.ones(4, np.float32)
        drawn = self._drawn(latents.astype(np.float32))
        yield drawn if self.encodes else GallerySamples(drawn.values)

    def decode(self, latents):
        self._work("decode", len(latents))
        return pictures_of(latents)

    def between(self, first, second, steps):
        shares = np.linspace(0, 1, steps, dtype=np.float32)[:, None]
        return (1 - shares) * first + shares * second

    def about(self, value):
        self._work("about")
        eye = np.eye(4, dtype=np.float32)
        axes = tuple(
            SliderAxis(name, eye[i] / 2, 2 * eye[i], 1.0, -5.0, 7.0, self._ends(eye[i]))
            for i, name in enumerate(AXES)
        )
        near = tuple(Neighbour(neighbour_of(value, k), f"{k:.1f} away") for k in (1, 2, 4, 8))
        return ExampleDetails(near, axes if self.decodes else ())

    def _ends(self, direction):
        return AxisEnds(*pictures_of([-3 * direction, 3 * direction])) if self.unnamed else None

    def fill(self, value, mask, n, seed):
        self._work("fill", mask.copy(), n)
        filled = np.repeat(value[None], n, 0)
        filled[:, mask] = np.arange(n, dtype=np.uint8)[:, None, None] * 40
        return filled

    def pictures(self, values):
        return np.asarray(values)

    def notes(self, values):
        return tuple(f"red {value[0, 0, 0]}" for value in values) if self.noted else ()

    def close(self):
        self.closed += 1
