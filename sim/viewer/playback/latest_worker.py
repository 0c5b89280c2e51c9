"""Latest-only worker thread: long computations about moments, without blocking stepping or drawing.

It works on one request at a time. Of those made meanwhile it keeps only the last: older ones are dropped.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)
T = TypeVar("T")

_PATIENCE = 2.0  # seconds that closing waits for the work in progress


@dataclass(frozen=True, slots=True, eq=False)
class Finished(Generic[K, T]):
    """A finished request.

    Attributes:
        key: of the request.
        result: None if it has failed.
        error: why it has failed, in words; "" if it has not.
    """

    key: K
    result: T | None
    error: str = ""


class LatestWorker(Generic[K, T]):
    """Serves the newest request in a thread that starts with the first one.

    Args:
        name: of the thread.
        rest: seconds of rest a second of work, while nobody is in a hurry: others need the cores, too.
    """

    def __init__(self, name: str, *, rest: float) -> None:
        self._rest = rest
        self._wake = threading.Condition()
        self._wanted: tuple[K, Callable[[], T]] | None = None
        self._begun: K | None = None  # the last request that was begun
        self._hurried = False
        self._stopping = False
        self._done: Finished[K, T] | None = None
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    @property
    def done(self) -> Finished[K, T] | None:
        """The last finished request."""
        return self._done

    def ask(self, key: K, work: Callable[[], T], *, hurried: bool = False) -> None:
        """Do `work` next, instead of any other that has not begun; the last `key` begun is not done again.

        `hurried`: without a rest before, because somebody waits for it.
        """
        with self._wake:
            self._hurried = hurried
            self._wanted = None if key == self._begun else (key, work)
            if self._thread.ident is None and not self._stopping:
                self._thread.start()
            self._wake.notify_all()

    def wait_for(self, key: K, seconds: float) -> bool:
        """Wait until `key` is the last one finished, at most for `seconds`; returns whether it is."""
        with self._wake:
            return self._wake.wait_for(lambda: self._done is not None and self._done.key == key, seconds)

    def close(self, *, wait: bool = True) -> None:
        """Stop after the work in progress; work that takes long is left behind."""
        with self._wake:
            self._stopping = True
            self._wake.notify_all()
        if wait and self._thread.ident is not None:
            self._thread.join(_PATIENCE)

    def _run(self) -> None:
        rested_at = 0.0  # time.monotonic() at which the thread may work again
        while (task := self._next_task(rested_at)) is not None:
            key, work = task
            begun = time.monotonic()
            try:
                done: Finished[K, T] = Finished(key, work())
            except Exception as error:  # an overlay that fails must not end the show
                done = Finished(key, None, f"{type(error).__name__}: {error}")
            ended = time.monotonic()
            rested_at = ended + self._rest * (ended - begun)
            with self._wake:
                self._done = done
                self._wake.notify_all()

    def _next_task(self, rested_at: float) -> tuple[K, Callable[[], T]] | None:
        """Wait for something to do; None: nothing more will come."""
        with self._wake:
            while not self._stopping:
                rest = 0.0 if self._hurried else rested_at - time.monotonic()
                if self._wanted is not None and rest <= 0:
                    task, self._wanted = self._wanted, None
                    self._begun = task[0]
                    return task
                self._wake.wait(None if self._wanted is None else rest)
        return None
