"""Progress of long work: what is being done, how much of it is done, and who is told.

Whoever works opens a `waiting` and counts with `advance`; whoever shows it (the command line, a notebook, a
web page) sets a `Reporter` by `reporting`. Without one, and in other threads, nothing is shown and counting
costs nothing. Knows no terminal.

>>> with waiting("playing 3 games", total=3) as wait:
...     for game in range(2):
...         advance()
>>> wait.done
2.0
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Sized
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Protocol, TypeVar

T = TypeVar("T")
S = TypeVar("S", bound=Sized)


@dataclass(eq=False)
class Wait:
    """One piece of long work: the worker writes, the reporter reads, from its own thread if it likes.

    Attributes:
        what: what is being done, such as ``playing 12,000 examples of boards``.
        total: how much there is to do, in units of the work's own; None where nobody knows.
        done: how much of it is done.
        figures: the newest ones, in words.
        started: when it began, by `time.monotonic`.
    """

    what: str
    total: float | None = None
    done: float = 0.0
    figures: str = ""
    started: float = field(default_factory=time.monotonic)
    _since: tuple[float, float] | None = None

    def advance(self, n: float = 1.0) -> None:
        """So much more is done."""
        self.done += n

    def reach(self, done: float, total: float | None = None, figures: str = "") -> None:
        """So much is done in all; where the first call finds it, work that was resumed goes on from there."""
        if self._since is None:
            self._since = (time.monotonic(), done)
        self.done, self.figures = done, figures
        self.total = self.total if total is None else total

    def rate(self, now: float) -> float | None:
        """Units a second until `now`, by `time.monotonic`; None while nothing is known."""
        then, before = self._since or (self.started, 0.0)
        if self.done <= before or now <= then:
            return None
        return (self.done - before) / (now - then)

    def left(self, now: float) -> float | None:
        """Seconds until all is done, at the rate so far; None while nothing is known."""
        rate = self.rate(now)
        return None if rate is None or self.total is None else max(0.0, self.total - self.done) / rate


class Reporter(Protocol):
    """Shows long work to somebody."""

    def begin(self, wait: Wait, *, announced: bool) -> None:
        """It has begun, perhaps inside another one; `announced`: it is long, and worth a line at once."""

    def end(self, wait: Wait) -> None:
        """It has ended, well or not."""


_reporter: ContextVar[Reporter | None] = ContextVar("reporter", default=None)
_current: ContextVar[Wait | None] = ContextVar("current wait", default=None)


@contextmanager
def reporting(reporter: Reporter | None) -> Iterator[None]:
    """Let `reporter` hear of all long work in this block, on this thread; None: nobody does."""
    token = _reporter.set(reporter)
    try:
        yield
    finally:
        _reporter.reset(token)


@contextmanager
def waiting(what: str, total: float | None = None, *, announced: bool = False) -> Iterator[Wait]:
    """A block of long work; `advance` counts in the innermost one.

    Args:
        what: in words, as `Wait.what`.
        total: how much there is to do.
        announced: see `Reporter.begin`.
    """
    wait, reporter = Wait(what, total), _reporter.get()
    before = _current.get()
    _current.set(wait)
    if reporter is not None:
        reporter.begin(wait, announced=announced)
    try:
        yield wait
    finally:
        _current.set(before)
        if reporter is not None:
            reporter.end(wait)


def advance(n: float = 1.0) -> None:
    """So much more of the innermost long work is done; nothing happens where there is none, or no total."""
    wait = _current.get()
    if wait is not None and wait.total is not None:
        wait.advance(n)


def counting(parts: Iterable[S]) -> Iterator[S]:
    """`parts`, each of which counts by its length once it has been worked on; see `advance`."""
    for part in parts:
        yield part
        advance(len(part))


def track(items: Iterable[T], what: str, total: float | None = None) -> Iterator[T]:
    """`items`, each of which counts as one once it has been worked on.

    >>> list(track([1, 2], "squaring"))
    [1, 2]
    """
    if total is None and isinstance(items, Sized):
        total = len(items)
    with waiting(what, total) as wait:
        for item in items:
            yield item
            wait.advance()
