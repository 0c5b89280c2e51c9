"""Session of one show in the viewer: its facts, history, simulation thread, and the moment on display."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import replace
from functools import partial

from sim.records import Array
from sim.viewer.contract.board import BoardState
from sim.viewer.contract.gesture import Answer, Gesture
from sim.viewer.contract.show import PlaylistEntry, Show, frames_per_step
from sim.viewer.keymap import GameKeys
from sim.viewer.playback.attribution import Attributed
from sim.viewer.playback.history import History
from sim.viewer.playback.latest_worker import LatestWorker
from sim.viewer.playback.pending_percepts import Perceiver
from sim.viewer.playback.playlist import PlaylistPosition
from sim.viewer.playback.simulation import SimulationThread
from sim.viewer.playback.view import Choices, Facts, View

_STALE_SECONDS = 2.0  # how old what is drawn over a running show may be
_REST = 1.0  # seconds of rest a second of attribution, while the show goes on


class Session:
    """Viewer session of one show, from loading to closing.

    Args:
        show: to watch, or an entry that is made in the simulation's thread.
        tour: its position among other scenes and checkpoints.
        seed: of the first start.
        headless: see `viewer.Viewer`.
    """

    def __init__(
        self,
        show: Show | PlaylistEntry,
        tour: PlaylistPosition | None = None,
        *,
        seed: int | None = None,
        headless: bool = False,
    ) -> None:
        self._around = abilities = tour.abilities if tour else frozenset()
        place = tour.place if tour else ""
        self._tour = tour
        self._headless = headless
        self._told_sizes: tuple[tuple[int, int], ...] = ()
        if isinstance(show, PlaylistEntry):
            self.history = History()
            self._adopt(Facts.to_come(show.label, abilities, place))
        else:
            self.history = History(show.steps_per_second, frames_per_step=frames_per_step(show))
            self._adopt(Facts.of(show, abilities, place))
        self.simulation = SimulationThread(show, self.history, seed=seed, capped=not headless)
        self._attributor = LatestWorker[tuple[int, bool], Array]("attribution", rest=_REST)
        self._perceiver = Perceiver()
        self._told = ("", "")  # the checkpoint and the message of the last news
        self.cursor: int | None = None  # the moment shown; None: the newest
        self._filmed: int | None = None  # the moment that a recording waits for; None without one

    def _adopt(self, facts: Facts) -> None:
        self.facts = facts
        self.keys = GameKeys(facts.action_names)

    def has_loaded(self) -> bool:
        """True once, when an entry has been made into a show, whose facts are then known."""
        if not self.facts.loading or self.simulation.show is None:
            return False
        self._adopt(Facts.of(self.simulation.show, self._around, self.facts.place))
        return True

    @property
    def playable(self) -> bool:
        """Whether a person can play, with keys or on the picture."""
        return self.keys.playable or self.by_pointer

    @property
    def by_pointer(self) -> bool:
        """Whether a person plays with the mouse on the picture."""
        return "point" in self.facts.abilities

    @property
    def number(self) -> int:
        """Number of the moment shown; −1 while there is none."""
        newest = self.history.newest
        if self.cursor is None:
            return newest if self._filmed is None else min(self._filmed, newest)
        return self.cursor

    def film(self, number: int | None, every: int = 1) -> None:
        """Show every `every`-th moment from `number` on, without leaving one out; None: the newest again.

        The show does not run ahead of that.
        """
        self._filmed = number
        self.simulation.film(number, every)

    @property
    def view(self) -> View:
        """The moment to show now, with the history that led to it."""
        return self._perceiver.completed(self._remembered(), self._stale_frames)

    def _remembered(self) -> View:
        error = self.simulation.error
        words = "" if error is None else f"{type(error).__name__}: {error}"
        at, newest = self.cursor, self.cursor if self._headless else None
        if self._filmed is not None and at is None:
            at = newest = self.number
        view = self.history.view(at, words, newest=newest)
        return replace(view, pace=self.simulation.pace, doing=self.simulation.doing)

    @property
    def _stale_frames(self) -> int:
        return round(_STALE_SECONDS * self.facts.steps_per_second)

    @property
    def stamp(self) -> Hashable:
        """Cache key: all that the view depends on."""
        explained, perceived = self._attributor.done, self._perceiver.done
        past = self.number, self.history.newest, self.history.revision
        done = None if explained is None else explained.key, None if perceived is None else perceived.key
        return *past, repr(self.simulation.error), self.simulation.doing, *done

    def perceived(self, choices: Choices, *, exact: bool = False) -> View:
        """The view with percepts of its picture, or of one a little older, whose completion is asked for.

        `exact`: wait for those of the picture itself, as every frame of a recording has its own.
        """
        revision = self.history.revision
        view = self._remembered()
        still = choices.paused or self.cursor is not None
        self._perceiver.ask(view, revision, hurried=still or exact, wait=exact or self._headless)
        return self._perceiver.completed(view, self._stale_frames)

    def explained(self, view: View, choices: Choices) -> View:
        """The view with saliency maps of its decision, if they are switched on, as far as they are computed.

        While the show runs, maps of a recent moment are used, on a coarser grid; of a paused picture only
        its own.
        """
        if choices.saliency == "off" or view.moment is None or view.moment.attribution is None:
            return view
        still = choices.paused or self.cursor is not None
        work = partial(view.moment.attribution, not still)
        self._attributor.ask((view.number, not still), work, hurried=still)
        done = self._attributor.done
        oldest = view.number - (0 if still else self._stale_frames)
        style = choices.saliency, choices.saliency_opacity
        if done is None or not oldest <= done.key[0] <= view.number:
            return replace(view, attributed=Attributed(view.number, None, "", *style))
        return replace(view, attributed=Attributed(done.key[0], done.result, done.error, *style))

    def news(self) -> str:
        """The latest message about the followed run, once; "" if there is no new one."""
        learning = self.history.learning
        if learning is None or (learning.checkpoint, learning.message) == self._told:
            return ""
        self._told = learning.checkpoint, learning.message
        if self._tour is not None:
            self._tour.arrived(learning.checkpoint)
        return learning.message

    def close(self, *, wait: bool = True) -> None:
        """Stop the show, and what computes about it."""
        self._attributor.close(wait=wait)
        self._perceiver.close(wait=wait)
        self.simulation.close(wait=wait)

    @property
    def asks(self) -> tuple[str, ...]:
        """The keys that the newest picture asks for; none while the past is shown."""
        if self.cursor is not None or self.history.newest < 0:
            return ()
        asked = self.by_pointer or bool(self.facts.abilities & {"gallery", "analysis", "dream"})
        moment = self.history.view().moment if asked else None
        return moment.asks if moment is not None else ()

    @property
    def board(self) -> BoardState | None:
        """The board game in the moment shown; None without one."""
        return self.history.board(self.cursor) if "board" in self.facts.abilities else None

    def fit(self, size: tuple[int, int], tile: tuple[int, int]) -> None:
        """Tell the show the size of its picture's area, and of each in a grid, where that has changed."""
        if (size, tile) != self._told_sizes:
            self._told_sizes = (size, tile)
            self.simulation.tell(Gesture("resize", *size))
            if "worlds" in self.facts.abilities:
                self.simulation.tell(Gesture("tile", *tile))

    def go_to(self, number: int) -> None:
        """Show a remembered moment; the newest keeps following the simulation."""
        number = max(number, self.history.oldest)
        self.cursor = None if number >= self.history.newest else number

    def take_up(self, choices: Choices) -> None:
        """Apply speed, pause and grid as chosen before this show began."""
        self.simulation.set_speed(choices.speed)
        self.simulation.pause(choices.paused)
        if choices.grid:
            self.simulation.tell(Gesture("grid", on=True))

    def answers(self) -> list[Answer]:
        """The show's answers since the last call."""
        found = []
        while (answer := self.simulation.take_answer()) is not None:
            found.append(answer)
        return found
