"""Search thread of the board: one player's search at a time, shown as it goes on, and cancelled."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator

from scenes.watching.board.players import Thought

NEWS = 0.2  # seconds between two reports of a search
PATIENCE = 2.0  # seconds that closing waits for a step of a search


class Thinker:
    """Thread that takes results of the newest search; an older search is cancelled between two results.

    Args:
        tell: called from the thread when there is news: a thought, or the end of a search.
    """

    def __init__(self, tell: Callable[[], None] = lambda: None) -> None:
        self.tell = tell
        self._wake = threading.Condition()
        self._wanted: Callable[[], Iterator[Thought]] | None = None
        self._turn = 0  # number of the newest search
        self._thought: Thought | None = None
        self._done = False
        self._error: Exception | None = None
        self._working = False
        self._stopping = False
        self._thread: threading.Thread | None = None

    def begin(self, think: Callable[[], Iterator[Thought]]) -> None:
        """Search anew; a search in progress is cancelled."""
        with self._wake:
            self._reset(think)
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="thinking", daemon=True)
                self._thread.start()
            self._wake.notify_all()

    def cancel(self) -> None:
        """Stop searching, and forget what was thought."""
        with self._wake:
            self._reset(None)

    def _reset(self, wanted: Callable[[], Iterator[Thought]] | None) -> None:
        self._wanted = wanted
        self._turn += 1
        self._thought, self._done, self._error = None, wanted is None, None

    @property
    def thought(self) -> Thought | None:
        """The newest thought of the newest search."""
        return self._thought

    @property
    def done(self) -> bool:
        """Whether the newest search has ended, or there is none."""
        return self._done

    @property
    def error(self) -> Exception | None:
        """What the newest search raised."""
        return self._error

    def wait(self, seconds: float) -> bool:
        """Wait until the newest search has ended; True if it has."""
        with self._wake:
            return self._wake.wait_for(lambda: self._done, seconds)

    def wait_until_idle(self, seconds: float) -> bool:
        """Wait until nothing is searched, cancelled searches included; True if so."""
        with self._wake:
            return self._wake.wait_for(lambda: not self._working and self._wanted is None, seconds)

    def close(self) -> None:
        """Stop the thread after the step in progress."""
        with self._wake:
            self._stopping = True
            self._reset(None)
            self._wake.notify_all()
        if self._thread is not None:
            self._thread.join(PATIENCE)

    def _run(self) -> None:
        while True:
            with self._wake:
                self._working = False
                self._wake.notify_all()
                self._wake.wait_for(lambda: self._stopping or self._wanted is not None)
                if self._stopping or self._wanted is None:
                    return
                think, turn, self._wanted = self._wanted, self._turn, None
                self._working = True
            try:
                self._follow(think(), turn)
            except Exception as error:
                self._report(turn, error=error, done=True)

    def _follow(self, thoughts: Iterator[Thought], turn: int) -> None:
        told = time.monotonic()
        for thought in thoughts:
            now = time.monotonic()
            news = now - told >= NEWS
            if not self._report(turn, thought, news=news):
                return
            told = now if news else told
        self._report(turn, done=True)

    def _report(
        self,
        turn: int,
        thought: Thought | None = None,
        *,
        error: Exception | None = None,
        done: bool = False,
        news: bool = True,
    ) -> bool:
        """Keep what was thought, if the search is still the newest one; False if it is not."""
        with self._wake:
            if turn != self._turn:
                return False
            self._thought = thought or self._thought
            self._error, self._done = error, done
            self._wake.notify_all()
        if news:
            self.tell()
        return True
