"""Content of a gallery: samples with their nearest training examples, real ones, strips, clips, metrics."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from generative.gallery.latent_map import LatentMap
from generative.metrics.truth import FactCheck
from sim.records import Array


@dataclass(frozen=True)
class SampleEntry:
    """One sample of a gallery.

    Attributes:
        picture: (H, W, 3) uint8.
        seed: with which `playfield sample` gives it again.
        condition: that it was sampled with, in words; empty without one.
        nearest: its nearest training example, (H', W', 3) uint8, if there is one.
        distance: to that, in words.
        truth: its content, in words; empty if it is not known.
        holds: whether the content matches the condition or, without one, is valid; None if it is not known.
        reading: the source of `truth`: decoded exactly, or predicted by a model, which may be wrong.
        prompt: the sentence that it was asked for by, if each sample has its own; written under it.
        checks: facts of the prompt, each beside what is read from the sample.
        label: its class, as asked for or as read; empty without classes.
    """

    picture: Array
    seed: int
    condition: str = ""
    nearest: Array | None = None
    distance: str = ""
    truth: str = ""
    holds: bool | None = None
    reading: str = "decoded truth"
    prompt: str = ""
    checks: tuple[FactCheck, ...] = ()
    label: str = ""

    def facts(self, number: int) -> list[tuple[str, str]]:
        """Names and values that the page shows of it; `number` counts from 1."""
        said = [("sample", str(number)), ("seed", str(self.seed))]
        said.append(("prompt", self.prompt) if self.prompt else ("condition", self.condition or "none"))
        if self.distance:
            said.append(("nearest training example", self.distance))
        if self.truth:
            said.append((self.reading, self.truth))
        if self.checks:
            wrong = [str(check) for check in self.checks if not check.right]
            said.append(("facts", f"{len(self.checks) - len(wrong)} of {len(self.checks)} right"))
            said += [("wrong", "; ".join(wrong))] if wrong else []
        if self.holds is not None:
            said.append(("correct", "yes" if self.holds else "no"))
        return said

    def alt(self, number: int) -> str:
        """Alternative text of the image."""
        return ", ".join(f"{name} {value}" for name, value in self.facts(number))


@dataclass(frozen=True)
class RealEntry:
    """One real example of a gallery, in the grid of the samples to compare them with.

    Attributes:
        picture: (H, W, 3) uint8.
        label: its class; empty without classes.
        caption: its sentence; empty without one.
    """

    picture: Array
    label: str = ""
    caption: str = ""

    def facts(self, number: int) -> list[tuple[str, str]]:
        """Names and values that the page shows of it; `number` counts from 1."""
        said = [("real example", f"{number}, held out from training")]
        said += [("label", self.label)] if self.label else []
        return said + ([("caption", self.caption)] if self.caption else [])

    def alt(self, number: int) -> str:
        """Alternative text of the image."""
        return ", ".join(f"{name} {value}" for name, value in self.facts(number))


@dataclass(frozen=True)
class Strip:
    """Image strip of several samples that belong together, such as an interpolation, as ``NAME.png``.

    Attributes:
        name: of the file.
        pictures: (R, C, H, W, 3) uint8: rows and columns.
        heading: over it.
        caption: its description, which is also its alternative text.
        rows: R names, or none.
    """

    name: str
    pictures: Array
    heading: str
    caption: str
    rows: tuple[str, ...] = ()


@dataclass(frozen=True)
class Clip:
    """Animation, as ``NAME.gif`` and ``NAME.mp4``.

    Attributes:
        name: of the files.
        frames: (T, H, W, 3) uint8.
        heading: over it.
        caption: its description.
        fps: frames a second.
    """

    name: str
    frames: Array
    heading: str
    caption: str
    fps: float = 12.0


@dataclass(frozen=True)
class Grades:
    """Scores from a checkpoint's card, measured on other samples than those of the gallery.

    Attributes:
        metrics: by their fixed names.
        ci95: low and high, by metric.
        n: the number of samples measured; 0 if the card does not say.
        protocol: the rules of the measurement.
    """

    metrics: Mapping[str, float]
    ci95: Mapping[str, list[float]] = field(default_factory=dict)
    n: int = 0
    protocol: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class GalleryContent:
    """Complete content of a gallery.

    Attributes:
        title: of the page.
        about: the model that made the samples, in one line.
        samples: at least one.
        metrics: of these samples, by their fixed names.
        columns: metrics of baselines, by heading.
        checkpoint: scores from the model's card, if it has any.
        strips: images of several samples.
        clips: animations.
        command: that made it.
        protocol: the rules under which these samples were made.
        note: under the heading of the samples.
        real: held-out real examples; none where they are not on this machine.
        latent_map: places of samples and real examples on a map, if there is one.
        verdicts: what samples are called that are as asked or valid, and those that are not.
    """

    title: str
    about: str
    samples: tuple[SampleEntry, ...]
    metrics: Mapping[str, float] = field(default_factory=dict)
    columns: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    checkpoint: Grades | None = None
    strips: tuple[Strip, ...] = ()
    clips: tuple[Clip, ...] = ()
    command: str = "playfield sample"
    protocol: Mapping[str, Any] = field(default_factory=dict)
    note: str = ""
    real: tuple[RealEntry, ...] = ()
    latent_map: LatentMap | None = None
    verdicts: tuple[str, str] = ("correct", "wrong")
