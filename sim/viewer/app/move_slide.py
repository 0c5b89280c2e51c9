"""Slide of the last move of a board game: how far its pieces have glided in the moment shown."""

from __future__ import annotations

import math
from collections.abc import Callable

from sim.viewer.playback.session import Session

SECONDS = 0.15  # as on lichess


class MoveSlide:
    """Follows the moments that are shown; pieces glide where one comes right after the one before.

    Args:
        clock: seconds that only grow.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._number = -1
        self._since = -math.inf

    def follow(self, session: Session) -> None:
        """Look at the moment shown now."""
        number = session.number
        if number == self._number:
            return
        board = session.board if number == self._number + 1 else None
        self._since = -math.inf if board is None or board.slide is None else self._clock()
        self._number = number

    @property
    def fraction(self) -> float:
        """How far the pieces have glided, in [0, 1]; 1 at rest."""
        return min(1.0, (self._clock() - self._since) / SECONDS)
