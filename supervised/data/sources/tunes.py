"""Dance tunes as sound: reels, jigs, hornpipes and strathspeys of two collections, played by a synthesizer.

Notation and labels come from music21's corpus (PyPI ``music21``): *Ryan's Mammoth Collection* (1883) and
O'Neill's *Music of Ireland* (1903), whose field ``R:`` names the dance. The sound is synthesised: each
rendering has its own passage, instrument, key, tempo, loudness, echo and noise.

A dance is played as it is danced: its tempo is drawn about `BEATS`, how much longer the first of two short
notes lasts than the second about `SWING`, each with a spread, so that those of different dances overlap.
Both collections write hornpipes evenly, and notation alone does not tell them from reels reliably; how much
tempo and swing tell is measured by the test set "one tempo, no swing", in which all dances are played alike.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

import numpy as np

from sim.progress import advance
from sim.records import Array, Percept
from supervised.data.columns import RaggedColumn
from supervised.data.dataset import Dataset
from supervised.data.dataset_cache import Request, cached
from supervised.data.sources.abc_notation import Tune, read_tunes, split_tunes
from supervised.data.sources.splits import Source, Splits, package_file, sha256, three_parts, version
from supervised.data.sources.synthesizer import Timbre, melody, recorded

COLLECTIONS = ("ryansMammoth", "oneills1850")
#: What the field ``R:`` says → class.
DANCES = {
    "reel": "reel",
    "jig": "jig",
    "double jig": "jig",
    "hornpipe": "hornpipe",
    "strathspey": "strathspey",
}
CLASSES = ("hornpipe", "jig", "reel", "strathspey")
#: Beats a minute at which each is danced; a beat is half a bar of 2/2 and 6/8, a third of one of 9/8.
BEATS = {"hornpipe": 84.0, "jig": 116.0, "reel": 112.0, "strathspey": 62.0}
ONE_TEMPO = 100.0
TEMPO_SPREAD = 0.12  # standard deviation of the tempo's logarithm
#: Length of the first of two short notes, in that of the second; written rhythms are played as written.
SWING = {"hornpipe": 1.45, "jig": 1.0, "reel": 1.1, "strathspey": 1.0}
SWING_SPREAD = 0.12  # standard deviation of its logarithm
SECONDS = 10.0  # of a rendering
OPENING = 16  # intervals that tell whether two tunes are the same
MODULES = ("supervised.data.sources.tunes",)


def dance_splits(*, renderings: int, seed: int) -> Splits:
    """The dances of both collections, split by tune.

    Args:
        renderings: of each tune to learn from; tunes to validate and to test are rendered once.
        seed: of the split and the renderings.

    Raises:
        MissingPackageError: naming the package and the line that installs it.
    """
    files = corpus_files()
    origin = f"music21 {version('music21')}, Ryan's Mammoth Collection and O'Neill's Music of Ireland"
    source = Source("dance tunes, synthesised", origin, "tunes in the public domain", sha256(*files))
    return rendered_splits(files, source, renderings=renderings, seed=seed)


def corpus_files() -> tuple[Path, ...]:
    """The ABC files of the collections.

    Raises:
        MissingPackageError: without music21.
    """
    corpus = package_file("music21", "__init__.py").with_name("corpus")
    return tuple(file for name in COLLECTIONS for file in sorted((corpus / name).glob("*.abc")))


@lru_cache(maxsize=1)
def labelled(files: tuple[Path, ...]) -> list[Tune]:
    """The tunes of a known dance in ABC files."""
    kept = [text for rhythm, text in _texts(files) if rhythm in DANCES]
    return [tune for text in kept for tune in read_tunes(text)]


def first_dance() -> Tune:
    """The first labelled tune of the collections; no other is read.

    Raises:
        MissingPackageError: without music21.
    """
    texts = (text for file in corpus_files() for rhythm, text in _texts([file]) if rhythm in DANCES)
    return next(tune for text in texts for tune in read_tunes(text))


def _texts(files: Sequence[Path]) -> list[tuple[str, str]]:
    return [pair for file in files for pair in split_tunes(file.read_text("utf-8", "replace"))]


def rendered_splits(files: tuple[Path, ...], source: Source, *, renderings: int, seed: int) -> Splits:
    """The labelled tunes of ABC files, split by tune and rendered; variants of one stay together."""

    def part(number: int, times: int, *, plain: bool = False) -> Dataset:
        told = {"seed": seed, "part": number, "times": times, "plain": plain, "tunes": source.sha256}

        def make() -> Dataset:
            tunes = labelled(files)
            groups = variants(tunes)
            rows = np.repeat(three_parts(groups, seed)[number], times)
            return _rendered(tunes, groups, rows, seed, plain)

        return cached(Request("tunes", told, MODULES), make)

    other = sum(rhythm not in DANCES for rhythm, _ in _texts(files))
    return Splits(
        part(0, renderings),
        part(1, 1),
        part(2, 1),
        "tune",
        source,
        CLASSES,
        (f"{other:,} tunes of another dance or of none",) if other else (),
        {"one tempo, no swing": part(2, 1, plain=True)},
    )


def variants(tunes: Sequence[Tune]) -> Array:
    """(N,) int64 group of each tune: those with the same opening in any key, or the same title and dance."""
    groups = np.arange(len(tunes))
    first: dict[object, int] = {}
    for i, tune in enumerate(tunes):
        steps = tuple(np.diff(tune.notes[: OPENING + 1, 2]).tolist())
        for mark in (steps, (_plain(tune.title), DANCES[tune.rhythm])):
            j = first.setdefault(mark, i)
            groups[groups == groups[i]] = groups[j]
    return groups


def _plain(title: str) -> str:
    """The title's words without the dance, in alphabetical order."""
    words = "".join(c if c.isalnum() else " " for c in title.lower().replace("'", "")).split()
    return " ".join(sorted(word for word in words if word not in {*DANCES, "the", "a", "double"}))


