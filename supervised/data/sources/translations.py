"""Pairs of sentences in two languages: gettext catalogues of installed packages, or a user's own pairs.

| name | pairs | where |
|---|---|---|
| ``django`` | some 800 messages of a web framework, by language | PyPI ``Django`` (BSD-3) |
| a folder | every ``LANGUAGE/LC_MESSAGES/*.mo`` in it, such as Wesnoth's | the user's |
| a ``.csv`` | first column English, last the translation, with a line of names above | the user's |

Messages that are nearly the same, whose sets of words overlap by `ALIKE`, stand in one part of the split.
Placeholders and tags are one character each for the models, `PLACEHOLDERS`, and are put back afterwards.
"""

from __future__ import annotations

import csv
import gettext
import io
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np

from sim.fields import nearest
from sim.records import Array, Percept
from supervised.data.columns import TextColumn
from supervised.data.dataset import Dataset
from supervised.data.sources.splits import (
    DataError,
    Source,
    Splits,
    package_file,
    read_text,
    sha256,
    three_parts,
    version,
)

ALIKE = 0.6  # Jaccard index of the words of two messages, from which on they stay together
LONGEST = 400  # characters of a message
FEWEST = 20  # pairs of a user's own
SHARES = (0.1, 0.15)  # of the groups that validate, and that test
PLACEHOLDERS = "".join(map(chr, range(0xE001, 0xE00A)))  # of Unicode's private use area
_PLACE = re.compile(r"%\([^)]*\)[a-z]|%[sd]|\{[^{}]*\}|<[^<>]+>")
_CONTEXT = "\x04"  # between a message's context and itself


def translation_splits(name: str, path: Path | None, languages: Sequence[str], *, seed: int) -> Splits:
    """Pairs of English and the first of `languages`; those of the others stand in `Splits.train` alone.

    A data set has columns ``values`` (English), ``truths`` (captions) and ``languages`` (their names).

    Raises:
        DataError: for an unknown name, or a file or folder without enough pairs.
        MissingPackageError: naming the package and the line that installs it.
    """
    if path is not None:
        return _own(path, languages, seed)
    if name != "django":
        near = nearest(name, ("django",))
        raise DataError(f'there are no data "{name}"; {near}, or name a .csv file or a folder of .mo files')
    root = package_file("django", "__init__.py").parent
    source = Source("Django's messages", f"Django {version('Django')}", "BSD-3-Clause")
    return _from_catalogues(root, languages, seed, source)


def _from_catalogues(root: Path, languages: Sequence[str], seed: int, source: Source) -> Splits:
    files = {one: sorted(root.glob(f"**/{one}/LC_MESSAGES/*.mo")) for one in dict.fromkeys(languages)}
    skipped: Counter[str] = Counter()
    pairs = {language: catalogue_pairs(found, skipped) for language, found in files.items()}
    digest = sha256(*(file for found in files.values() for file in found))
    source = Source(source.name, source.origin, source.licence, digest)
    return _splits(pairs, source, skipped, str(root), seed)


def catalogue_pairs(files: Iterable[Path], skipped: Counter[str]) -> dict[str, str]:
    """English → translation of gettext catalogues; of plurals the first form.

    Args:
        files: compiled catalogues.
        skipped: counts what is left out, by reason.
    """
    pairs: dict[str, str] = {}
    for file in files:
        try:
            with file.open("rb") as stream:
                catalogue: Mapping[str | tuple[str, int], str] = vars(gettext.GNUTranslations(stream))[
                    "_catalog"
                ]
        except (OSError, ValueError, UnicodeDecodeError, KeyError, IndexError):
            skipped["catalogues that cannot be read"] += 1
            continue
        for key, translation in catalogue.items():
            message, form = key if isinstance(key, tuple) else (key, 0)
            if form == 0 and message:
                _add(pairs, message.rpartition(_CONTEXT)[2], translation, skipped)
    return pairs


def _add(pairs: dict[str, str], english: str, translation: str, skipped: Counter[str]) -> None:
    """Add a pair, unless it has to be left out; the first translation of a message counts."""
    english, translation = tidy(english), tidy(translation)
    if not english or not translation:
        skipped["pairs with an empty side"] += 1
    elif max(len(english), len(translation)) > LONGEST:
        skipped[f"pairs with more than {LONGEST} characters"] += 1
    elif not re.search(r"[^\W\d_]{2}", _PLACE.sub("", english)):
        skipped["pairs without a word"] += 1
    else:
        pairs.setdefault(english, translation)


def tidy(text: str) -> str:
    """A text with single spaces of one kind, and straight apostrophes and quotes.

    >>> tidy(" all  of “this” ")
    'all of "this"'
    """
    plain = text.translate({ord("’"): "'", ord("“"): '"', ord("”"): '"'})
    return " ".join(plain.split())


