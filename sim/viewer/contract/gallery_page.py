"""Frozen state of a gallery page at one moment; drawing reads nothing else but the pictures."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, NamedTuple, TypeAlias

from sim.records import Array
from sim.viewer.contract.gallery_source import AxisEnds, Neighbour

#: Kind of the pictures: samples; samples being denoised; real examples; an interpolation; one with a painted
#: mask, and its inpainted variants.
Mode: TypeAlias = Literal["samples", "noise", "real", "path", "fill"]


class Slider(NamedTuple):
    """Value that a person may move, with its range: along an axis of the latent space, or of a target.

    The value may lie beyond the range, which is that of the data: there it is an extrapolation.
    """

    name: str
    value: float
    low: float
    high: float
    ends: AxisEnds | None = None


@dataclass(frozen=True, slots=True, eq=False)
class GalleryPage:
    """State of a gallery page, whose pictures are those of its moment.

    In mode ``"fill"`` the first picture is the one with the mask, the others are its inpainted variants.

    Attributes:
        size: width and height of a picture.
        total: how many pictures there will be; those that are still to come have empty places.
        chosen: index of the chosen picture.
        start: of the picture where an interpolation will begin; −1 for none.
        aim: of the one where a drag would end now; −1 for none.
        notes: a few words under each picture; empty for none.
        sliders: of the chosen picture.
        slider: index of the chosen one.
        neighbours: training examples near the chosen picture, the nearest first; none during a latent walk.
        walking: whether a latent walk is in progress.
        conditions: names of the conditions.
        prompts: whether these are sentences.
        words: the vocabulary of sentences that a person may type; empty where none are taken.
        condition: index of the chosen condition.
        mask: (H, W) bool, True where the first picture is to be inpainted.
        brush: x, y and radius of the brush in pixels of the picture.
        line: status or help, below the pictures.
        busy: work in progress, in words; "" for none.
        trouble: what has failed, in words; "" for nothing.
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
    conditions: tuple[str, ...] = ()
    prompts: bool = False
    words: tuple[str, ...] = ()
    condition: int = 0
    mask: Array | None = None
    brush: tuple[float, float, float] = (0.0, 0.0, 0.0)
    line: str = ""
    busy: str = ""
    trouble: str = ""
