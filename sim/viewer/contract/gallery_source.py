"""Interface between the gallery and a sampler: samples, real examples, latents, neighbours, inpainting."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import numpy as np

from sim.records import Array


@dataclass(frozen=True, slots=True, eq=False)
class AxisEnds:
    """Pictures (H, W, 3) uint8 at both ends of a latent axis, which show what changes along it."""

    low: Array
    high: Array


class SliderAxis(NamedTuple):
    """A direction in the latent space, and the quantity that changes along it.

    Attributes:
        name: of the quantity, such as ``"ball y"``; of one without a name, such as ``"PC 2"``.
        direction: (L,) float32; adding it once raises that by 1.
        weights: (L,) float32: at a point z it is about z · weights + offset.
        offset: see there.
        low: where its slider begins, in the same units.
        high: where it ends.
        ends: shown instead of the name of a quantity that has none; None: the name tells enough.
    """

    name: str
    direction: Array
    weights: Array
    offset: float
    low: float
    high: float
    ends: AxisEnds | None = None

    def value(self, latent: Array) -> float:
        """The quantity at a point (L,)."""
        return float(latent @ self.weights) + self.offset

    def moved(self, latent: Array, value: float) -> Array:
        """Move a point along the axis to where the quantity is `value`, within the slider's ends."""
        value = min(max(value, self.low), self.high)
        return np.asarray(latent + (value - self.value(latent)) * self.direction, np.float32)


class Neighbour(NamedTuple):
    """A training example near a sample: its picture (H, W, 3) uint8, and its label and distance in words."""

    picture: Array
    words: str


@dataclass(frozen=True, slots=True, eq=False)
class GallerySamples:
    """Examples from a `GallerySource`: values, latents and notes.

    Attributes:
        values: (n, …), which the source can draw as pictures.
        latents: (n, L) float32 that they were decoded from; None if the source cannot decode.
        notes: a few words on each; empty for none.
    """

    values: Array
    latents: Array | None = None
    notes: tuple[str, ...] = ()


class ExampleDetails(NamedTuple):
    """Neighbours and latent axes of one example.

    Attributes:
        neighbours: the training examples nearest to it, the nearest first.
        axes: the directions with a slider there, the most important first; none without a latent space.
    """

    neighbours: tuple[Neighbour, ...] = ()
    axes: tuple[SliderAxis, ...] = ()


class GallerySource(Protocol):
    """A sampler and its data as the gallery uses them.

    Every method may take long, and may raise: what it raises is shown. `decode`, `between`, `pictures` and
    `notes` may be called while another method is under way in another thread.

    Attributes:
        title: of the scene.
        sampler: the family in a word, ``"VAE"``.
        training: its budget in words; "" if untrained.
        data: its training data, in a few words.
        size: width and height of a picture in pixels.
        conditions: names of the conditions; the first is unconditional.
        prompts: whether these are sentences; then any other of its words is a condition, too.
        words: the vocabulary of these, in small letters; empty where they are none.
        decodes: whether it has a decoder from a latent space: then `GallerySamples.latents` are given.
        encodes: whether it has an encoder of real examples, too.
        fills: whether it can inpaint.
        traces: whether it works in steps that can be watched.
    """

    title: str
    sampler: str
    training: str
    data: str
    size: tuple[int, int]
    conditions: tuple[str, ...]
    prompts: bool
    words: tuple[str, ...]
    decodes: bool
    encodes: bool
    fills: bool
    traces: bool

    def make(self, n: int, condition: str, seed: int) -> Iterator[GallerySamples]:
        """Draw `n` examples under a condition, some at a time."""

    def trace(self, n: int, condition: str, seed: int) -> Iterator[GallerySamples]:
        """The `n` examples of `make` after each denoising step; only if it `traces`."""

    def real(self, n: int, condition: str, seed: int) -> Iterator[GallerySamples]:
        """`n` real examples, held out of training where possible; latents if it `encodes`."""

    def decode(self, latents: Array) -> Array:
        """(n, L) → values (n, …); only if it `decodes`."""

    def between(self, first: Array, second: Array, steps: int) -> Array:
        """Interpolate: (`steps`, L) latents from one point (L,) to another, both included."""

    def about(self, value: Array) -> ExampleDetails:
        """Neighbours and latent axes of one example."""

    def fill(self, value: Array, mask: Array, n: int, seed: int) -> Array:
        """(n, …) inpainted variants, new where `mask` (H, W) is True; only if it `fills`."""

    def pictures(self, values: Array) -> Array:
        """(n, H, W, 3) uint8 of values (n, …)."""

    def notes(self, values: Array) -> tuple[str, ...]:
        """See `GallerySamples`."""

    def close(self) -> None:
        """Release its resources."""
