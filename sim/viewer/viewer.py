"""The viewer without its window: commands change choices, and choices and history become a picture.

It needs no display, so tests and headless recordings drive the same object as the window does.
"""

from __future__ import annotations

import random
import re
import time
from collections.abc import Callable, Collection
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import pygame

from sim.viewer import hud
from sim.viewer.errors import ViewerError
from sim.viewer.history import History
from sim.viewer.keymap import Command, GameKeys
from sim.viewer.layout import Layout
from sim.viewer.recorder import Recorder
from sim.viewer.screen import Screen
from sim.viewer.show import Show
from sim.viewer.simulation import Simulation
from sim.viewer.view import Choices, Facts, View

SPEEDS = (0.125, 0.25, 0.5, 1.0, 2.0, 4.0, 8.0, 16.0)

_MESSAGE_SECONDS = 4.0
_AWAKE_SECONDS = 1.0  # after the last change; then the window may doze

Stamp = tuple[int, int, Choices, tuple[int, int], str]


class Viewer:
    """One show being watched.

    Args:
        show: what to watch; from `open` on it belongs to the simulation thread.
        size: of the picture in pixels; `resize` changes it.
        scale: pixels a length of 1 takes.
        seed: of the first start.
        person: whether a person plays first.
        headless: True: as fast as it can be drawn, and every moment is drawn.
        hint: a first message.
    """

    def __init__(
        self,
        show: Show,
        *,
        size: tuple[int, int] = (1280, 800),
        scale: float = 1.0,
        seed: int | None = None,
        person: bool = False,
        headless: bool = False,
        hint: str = "",
    ) -> None:
        self.facts = Facts.of(show)
        self.choices = Choices()
        self.done = False
        self._size = size
        self._headless = headless
        self._seed = seed
        self.keys = GameKeys(self.facts.action_names)
        self._history = History(self.facts.steps_per_second)
        self._simulation = Simulation(show, self._history, seed=seed, capped=not headless)
        self._screen = Screen(self.facts, scale, self.keys.described())
        self._cursor: int | None = None  # the moment shown; None: the newest
        self._recorder: Recorder | None = None
        self._recorded = (0, -1)  # the first and the last recorded moment
        self._held: frozenset[int] = frozenset()  # keys that are down
        self._last_action = 0
        self._message_until = 0.0
        self._changed = time.monotonic()
        self._drawn: Stamp | None = None
        if hint:
            self._say(hint, 3 * _MESSAGE_SECONDS)
        if person:
            self._handover(0)

    # The run of the show

    def open(self) -> None:
        """Start the simulation."""
        self._simulation.open()

    def close(self) -> Path | None:
        """Stop the simulation and complete a recording in progress; returns the last one's file.

        Raises:
            ViewerError: if the recording failed.
        """
        self._simulation.close()
        return self._finish_recording()

    @property
    def error(self) -> Exception | None:
        """What the show raised, unless it has been started again since."""
        return self._simulation.error

    @property
    def view(self) -> View:
        """What is to be shown now."""
        error = self.error
        words = "" if error is None else f"{type(error).__name__}: {error}"
        newest = self._cursor if self._headless else None
        return self._history.view(self._cursor, words, newest=newest)

    @property
    def scale(self) -> float:
        """Pixels a length of 1 takes."""
        return self._screen.scale

    @property
    def awake(self) -> bool:
        """Whether the picture may change soon without any input."""
        running = not self.choices.paused and self.error is None
        return running or bool(self.choices.message) or time.monotonic() - self._changed < _AWAKE_SECONDS

    def advance(self) -> bool:
        """Take note of what has happened; True if there is something new to draw.

        Headless, wait for the next moment and go to it, so that none is left out.
        """
        if self._headless:
            number = -1 if self._cursor is None else self._cursor
            if not self._simulation.wait_for(number + 1, 0.1):
                return False
            self._cursor = number + 1
            self._simulation.shown(number + 1)
            return True
        if self.choices.message and time.monotonic() > self._message_until:
            self.choices = replace(self.choices, message="")
        if self._stamp() == self._drawn:
            return False
        self._changed = time.monotonic()
        return True

    def draw(self) -> pygame.Surface:
        """Draw, and record if recording; the surface is valid until the next call."""
        self._drawn = self._stamp()
        view = self.view
        surface = self._screen.draw(self._size, self.choices, view)
        if self._recorder is not None and view.number > self._recorded[1]:
            self._record_picture(surface, view)
        return surface

    def ended(self) -> list[float]:
        """The scores of all episodes that ended by the moment shown."""
        return self._history.returns(self._history.newest if self._cursor is None else self._cursor)

    def record(self, path: Path) -> None:
        """Record every new moment that is drawn from now on.

        Raises:
            ViewerError: if `path` cannot be written.
        """
        self._recorder = Recorder(path, self._size, self.facts.steps_per_second)
        self._recorded = (max(0, self.view.number), -1)
        if not self._headless:
            self.choices = replace(self.choices, recording=True)

    def _record_picture(self, surface: pygame.Surface, view: View) -> None:
        assert self._recorder is not None
        first, last = self._recorded
        try:
            self._recorder.add(surface, view.number - first)
            self._recorded = (first, view.number)
        except ViewerError as error:
            if self._headless:
                raise
            self._recorder = None
            self.choices = replace(self.choices, recording=False)
            self._say(str(error), 2 * _MESSAGE_SECONDS)

    def _finish_recording(self) -> Path | None:
        recorder, self._recorder = self._recorder, None
        self.choices = replace(self.choices, recording=False)
        return None if recorder is None else recorder.close()

    def _stamp(self) -> Stamp:
        newest = self._history.newest
        number = newest if self._cursor is None else self._cursor
        return number, newest, self.choices, self._size, repr(self.error)

    def _say(self, message: str, seconds: float = _MESSAGE_SECONDS) -> None:
        self.choices = replace(self.choices, message=message)
        self._message_until = time.monotonic() + seconds

    # What the controls need

    def resize(self, size: tuple[int, int], scale: float) -> None:
        """Draw at another size in pixels, or for another display."""
        self._size = size
        if scale != self._screen.scale:
            self._screen = Screen(self.facts, scale, self.keys.described())

    def touch(self, *, redraw: bool = False) -> None:
        """Stay awake for a while; with `redraw`, draw again although nothing has changed."""
        self._changed = time.monotonic()
        if redraw:
            self._drawn = None

    def layout(self) -> Layout:
        """Where everything is now."""
        return self._screen.layout(self._size, self.choices, self.view)

    def scrub(self, x: int) -> None:
        """Pause, and go to the moment that stands at `x` pixels on the track."""
        self._set_paused(True)
        self._show(hud.number_at(self.layout().scrubber, x, self.view))

    def hold(self, keys: Collection[int], *, tapped: bool = False) -> None:
        """Play what the keys held now mean, if a person plays; `tapped`: at least for one step."""
        self._held = frozenset(keys)
        if self.choices.person:
            self._last_action = self.keys.action(self._held, self._last_action)
            self._simulation.set_person(self._last_action, tapped=tapped)
        else:
            self._simulation.set_person(None)

    # Commands

    def do(self, wanted: Command, number: int = 1) -> None:
        """Obey a command; `number` is the panel's, or how many steps."""
        if wanted is Command.QUIT and self.choices.help:
            wanted = Command.HELP
        obey: dict[Command, Callable[[int], None]] = {
            Command.PAUSE: self._pause,
            Command.FORWARD: self._forward,
            Command.BACK: self._back,
            Command.SLOWER: lambda number: self._change_speed(-1),
            Command.FASTER: lambda number: self._change_speed(+1),
            Command.GRID: self._grid,
            Command.HANDOVER: self._handover,
            Command.RESET: self._reset,
            Command.NEW_SEED: self._new_seed,
            Command.PANEL: self._fold,
            Command.SCREENSHOT: self._screenshot,
            Command.RECORD: self._toggle_recording,
            Command.HELP: lambda number: self._choose_help(),
            Command.QUIT: lambda number: self._quit(),
        }
        obey[wanted](number)

    def _set_paused(self, paused: bool) -> None:
        if paused != self.choices.paused:
            self.choices = replace(self.choices, paused=paused)
            self._simulation.pause(paused)

    def _pause(self, number: int) -> None:
        self._set_paused(not self.choices.paused)
        if not self.choices.paused:
            self._cursor = None

    def _forward(self, steps: int) -> None:
        if not self.choices.paused:
            self._set_paused(True)
        elif self._cursor is not None:
            self._show(self._cursor + steps)
        else:
            self._simulation.step_once()

    def _back(self, steps: int) -> None:
        self._set_paused(True)
        self._show((self._history.newest if self._cursor is None else self._cursor) - steps)

    def _show(self, number: int) -> None:
        number = max(number, self._history.oldest)
        self._cursor = None if number >= self._history.newest else number

    def _change_speed(self, by: int) -> None:
        index = min(max(SPEEDS.index(self.choices.speed) + by, 0), len(SPEEDS) - 1)
        self.choices = replace(self.choices, speed=SPEEDS[index])
        self._simulation.set_speed(SPEEDS[index])

    def _grid(self, number: int) -> None:
        if self.facts.num_worlds > 1 or self.choices.grid:
            self.choices = replace(self.choices, grid=not self.choices.grid)
        else:
            self._say("there is only one world in this show")

    def _handover(self, number: int) -> None:
        if not self.choices.person and not self.keys.playable:
            self._say("no keys play this world: the agent goes on")
            return
        self.choices = replace(self.choices, person=not self.choices.person)
        self.hold(self._held)
        if self.choices.person:
            self._say(f"you play: {self.keys.described()}; M hands back")

    def _reset(self, number: int) -> None:
        self._cursor = None
        self._simulation.restart(self._seed)
        self._say("started again" if self._seed is None else f"started again from seed {self._seed}")

    def _new_seed(self, number: int) -> None:
        self._seed = random.SystemRandom().randrange(2**31) if self._seed is None else self._seed + 1
        self._reset(number)

    def _fold(self, number: int) -> None:
        if number not in self.layout().panels:
            self._say(f"panel {number} has nothing to show" if number == 5 else "no room for that panel")
            return
        self.choices = replace(self.choices, folded=self.choices.folded ^ {number})

    def _screenshot(self, number: int) -> None:
        file = Path.cwd() / "screenshots" / f"{self._file_stem()}.png"
        try:
            file.parent.mkdir(exist_ok=True)
            picture = self._screen.draw(self._size, replace(self.choices, message=""), self.view)
            pygame.image.save(picture, str(file))
        except (OSError, pygame.error) as error:
            self._say(f"no screenshot: {error}")
        else:
            self._say(f"saved screenshots/{file.name}")

    def _toggle_recording(self, number: int) -> None:
        try:
            if self._recorder is None:
                self.record(Path.cwd() / f"{self._file_stem()}.mp4")
                self._say("recording; V stops")
            else:
                file = self._finish_recording()
                self._say(f"saved {file.name}" if file else "nothing was recorded")
        except ViewerError as error:
            self._say(str(error), 2 * _MESSAGE_SECONDS)

    def _file_stem(self) -> str:
        title = re.sub(r"[^a-z0-9]+", "-", self.facts.title.lower()).strip("-") or "playfield"
        return f"{title}-{datetime.now():%Y%m%d-%H%M%S-%f}"[:-3]

    def _choose_help(self) -> None:
        self.choices = replace(self.choices, help=not self.choices.help)

    def _quit(self) -> None:
        self.done = True
