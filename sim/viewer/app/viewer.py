"""The viewer without its window: commands change choices, and choices and history become a picture.

It needs no display, so tests and headless recordings drive the same object as the window does.
"""

from __future__ import annotations

import math
import random
import time
from collections.abc import Callable, Collection, Hashable
from dataclasses import replace
from pathlib import Path

import pygame

from sim.viewer.app.chart_export import save_charts
from sim.viewer.app.move_slide import MoveSlide
from sim.viewer.app.percept_commands import PerceptCommands
from sim.viewer.app.recording import Recording
from sim.viewer.app.screen import Screen
from sim.viewer.app.transport import Transport
from sim.viewer.contract.board import clock_text
from sim.viewer.contract.gesture import TOUCHING, Answer, Gesture
from sim.viewer.contract.show import Playlist, PlaylistEntry, Show
from sim.viewer.draw.layout import Layout
from sim.viewer.draw.scaling import STEPS, zoomed
from sim.viewer.draw.theme import Ink
from sim.viewer.errors import RecordingFailed, ViewerError
from sim.viewer.keymap import GESTURES, Command, GameKeys
from sim.viewer.output import files
from sim.viewer.output.sound_player import SoundPlayer
from sim.viewer.playback.playlist import PlaylistPosition
from sim.viewer.playback.session import Session
from sim.viewer.playback.simulation import SimulationThread
from sim.viewer.playback.view import WITHOUT, Choices, Facts, Overlay, SceneSearch, View

