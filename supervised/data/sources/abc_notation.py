"""Parser of ABC notation (standard 2.1): melodies as notes with onset, duration and pitch.

One voice is read, as written: repeats are not played twice, grace notes and decorations are left out, of a
chord the highest note counts. Fields within a tune change metre, key and unit length where they stand.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache

import numpy as np

from sim.records import Array

STEPS = {"C": 0, "D": 2, "E": 4, "F": 5, "G": 7, "A": 9, "B": 11}  # semitones above C
SHARPS, FLATS = "FCGDAEB", "BEADGCF"  # in the order in which key signatures add them
#: Fifths above C of each major key's tonic, and how far a mode's signature is from the major one.
FIFTHS = {"F": -1, "C": 0, "G": 1, "D": 2, "A": 3, "E": 4, "B": 5}
MODES = {"lyd": 1, "": 0, "maj": 0, "ion": 0, "mix": -1, "dor": -2, "m": -3, "min": -3, "aeo": -3, "phr": -4}
ACCIDENTALS = {"^": 1, "^^": 2, "_": -1, "__": -2, "=": 0}
TUPLETS = {2: 3, 3: 2, 4: 3, 6: 2, 8: 3}  # p notes in the time of q, in simple metres
RHYTHM = re.compile(r"(?m)^R:(.*)$")
NEAR = 1e-9  # whole notes; more than errors of rounding
LINE = re.compile(r"^([A-Za-z]):(.*)$")
TOKEN = re.compile(
    r"""
    (?P<skip>"[^"]*"|![^!\s]*!|\{[^}]*\}|%.*)
    |\[(?P<field>[A-Za-z]):(?P<value>[^\]]*)\]
    |(?P<bar>\[?[:|]*\|[:|\]]*(?:\s*\[?\d[\d,\-]*)?|::|\[\d[\d,\-]*)
    |\((?P<p>\d)(?::(?P<q>\d?))?(?::(?P<r>\d?))?
    |(?P<note>(?P<accidental>\^\^?|__?|=)?(?P<letter>[A-Ga-gxz])(?P<octave>[,']*)(?P<length>\d*/*\d*))
    |(?P<broken>>+|<+)
    |(?P<tie>-)
    |(?P<open>\[)
    |\](?P<chord>\d*/*\d*)
    |.
    """,
    re.VERBOSE,
)


@dataclass(frozen=True)
class Tune:
    """A melody.

    Attributes:
        title: the first of its titles.
        rhythm: kind of dance, in lower case; "" where nobody said.
        metre: beats of a bar and the unit of a beat, (6, 8); (4, 4) where there is none.
        pickup: whole notes before the first whole bar.
        notes: (N, 3) float64: onset and duration in whole notes, MIDI pitch; rests leave gaps.
    """

    title: str
    rhythm: str
    metre: tuple[int, int]
    pickup: float
    notes: Array


def split_tunes(text: str) -> list[tuple[str, str]]:
    """Rhythm and text of each tune of a file; each begins with a field ``X:``."""
    parts = [part for part in re.split(r"(?m)^(?=X:)", text.replace("\r", "")) if part.startswith("X:")]
    return [(_rhythm(found[1]) if (found := RHYTHM.search(part)) else "", part) for part in parts]


def read_tunes(text: str) -> Iterator[Tune]:
    r"""The tunes of a file; those without a note are left out.

    >>> next(read_tunes("X:1\nT:Scale\nM:2/4\nL:1/8\nK:D\nDEF>G|")).notes[:, 2].tolist()
    [62.0, 64.0, 66.0, 67.0]
    """
    for _, part in split_tunes(text):
        reader = _Reader()
        for line in part.splitlines():
            reader.line(line)
        if reader.notes:
            yield reader.tune()


def signature(key: str) -> dict[str, int]:
    """Key signature: letter → semitones that it is raised by.

    >>> signature("Edor"), signature("Bb")
    ({'F': 1, 'C': 1}, {'B': -1, 'E': -1})
    """
    found = re.match(r"\s*([A-G])([#b]?)\s*([A-Za-z]*)", key)
    if found is None:
        return {}
    mode = found[3].lower()[:3] if found[3] != "M" else "maj"
    fifths = FIFTHS[found[1]] + {"#": 7, "b": -7, "": 0}[found[2]] + MODES.get(mode, 0)
    letters = SHARPS[:fifths] if fifths >= 0 else FLATS[:-fifths]
    return dict.fromkeys(letters, 1 if fifths >= 0 else -1)


@cache
def length(text: str) -> float:
    """A note's length in units: ``3``, ``/``, ``//``, ``3/2``; nothing is 1.

    >>> [length(text) for text in ("", "3", "/", "//", "3/4")]
    [1.0, 3.0, 0.5, 0.25, 0.75]
    """
    above, slashes, below = re.fullmatch(r"(\d*)(/*)(\d*)", text).groups()  # type: ignore[union-attr]
    bottom = int(below) if below else 2 ** len(slashes)
    return int(above or 1) / (bottom or 1)


@dataclass
class _Reader:
    """State of a parse: fields in force, and the notes so far as [onset, duration, pitch]."""

    title: str = ""
    rhythm: str = ""
    metre: tuple[int, int] = (4, 4)
    unit: float | None = None
    key: dict[str, int] = field(default_factory=dict)
    body: bool = False
    at: float = 0.0
    first_bar: float | None = None  # where the first bar line stands that follows a note
    notes: list[list[float]] = field(default_factory=list)
    in_bar: dict[tuple[str, str], int] = field(default_factory=dict)  # accidentals until the bar ends
    tuplet: list[float] = field(default_factory=list)  # factors of the notes to come
    broken: float = 1.0  # factor of the next note
    tied: bool = False
    last: float = 0.0  # duration of the last note or rest
    chord: list[tuple[int | None, float]] | None = None  # while one is open

    def line(self, line: str) -> None:
        found = LINE.match(line)
        if found is not None:
            self.change(found[1], found[2].partition("%")[0].strip())
        elif self.body:
            for token in TOKEN.finditer(line):
                self.token(token)

    def change(self, name: str, value: str) -> None:
        """Take up a field."""
        if name == "T":
            self.title = self.title or value
        elif name == "R":
            self.rhythm = _rhythm(value)
        elif name == "M":
            self.metre = _metre(value) or self.metre
        elif name == "L":
            found = re.fullmatch(r"(\d+)/(\d+)", value.replace(" ", ""))
            self.unit = int(found[1]) / (int(found[2]) or 1) if found else self.unit
        elif name == "K":
            self.key, self.body = signature(value), True

    def token(self, token: re.Match[str]) -> None:
        if token["field"]:
            self.change(token["field"], token["value"].strip())
        elif token["bar"]:
            self.in_bar.clear()
            if self.first_bar is None and self.at > 0:
                self.first_bar = self.at
        elif token["p"]:
            p = int(token["p"])
            q = int(token["q"] or TUPLETS.get(p, 3 if self.metre[0] % 3 == 0 else 2))
            self.tuplet = [q / max(1, p)] * int(token["r"] or p)
        elif token["note"]:
            found = self.pitch(token["accidental"], token["letter"], token["octave"]), length(token["length"])
            if self.chord is None:
                self.play(*found)
            else:
                self.chord.append(found)
        elif token["broken"]:
            self.dot(token["broken"])
        elif token["tie"]:
            self.tied = True
        elif token["open"]:
            self.chord = []
        elif token["chord"] is not None and self.chord is not None:
            notes, self.chord = self.chord, None
            if notes:
                highest = max((note for note, _ in notes if note is not None), default=None)
                self.play(highest, notes[0][1] * length(token["chord"]))

    def pitch(self, accidental: str | None, letter: str, octave: str) -> int | None:
        """MIDI pitch; None for a rest."""
        if letter in "xz":
            return None
        name, place = letter.upper(), (letter, octave)
        if accidental:
            self.in_bar[place] = ACCIDENTALS[accidental]
        raised = self.in_bar.get(place, self.key.get(name, 0))
        return 60 + STEPS[name] + raised + 12 * (letter.islower() + octave.count("'") - octave.count(","))

    def play(self, pitch: int | None, units: float) -> None:
        """Add a note or rest, in the rhythm that stands before it."""
        factor = self.tuplet.pop() if self.tuplet else 1.0
        self.last = units * self.unit_length() * factor * self.broken
        self.broken = 1.0
        if pitch is not None and self.tied and self.notes and self.notes[-1][2] == pitch:
            self.notes[-1][1] += self.last
        elif pitch is not None:
            self.notes.append([self.at, self.last, float(pitch)])
        self.tied = False
        self.at += self.last

    def dot(self, mark: str) -> None:
        """Broken rhythm: ``>`` lengthens the note before by half of it and shortens the next one so."""
        short = 0.5 ** len(mark)
        moved = self.last * (1 - short)
        change = moved if mark[0] == ">" else -moved
        if self.notes and abs(self.notes[-1][0] + self.notes[-1][1] - self.at) < NEAR:
            self.notes[-1][1] += change
        self.at += change
        self.broken = short if mark[0] == ">" else 2 - short

    def unit_length(self) -> float:
        """Of a note without a length: 1/16 in metres below 3/4, else 1/8, unless a field says it."""
        if self.unit is None:
            self.unit = 1 / (16 if self.metre[0] / self.metre[1] < 0.75 else 8)
        return self.unit

    def tune(self) -> Tune:
        """What was read."""
        first, bar = self.first_bar or 0.0, self.metre[0] / self.metre[1]
        pickup = first if first < bar - NEAR else 0.0
        return Tune(self.title, self.rhythm, self.metre, pickup, np.array(self.notes, np.float64))


def _rhythm(value: str) -> str:
    return " ".join(value.lower().split())


def _metre(text: str) -> tuple[int, int] | None:
    """Beats and unit of ``6/8``, ``C`` or ``C|``; None for what is no metre."""
    if text in ("C", "C|"):
        return (4, 4) if text == "C" else (2, 2)
    found = re.match(r"(\d+)\s*/\s*(\d+)", text)
    return (int(found[1]), int(found[2])) if found and int(found[2]) else None
