"""History of a show: whole moments for a while, their numbers (value, return, reward) for much longer.

Written by the simulation thread and read by the window's; one lock keeps them apart, and it is
never held while anything is stepped, packed or drawn.
"""

from __future__ import annotations

import threading
from bisect import bisect_right
from collections import deque
from dataclasses import replace

import numpy as np

from sim.records import Array, Episode
from sim.viewer.contract.board import BoardState
from sim.viewer.contract.moment import Learning, Moment
from sim.viewer.playback.events import Event, events
from sim.viewer.playback.frame_compression import CompressedMoment, size_of
from sim.viewer.playback.view import View

MOMENTS = 900  # a minute of an Atari game at frame skip 4
FEWEST_MOMENTS = 600
MEMORY = 256 * 2**20  # bytes of pictures before the oldest ones beyond FEWEST_MOMENTS go

_SPARE = 8  # moments more, so that a drawing that is a little late sees as far back
_NUMBERS = 32_768  # more steps than the longest Atari episode has
_ROWS = ("value", "score", "reward", "feet", "rival's value", "rival's score")  # of the numbers
_VALUE_SECONDS = 10.0
FEET_SECONDS = 4.0
_APART = 4  # steps of the world between two surprises, at least
_LISTED = 64  # episodes in a view: more than any panel has rows


