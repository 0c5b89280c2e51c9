"""Progress of long work: counted where the work is done, shown by a reporter such as a progress bar.

Code that works opens a `waiting` and counts with `advance`; code that shows it (the command line, a notebook,
a web page) sets a `Reporter` by `reporting`. Without one, and in other threads, nothing is shown and counting
costs nothing. Does not know: terminals.

>>> with waiting("playing 3 games", total=3) as wait:
...     for game in range(2):
...         advance()
>>> wait.done
2.0
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sized
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Protocol, TypeVar

T = TypeVar("T")
S = TypeVar("S", bound=Sized)


@dataclass(eq=False)
class TaskProgress:
    """Progress of one piece of work: the worker writes, the reporter reads, also from another thread.

    Attributes:
        what: what is being done, such as ``playing 12,000 examples of boards``.
        total: amount of work in its own unit; None if unknown.
        done: amount done.
        figures: the newest metrics, in words.
        started: time of its beginning, by `clock`.
        clock: seconds that only grow.
    """

    what: str
    total: float | None = None
    done: float = 0.0
    figures: str = ""
    started: float = field(default_factory=time.monotonic)
    clock: Callable[[], float] = time.monotonic
    _since: tuple[float, float] | None = None

    def advance(self, n: float = 1.0) -> None:
        """Count `n` more units as done."""
        self.done += n

    def reach(self, done: float, total: float | None = None, figures: str = "") -> None:
        """Set the amount done; the first call sets where resumed work goes on, for the rate."""
        if self._since is None:
            self._since = (self.clock(), done)
        self.done, self.figures = done, figures
        self.total = self.total if total is None else total

    def rate(self, now: float) -> float | None:
        """Units a second until `now`, by `time.monotonic`; None before the first count."""
        then, before = self._since or (self.started, 0.0)
        if self.done <= before or now <= then:
            return None
        return (self.done - before) / (now - then)

    def left(self, now: float) -> float | None:
        """Estimated seconds left at the rate so far; None without rate or total."""
        rate = self.rate(now)
        return None if rate is None or self.total is None else max(0.0, self.total - self.done) / rate


class Reporter(Protocol):
    """Interface of a progress display."""

    def begin(self, wait: TaskProgress, *, announced: bool) -> None:
        """Show work that has begun, perhaps nested; `announced` work is long and gets a line at once."""

    def end(self, wait: TaskProgress) -> None:
        """Stop showing work that has ended or failed."""


_reporter: ContextVar[Reporter | None] = ContextVar("reporter", default=None)
_current: ContextVar[TaskProgress | None] = ContextVar("current wait", default=None)


@contextmanager
def reporting(reporter: Reporter | None) -> Iterator[None]:
    """Context in which `reporter` shows all long work of this thread; None shows nothing."""
    token = _reporter.set(reporter)
    try:
        yield
    finally:
        _reporter.reset(token)


@contextmanager
def waiting(what: str, total: float | None = None, *, announced: bool = False) -> Iterator[TaskProgress]:
    """Context of one piece of long work; `advance` counts in the innermost one.

    Args:
        what: description, as `TaskProgress.what`.
        total: amount of work.
        announced: see `Reporter.begin`.
    """
    wait, reporter = TaskProgress(what, total), _reporter.get()
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
    """Count `n` units of the innermost work; does nothing outside of one, or without a total."""
    wait = _current.get()
    if wait is not None and wait.total is not None:
        wait.advance(n)


def counting(parts: Iterable[S]) -> Iterator[S]:
    """Iterate over `parts`, counting the length of each once it is done; see `advance`."""
    for part in parts:
        yield part
        advance(len(part))


def track(items: Iterable[T], what: str, total: float | None = None) -> Iterator[T]:
    """Iterate over `items` as one piece of work, counting each once it is done.

    >>> list(track([1, 2], "squaring"))
    [1, 2]
    """
    if total is None and isinstance(items, Sized):
        total = len(items)
    with waiting(what, total) as wait:
        for item in items:
            yield item
            wait.advance()
