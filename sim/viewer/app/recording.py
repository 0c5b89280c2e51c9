"""Recording of what a viewer shows: a video at a constant rate, drawn from the history, nothing dropped."""

from __future__ import annotations

import math
from pathlib import Path

import pygame

from sim.viewer.errors import RecordingFailed
from sim.viewer.output.recorder import Footage
from sim.viewer.playback.session import Session

FASTEST = (
    65.0  # pictures a second in a window; of a faster world every second moment is taken, or every third
)


class Recording:
    """The recording of one viewer, while there is one.

    In a window the show then waits for its pictures, so that each moment that is due is drawn, once.

    Args:
        headless: whether every moment is drawn anyway.
    """

    def __init__(self, *, headless: bool) -> None:
        self._headless = headless
        self._footage: Footage | None = None

    @property
    def active(self) -> bool:
        """Whether something is recorded."""
        return self._footage is not None

    def begin(self, path: Path, size: tuple[int, int], act: Session, *, overwrite: bool = False) -> None:
        """Record a session from the moment on that it shows.

        Raises:
            ViewerError: if `path` cannot be written, or exists and `overwrite` is False.
        """
        rate, first = act.facts.steps_per_second, max(0, act.number)
        every = 1 if self._headless else math.ceil(rate / FASTEST)
        self._footage = Footage(path, size, rate, first, every=every, overwrite=overwrite)
        if not self._headless:
            act.film(first, every)

    def add(self, picture: pygame.Surface, number: int, act: Session) -> str:
        """Append the picture of a moment if it is due.

        Returns:
            Why the recording has failed and is over; "" if it has not.

        Raises:
            RecordingFailed: likewise, headless.
        """
        if self._footage is None:
            return ""
        try:
            self._footage.add(picture, number)
        except RecordingFailed as error:
            if self._headless:
                raise
            self._footage = None
            act.film(None)
            return str(error)
        if not self._headless:
            act.film(self._footage.due, self._footage.every)
        return ""

    def finish(self, act: Session) -> Path | None:
        """Complete the video; None without one.

        It may be called again where Ctrl-C has struck in it.

        Raises:
            RecordingFailed: if the recording failed.
        """
        act.film(None)
        if self._footage is None:
            return None
        try:
            file = self._footage.close()
        except RecordingFailed:
            self._footage = None
            raise
        self._footage = None
        return file
