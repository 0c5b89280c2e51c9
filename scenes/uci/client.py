"""The client, a chess program: lines from it on stdin, lines to it on stdout."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Iterator
from io import TextIOWrapper

from sim.fields import excerpt

LONGEST_LINE = 1 << 20  # characters; a game of 5,000 moves has 60,000
MOST_TOLD = 300  # characters of a complaint


class ClientGone(Exception):
    """The client has closed the pipe: there is nobody to answer."""


def write_line(line: str) -> None:
    """Write a line to stdout, at once."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


class Client:
    """Writes to the client, from several threads."""

    def __init__(self, write: Callable[[str], None] = write_line) -> None:
        """Use `write` for each line."""
        self._write, self._lock = write, threading.Lock()
        self.gone = False

    def say(self, line: str) -> None:
        """Write a line.

        Raises:
            ClientGone: once the client has closed the pipe.
        """
        with self._lock:
            if not self.gone:
                try:
                    self._write(line)
                except (OSError, ValueError):  # a broken pipe, a full disk, a closed file
                    self.gone = True
            if self.gone:
                raise ClientGone

    def complain(self, words: str) -> None:
        """Tell what is wrong, in one line of printable characters."""
        text = "".join(letter if letter.isprintable() else "\N{REPLACEMENT CHARACTER}" for letter in words)
        self.say(f"info string {excerpt(text, MOST_TOLD)}")


def stdin_lines() -> Iterator[str]:
    """Lines of stdin: none where it is closed; bytes that are not UTF-8 are replaced, endless lines cut."""
    if isinstance(sys.stdin, TextIOWrapper):
        sys.stdin.reconfigure(errors="replace")
    stdin = sys.stdin
    while stdin is not None and (line := stdin.readline(LONGEST_LINE)):
        if len(line) == LONGEST_LINE and not line.endswith("\n"):
            while (rest := stdin.readline(LONGEST_LINE)) and not rest.endswith("\n"):
                pass
        yield line
