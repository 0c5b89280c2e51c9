"""Attribution thread: computes saliency maps of decisions without blocking drawing.

It works on one moment at a time. Of the moments asked for meanwhile it keeps only the last: the newest
is explained, and older requests are dropped.
"""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass

from sim.records import Array
from sim.viewer.contract.moment import Attribution

_PATIENCE = 2.0  # seconds that closing waits for the work in progress
_REST = 1.0  # seconds of rest a second of work, while the show goes on: others need the cores, too


@dataclass(frozen=True, slots=True, eq=False)
class Attributed:
    """Saliency maps of the decision at moment `number`.

    Attributes:
        maps: (2, h, w) float, at least 0: saliency for the action, and for the value; None until they are
            computed, or if that has failed.
        error: why it has failed, in words; "" if it has not.
    """

    number: int
    maps: Array | None
    error: str = ""


class Attributor:
    """Computes saliency maps in a thread that starts with the first request."""

    def __init__(self) -> None:
        self._wake = threading.Condition()
        self._wanted: tuple[int, Attribution] | None = None
        self._begun = -1  # the last moment whose explanation was begun
        self._hurried = False
        self._stopping = False
        self._done: Attributed | None = None
        self._thread = threading.Thread(target=self._run, name="attribution", daemon=True)

    @property
    def done(self) -> Attributed | None:
        """The last finished saliency maps."""
        return self._done

    def ask(self, number: int, explain: Attribution, *, hurried: bool = False) -> None:
        """Compute the maps of moment `number` next, instead of any other that has not begun.

        `hurried`: without a rest before, because the show stands still until then.
        """
        with self._wake:
            self._hurried = hurried
            self._wanted = None if number == self._begun else (number, explain)
            if self._thread.ident is None and not self._stopping:
                self._thread.start()
            self._wake.notify_all()

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
            number, explain = task
            begun = time.monotonic()
            try:
                self._done = Attributed(number, explain())
            except Exception as error:  # an overlay that fails must not end the show
                self._done = Attributed(number, None, f"{type(error).__name__}: {error}")
            ended = time.monotonic()
            rested_at = ended + _REST * (ended - begun)

    def _next_task(self, rested_at: float) -> tuple[int, Attribution] | None:
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
