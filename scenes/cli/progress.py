"""Progress of long work on stderr: bars on a terminal, plain lines elsewhere.

A bar shows work that takes longer than two seconds, with its rate and the time left; in a log (Slurm) a plain
line does every half a minute.
"""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Sequence

from rich.console import Console
from rich.progress import BarColumn, TaskID, TextColumn
from rich.progress import Progress as Bars

from scenes.console import duration
from sim.progress import TaskProgress

DELAY = 2.0  # seconds of work before a bar is worth showing


PERIOD = 30.0  # seconds between two plain lines


REDRAW = 0.25  # seconds between two pictures of the bars


class StderrProgress:
    """Reporter of progress on stderr: bars on a terminal, else plain lines; a `sim.progress.Reporter`.

    A thread draws while there is work, so that a long call without reports is shown, too.
    """

    def __init__(
        self, console: Console | None = None, *, delay: float = DELAY, period: float = PERIOD
    ) -> None:
        self._console = console or Console(stderr=True, markup=False, emoji=False, highlight=False)
        self._delay, self._period = delay, period
        self._told = time.monotonic()
        self._waits: list[TaskProgress] = []
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    def begin(self, wait: TaskProgress, *, announced: bool) -> None:
        """See `Reporter`; without a terminal, announced work gets a line at once."""
        if announced and not self._console.is_terminal:
            self._console.print(f"{wait.what} …", soft_wrap=True)
        with self._lock:
            self._waits.append(wait)
            if self._thread is None:
                self._stop = threading.Event()
                work = self._draw if self._console.is_terminal else self._tell
                self._thread = threading.Thread(target=work, args=(self._stop,), name="progress", daemon=True)
                self._thread.start()

    def end(self, wait: TaskProgress) -> None:
        """See `Reporter`; later output stands below where the bars were."""
        with self._lock:
            self._waits.remove(wait)
            if self._waits or self._thread is None:
                return
            thread, self._thread = self._thread, None
            self._stop.set()
        thread.join()

    def _now(self, age: float) -> list[TaskProgress]:
        """Work that has lasted for `age` seconds, the outermost first."""
        now = time.monotonic()
        with self._lock:
            return [wait for wait in self._waits if now - wait.started >= age]

    def _tell(self, stop: threading.Event) -> None:
        """Print a line every period, whether one piece of work takes so long or many together do."""
        while not stop.wait(max(0.0, self._told + self._period - time.monotonic())):
            self._told = time.monotonic()
            try:
                if waits := self._now(0):
                    self._console.print(in_one_line(waits, self._told), soft_wrap=True)
            except OSError:  # stderr is closed: the work goes on
                return

    def _draw(self, stop: threading.Event) -> None:
        """Draw a bar for each piece of work that has lasted long enough."""
        while not self._now(self._delay):
            if stop.wait(min(REDRAW, self._delay)):
                return
        # What is printed meanwhile goes above the bars; results that go into a file must not.
        stdout = bool(sys.stdout.isatty())
        columns = BarColumn(bar_width=24), TextColumn("{task.description}", markup=False)
        bars = Bars(
            *columns, console=self._console, auto_refresh=False, transient=True, redirect_stdout=stdout
        )
        tasks: dict[TaskProgress, TaskID] = {}
        try:
            with bars:
                while True:
                    self._redraw(bars, tasks)
                    if stop.wait(REDRAW):
                        return
        except OSError:
            return

    def _redraw(self, bars: Bars, tasks: dict[TaskProgress, TaskID]) -> None:
        current = self._now(self._delay)
        for wait in [wait for wait in tasks if wait not in current]:
            bars.remove_task(tasks.pop(wait))
        for wait in current:
            if wait not in tasks:
                tasks[wait] = bars.add_task(wait.what, total=wait.total)
            words = status(wait, time.monotonic())
            bars.update(tasks[wait], completed=wait.done, total=wait.total, description=words)
        bars.refresh()


def in_one_line(waits: Sequence[TaskProgress], now: float) -> str:
    """Format nested work as one line, at `now` by `time.monotonic`."""
    return " · ".join(status(wait, now) for wait in waits)


def status(wait: TaskProgress, now: float) -> str:
    """Format one piece of work at `now`: counts, newest metrics, rate and seconds left.

    >>> status(TaskProgress("playing", 400, 300, started=0.0), 50.0)
    'playing: 300 of 400 · 6/s · 17 s left'
    >>> status(TaskProgress("looking for data", started=0.0), 3.0)
    'looking for data · 3 s'
    """
    rate, left = wait.rate(now), wait.left(now)
    if wait.total is not None and wait.done:
        counted = f": {min(wait.done, wait.total):,.0f} of {wait.total:,.0f}"
    else:
        counted = f": {wait.done:,.0f}" if wait.done else ""
    parts = [wait.what + counted]
    parts += [wait.figures] if wait.figures else []
    if rate is not None and "/s" not in wait.figures:
        parts.append(f"{rate:,.0f}/s" if rate >= 10 else f"{rate:.2g}/s")
    parts.append(f"{now - wait.started:.0f} s" if left is None else f"{duration(left)} left")
    return " · ".join(parts)
