"""Pace of a simulation: its real-time factor, and how much of its time drawing may take.

Pure bookkeeping of seconds that are handed in; nothing here looks at a clock.
"""

from __future__ import annotations

import math
from collections import deque
from statistics import median

PICTURES = 65.0  # a second that a show is asked for, at most
FEWEST_PICTURES = 30.0  # a second that drawing shall keep up; what takes longer is drawn at half the size
LEAST_PICTURES = 10.0  # a second, while the world is late
DRAWING_SHARE = 0.5  # of the time, at most
COARSEST = 4  # by which the sides of a picture are divided at most

_SECONDS = 1.0  # over which the real-time factor is measured, at least
_STEPS = 4  # likewise
_REMEMBERED = 5  # pictures
_WEIGHT = 0.25  # of the newest duration in a moving average
_ROOM = 0.7  # of what is allowed: a finer picture must promise to stay below


class RealTimeFactor:
    """Seconds of a world that go by in a second, measured over about a second at a time."""

    def __init__(self) -> None:
        self.rest()

    @property
    def value(self) -> float:
        """The last measurement; NaN before the first one, and since a rest."""
        return self._value

    def rest(self) -> None:
        """The world stands still for a reason: paused, or waiting for a person."""
        self._value = math.nan
        self._since: float | None = None
        self._steps = 0

    def step(self, now: float, seconds: float) -> None:
        """The world takes a step of so many `seconds` at the time `now`, s."""
        if self._since is None:
            self._since = now
            return
        self._steps += 1
        elapsed = now - self._since
        if elapsed >= _SECONDS and self._steps >= _STEPS:
            self._value = self._steps * seconds / elapsed
            self._since, self._steps = now, 0


class DrawingBudget:
    """Decides when a picture is due, and how coarse it may be.

    Drawing gets half of the time at most. A show whose pictures take too long for thirty a second is asked
    for pictures of half the size, and again: only then are there fewer.

    Attributes:
        coarse: by which the sides of pictures are divided: 1, 2 or 4.
    """

    def __init__(self) -> None:
        self.coarse = 1
        self._plain = 0.0  # seconds of a step without a picture
        self._keeping = 0.0  # seconds of remembering, since the last picture
        self._drawings: deque[float] = deque(maxlen=_REMEMBERED)  # seconds of pictures of this size
        self._begun = -math.inf  # when the last step with a picture began

    @property
    def drawing(self) -> float:
        """Seconds that a picture takes at the present size: the median of the last ones."""
        return median(self._drawings) if self._drawings else 0.0

    def due(self, now: float, *, late: bool) -> bool:
        """Whether the step that begins at `now` gets a picture; `late`: the world lags behind."""
        period = 1 / (LEAST_PICTURES if late else PICTURES)
        return now - self._begun >= max(period, self.drawing / DRAWING_SHARE)

    def begin(self, now: float) -> None:
        """A step with a picture begins at `now`."""
        self._begun = now

    def note(self, seconds: float, *, drawn: bool, keeping: float = 0.0) -> None:
        """A step took so many seconds, with a picture or without, and `keeping` to be remembered.

        Pictures make remembering slow, the last one in the step after it.
        """
        if drawn:
            self._drawings.append(max(0.0, seconds - self._plain) + self._keeping)
            self._keeping = 0.0
        else:
            self._plain += _WEIGHT * (seconds - self._plain) if self._plain else seconds
        self._keeping += keeping

    def adapt(self) -> bool:
        """Choose another size, if that is called for; True if it has changed."""
        if len(self._drawings) < _REMEMBERED:
            return False
        most, coarse = DRAWING_SHARE / FEWEST_PICTURES, self.coarse
        if self.drawing > most:
            coarse = min(2 * coarse, COARSEST)
        elif 4 * self.drawing < _ROOM * most:
            coarse = max(coarse // 2, 1)
        return self._resize(coarse)

    def sharpen(self) -> bool:
        """Go back to whole pictures, as for one that stands; True if it has changed."""
        return self._resize(1)

    def _resize(self, coarse: int) -> bool:
        """Take another size; until it is measured, pictures take as long as they have pixels."""
        if coarse == self.coarse:
            return False
        seconds = self.drawing * (self.coarse / coarse) ** 2
        self.coarse = coarse
        self._drawings.clear()
        self._drawings.append(seconds)
        return True
