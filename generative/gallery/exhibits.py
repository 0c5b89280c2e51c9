"""What a gallery shows: samples, strips and clips of them, and their figures."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from sim.records import Array


@dataclass(frozen=True)
class Exhibit:
    """One sample on show.

    Attributes:
        picture: (H, W, 3) uint8.
        seed: with which `playfield sample` gives it again.
        condition: what was asked for, in words; empty if nothing was.
        nearest: the real training example nearest to it, (H', W', 3) uint8, if there is one.
        distance: how far that is, in words.
        truth: what it shows, in words; empty if nobody says so.
        holds: whether that is what was asked for, or can be; None where nobody says so.
        reading: how `truth` is known: decoded exactly, or as a model reads it, which may be wrong.
    """

    picture: Array
    seed: int
    condition: str = ""
    nearest: Array | None = None
    distance: str = ""
    truth: str = ""
    holds: bool | None = None
    reading: str = "decoded truth"

    def facts(self, number: int) -> list[tuple[str, str]]:
        """What the page says of it, by name; `number` counts from 1."""
        said = [("sample", str(number)), ("seed", str(self.seed)), ("condition", self.condition or "none")]
        if self.distance:
            said.append(("nearest real", self.distance))
        if self.truth:
            said.append((self.reading, self.truth))
        if self.holds is not None:
            said.append(("holds", "yes" if self.holds else "no"))
        return said

    def alt(self, number: int) -> str:
        """For those who do not see it."""
        return ", ".join(f"{name} {value}" for name, value in self.facts(number))


@dataclass(frozen=True)
class Strip:
    """A picture of several samples that belong together, as ``NAME.png``.

    Attributes:
        name: of the file.
        pictures: (R, C, H, W, 3) uint8: rows and columns.
        heading: over it.
        caption: what is to be seen; it is also read out instead of the picture.
        rows: R names, or none.
    """

    name: str
    pictures: Array
    heading: str
    caption: str
    rows: tuple[str, ...] = ()


@dataclass(frozen=True)
class Clip:
    """Pictures in time, as ``NAME.gif`` and ``NAME.mp4``.

    Attributes:
        name: of the files.
        frames: (T, H, W, 3) uint8.
        heading: over it.
        caption: what is to be seen.
        fps: frames a second.
    """

    name: str
    frames: Array
    heading: str
    caption: str
    fps: float = 12.0


@dataclass(frozen=True)
class Grades:
    """What a checkpoint's card says of it: figures of other samples than those on show.

    Attributes:
        metrics: figures by their fixed names.
        ci95: low and high, by figure.
        n: samples that the figures are of; 0 if the card does not say.
        protocol: under what rules the figures were made.
    """

    metrics: Mapping[str, float]
    ci95: Mapping[str, list[float]] = field(default_factory=dict)
    n: int = 0
    protocol: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Gallery:
    """All that is shown.

    Attributes:
        title: of the page.
        about: what made the samples, in one line.
        exhibits: at least one.
        metrics: figures of these samples, by their fixed names.
        columns: other figures beside them, by heading: baselines.
        checkpoint: what is known of the model that made them, if anything is.
        strips: pictures of several samples.
        clips: pictures in time.
        command: that made it.
        protocol: under what rules these samples were made.
        note: under the heading of the samples.
    """

    title: str
    about: str
    exhibits: tuple[Exhibit, ...]
    metrics: Mapping[str, float] = field(default_factory=dict)
    columns: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    checkpoint: Grades | None = None
    strips: tuple[Strip, ...] = ()
    clips: tuple[Clip, ...] = ()
    command: str = "playfield sample"
    protocol: Mapping[str, Any] = field(default_factory=dict)
    note: str = ""
