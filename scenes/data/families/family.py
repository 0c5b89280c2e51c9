"""Record of one family of worlds: decoding, initial states and thumbnails of generated examples.

The families themselves stand in `scenes.data.families.table`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from sim.records import Array


class Decoded(NamedTuple):
    """Content decoded from one example by the simulator.

    Attributes:
        text: in words, such as a FEN.
        holds: whether there can be such a thing.
        note: `holds` in a word or two, with the reason if not.
    """

    text: str
    holds: bool
    note: str


@dataclass(frozen=True)
class WorldFamily:
    """One family of worlds, with its functions on generated examples.

    Attributes:
        world_of: name of a data set → the world that its examples are of, the family alone where they are of
            several of its worlds; None for data sets of which the family knows nothing.
        decode: (variant of the world, examples (n, …)) → what each of them shows, exactly; None where only a
            model can tell.
        states: (variant, examples, seed) → states in which the world's episodes can begin; None without any.
        states_from: which data such states come from, in words.
        draw: (variant, examples (n, D)) → thumbnails (n, H, W, 3) uint8 of vectors; None for pictures.
        enlarge: pictures (n, H, W, 3) → thumbnails (n, kH, kW, 3) uint8 with k whole; None where they are
            shown as they are.
        encoded: whether the shipped picture encoder knows the examples' classes and facts.
        complete: variant → a function of pictures (n, H, W, 3): whether each shows all of the variant's
            objects, each once, (n,) bool; empty where nobody counts them.
        verdict_names: what examples are called that can be so, and those that cannot.
        views: what held-out pictures of the family show, where its own players make them; "" where agents do.
    """

    world_of: Callable[[str], str | None]
    decode: Callable[[str, Array], list[Decoded]] | None = None
    states: Callable[[str, Array, int], Iterable[Any]] | None = None
    states_from: str = ""
    draw: Callable[[str, Array], Array] | None = None
    enlarge: Callable[[Array], Array] | None = None
    encoded: bool = False
    complete: Mapping[str, Callable[[Array], Array]] = field(default_factory=dict)
    verdict_names: tuple[str, str] = ("correct", "wrong")
    views: str = ""
