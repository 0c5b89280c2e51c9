"""The simulation thread: steps a show at its own rate, so that acting never blocks drawing.

The window's thread only sets wishes (pause, speed, one step, start again, a person's action) and
reads the history. Whatever the show raises is kept for the window to show and the caller to raise.
"""

from __future__ import annotations

import enum
import threading
import time

from sim.viewer.history import History
from sim.viewer.show import Show

_LEAD = 4  # moments that an uncapped simulation may be ahead of the picture
_SLACK = 0.1  # seconds of lateness made up for; a show slower than its rate does not race afterwards
_PATIENCE = 2.0  # seconds that closing waits for a step in progress


class _Task(enum.Enum):
    START = enum.auto()
    STEP = enum.auto()
    STOP = enum.auto()


class Simulation:
    """A show that runs in its own thread.

    Args:
        show: used from that thread only, `close` included.
        history: where its moments go.
        seed: of the first start.
        capped: True: steps at the show's rate × `speed`; False: as fast as the moments are `shown`.
    """

    def __init__(self, show: Show, history: History, *, seed: int | None = None, capped: bool = True) -> None:
        self._show = show
        self._history = history
        self._rate = float(show.steps_per_second)
        self._seed = seed
        self._capped = capped
        self._wake = threading.Condition()
        self._starting = True
        self._stopping = False
        self._paused = False
        self._single_steps = 0
        self._speed = 1.0
        self._shown = -1
        self._due = 0.0  # time.monotonic() of the next step
        self._person: int | None = None
        self._tapped: int | None = None
        self._error: Exception | None = None
        self._thread = threading.Thread(target=self._run, name="simulation", daemon=True)

    @property
    def error(self) -> Exception | None:
        """What the show raised, until it is started again."""
        return self._error

    def open(self) -> None:
        """Start the thread, and in it the show."""
        self._thread.start()

    def close(self) -> None:
        """Stop after the step in progress and close the show; a step that hangs is left behind."""
        with self._wake:
            self._stopping = True
            self._wake.notify_all()
        if self._thread.ident is None:
            self._show.close()
        else:
            self._thread.join(_PATIENCE)

    def pause(self, paused: bool) -> None:
        """Hold still, or go on."""
        with self._wake:
            self._paused = paused
            self._single_steps = 0
            self._due = time.monotonic()
            self._wake.notify_all()

    def step_once(self) -> None:
        """Take one more step although paused."""
        with self._wake:
            self._single_steps += 1
            self._wake.notify_all()

    def set_speed(self, speed: float) -> None:
        """Run at `speed` times the natural rate."""
        with self._wake:
            self._speed = speed
            self._due = min(self._due, time.monotonic() + 1 / (self._rate * speed))
            self._wake.notify_all()

    def set_person(self, action: int | None, *, tapped: bool = False) -> None:
        """Play `action` in the first world from the next step on; None: the agent plays.

        With `tapped` the next step plays it for certain, even if another action is set before:
        a key can go down and up between two steps.
        """
        with self._wake:
            self._person = action
            if tapped or action is None:
                self._tapped = action

    def restart(self, seed: int | None) -> None:
        """Start the show again, from `seed` or with its next episode; also after an error."""
        with self._wake:
            self._seed = seed
            self._starting = True
            self._wake.notify_all()

    def shown(self, number: int) -> None:
        """Tell an uncapped simulation that moment `number` has been drawn."""
        with self._wake:
            self._shown = number
            self._wake.notify_all()

    def wait_for(self, number: int, seconds: float) -> bool:
        """Wait until moment `number` exists or the show fails; True if the moment exists."""
        with self._wake:
            self._wake.wait_for(lambda: self._history.newest >= number or self._error is not None, seconds)
        return self._history.newest >= number

    def _run(self) -> None:
        try:
            while (task := self._next_task()) is not _Task.STOP:
                try:
                    if task is _Task.START:
                        moment = self._show.start(self._seed)
                    else:
                        moment = self._show.step(self._take_person())
                    self._history.append(moment)
                except Exception as error:
                    self._fail(error)
                with self._wake:
                    self._wake.notify_all()
        finally:
            try:
                self._show.close()
            except Exception as error:
                self._fail(error)

    def _take_person(self) -> int | None:
        with self._wake:
            action = self._person if self._tapped is None else self._tapped
            self._tapped = None
        return action

    def _next_task(self) -> _Task:
        """Wait, without spinning, until there is something to do."""
        with self._wake:
            while True:
                if self._stopping:
                    return _Task.STOP
                if self._starting:
                    self._starting = False
                    self._error = None
                    self._due = time.monotonic() + 1 / (self._rate * self._speed)
                    return _Task.START
                wait = self._seconds_to_step()
                if wait is not None and wait <= 0:
                    self._single_steps = max(0, self._single_steps - 1)
                    period = 1 / (self._rate * self._speed)
                    self._due = max(self._due, time.monotonic() - _SLACK) + period
                    return _Task.STEP
                self._wake.wait(wait)

    def _seconds_to_step(self) -> float | None:
        """How long to wait before the next step; None: until something changes."""
        if self._error is not None:
            return None
        if self._single_steps:
            return 0.0
        if self._paused:
            return None
        if not self._capped:
            return 0.0 if self._history.newest - self._shown < _LEAD else None
        return self._due - time.monotonic()

    def _fail(self, error: Exception) -> None:
        with self._wake:
            self._error = self._error or error
            self._single_steps = 0
            self._wake.notify_all()