_MESSAGE_SECONDS = 4.0
_HINT_SECONDS = 3.0  # of how to play
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
        self._clock = clock
        self.choices = Choices()
        self.done = False
        self._size = size
        self._headless = headless
        self._seed = seed
        self._tour = PlaylistPosition(playlist or Playlist())
        self._past_returns: list[float] = []  # of shows that were left
        self._act = Session(show, self._tour, seed=self._seed, headless=self._headless)
        self._base = scale
        self._screen = Screen(self.facts, scale)
        self.transport = Transport(self)
        self.percepts = PerceptCommands(self)
        self._recording = Recording(headless=headless)
        self._player = SoundPlayer()
        self._held: frozenset[int] = frozenset()  # keys that are down
        self._last_action = 0
        self._message_until = 0.0
        self._changed = self._clock()
        self._drawn: Hashable = None  # what the last drawing depended on
        self._slide = MoveSlide(clock)
        self._hint, self._person_first = hint, person
        self._opened = not self.facts.loading
        if self._opened:
            self._begin()

    def _begin(self) -> None:
        """Greet, and let the person play who is to play first: the first show is known."""
        self._opened = True
        if "analysis" in self.facts.abilities and not self._headless:  # read at the reader's own pace
            self.transport.set_paused(True)
        self._pair_up()
        if self._hint is not None:
            self._say(self._hint(self.facts), 3 * _MESSAGE_SECONDS)
        if self._person_first:
            self._handover(0)

    # The run of the show

    @property
    def facts(self) -> Facts:
        """Constants of the show."""
        return self._act.facts

    @property
    def keys(self) -> GameKeys:
        """The keys that play the show."""
        return self._act.keys

    def open(self) -> None:
        """Start the simulation."""
        self._act.fit(*self._screen.rooms(self.layout()))
        self._act.simulation.open()

    def close(self) -> Path | None:
        """Stop the simulation and complete a recording in progress; returns the last one's file.

        It may be called again where Ctrl-C has struck in it.

        Raises:
            RecordingFailed: if the recording failed.
        """
        self._player.close()
        self._tour.close()
        self._act.close()
        self.choices = replace(self.choices, recording=False)
        return self._recording.finish(self._act)

    def switch(self, show: PlaylistEntry) -> None:
        """Leave the show for another one, which loads while the window goes on."""
        if self._recording.active:
            self._toggle_recording(0)
        self._player.stop()
        self._past_returns += self._act.history.returns(self._act.history.newest)
        self._act.close(wait=False)
        self._opened = True
        self._say("")  # it was about the show that is left
        self._act = Session(show, self._tour, seed=self._seed, headless=self._headless)
        self._screen = Screen(self.facts, self.scale)
        self._act.take_up(self.choices)
        self.open()

    def _settle_in(self) -> None:
        """Use the facts of a show that has loaded."""
        self._screen = Screen(self.facts, self.scale)
        self.choices = self.choices.fitting(self.facts, playable=self._act.playable)
        self._act.take_up(self.choices)
        self._pair_up()
        self._take_control()
        if not self._opened:
            self._begin()

    @property
    def opened(self) -> bool:
        """Whether the first show has been made, or left for another one."""
        return self._opened

    def _pair_up(self) -> None:
        """Show both where two agents are side by side."""
        if "pair" in self.facts.abilities and not self.choices.grid:
            self._grid(0)

    @property
    def session(self) -> Session:
        """The show on display."""
        return self._act

    @property
    def error(self) -> Exception | None:
        """What the show raised, unless it has been started again since."""
        return self._act.simulation.error

    @property
    def simulation(self) -> SimulationThread:
        """The thread that steps the show."""
        return self._act.simulation

    @property
    def view(self) -> View:
        """The moment to show now, with the history that led to it."""
        return self._act.view

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
    def awake(self) -> bool:
        """Whether the picture may change soon without any input."""
        running = not self.choices.paused and self.error is None or self._slide.fraction < 1
        running |= self.transport.loops
        return running or bool(self.choices.message) or self._clock() - self._changed < _AWAKE_SECONDS

    @property
    def calm(self) -> bool:
        """Whether nothing has changed for a while, though it may at any time."""
        return self._clock() - self._changed > _AWAKE_SECONDS

    def advance(self) -> bool:
        """Update from the simulation; True if there is something new to draw.

        Headless, wait for the next moment and go to it, so that none is left out.
        """
        if self._headless:
            number = -1 if self._act.cursor is None else self._act.cursor
            if not self._act.simulation.wait_for(number + 1, 0.1):
                return False
            self._act.cursor = number + 1
            self._act.simulation.shown(number + 1)
            return True
        if self._act.has_loaded():
            self._settle_in()
        for answer in self._act.answers():
            self._heed(answer)
        if news := self._act.news():
            self._say(news)
        if self.choices.message and self._clock() > self._message_until:
            self.choices = replace(self.choices, message="")
        self.transport.play_loop(self._clock())
        self._slide.follow(self._act)
        if self.choices.search is not None and self.choices.search.posters != self._tour.posters:
            search = replace(self.choices.search, posters=self._tour.posters)
            self.choices = replace(self.choices, search=search)
        if self._stamp() == self._drawn:
            return False
        self._changed = self._clock()
        return True

    def draw(self) -> pygame.Surface:
        """Draw, and record if recording; the surface is valid until the next call."""
        self._drawn = self._stamp()
        filmed = self._recording.active
        seen = self._act.perceived(self.choices, exact=filmed)
        slid = 1.0 if filmed else self._slide.fraction
        view = replace(self._act.explained(seen, self.choices), slid=slid, now=self._clock())
        surface = self._screen.draw(self._size, self.choices, view)
        if self._screen.drawn is not None:
            self._act.fit(*self._screen.rooms(self._screen.drawn))
        if trouble := self._recording.add(surface, view.number, self._act):
            self.choices = replace(self.choices, recording=False)
            self._say(trouble, 2 * _MESSAGE_SECONDS)
        return surface

    def ended(self) -> list[float]:
        """The scores of all episodes that ended by the moment shown, without those with a push."""
        return self._past_returns + self._act.history.returns(self._act.number)

    def record(self, path: Path, *, overwrite: bool = False) -> None:
        """Record from the moment shown on; the show waits for its pictures, so that none is left out.

        Raises:
            ViewerError: if `path` cannot be written, or exists and `overwrite` is False.
        """
        self._recording.begin(path, self._size, self._act, overwrite=overwrite)
        if not self._headless:
            self.choices = replace(self.choices, recording=True)

    def _stamp(self) -> Hashable:
        return (
            self._act.stamp,
            self.facts,
            self.choices,
            self._size,
            self._slide.fraction,
            self._clock_texts(),
        )

    def _clock_texts(self) -> Hashable:
        board = self._act.board
        if board is None or board.clocks is None or board.clocks.running < 0:
            return None
        return tuple(map(clock_text, board.clocks.at(self._clock())))

    def _say(self, message: str, seconds: float = _MESSAGE_SECONDS) -> None:
        self.choices = replace(self.choices, message=message)
        self._message_until = self._clock() + seconds

    # Interface for the controls

    def prompt(self, message: str, *, lasting: bool = True) -> None:
        """Show a line until the next one, or for a while."""
        self._say(message, math.inf if lasting else _MESSAGE_SECONDS)

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
        self._changed = self._clock()
        if redraw:
            self._drawn = None

    def layout(self) -> Layout:
        """The present layout."""
        return self._screen.layout(self._size, self.choices, self.view)

    def hold(self, keys: Collection[int], *, tapped: bool = False) -> None:
        """Play the action of the held keys, if a person plays; `tapped`: at least for one step."""
        self._held = frozenset(keys)
        if self.choices.person and self.keys.playable:
            self._last_action = self.keys.action(self._held, self._last_action)
            self._act.simulation.set_person(self._last_action, tapped=tapped)
        else:
            self._act.simulation.set_person(None)

    def tell(self, gesture: Gesture) -> None:
        """Pass a gesture to the show; those that would change a past moment are refused."""
        if gesture.kind == "save":
            gesture = replace(gesture, x=self._act.number)
        if self._act.cursor is None or gesture.kind in ("save", "let_go"):
            self._act.simulation.tell(gesture)
        elif gesture.kind in TOUCHING:
            self._say("this is the past; Space goes back to now")

    def wants(self, name: str) -> bool:
        """Whether the picture takes the key of this name."""
        return bool(name) and name in self._act.asks

    def _heed(self, answer: Answer) -> None:
        """Show an answer's message, and write its document."""
        if answer.message:
            self._say(answer.message)
        if answer.document is not None:
            self._say(files.save_text(self.facts.title, *answer.document))
        if answer.copied is not None:
            self._say(files.copy_text(self.facts.title, *answer.copied))

    # Commands

    def do(self, wanted: Command, number: int = 1) -> None:
        """Execute a command; `number` is the panel's, or how many steps."""
        if wanted is Command.FLIP and "robot" in self.facts.abilities:
            wanted = Command.ROBOT
        if wanted is Command.SAVE and "episode" in self.facts.abilities:
            wanted = Command.SAVE_EPISODE
        obey: dict[Command, Callable[[int], None]] = {
            Command.PAUSE: lambda number: self._toggle_pause(),
            Command.FORWARD: self.transport.forward,
            Command.BACK: self.transport.back,
            Command.NEXT_EVENT: lambda number: self.transport.jump(+1),
            Command.PREVIOUS_EVENT: lambda number: self.transport.jump(-1),
            Command.LOOP: lambda number: self.transport.mark(self._clock()),
            Command.SLOWER: lambda number: self.transport.change_speed(-1),
            Command.FASTER: lambda number: self.transport.change_speed(+1),
            Command.GRID: self._grid,
            Command.SALIENCY: lambda number: self._explain(Choices.with_next_saliency),
            Command.SALIENCY_STRENGTH: lambda number: self._explain(Choices.with_next_opacity),
            Command.PERCEPTS: lambda number: self.percepts.toggle(),
            Command.SPLIT: lambda number: self.percepts.split(Choices.with_next_split),
            Command.DIVIDER: self.percepts.move_divider,
            Command.ROBOT: lambda number: self._toggle_robot(),
            Command.SOUND: lambda number: self._toggle_sound(),
            Command.PRESENT: lambda number: self._present(),
            Command.LARGER: lambda number: self._zoom(+1),
            Command.SMALLER: lambda number: self._zoom(-1),
            Command.USUAL_SIZE: lambda number: self._zoom(0),
            Command.HANDOVER: self._handover,
            Command.RESET: self._reset,
            Command.NEW_SEED: self._new_seed,
            Command.PANEL: self._fold,
            Command.SCREENSHOT: self._screenshot,
            Command.RECORD: self._toggle_recording,
            Command.EXPORT: lambda number: self._say(save_charts(self.facts, self.choices, self.view)),
            Command.NEXT_SCENE: lambda number: self._travel(self._tour.to_scene(+1)),
            Command.PREVIOUS_SCENE: lambda number: self._travel(self._tour.to_scene(-1)),
            Command.NEXT_CHECKPOINT: lambda number: self._travel(self._tour.to_checkpoint(+1)),
            Command.PREVIOUS_CHECKPOINT: lambda number: self._travel(self._tour.to_checkpoint(-1)),
            Command.HELP: lambda number: self._choose_help(),
            Command.LEAVE: lambda number: self._leave(),
            Command.QUIT: lambda number: self._quit(),
        }
        if wanted is Command.COPY_FEN and "table" not in self.facts.abilities:
            self.percepts.copy_fen()
        elif wanted in GESTURES:
            needs, gestures = GESTURES[wanted]
            if needs in self.facts.abilities:
                self.tell(gestures[min(number, len(gestures)) - 1])
        else:
            obey[wanted](number)

    @property
    def scenes(self) -> tuple[tuple[str, str], ...]:
        """Title of each scene that can be gone to, and a line about it."""
        return self._tour.scenes

    def find_scene(self) -> None:
        """Open the list of scenes, with the present one chosen."""
        titles = [title for title, _ in self.scenes]
        row = titles.index(self.facts.title) if self.facts.title in titles else 0
        self._tour.open_list()
        search = SceneSearch(self.scenes, row=row, posters=self._tour.posters)
        self.choices = replace(self.choices, search=search)

    def go_to_scene(self, index: int) -> None:
        """Go to one of the `scenes`."""
        self._travel(self._tour.to_scene_at(index))

    def _travel(self, goal: PlaylistEntry | str) -> None:
        if isinstance(goal, str):
            self._say(goal)
        else:
            self.switch(goal)

    def _toggle_pause(self) -> None:
        self.transport.toggle_pause()
        if not self.choices.paused:
            self._player.stop()

    def _grid(self, number: int) -> None:
        if self.facts.num_worlds > 1 or self.choices.grid:
            self.choices = replace(self.choices, grid=not self.choices.grid)
            self._act.simulation.tell(Gesture("grid", on=self.choices.grid))
        else:
            self._say("there is only one world in this show")

    def offers(self, overlay: Overlay) -> bool:
        """Whether the show has this overlay; if not, it is said."""
        if overlay not in self.facts.abilities:
            self._say(WITHOUT[overlay])
        return overlay in self.facts.abilities

    def _explain(self, changed: Callable[[Choices], Choices]) -> None:
        if self.offers("saliency"):
            self.choices = changed(self.choices)

    def _toggle_robot(self) -> None:
        """Show or hide what acts on a robot; to be shown, it takes the place of percepts."""
        if self.offers("robot"):
            chosen = self.choices
            covered = chosen.percepts and "percepts" in self.facts.abilities
            shown = chosen.robot and not covered
            self.choices = replace(chosen, robot=not shown, percepts=chosen.percepts and not covered)

    def _toggle_sound(self) -> None:
        """Pause and play the sound of the moment shown, or stop it."""
        sound = None if self.view.moment is None else self.view.moment.sound
        if self._player.playing:
            self._player.stop()
            self._say("")
        elif sound is not None:
            self.transport.set_paused(True)
            try:
                self._player.play(sound)
            except pygame.error as error:
                self._say(f"no sound can be played here: {error}")
            else:
                self._say(f"playing {sound.seconds:.0f} s of sound; A stops, Space goes on", sound.seconds)
        elif "sound" in self.facts.abilities:
            self._say("there is no sound to play yet")

    def _handover(self, number: int) -> None:
        if not self.facts.played:
            self._say("nobody plays here; H shows all keys")
            return
        by_hand = self.keys.playable if self._headless else self._act.playable
        if not self.choices.person and not by_hand:
            self._say("this world's actions have no keys: the agent goes on")
            return
        self.choices = replace(self.choices, person=not self.choices.person)
        self._take_control()
        if self.choices.person:
            how = "click or drag" if self._act.by_pointer else self.keys.described()
            self._say(f"you play: {how}; M hands back", _HINT_SECONDS)

    def _take_control(self) -> None:
        """Tell the simulation, and the show, who plays."""
        self.hold(self._held)
        self._act.simulation.tell(Gesture("person", on=self.choices.person))

    def _reset(self, number: int) -> None:
        self.transport.unloop()
        self._act.cursor = None
        self._act.simulation.restart(self._seed)
        self._say("started again" if self._seed is None else f"started again from seed {self._seed}")

    def _new_seed(self, number: int) -> None:
        if "replay" in self.facts.abilities:
            self._say("a replay has its own seed; R plays it again")
            return
        self._seed = random.SystemRandom().randrange(2**31) if self._seed is None else self._seed + 1
        self._reset(number)

    def _fold(self, number: int) -> None:
        if number not in self.layout().panels:
            empty = number in (3, 5, 7, 8, 9)
            self._say(f"panel {number} has nothing to show" if empty else "no room for that panel")
            return
        self.choices = replace(self.choices, folded=self.choices.folded ^ {number})

    def _screenshot(self, number: int) -> None:
        view = self._act.explained(self.view, self.choices)
        picture = self._screen.draw(self._size, replace(self.choices, message=""), view)
        self._say(files.save_picture(self.facts.title, picture))

    def _toggle_recording(self, number: int) -> None:
        if self.facts.loading:
            self._say("nothing to record yet")
            return
        try:
            if not self._recording.active:
                self.record(Path(f"{files.stem(self.facts.title)}.mp4"))
                self._say("recording; V stops")
            else:
                self.choices = replace(self.choices, recording=False)
                file = self._recording.finish(self._act)
                self._say(f"saved {file.name}" if file else "nothing was recorded")
        except (ViewerError, RecordingFailed) as error:
            self._say(str(error), 2 * _MESSAGE_SECONDS)

    def _quit(self) -> None:
        self.done = True

    def _leave(self) -> None:
        """Go back one step, and never out of the window."""
        if self.choices.help:
            self._choose_help()
        elif self.choices.grid:
            self._grid(0)
        elif self._act.cursor is not None:
            self.transport.return_to_newest()
        elif self.choices.presents:
            self._present()
        else:
            self._say("nothing to go back to · Ctrl+Q quits")

    def _present(self) -> None:
        """Begin or end the presentation; the window follows with the full screen."""
        self.choices = replace(self.choices, presents=not self.choices.presents)

    def _zoom(self, by: int) -> None:
        """Make all larger or smaller, or with 0 as the window asks for."""
        before, least = self.scale, STEPS[0]
        zoom = min(max(self.choices.zoom + by, least), STEPS[1]) if by else 0
        chosen, self.choices = self.choices, replace(self.choices, zoom=zoom)
        self._rescale()
        if by and self.scale == before:  # there is no room
            self.choices = chosen
        self._say(f"text {100 * self.scale / self._base:.0f} %")

    def _choose_help(self) -> None:
        self.choices = replace(self.choices, help=not self.choices.help)