def swung(times: Array, pair: float, ratio: float) -> Array:
    """Times (N,) at which notes are played whose pairs of length `pair` are in a ratio of lengths.

    >>> swung(np.array([0.0, 0.5, 1.0, 1.5]), pair=1.0, ratio=2.0).round(2).tolist()
    [0.0, 0.67, 1.0, 1.67]
    """
    whole = np.floor(times / pair + 1e-9)
    place, long = times / pair - whole, ratio / (1 + ratio)
    late = np.where(place < 0.5, 2 * place * long, long + (2 * place - 1) * (1 - long))
    found: Array = (whole + late) * pair
    return found


def render(tune: Tune, beats: float, swing: float, generator: np.random.Generator) -> Array:
    """A passage of a tune as sound, (T,) int16 of `SECONDS` at `supervised.data.sources.audio_file.RATE`.

    Args:
        tune: at least one note.
        beats: a minute.
        swing: ratio of the lengths of two short notes, of which four go to a beat; not in 6/8 and 9/8.
        generator: of the passage, the instrument, the key and the recording.
    """
    bar = tune.metre[0] / tune.metre[1]
    beat = bar / 3 if tune.metre == (9, 8) else bar / 2
    speed = 60 / beats / beat  # seconds of a whole note
    notes = _played(tune, beat, swing) * (speed, speed, 1)
    spare = max(0.0, notes[-1, 0] + notes[-1, 1] - SECONDS)
    begin = notes[np.searchsorted(notes[:, 0], generator.uniform(0, spare)), 0] if spare else 0.0
    inside = (notes[:, 0] >= begin) & (notes[:, 0] < begin + SECONDS)
    place = (tune.notes[:, 0] - tune.pickup) / beat
    accent = 1 + generator.uniform(0, 0.4) * (np.abs(place - place.round()) < 1e-6)
    loudness = accent * generator.uniform(0.85, 1, len(notes))
    key = generator.uniform(-6.0, 6.0)
    legato = generator.uniform(0.7, 1.0)
    played = np.column_stack([notes[:, 0] - begin, legato * notes[:, 1], notes[:, 2] + key, loudness])[inside]
    return recorded(melody(played, SECONDS, Timbre.drawn(generator), generator), generator)


def _played(tune: Tune, beat: float, swing: float) -> Array:
    """Notes with their onsets and ends swung; unswung in compound metres."""
    notes = tune.notes.copy()
    if tune.metre[0] % 3 and swing != 1:
        ends = swung(notes[:, 0] + notes[:, 1] - tune.pickup, beat / 2, swing)
        notes[:, 0] = swung(notes[:, 0] - tune.pickup, beat / 2, swing) + tune.pickup
        notes[:, 1] = ends + tune.pickup - notes[:, 0]
    return notes


def _rendered(tunes: Sequence[Tune], groups: Array, rows: Array, seed: int, plain: bool) -> Dataset:
    """The tunes `rows`, each as often as it stands there, every time otherwise."""
    sounds, times = [], Counter[int]()
    for row in rows.tolist():
        generator = np.random.default_rng((seed, row, times[row], plain))
        times[row] += 1
        dance = DANCES[tunes[row].rhythm]
        tempo, loose = np.exp(generator.standard_normal(2) * (TEMPO_SPREAD, SWING_SPREAD))
        beats = tempo * (ONE_TEMPO if plain else BEATS[dance])
        swing = 1.0 if plain or SWING[dance] == 1 else max(1.0, loose * SWING[dance])
        sounds.append(render(tunes[row], beats, swing, generator))
        advance(1)
    truths = tuple(Percept("truth", label=DANCES[tunes[row].rhythm]) for row in rows.tolist())
    return Dataset(values=RaggedColumn.of(sounds), truths=truths, episodes=groups[rows])
