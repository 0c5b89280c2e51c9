"""The viewer without its window: a show runs, and choices and history become a picture.

It needs no display, so tests and headless recordings drive the same object as the window does. What a person
may ask of it is in `sim.viewer.app.commands`.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Hashable
from dataclasses import replace
from pathlib import Path

import pygame

from sim.viewer.app.move_slide import MoveSlide
from sim.viewer.app.percept_commands import PerceptCommands
from sim.viewer.app.person_control import PersonControl
from sim.viewer.app.recording import Recording
from sim.viewer.app.screen import Screen
from sim.viewer.app.transport import Transport
from sim.viewer.contract.board import clock_text
from sim.viewer.contract.gesture import TOUCHING, Answer, Gesture
from sim.viewer.contract.show import Playlist, PlaylistEntry, Show
from sim.viewer.draw.layout import Layout
from sim.viewer.draw.scaling import STEPS, zoomed
from sim.viewer.draw.theme import Ink
from sim.viewer.errors import RecordingFailed
from sim.viewer.keymap import GameKeys
from sim.viewer.output import files
from sim.viewer.output.sound_player import SoundPlayer
from sim.viewer.playback.playlist import PlaylistPosition
from sim.viewer.playback.session import Session
from sim.viewer.playback.simulation import SimulationThread
from sim.viewer.playback.view import WITHOUT, Choices, Facts, Overlay, View

MESSAGE_SECONDS = 4.0
_AWAKE_SECONDS = 1.0  # after the last change; then the window may doze


class Viewer:
    """Viewer of one show, which can switch to the others of a playlist.

    Args:
        show: to watch; from `open` on it belongs to the simulation thread.
        size: of the picture in pixels; `resize` changes it.
        scale: pixels a length of 1 takes, before a person asks for larger or smaller text.
        seed: of the first start.
        person: whether a person plays first.
        headless: True: as fast as it can be drawn, and every moment is drawn; nobody plays by pointer.
        hint: gives a first message, once the show is known.
        playlist: other scenes and checkpoints.
        clock: seconds that only grow.

    Attributes:
        session: the show on display.
        choices: of the person who watches.
        done: whether to close the window.
        opened: whether the first show has been made, or left for another one.
        headless, clock: see above.
        seed: of the next start; None: whatever the show starts with.
        playlist: where the show stands in it.
        player: of the sound of a moment.
        transport: pause, speed, and moments of the past.
        percepts: commands about percepts.
        person: who plays by which keys.
    """

    def __init__(
        self,
        show: Show | PlaylistEntry,
        *,
        size: tuple[int, int] = (1280, 800),
        scale: float = 1.0,
        seed: int | None = None,
        person: bool = False,
        headless: bool = False,
        hint: Callable[[Facts], str] | None = None,
        playlist: Playlist | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.clock = clock
        self.choices = Choices()
        self.done = False
        self._size = size
        self.headless = headless
        self.seed = seed
        self.playlist = PlaylistPosition(playlist or Playlist())
        self._past_returns: list[float] = []  # of shows that were left
        self.session = Session(show, self.playlist, seed=self.seed, headless=self.headless)
        self._base = scale
        self._screen = Screen(self.facts, scale)
        self.transport = Transport(self)
        self.percepts = PerceptCommands(self)
        self._recording = Recording(headless=headless)
        self.player = SoundPlayer()
        self.person = PersonControl(self)
        self._message_until = 0.0
        self._changed = self.clock()
        self._drawn: Hashable = None  # what the last drawing depended on
        self._slide = MoveSlide(clock)
        self._hint, self._person_first = hint, person
        self.opened = not self.facts.loading
        if self.opened:
            self._begin()

    def _begin(self) -> None:
        """Greet, and let the person play who is to play first: the first show is known."""
        self.opened = True
        if "analysis" in self.facts.abilities and not self.headless:  # read at the reader's own pace
            self.transport.set_paused(True)
        self._pair_up()
        if self._hint is not None:
            self.say(self._hint(self.facts), 3 * MESSAGE_SECONDS)
        if self._person_first:
            self.person.hand_over()

    # The run of the show

    @property
    def facts(self) -> Facts:
        """Constants of the show."""
        return self.session.facts

    @property
    def keys(self) -> GameKeys:
        """The keys that play the show."""
        return self.session.keys

    def open(self) -> None:
        """Start the simulation."""
        self.session.fit(*self._screen.rooms(self.layout()))
        self.session.simulation.open()

    def close(self) -> Path | None:
        """Stop the simulation and complete a recording in progress; returns the last one's file.

        It may be called again where Ctrl-C has struck in it.

        Raises:
            RecordingFailed: if the recording failed.
        """
        self.player.close()
        self.playlist.close()
        self.session.close()
        self.choices = replace(self.choices, recording=False)
        return self._recording.finish(self.session)

    def switch(self, show: PlaylistEntry) -> None:
        """Leave the show for another one, which loads while the window goes on."""
        if self._recording.active:
            self.stop_recording()
        self.player.stop()
        self._past_returns += self.session.history.returns(self.session.history.newest)
        self.session.close(wait=False)
        self.opened = True
        self.say("")  # it was about the show that is left
        self.session = Session(show, self.playlist, seed=self.seed, headless=self.headless)
        self._screen = Screen(self.facts, self.scale)
        self.session.take_up(self.choices)
        self.open()

    def _settle_in(self) -> None:
        """Use the facts of a show that has loaded."""
        self._screen = Screen(self.facts, self.scale)
        self.choices = self.choices.fitting(self.facts, playable=self.session.playable)
        self.session.take_up(self.choices)
        self._pair_up()
        self.person.take_effect()
        if not self.opened:
            self._begin()

    def _pair_up(self) -> None:
        """Show both where two agents are side by side."""
        if "pair" in self.facts.abilities and not self.choices.grid:
            self.show_grid(True)

    @property
    def error(self) -> Exception | None:
        """What the show raised, unless it has been started again since."""
        return self.session.simulation.error

    @property
    def simulation(self) -> SimulationThread:
        """The thread that steps the show."""
        return self.session.simulation

    @property
    def view(self) -> View:
        """The moment to show now, with the history that led to it."""
        return self.session.view

    @property
    def size(self) -> tuple[int, int]:
        """Of the picture in pixels."""
        return self._size

    @property
    def scale(self) -> float:
        """Pixels a length of 1 takes."""
        return self._screen.scale

    @property
    def ink(self) -> Ink:
        """Text and shapes at this scale."""
        return self._screen.ink

    @property
    def subtitles(self) -> pygame.Rect:
        """Where captions and FENs stand in the last drawing; empty without any."""
        return self._screen.subtitles

    @property
    def recording(self) -> bool:
        """Whether something is recorded."""
        return self._recording.active

    @property
    def awake(self) -> bool:
        """Whether the picture may change soon without any input."""
        running = not self.choices.paused and self.error is None or self._slide.fraction < 1
        running |= self.transport.loops
        return running or bool(self.choices.message) or self.clock() - self._changed < _AWAKE_SECONDS

    @property
    def calm(self) -> bool:
        """Whether nothing has changed for a while, though it may at any time."""
        return self.clock() - self._changed > _AWAKE_SECONDS

    def advance(self) -> bool:
        """Update from the simulation; True if there is something new to draw.

        Headless, wait for the next moment and go to it, so that none is left out.
        """
        if self.headless:
            number = -1 if self.session.cursor is None else self.session.cursor
            if not self.session.simulation.wait_for(number + 1, 0.1):
                return False
            self.session.cursor = number + 1
            self.session.simulation.shown(number + 1)
            return True
        if self.session.has_loaded():
            self._settle_in()
        for answer in self.session.answers():
            self._heed(answer)
        if news := self.session.news():
            self.say(news)
        if self.choices.message and self.clock() > self._message_until:
            self.choices = replace(self.choices, message="")
        self.transport.play_loop()
        self._slide.follow(self.session)
        if self.choices.search is not None and self.choices.search.posters != self.playlist.posters:
            search = replace(self.choices.search, posters=self.playlist.posters)
            self.choices = replace(self.choices, search=search)
        if self._stamp() == self._drawn:
            return False
        self._changed = self.clock()
        return True

    def draw(self) -> pygame.Surface:
        """Draw, and record if recording; the surface is valid until the next call."""
        self._drawn = self._stamp()
        filmed = self._recording.active
        seen = self.session.perceived(self.choices, exact=filmed)
        slid = 1.0 if filmed else self._slide.fraction
        view = replace(self.session.explained(seen, self.choices), slid=slid, now=self.clock())
        surface = self._screen.draw(self._size, self.choices, view)
        if self._screen.drawn is not None:
            self.session.fit(*self._screen.rooms(self._screen.drawn))
        if trouble := self._recording.add(surface, view.number, self.session):
            self.choices = replace(self.choices, recording=False)
            self.say(trouble, 2 * MESSAGE_SECONDS)
        return surface

    def ended(self) -> list[float]:
        """The scores of all episodes that ended by the moment shown, without those with a push."""
        return self._past_returns + self.session.history.returns(self.session.number)

    def record(self, path: Path, *, overwrite: bool = False) -> None:
        """Record from the moment shown on; the show waits for its pictures, so that none is left out.

        Raises:
            ViewerError: if `path` cannot be written, or exists and `overwrite` is False.
        """
        self._recording.begin(path, self._size, self.session, overwrite=overwrite)
        if not self.headless:
            self.choices = replace(self.choices, recording=True)

    def stop_recording(self) -> None:
        """Complete the recording in progress, and say which file it is or what failed."""
        self.choices = replace(self.choices, recording=False)
        try:
            file = self._recording.finish(self.session)
        except RecordingFailed as error:
            self.say(str(error), 2 * MESSAGE_SECONDS)
        else:
            self.say(f"saved {file.name}" if file else "nothing was recorded")

    def _stamp(self) -> Hashable:
        return (
            self.session.stamp,
            self.facts,
            self.choices,
            self._size,
            self._slide.fraction,
            self._clock_texts(),
        )

    def _clock_texts(self) -> Hashable:
        board = self.session.board
        if board is None or board.clocks is None or board.clocks.running < 0:
            return None
        return tuple(map(clock_text, board.clocks.at(self.clock())))

    # Interface for controls and commands

    def say(self, message: str, seconds: float = MESSAGE_SECONDS) -> None:
        """Show a line for a while, or until the next one."""
        self.choices = replace(self.choices, message=message)
        self._message_until = self.clock() + seconds

    def offers(self, overlay: Overlay) -> bool:
        """Whether the show has this overlay; if not, it is said."""
        if overlay not in self.facts.abilities:
            self.say(WITHOUT[overlay])
        return overlay in self.facts.abilities

    def show_grid(self, on: bool) -> None:
        """Show all worlds side by side, or the first one alone."""
        self.choices = replace(self.choices, grid=on)
        self.session.simulation.tell(Gesture("grid", on=on))

    def zoom(self, by: int) -> None:
        """Make all larger or smaller, or with 0 as the window asks for."""
        before, least = self.scale, STEPS[0]
        zoom = min(max(self.choices.zoom + by, least), STEPS[1]) if by else 0
        chosen, self.choices = self.choices, replace(self.choices, zoom=zoom)
        self._rescale()
        if by and self.scale == before:  # there is no room
            self.choices = chosen
        self.say(f"text {100 * self.scale / self._base:.0f} %")

    def snapshot(self) -> pygame.Surface:
        """Picture of the moment shown, without a message."""
        view = self.session.explained(self.view, self.choices)
        return self._screen.draw(self._size, replace(self.choices, message=""), view)

    def travel(self, goal: PlaylistEntry | str) -> None:
        """Go to another show, or say why there is none to go to."""
        if isinstance(goal, str):
            self.say(goal)
        else:
            self.switch(goal)

    def resize(self, size: tuple[int, int], scale: float) -> None:
        """Draw at another size in pixels, or for another display."""
        self._size, self._base = size, scale
        self._rescale()

    def _rescale(self) -> None:
        scale = zoomed(self._base, self.choices.zoom, self._size)
        if scale != self._screen.scale:
            self._screen = Screen(self.facts, scale)

    def point_at(self, name: str, hover: tuple[int, int] | None = None) -> None:
        """Tell which button is under the mouse, "" for none, and which chart; see `Choices.hover`."""
        if (name, hover) != (self.choices.pointed, self.choices.hover):
            self.choices = replace(self.choices, pointed=name, hover=hover)

    def touch(self, *, redraw: bool = False) -> None:
        """Stay awake for a while; with `redraw`, draw again although nothing has changed."""
        self._changed = self.clock()
        if redraw:
            self._drawn = None

    def layout(self) -> Layout:
        """The present layout."""
        return self._screen.layout(self._size, self.choices, self.view)

    def tell(self, gesture: Gesture) -> None:
        """Pass a gesture to the show; those that would change a past moment are refused."""
        if gesture.kind == "save":
            gesture = replace(gesture, x=self.session.number)
        if self.session.cursor is None or gesture.kind in ("save", "let_go"):
            self.session.simulation.tell(gesture)
        elif gesture.kind in TOUCHING:
            self.say("this is the past; Space goes back to now")

    def wants(self, name: str) -> bool:
        """Whether the picture takes the key of this name."""
        return bool(name) and name in self.session.asks

    def _heed(self, answer: Answer) -> None:
        """Show an answer's message, and write its document."""
        if answer.message:
            self.say(answer.message)
        if answer.document is not None:
            self.say(files.save_text(self.facts.title, *answer.document))
        if answer.copied is not None:
            self.say(files.copy_text(self.facts.title, *answer.copied))
