"""Worker thread of the gallery: heavy work in parts, so that neither drawing nor input waits for it.

A job is an iterator; between two of its results the newest job comes first, and one that has been asked for
again is dropped. Results are applied by the thread that asked.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, TypeVar

T = TypeVar("T")

_PATIENCE = 2.0  # seconds that closing waits for the work in progress


def _nothing() -> None:
    """Do nothing when a job ends."""


class Job:
    """A unit of background work, which gives its results one after another.

    Args:
        words: its description, for people.
        work: gives the results.
        take: applies a result, in the thread that asked.
        end: is called there when there are no more.
    """

    def __init__(
        self, words: str, work: Iterator[Any], take: Callable[[Any], None], end: Callable[[], None]
    ) -> None:
        self.words = words
        self.work = work
        self.take = take
        self.end = end


class Worker:
    """Runs jobs in a thread of its own, or in the caller's.

    Args:
        failed: called with the words of a job and what it raised, in the thread that asked.
        threaded: whether there is a thread; if not, each `turn` does a little.
    """

    def __init__(self, failed: Callable[[str, Exception], None], *, threaded: bool = True) -> None:
        self._failed = failed
        self._threaded = threaded
        self._wake = threading.Condition()
        self._jobs: dict[str, Job] = {}  # in progress, by kind, the newest last
        self._asked: dict[str, Job] = {}  # the last of each kind, done or not
        self._results: deque[tuple[str, Job, Callable[[], None]]] = deque()
        self._stopping = False
        self._tell: Callable[[], None] | None = None
        self._thread = threading.Thread(target=self._run, name="worker", daemon=True)

    def listen(self, tell: Callable[[], None]) -> None:
        """Call `tell` from the worker's thread whenever there are results."""
        self._tell = tell

    @property
    def busy(self) -> str:
        """Words of the job that was asked for last; "" if all are done."""
        with self._wake:
            return next(reversed(self._jobs.values())).words if self._jobs else ""

    def ask(
        self,
        kind: str,
        words: str,
        work: Iterator[T],
        take: Callable[[T], None],
        end: Callable[[], None] = _nothing,
    ) -> None:
        """Run a job next, instead of any other of its `kind`; see `Job`."""
        with self._wake:
            self._jobs.pop(kind, None)
            self._jobs[kind] = self._asked[kind] = Job(words, work, take, end)
            if self._threaded and self._thread.ident is None and not self._stopping:
                self._thread.start()
            self._wake.notify_all()

    def drop(self, kind: str) -> None:
        """Drop the job of a kind, and its results since the last `deliver`."""
        with self._wake:
            self._jobs.pop(kind, None)
            self._asked.pop(kind, None)

    def deliver(self) -> bool:
        """Apply the next result of the jobs; True if there was one."""
        while self._results:
            kind, job, take = self._results.popleft()
            if self._asked.get(kind) is job:
                take()
                if self._results and self._tell is not None:
                    self._tell()
                return True
        return False

    def turn(self) -> bool:
        """Do a little in the calling thread; False if there is nothing to do."""
        with self._wake:
            if not self._jobs:
                return False
            kind, job = next(reversed(self._jobs.items()))
        self._advance(kind, job)
        return True

    def close(self) -> None:
        """Stop after the work in progress; work that takes long is left behind."""
        with self._wake:
            self._stopping = True
            self._jobs.clear()
            self._wake.notify_all()
        if self._thread.ident is not None:
            self._thread.join(_PATIENCE)

    def _run(self) -> None:
        while True:
            with self._wake:
                self._wake.wait_for(lambda: self._jobs or self._stopping)
                if self._stopping:
                    return
                kind, job = next(reversed(self._jobs.items()))
            self._advance(kind, job)

    def _advance(self, kind: str, job: Job) -> None:
        """Fetch one result, unless the job has been dropped by then."""
        ended = False
        try:
            result: Callable[[], None] = partial(job.take, next(job.work))
        except StopIteration:
            ended, result = True, job.end
        except Exception as error:  # work that fails must not end the show
            ended, result = True, partial(self._failed, job.words, error)
        with self._wake:
            if self._jobs.get(kind) is not job:
                return
            if ended:
                del self._jobs[kind]
            self._results.append((kind, job, result))
        if self._tell is not None:
            self._tell()
