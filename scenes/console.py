"""Text for people: results on stdout, remarks on stderr.

Results are what was asked for: scores, tables, names of files that were written. They can be piped and kept,
and nothing in them is cut where no terminal sets a width. Remarks are everything else.
"""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

from rich.console import Console

if TYPE_CHECKING:
    from rich.console import Console

UNCUT = 10_000  # columns where there is no terminal: wider than any table
NARROWEST = 20  # columns; a COLUMNS below that is nobody's wish


def stdout_console() -> Console:
    """Where tables of results go: stdout. Names are printed as they are: no markup is read into them."""
    return _console(stderr=False)


def stderr_console() -> Console:
    """Where the rest goes: stderr."""
    return _console(stderr=True)


def _console(*, stderr: bool) -> Console:
    from rich.console import Console

    stream = sys.stderr if stderr else sys.stdout
    width = None if stream.isatty() or "COLUMNS" in os.environ else UNCUT
    return Console(stderr=stderr, width=width, markup=False, emoji=False, highlight=False)


def forget_nonsense() -> None:
    """Take sizes that no terminal has out of the environment: whoever lays out text would obey them."""
    for name in ("COLUMNS", "LINES"):
        wish = os.environ.get(name, "")
        if not (wish.isascii() and wish.isdecimal() and NARROWEST <= int(wish[:6])):
            os.environ.pop(name, None)


def show(line: str = "") -> None:
    """A line of results."""
    print(line, flush=True)


def say(line: str = "") -> None:
    """A remark."""
    print(line, file=sys.stderr)


def duration(seconds: float) -> str:
    """A time for people.

    >>> duration(42), duration(600), duration(7500)
    ('42 s', '10 min', '2 h 5 min')
    """
    if seconds < 100:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 100 else f"{minutes // 60} h {minutes % 60} min"