class History:
    """Buffer of a show's last moments, and of the numbers that the charts need.

    Args:
        steps_per_second: of the show.
        capacity: moments, for a show whose steps are those of its world.
        memory: bytes of pictures before the oldest ones beyond FEWEST_MOMENTS go.
        frames_per_step: how many times as many moments are remembered, and numbers of how many are one in
            a chart.
    """

    def __init__(
        self,
        steps_per_second: float = 1.0,
        capacity: int = MOMENTS,
        memory: int = MEMORY,
        frames_per_step: int = 1,
    ) -> None:
        self._steps = capacity
        self._memory = memory
        self._bytes = 0
        self.set_rate(steps_per_second, frames_per_step)
        self._moments: deque[Moment | CompressedMoment] = deque()
        self._newest = -1
        self._first_number = 0  # the moment that column 0 belongs to
        self._starts: list[int] = []  # numbers at which the first world's episodes begin
        self._ended: list[tuple[int, Episode]] = []
        #: Sum and count of the scores up to and including each of `_ended`; pushed ones do not count.
        self._scored: list[tuple[float, int]] = [(0.0, 0)]
        self._perceives = False
        self._lines = 0
        self._learning: Learning | None = None  # of the newest moment
        #: The last pictures, and their blobs.
        self._packed: tuple[tuple[Array, ...], CompressedMoment] | None = None
        self._revision = 0
        self._lock = threading.Lock()

    def set_rate(self, steps_per_second: float, frames_per_step: int = 1) -> None:
        """Set the steps a second, and how many of them the world's own take, before the first moment."""
        self._capacity = self._steps * frames_per_step
        self._every = frames_per_step
        self._half = _NUMBERS * frames_per_step
        self._numbers = np.full((len(_ROWS), 2 * self._half), np.nan)
        self._value_steps = max(2, round(_VALUE_SECONDS * steps_per_second) + 1)
        self._feet_steps = max(2, round(FEET_SECONDS * steps_per_second))

    @property
    def revision(self) -> int:
        """How often the newest moment has been replaced."""
        return self._revision

    @property
    def learning(self) -> Learning | None:
        """The run that the newest moment's agent comes from."""
        return self._learning

    @property
    def newest(self) -> int:
        """The number of the last moment; −1 while there is none."""
        return self._newest

    @property
    def oldest(self) -> int:
        """The number of the first moment that is still remembered; 0 while there is none."""
        return max(self._first, self._newest + 1 - self._capacity)

    @property
    def _first(self) -> int:
        return self._newest + 1 - len(self._moments)

    def append(self, moment: Moment) -> None:
        """Append a moment, and drop the oldest where there is no room."""
        last = self._moments[-1] if self._moments else None
        packed = self._pack(last) if isinstance(last, Moment) else None
        with self._lock:
            if packed is not None:
                self._bytes += packed.nbytes - size_of(self._moments[-1])
                self._moments[-1] = packed
            self._newest += 1
            self._moments.append(moment)
            self._bytes += size_of(moment)
            while len(self._moments) > self._capacity + _SPARE or (
                len(self._moments) > FEWEST_MOMENTS and self._bytes > self._memory
            ):
                self._bytes -= size_of(self._moments.popleft())
            self._note(moment)

    def replace_newest(self, moment: Moment) -> None:
        """Replace the newest moment by how it looks now; its numbers stay."""
        with self._lock:
            if self._moments:
                self._bytes += size_of(moment) - size_of(self._moments[-1])
                self._moments[-1] = moment
                self._revision += 1

    def _pack(self, moment: Moment) -> CompressedMoment | None:
        """The moment before the newest, compressed if so many of its size would find no room."""
        if size_of(moment) * self._capacity <= self._memory:
            return None
        packed = CompressedMoment.of(moment, *(self._packed or ()))
        self._packed = (moment.pictures, packed)
        return packed

    def _note(self, moment: Moment) -> None:
        column = self._newest - self._first_number
        if column == self._numbers.shape[1]:
            self._numbers[:, : self._half] = self._numbers[:, self._half :]
            self._first_number += self._half
            column -= self._half
        decision = moment.decision
        value = np.nan if decision is None or decision.value is None else decision.value[0]
        feet = np.nan if moment.robot is None else moment.robot.pattern
        self._numbers[:, column] = value, moment.score[0], moment.reward[0], feet, *_of_rival(moment)
        if moment.length[0] == 0 or not self._starts:
            self._starts.append(self._newest)
        for episode in moment.episodes:
            self._ended.append((self._newest, episode))
            total, count = self._scored[-1]
            counts = not episode.pushed
            self._scored.append((total + counts * episode.score, count + counts))
        self._learning = moment.learning
        self._perceives |= bool(moment.seen)
        self._lines = max(self._lines, len(moment.seen) + len(moment.readouts))

    def view(self, number: int | None = None, error: str = "", *, newest: int | None = None) -> View:
        """The history as it was at moment `number`, clipped to those remembered; None: the newest.

        `newest` hides all later moments, for a drawing that follows the simulation step by step.
        """
        with self._lock:
            newest = self._newest if newest is None else newest
            oldest = max(self._first, newest + 1 - self._capacity)
            number = newest if number is None else min(max(number, oldest), newest)
            kept = self._moments[number - self._first] if self._moments else None
            begun = self._starts[bisect_right(self._starts, number) - 1] if self._starts else 0
            ended = bisect_right(self._ended, number, key=lambda entry: entry[0])
            total, scored = self._scored[ended]
            episodes = tuple(episode for _, episode in self._ended[max(0, ended - _LISTED) : ended])
            view = View(
                moment=None,
                number=number,
                oldest=oldest,
                newest=newest,
                capacity=self._capacity,
                value=self._charted(0, number + 1 - self._value_steps, number),
                score=self._charted(1, begun, number),
                reward=self._column(2, oldest, newest),
                episodes=episodes,
                episodes_ended=ended,
                episodes_scored=scored,
                mean_score=total / scored if scored else float("nan"),
                perceives=self._perceives,
                lines=self._lines,
                error=error,
                game=self._game(),
                feet=self._column(3, number + 1 - self._feet_steps, number),
                rival_value=self._charted(4, number + 1 - self._value_steps, number),
                rival_score=self._charted(5, begun, number),
            )
        return replace(view, moment=kept.unpacked() if isinstance(kept, CompressedMoment) else kept)

    def _game(self) -> BoardState | None:
        newest = self._moments[-1] if self._moments else None
        return newest.board if isinstance(newest, Moment) else None

    def board(self, number: int | None = None) -> BoardState | None:
        """The board game in a remembered moment; None: in the newest one."""
        with self._lock:
            index = -1 if number is None else number - self._first
            if not self._moments or not -1 <= index < len(self._moments):
                return None
            kept = self._moments[index]
        return (kept if isinstance(kept, Moment) else kept.moment).board

    def returns(self, number: int) -> list[float]:
        """The scores of all episodes that had ended by moment `number`, in order; none of pushed ones."""
        with self._lock:
            ended = [episode for at, episode in self._ended if at <= number]
        return [episode.score for episode in ended if not episode.pushed]

    def events(self) -> list[Event]:
        """Rewards that stand out, and surprises, among the moments that are remembered."""
        with self._lock:
            oldest, newest = self.oldest, self._newest
            value, reward = self._column(0, oldest, newest), self._column(2, oldest, newest)
            began = np.zeros(len(value), bool)
            began[[start - oldest for start in self._starts if start >= oldest]] = True
        return events(oldest, value, reward, began, self._every * _APART)

    def _charted(self, row: int, first: int, last: int) -> Array:
        """Every number of `_column` that is whole steps of the world before the last one."""
        return self._column(row, first, last)[::-1][:: self._every][::-1]

    def _column(self, row: int, first: int, last: int) -> Array:
        """One row of numbers for moments `first` to `last`, both included; shorter if forgotten."""
        first = max(first, self._first_number)
        return self._numbers[row, first - self._first_number : last + 1 - self._first_number].copy()


def _of_rival(moment: Moment) -> tuple[float, float]:
    """Value and score of the second of two agents side by side; NaN without one."""
    if len(moment.names) != 2:
        return np.nan, np.nan
    decision = moment.decision
    value = np.nan if decision is None or decision.value is None else float(decision.value[1])
    return value, float(moment.score[1])
