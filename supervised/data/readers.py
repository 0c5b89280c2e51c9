"""Readers of a user's inputs by kind: what `playfield perceive --input` takes beside pictures.

Each reader is a function (source, fail) → pairs of a name and an input of `Perception.perceive`; `fail` takes
the name of each input that cannot be used, and why. The table stands in `supervised.catalog`.
"""

from __future__ import annotations

import csv
import io
import math
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeAlias

import numpy as np

from sim.records import Array
from supervised.data.sources.splits import DataError, read_text

#: Takes the name of an input that cannot be used, and why.
Fail: TypeAlias = Callable[[str, Exception], None]

LONGEST = 100_000  # characters of one text


def read_lines(source: str, fail: Fail) -> Iterator[tuple[str, str]]:
    """Texts: every line that is not blank of a file or, for ``-``, of stdin; else the string itself.

    Raises:
        DataError: if a file cannot be read, or there is no text.
    """
    lines = _text(source).splitlines() if _is_text_file(source) or source == "-" else [source]
    name = "stdin" if source == "-" else source if len(lines) != 1 or _is_text_file(source) else "text"
    found = False
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        found = True
        own = f"{name}:{number}" if len(lines) > 1 else name
        if len(line) > LONGEST:
            fail(own, DataError(f"{own} has {len(line):,} characters, more than {LONGEST:,}"))
        else:
            yield own, line.strip()
    if not found:
        raise DataError(f"--input {source or '(empty)'}: there is no text in it")


def read_rows(source: str, fail: Fail) -> Iterator[tuple[str, Array]]:
    """Table rows (D,) float32: numbers with commas between, ``120`` or ``1.5,2``; or a file or stdin of such.

    A line of names above the numbers of a file is skipped; a row with another count of numbers is left out.

    Raises:
        DataError: if a file cannot be read, or there is no row of numbers.
    """
    text = _text(source) if _is_text_file(source) or source == "-" else source
    name = "stdin" if source == "-" else source
    rows = [row for row in csv.reader(io.StringIO(text)) if any(cell.strip() for cell in row)]
    found = 0
    for number, row in enumerate(rows, 1):
        numbers = [_number(cell) for cell in row]
        own = f"{name}:{number}" if len(rows) > 1 else name
        if all(map(math.isfinite, numbers)):
            found += 1
            yield own, np.array(numbers, np.float32)
        elif number > 1 or len(rows) == 1:  # the first of several may hold the names
            fail(own, DataError(f"{own}: {','.join(row)} is not a row of numbers"))
    if not found and len(rows) != 1:
        raise DataError(f"--input {source}: there is no row of numbers in it")


def _number(cell: str) -> float:
    try:
        return float(cell)
    except ValueError:
        return math.nan


def _is_text_file(source: str) -> bool:
    """Whether `source` means a file: there is one, or its ending says so."""
    if not source.strip():
        return False
    try:
        return Path(source).exists() or Path(source).suffix.lower() in (".txt", ".csv")
    except OSError:  # far too long for a name
        return False


def _text(source: str) -> str:
    if source == "-":
        return sys.stdin.read()
    path = Path(source)
    if path.is_dir():
        raise DataError(f"--input {path} is a folder: name a file in it")
    return read_text(path)
