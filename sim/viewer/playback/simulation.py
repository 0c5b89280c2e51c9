"""The simulation thread: steps a show at its own rate, so that acting never blocks drawing.

The window's thread only makes requests (pause, speed, one step, restart, a person's action) and
reads the history. Whatever the show raises is kept for the window to show and the caller to raise.
"""

from __future__ import annotations

import enum
import threading
import time
from collections import deque

from sim.progress import TaskProgress, reporting
from sim.viewer.contract.gesture import Answer, Gesture, Hurrying, Interactive, interactive
from sim.viewer.contract.show import PlaylistEntry, Show, Working, frames_per_step
from sim.viewer.playback.history import History
from sim.viewer.playback.pace import DrawingBudget, RealTimeFactor

_LEAD = 4  # moments that a simulation may be ahead of the picture, uncapped or while it is recorded
_SLACK = 0.1  # seconds made up for, beside those of a picture; a slow show does not race afterwards
_LATE = 0.05  # seconds behind its rate after which it asks for the fewest pictures
_SOON = 1 / 30  # seconds to the next step, in which what a gesture has changed is drawn
_FILM_WAIT = 0.05  # seconds, at most, that a show waits for a recording before it looks again
_PATIENCE = 2.0  # seconds that closing waits for a step in progress


class _Task(enum.Enum):
    START = enum.auto()
    TOUCH = enum.auto()
    STEP = enum.auto()
    STOP = enum.auto()


