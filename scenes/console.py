"""Console output: results on stdout, remarks on stderr.

Results are what the command is for: scores, tables, names of written files. They can be piped, and are not
cut to a width unless stdout is a terminal. Remarks are everything else.
"""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

from rich.console import Console

if TYPE_CHECKING:
    from rich.console import Console

UNCUT = 10_000  # columns without a terminal: wider than any table
NARROWEST = 20  # columns; a COLUMNS below that is nobody's choice


def stdout_console() -> Console:
    """Rich console on stdout, for tables of results; text is printed without markup."""
    return _console(stderr=False)


def stderr_console() -> Console:
    """Rich console on stderr, for remarks and progress."""
    return _console(stderr=True)


def _console(*, stderr: bool) -> Console:
    from rich.console import Console

    stream = sys.stderr if stderr else sys.stdout
    width = None if stream.isatty() or "COLUMNS" in os.environ else UNCUT
    return Console(stderr=stderr, width=width, markup=False, emoji=False, highlight=False)


def drop_invalid_sizes() -> None:
    """Remove invalid COLUMNS and LINES from the environment, which rich would follow."""
    for name in ("COLUMNS", "LINES"):
        wanted = os.environ.get(name, "")
        if not (wanted.isascii() and wanted.isdecimal() and NARROWEST <= int(wanted[:6])):
            os.environ.pop(name, None)


def show(line: str = "") -> None:
    """Print a line of results on stdout."""
    print(line, flush=True)


def say(line: str = "") -> None:
    """Print a remark on stderr."""
    print(line, file=sys.stderr)


def duration(seconds: float) -> str:
    """Format a duration.

    >>> duration(42), duration(600), duration(7500)
    ('42 s', '10 min', '2 h 5 min')
    """
    if seconds < 100:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 100 else f"{minutes // 60} h {minutes % 60} min"