def hide_placeholders(text: str) -> tuple[str, list[str]]:
    """A text whose placeholders and tags are one character each, and these.

    >>> hide_placeholders("%(n)d of %(n)d <b>%s</b>")[1]
    ['%(n)d', '<b>', '%s', '</b>']
    """
    found = list(dict.fromkeys(_PLACE.findall(text)))[: len(PLACEHOLDERS)]
    number = {place: PLACEHOLDERS[i] for i, place in enumerate(found)}
    return _PLACE.sub(lambda match: number.get(match[0], match[0]), text), found


def hide_same(text: str, found: Sequence[str]) -> str:
    """A translation whose placeholders are those characters that they have in the message."""
    number = {place: PLACEHOLDERS[i] for i, place in enumerate(found)}
    return _PLACE.sub(lambda match: number.get(match[0], match[0]), text)


def show_placeholders(text: str, found: Sequence[str]) -> str:
    """The inverse; characters that stand for none disappear.

    >>> show_placeholders(*hide_placeholders("all of %(n)d <b>x</b>"))
    'all of %(n)d <b>x</b>'
    """
    table = {ord(mark): found[i] if i < len(found) else "" for i, mark in enumerate(PLACEHOLDERS)}
    return text.translate(table)


def near_duplicate_groups(messages: Sequence[str]) -> Array:
    """(N,) int64: equal for messages that are nearly the same, directly or through others.

    >>> near_duplicate_groups(["Add a %s.", "a %(name)s: add", "Delete"]).tolist()
    [0, 0, 1]
    """
    words = [frozenset(re.findall(r"[^\W\d_]+", _PLACE.sub(" ", one.lower()))) for one in messages]
    parent = list(range(len(messages)))

    def root(at: int) -> int:
        while parent[at] != at:
            parent[at] = parent[parent[at]]
            at = parent[at]
        return at

    having: dict[str, list[int]] = {}
    for at, own in enumerate(words):
        common = Counter(other for word in own for other in having.get(word, ()))
        for other, shared in common.items():
            if shared >= ALIKE * len(own | words[other]):
                first, second = sorted((root(at), root(other)))
                parent[second] = first  # whatever the order of a set: groups are named by their first message
        for word in own:
            having.setdefault(word, []).append(at)
    return np.unique([root(at) for at in range(len(messages))], return_inverse=True)[1].astype(np.int64)


def _own(path: Path, languages: Sequence[str], seed: int) -> Splits:
    """A user's CSV, or a folder of catalogues."""
    if path.is_dir():
        return _from_catalogues(path, languages, seed, Source(path.name, str(path)))
    try:
        rows = list(csv.reader(io.StringIO(read_text(path))))
    except csv.Error as error:
        raise DataError(f"{path} is not a table of comma-separated values: {error}") from error
    if len(rows[0]) < 2:
        raise DataError(f"{path} has one column: English and a translation are needed, with names above")
    pairs: dict[str, str] = {}
    skipped: Counter[str] = Counter()
    for row in rows[1:]:
        _add(pairs, row[0] if row else "", row[-1] if len(row) > 1 else "", skipped)
    source = Source(path.name, str(path), "", sha256(path))
    return _splits({languages[0]: pairs}, source, skipped, str(path), seed)


def _splits(
    pairs: Mapping[str, Mapping[str, str]], source: Source, skipped: Counter[str], where: str, seed: int
) -> Splits:
    """Splits by groups of near-duplicates of the English messages of all languages."""
    first, *others = pairs
    if len(pairs[first]) < FEWEST:
        raise DataError(
            f"{where} has {len(pairs[first])} pairs of English and {first}: at least {FEWEST} needed"
        )
    messages = list(dict.fromkeys(message for table in pairs.values() for message in table))
    group = dict(zip(messages, near_duplicate_groups(messages).tolist(), strict=True))
    own = list(pairs[first])
    parts = three_parts([group[message] for message in own], seed, SHARES)
    held = {group[own[row]] for rows in parts[1:] for row in rows}
    rows = [[(own[row], first) for row in part] for part in parts]
    rows[0] += [(one, other) for other in others for one in pairs[other] if group[one] not in held]
    train, validation, test = (_dataset(part, pairs, group) for part in rows)
    told = tuple(f"{count} {what}" for what, count in sorted(skipped.items()))
    return Splits(train, validation, test, "group of near-duplicate messages", source, tuple(pairs), told)


def _dataset(
    rows: Sequence[tuple[str, str]], pairs: Mapping[str, Mapping[str, str]], group: Mapping[str, int]
) -> Dataset:
    return Dataset(
        values=TextColumn(tuple(message for message, _ in rows)),
        truths=tuple(Percept("truth", caption=pairs[language][message]) for message, language in rows),
        languages=TextColumn(tuple(language for _, language in rows)),
        episodes=np.array([group[message] for message, _ in rows], np.int64),
    )
