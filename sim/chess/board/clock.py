"""Chess clock with Fischer increment: minutes for the game and seconds added after each move."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

import chess

from sim.errors import RequestError
from sim.viewer.contract.board import BLACK, WHITE, ClockTimes

NO_CLOCK = "no clock"
CONTROLS = (NO_CLOCK, "1+0", "3+2", "5+3", "10+5", "30+20")
LONGEST = 180  # minutes, and seconds of increment


class TimeControlError(RequestError, ValueError):
    """A text that is no time control."""


@dataclass(frozen=True)
class TimeControl:
    """Time control: base time and increment a move, in seconds."""

    base: float
    increment: float

    @property
    def pgn(self) -> str:
        """The value of PGN's tag TimeControl, such as ``"300+3"``."""
        return f"{self.base:g}+{self.increment:g}" if self.increment else f"{self.base:g}"


def time_control(text: str) -> TimeControl | None:
    """Parse minutes + seconds; None for `NO_CLOCK`.

    >>> time_control("5+3"), time_control("no clock")
    (TimeControl(base=300.0, increment=3.0), None)

    Raises:
        TimeControlError: naming what is wrong.
    """
    if text == NO_CLOCK:
        return None
    found = re.fullmatch(r"(\d+(?:\.\d+)?)\+(\d+)", text)
    if found is None:
        raise TimeControlError(f'"{text}" is no time control: minutes + seconds a move, such as 5+3')
    minutes, seconds = float(found[1]), float(found[2])
    if not 0 < minutes <= LONGEST or seconds > LONGEST:
        raise TimeControlError(f'"{text}" is no time control: at most {LONGEST} minutes, and more than 0')
    return TimeControl(60 * minutes, seconds)


class ChessClock:
    """Clock of one game; it starts with the first move of the side that does not begin, as on lichess.

    Args:
        control: for both sides.
        now: seconds that only grow.
    """

    def __init__(self, control: TimeControl, now: Callable[[], float]) -> None:
        self.control = control
        self._now = now
        self._left = {chess.WHITE: control.base, chess.BLACK: control.base}
        self._running: chess.Color | None = None
        self._since = now()
        self._paused = False

    def start(self, side: chess.Color) -> None:
        """Let the clock of `side` go down."""
        self._settle()
        self._running = side

    def press(self, mover: chess.Color, *, starts: bool) -> None:
        """Add the increment of `mover`, who has moved; with `starts` let the other's clock go down."""
        self._settle()
        if self._running == mover:
            self._left[mover] += self.control.increment
        self._running = (not mover) if starts else None

    def reset(self, side: chess.Color) -> None:
        """Give both sides the base time again; the clock of `side` goes down."""
        self._left = dict.fromkeys(self._left, self.control.base)
        self._running, self._since = side, self._now()

    def stop(self) -> None:
        """Stop both."""
        self._settle()
        self._running = None

    def pause(self, paused: bool) -> None:
        """Hold the running clock, or let it go on."""
        self._settle()
        self._paused = paused

    def set(self, left: dict[chess.Color, float]) -> None:
        """Set the seconds of both, as they were at a move that is taken back to."""
        self._settle()
        self._left = dict(left)

    @property
    def left(self) -> dict[chess.Color, float]:
        """Seconds left now, by side."""
        self._settle()
        return dict(self._left)

    @property
    def flagged(self) -> chess.Color | None:
        """The side whose time is up; None while nobody's is."""
        return next((side for side, seconds in self.left.items() if seconds <= 0), None)

    @property
    def seconds_to_flag(self) -> float | None:
        """Seconds until the running clock is down; None while none runs."""
        if self._running is None or self._paused:
            return None
        return self.left[self._running]

    def times(self) -> ClockTimes:
        """The clock for drawing."""
        left = self.left
        running = -1 if self._running is None or self._paused else (WHITE if self._running else BLACK)
        return ClockTimes((left[chess.WHITE], left[chess.BLACK]), running, self._since)

    def _settle(self) -> None:
        now = self._now()
        if self._running is not None and not self._paused:
            self._left[self._running] = max(0.0, self._left[self._running] - (now - self._since))
        self._since = now
