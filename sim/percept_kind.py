"""Record of one kind of percept, and access to a percept's fields and extras by name.

The kinds themselves stand in `sim.percept_kinds`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

import numpy as np

from sim.records import Percept

Kind: TypeAlias = str  # a key of `sim.percept_kinds.PERCEPT_KINDS`
Names: TypeAlias = Sequence[str]  # of the classes, in their order; those of a mask by number
Rules: TypeAlias = Iterator[tuple[bool, str]]

FIELDS = frozenset(field.name for field in fields(Percept))


class Placement(NamedTuple):
    """Move from one picture's pixels to another's: scaled first, then shifted."""

    scale: float = 1.0
    left: float = 0.0
    top: float = 0.0


class PerceptFile(NamedTuple):
    """File that holds a percept's value where JSON cannot: its suffix, and what writes it to a path."""

    suffix: str
    write: Callable[[Path, Percept], None]

    def writer(self, percept: Percept) -> Callable[[Path], None]:
        """What writes this percept's value to a path."""
        return lambda path: self.write(path, percept)


def no_words(percept: Percept, classes: Names) -> str:
    """Empty summary, of kinds without one."""
    return ""


def no_rules(percept: Percept, shape: tuple[int, int], names: Names) -> Rules:
    """No violations, of kinds without rules."""
    return iter(())


@dataclass(frozen=True)
class PerceptKind:
    """One kind of percept.

    Attributes:
        fields: of a `Percept` that hold it, the compared one first; other names are keys of its `extras`.
        words: (percept, class names) → a summary in a few words, such as ``"2 × ball"``.
        rules: (percept, (H, W) of the picture, class names) → conformance rules in turn, with whether each
            holds; a later one is only asked for if those before it hold.
        entries: percept → its entries in JSON; None for the value itself, under the name of its field.
        text: percept → a text that is shown whole, such as a caption; None for kinds that are no text.
        file: that the value is written to, instead of into JSON.
        large: names among `fields` of the arrays that are worth compressing.
        placed: (percept, placement) → the percept in another picture's pixels; None where it has no place.
        covers: kinds that need no words of their own beside this one.
    """

    fields: tuple[str, ...]
    words: Callable[[Percept, Names], str] = no_words
    rules: Callable[[Percept, tuple[int, int], Names], Rules] = no_rules
    entries: Callable[[Percept], dict[str, Any]] | None = None
    text: Callable[[Percept], str] | None = None
    file: PerceptFile | None = None
    large: tuple[str, ...] = ()
    placed: Callable[[Percept, Placement], Percept] | None = None
    covers: tuple[str, ...] = ()

    def value(self, percept: Percept) -> Any:
        """What is compared; None where the percept has none."""
        return field_of(percept, self.fields[0])

    def applies_to(self, percept: Percept) -> bool:
        """Whether the percept says anything of this kind; no keypoints are as good as None."""
        value = self.value(percept)
        return value is not None and not (isinstance(value, Mapping) and not value)

    def in_full(self, percept: Percept, classes: Names) -> str:
        """Its text where it is one, else its words."""
        return (self.text(percept) if self.text else "") or self.words(percept, classes)

    def as_json(self, percept: Percept) -> dict[str, Any]:
        """Its entries in JSON; none where it is written to a file."""
        if self.file is not None:
            return {}
        if self.entries is not None:
            return self.entries(percept)
        value = self.value(percept)
        return {self.fields[0]: value.tolist() if isinstance(value, np.ndarray) else value}


def field_of(percept: Percept, name: str) -> Any:
    """A field of a percept, or the value of that name among its extras; None without it."""
    return getattr(percept, name) if name in FIELDS else percept.extras.get(name)


def with_fields(percept: Percept, values: Mapping[str, Any]) -> Percept:
    """The percept with other values of some fields and extras, by name."""
    extras = {name: value for name, value in values.items() if name not in FIELDS}
    own = {name: value for name, value in values.items() if name in FIELDS}
    return replace(percept, extras={**percept.extras, **extras}, **own) if values else percept
