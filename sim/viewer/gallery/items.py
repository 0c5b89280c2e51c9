"""Examples on a gallery page: values, their pictures, and their points in the latent space."""

from __future__ import annotations

import numpy as np

from sim.records import Array
from sim.viewer.contract.gallery_source import GallerySamples, GallerySource


class Items:
    """The examples of a page that have been made so far.

    Attributes:
        values: one an example.
        pictures: (H, W, 3) uint8 each.
        latents: (L,) each; empty if they have none.
        notes: a few words each; empty for none.
    """

    def __init__(self, source: GallerySource) -> None:
        self._source = source
        self.values: list[Array] = []
        self.pictures: list[Array] = []
        self.latents: list[Array] = []
        self.notes: list[str] = []

    def __len__(self) -> int:
        """How many there are."""
        return len(self.values)

    def lay(self, drawn: GallerySamples) -> None:
        """Add examples."""
        self.values += list(drawn.values)
        self.pictures += list(self._source.pictures(drawn.values))
        self.latents += [] if drawn.latents is None else list(drawn.latents)
        self.notes += drawn.notes

    def first(self, count: int) -> Items:
        """A items with the first `count` of them."""
        few = Items(self._source)
        few.values, few.pictures = self.values[:count], self.pictures[:count]
        few.latents, few.notes = self.latents[:count], self.notes[:count]
        return few

    def only(self, number: int) -> Items:
        """A items with one of them."""
        one = Items(self._source)
        one.values, one.pictures = [self.values[number]], [self.pictures[number]]
        one.latents, one.notes = self.latents[number : number + 1], self.notes[number : number + 1]
        return one

    def move(self, numbers: list[int], latents: Array) -> None:
        """Move examples to other points (K, L) of the latent space, and decode them together."""
        values = self._source.decode(latents)
        pictures, notes = self._source.pictures(values), self._source.notes(values)
        for row, number in enumerate(numbers):
            self.values[number], self.pictures[number] = values[row], pictures[row]
            self.latents[number] = np.asarray(latents[row], np.float32)
            if self.notes and notes:
                self.notes[number] = notes[row]
