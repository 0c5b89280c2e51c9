"""What a gallery shows beside its pictures: the sheet of a moment. Frozen; drawing reads nothing else."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, NamedTuple, TypeAlias

from sim.records import Array
from sim.viewer.gallery.studio import Neighbour

#: What the pictures are: made by the sampler; coming out of noise; real ones; on the way from one to another;
#: one with a part painted over, and ways to fill that in.
Mode: TypeAlias = Literal["samples", "noise", "real", "path", "fill"]


class Slider(NamedTuple):
    """How far a picture lies along one axis of the latent space."""

    name: str
    value: float
    low: float
    high: float


@dataclass(frozen=True, slots=True, eq=False)
class Sheet:
    """A sheet of pictures, which are those of its moment.

    In mode ``"fill"`` the first picture is the one that is painted over, the others fill it in.

    Attributes:
        size: width and height of a picture.
        total: how many pictures there will be; those that are still to come have empty places.
        chosen: index of the chosen picture.
        start: of the picture that a walk will begin at; −1 for none.
        aim: of the one that a drag would end at now; −1 for none.
        notes: a few words under each picture; empty for none.
        sliders: of the chosen picture.
        slider: index of the chosen one.
        neighbours: real examples near the chosen picture, the nearest first; none while it walks.
        walking: whether it does.
        wishes: what can be asked for.
        wish: index of what was.
        mask: (H, W) bool, True where the first picture is painted over.
        brush: x, y and radius of the brush in pixels of the picture.
        line: what there is to know or to do, below the pictures.
        busy: what is being worked at, in words; "" if nothing is.
        trouble: what has failed, in words; "" if nothing has.
    """

    mode: Mode
    size: tuple[int, int]
    total: int
    chosen: int = 0
    start: int = -1
    aim: int = -1
    notes: tuple[str, ...] = ()
    sliders: tuple[Slider, ...] = ()
    slider: int = 0
    neighbours: tuple[Neighbour, ...] = ()
    walking: bool = False
    wishes: tuple[str, ...] = ()
    wish: int = 0
    mask: Array | None = None
    brush: tuple[float, float, float] = (0.0, 0.0, 0.0)
    line: str = ""
    busy: str = ""
    trouble: str = ""
