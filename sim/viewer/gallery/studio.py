"""What a gallery needs of a sampler: the seam between the window and whatever makes examples."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import numpy as np

from sim.records import Array


class Axis(NamedTuple):
    """A direction in the latent space, and what it moves.

    Attributes:
        name: of what changes along it, such as ``"ball y"``.
        direction: (L,) float32; adding it once raises that by 1.
        weights: (L,) float32: at a point z it is about z · weights + offset.
        offset: see there.
        low: where its slider begins, in the same units.
        high: where it ends.
    """

    name: str
    direction: Array
    weights: Array
    offset: float
    low: float
    high: float

    def value(self, latent: Array) -> float:
        """What it is at a point (L,)."""
        return float(latent @ self.weights) + self.offset

    def moved(self, latent: Array, value: float) -> Array:
        """The point (L,) float32 where it is `value`, within the slider's ends."""
        value = min(max(value, self.low), self.high)
        return np.asarray(latent + (value - self.value(latent)) * self.direction, np.float32)


class Neighbour(NamedTuple):
    """A real example that resembles a sample: as a picture (H, W, 3) uint8, and how far off it is."""

    picture: Array
    words: str


@dataclass(frozen=True, slots=True, eq=False)
class Drawn:
    """Examples as a studio makes them.

    Attributes:
        values: (n, …), what the studio draws pictures of.
        latents: (n, L) float32 where they came from; None if the studio cannot decode.
        notes: what is known of each, in a few words; empty if nothing is.
    """

    values: Array
    latents: Array | None = None
    notes: tuple[str, ...] = ()


class About(NamedTuple):
    """What there is to know of one example.

    Attributes:
        neighbours: the real examples nearest to it, the nearest first.
        axes: the directions worth a slider there, the most telling first; none without a latent space.
    """

    neighbours: tuple[Neighbour, ...] = ()
    axes: tuple[Axis, ...] = ()


class Studio(Protocol):
    """Makes examples, and knows the real ones.

    Every method may take long, and may raise: what it raises is shown. `decode`, `between`, `pictures` and
    `notes` may be called while another method is under way in another thread.

    Attributes:
        title: of the scene.
        sampler: the family in a word, ``"VAE"``.
        training: its budget in words; "" if untrained.
        data: what it learned from, in a few words.
        size: width and height of a picture in pixels.
        wishes: what can be asked for, by name; the first is anything at all.
        decodes: whether examples have points in a latent space: then `Drawn.latents` are given.
        encodes: whether real examples have such points, too.
        fills: whether a part of a picture can be filled in.
        traces: whether it works in steps that can be watched.
    """

    title: str
    sampler: str
    training: str
    data: str
    size: tuple[int, int]
    wishes: tuple[str, ...]
    decodes: bool
    encodes: bool
    fills: bool
    traces: bool

    def make(self, n: int, wish: str, seed: int) -> Iterator[Drawn]:
        """`n` examples, some at a time."""

    def trace(self, n: int, wish: str, seed: int) -> Iterator[Drawn]:
        """The `n` examples of `make` after each step, from noise on; only if it `traces`."""

    def real(self, n: int, wish: str, seed: int) -> Iterator[Drawn]:
        """`n` real examples, held out of training where it can be; latents if it `encodes`."""

    def decode(self, latents: Array) -> Array:
        """(n, L) → values (n, …); only if it `decodes`."""

    def between(self, first: Array, second: Array, steps: int) -> Array:
        """(`steps`, L) latents on the way from one point (L,) to another, both included."""

    def about(self, value: Array) -> About:
        """What is known of one example."""

    def fill(self, value: Array, mask: Array, n: int, seed: int) -> Array:
        """(n, …) ways to fill in where `mask` (H, W) is True; only if it `fills`."""

    def pictures(self, values: Array) -> Array:
        """(n, H, W, 3) uint8 of values (n, …)."""

    def notes(self, values: Array) -> tuple[str, ...]:
        """See `Drawn`."""

    def close(self) -> None:
        """Give up what it holds."""