class SimulationThread:
    """A show that runs in its own thread.

    Args:
        show: used from that thread only, `close` included; an entry is made there first.
        history: where its moments go.
        seed: of the first start.
        capped: True: steps at the show's rate × `speed`; False: as fast as the moments are `shown`.
    """

    def __init__(
        self, show: Show | PlaylistEntry, history: History, *, seed: int | None = None, capped: bool = True
    ) -> None:
        self._entry = show if isinstance(show, PlaylistEntry) else None
        self._show: Show | None = None
        self._hands: Interactive | None = None
        self._hurrying: Hurrying | None = None
        if not isinstance(show, PlaylistEntry):
            self._adopt(show)
        self._history = history
        self._seed = seed
        self._capped = capped
        self._wake = threading.Condition()
        self._starting = True
        self._stopping = False
        self._paused = False
        self._single_steps = 0
        self._speed = 1.0
        self._shown = -1
        self._film: tuple[int, int] | None = None  # the moment that a recording waits for, and its stride
        self._due = 0.0  # time.monotonic() of the next step
        self._person: int | None = None
        self._tapped: int | None = None
        self._going = False  # a gesture asked for a step
        self._gestures: deque[Gesture] = deque()
        self._answers: deque[Answer] = deque()
        self._budget = DrawingBudget()
        self._factor = RealTimeFactor()
        self._error: Exception | None = None
        self._resting = False  # the thread waits for a request
        self._waits_for: list[TaskProgress] = []  # what the show does while it is made, the innermost last
        self._thread = threading.Thread(target=self._run, name="simulation", daemon=True)

    def _adopt(self, show: Show) -> None:
        self._show = show
        self._hands = interactive(show)  # asked once: it is slow to find out
        self._hurrying = show if isinstance(show, Hurrying) else None

    @property
    def show(self) -> Show | None:
        """The show, for its facts; None while it is being made."""
        return self._show

    @property
    def doing(self) -> str:
        """What is done to make or start the show, in words; "" if that is not known."""
        innermost = self._waits_for[-1:]
        if not innermost:
            return ""
        done, total = innermost[0].done, innermost[0].total
        share = f" {100 * min(1.0, done / total):.0f} %" if done and total else ""
        return f"{innermost[0].what}{share} …"

    def begin(self, wait: TaskProgress, *, announced: bool) -> None:
        """Note work that has begun; see `sim.progress.Reporter`."""
        self._waits_for.append(wait)

    def end(self, wait: TaskProgress) -> None:
        """Note work that has ended."""
        self._waits_for.remove(wait)

    @property
    def error(self) -> Exception | None:
        """What the show raised, until it is started again."""
        return self._error

    @property
    def pace(self) -> float:
        """Its real-time factor, times the natural rate; NaN while it is not measured."""
        return self._factor.value

    def open(self) -> None:
        """Start the thread, and in it the show."""
        self._thread.start()

    def close(self, *, wait: bool = True) -> None:
        """Stop after the step in progress and close the show; a step that hangs is left behind."""
        with self._wake:
            self._stopping = True
            self._wake.notify_all()
        if self._thread.ident is None:
            if self._show is not None:
                self._show.close()
        elif wait:
            self._thread.join(_PATIENCE)

    def pause(self, paused: bool) -> None:
        """Pause, or resume."""
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
            self._factor.rest()
            self._due = min(self._due, time.monotonic() + self._period)
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

    def tell(self, gesture: Gesture) -> None:
        """Pass a gesture to the show; shows that take none ignore it."""
        with self._wake:
            merged = self._gestures[-1].merged(gesture) if self._gestures else None
            if merged is not None:
                self._gestures[-1] = merged
            else:
                self._gestures.append(gesture)
            self._wake.notify_all()

    def take_answer(self) -> Answer | None:
        """The oldest pending answer, once; None if there is none."""
        return self._answers.popleft() if self._answers else None

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

    def film(self, number: int | None, every: int = 1) -> None:
        """Let a recording have every `every`-th moment from `number` on, for which the show then waits.

        None: nothing is recorded.
        """
        with self._wake:
            self._film = None if number is None else (number, every)
            self._wake.notify_all()

    def wait_for(self, number: int, seconds: float) -> bool:
        """Wait until moment `number` exists or the show fails; True if the moment exists."""
        with self._wake:
            self._wake.wait_for(lambda: self._history.newest >= number or self._error is not None, seconds)
        return self._history.newest >= number

    def wait_until_idle(self, seconds: float) -> bool:
        """Wait until it waits for a request: paused, a person's turn, or failed; True if it does."""

        def idle() -> bool:
            touched = self._gestures and self._error is None
            return self._resting and not self._starting and not touched and self._seconds_to_step() is None

        with self._wake:
            return self._wake.wait_for(idle, seconds)

    def wait_for_news(self, seconds: float) -> None:
        """Wait until a step, a gesture or a start is done, or a request is made."""
        with self._wake:
            self._wake.wait(seconds)

    def _run(self) -> None:
        try:
            while (task := self._next_task()) is not _Task.STOP:
                try:
                    if task is _Task.START:
                        self._start()
                    elif task is _Task.TOUCH:
                        self._touch()
                    else:
                        self._step()
                except Exception as error:
                    self._fail(error)
                with self._wake:
                    self._wake.notify_all()
        finally:
            try:
                if self._show is not None:
                    self._show.close()
            except Exception as error:
                self._fail(error)

    def _start(self) -> None:
        with reporting(self):
            self._make_and_start()

    def _make_and_start(self) -> None:
        show = self._show
        if show is None:
            assert self._entry is not None
            show = self._entry.make()
            self._history.set_rate(show.steps_per_second, frames_per_step(show))
            self._adopt(show)
        if isinstance(show, Working):
            show.listen(lambda: self.tell(Gesture("news")))
        self._touch()  # the first picture already has the right size
        self._history.append(show.start(self._seed))
        with self._wake:
            self._due = time.monotonic() + self._period

    def _step(self) -> None:
        assert self._show is not None
        now = time.monotonic()
        with self._wake:
            action = self._person if self._tapped is None else self._tapped
            late = now - (self._due - self._period) > _LATE
            free = self._capped and not (self._going or self._paused)
            drawn = not free or self._budget.due(now, late=late)
            if self._film is not None:
                number, every = self._film
                drawn |= (self._history.newest + 1 - number) % every == 0
            self._tapped, self._going = None, False
        if drawn:
            self._budget.begin(now)
        moment = self._show.step(action, drawn=drawn)
        stepped = time.monotonic()
        self._history.append(moment)
        if free:
            done = time.monotonic()
            self._factor.step(done, 1 / self._show.steps_per_second)
            self._budget.note(stepped - now, drawn=drawn, keeping=done - stepped)
            if self._hands is not None and self._budget.adapt():
                self._hands.touch(Gesture("coarse", self._budget.coarse))

    def _touch(self) -> None:
        """Hand over all gestures, up to one that asks for a step, and draw once."""
        show, redraw = self._hands, False
        while (gesture := self._take_gesture()) is not None:
            if show is not None:
                answer = show.touch(gesture)
                redraw |= answer.redraw
                self._heed(answer)
                if answer.go:
                    break
        if show is not None and redraw and self._history.newest >= 0 and not self._draws_soon:
            self._history.replace_newest(show.look())

    @property
    def _draws_soon(self) -> bool:
        """Whether a step's own picture will show what a gesture has changed: drawing takes half the time."""
        runs = self._capped and not self._paused and not self._waits and not self._going
        return runs and self._period < _SOON

    def _take_gesture(self) -> Gesture | None:
        with self._wake:
            return self._gestures.popleft() if self._gestures else None

    def _heed(self, answer: Answer) -> None:
        with self._wake:
            if answer.go:
                self._going, self._tapped = True, answer.action
            if answer.message or answer.document or answer.copied:
                self._answers.append(answer)

    @property
    def _period(self) -> float:
        """Seconds between two steps."""
        return 1.0 if self._show is None else 1 / (self._show.steps_per_second * self._speed)

    @property
    def _waits(self) -> bool:
        return self._hands is not None and self._hands.waits

    def _next_task(self) -> _Task:
        """Wait, without spinning, until there is something to do."""
        with self._wake:
            while True:
                if self._stopping:
                    return _Task.STOP
                if self._starting:
                    self._starting = False
                    self._error = None
                    self._going = False
                    return _Task.START
                if self._gestures and self._error is None and not self._going:
                    return _Task.TOUCH
                wait = self._seconds_to_step()
                if wait is not None and wait <= 0:
                    self._single_steps = max(0, self._single_steps - 1)
                    earliest = time.monotonic() - _SLACK - self._budget.drawing
                    self._due = max(self._due, earliest) + self._period
                    return _Task.STEP
                self._resting = wait is None
                if self._resting:
                    self._factor.rest()
                    if self._capped and self._hands is not None and self._budget.sharpen():
                        self._gestures.append(Gesture("coarse", 1))  # a picture that stands is a whole one
                        continue
                    self._wake.notify_all()
                self._wake.wait(wait)
                self._resting = False

    def _seconds_to_step(self) -> float | None:
        """How long to wait before the next step; None: until something changes."""
        if self._error is not None:
            return None
        if self._going:
            return 0.0
        if self._hurrying is not None and self._hurrying.hurries:
            return 0.0
        if self._waits:
            self._single_steps = 0
            return None
        if self._single_steps:
            return 0.0
        if self._paused:
            return None
        if not self._capped:
            return 0.0 if self._history.newest - self._shown < _LEAD else None
        wait = self._due - time.monotonic()
        ahead = self._film is not None and self._history.newest >= self._film[0] + _LEAD
        return max(wait, _FILM_WAIT) if ahead else wait

    def _fail(self, error: Exception) -> None:
        with self._wake:
            self._error = self._error or error
            self._single_steps = 0
            self._wake.notify_all()
