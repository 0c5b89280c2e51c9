"""One show on the stage: its facts, its past, the thread that steps it, and the moment that is shown."""

from __future__ import annotations

from sim.viewer.history import History
from sim.viewer.keymap import GameKeys
from sim.viewer.show import Answer, Gesture, Listing, Show
from sim.viewer.simulation import Simulation
from sim.viewer.tour import Tour
from sim.viewer.view import Choices, Facts, View


class Act:
    """A show from its loading to its end.

    Args:
        show: what to watch, or a listing that is made in the simulation's thread.
        tour: where it stands among others.
        seed: of the first start.
        headless: see `viewer.Viewer`.
    """

    def __init__(
        self,
        show: Show | Listing,
        tour: Tour | None = None,
        *,
        seed: int | None = None,
        headless: bool = False,
    ) -> None:
        self._around = abilities = tour.abilities if tour else frozenset()
        place = tour.place if tour else ""
        self._headless = headless
        self._told_size = (0, 0)
        if isinstance(show, Listing):
            self.history = History()
            self._adopt(Facts.to_come(show.label, abilities, place))
        else:
            self.history = History(show.steps_per_second)
            self._adopt(Facts.of(show, abilities, place))
        self.simulation = Simulation(show, self.history, seed=seed, capped=not headless)
        self.cursor: int | None = None  # the moment shown; None: the newest

    def _adopt(self, facts: Facts) -> None:
        self.facts = facts
        self.keys = GameKeys(facts.action_names)

    def has_loaded(self) -> bool:
        """True once, when a listing has become a show, whose facts are then known."""
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
        """Whether a person plays on the picture."""
        return "point" in self.facts.abilities

    @property
    def number(self) -> int:
        """Of the moment shown; −1 while there is none."""
        return self.history.newest if self.cursor is None else self.cursor

    @property
    def view(self) -> View:
        """What is to be shown now."""
        error = self.simulation.error
        words = "" if error is None else f"{type(error).__name__}: {error}"
        return self.history.view(self.cursor, words, newest=self.cursor if self._headless else None)

    @property
    def stamp(self) -> tuple[int, int, int, str]:
        """What the view depends on."""
        return self.number, self.history.newest, self.history.revision, repr(self.simulation.error)

    @property
    def asks(self) -> tuple[str, ...]:
        """The keys that the newest picture asks for; none while the past is shown."""
        if self.cursor is not None or self.history.newest < 0:
            return ()
        moment = self.history.view().moment if self.by_pointer else None
        return moment.asks if moment is not None else ()

    def fit(self, size: tuple[int, int]) -> None:
        """Tell the show how much room its picture has, where that has changed."""
        if size != self._told_size:
            self._told_size = size
            self.simulation.tell(Gesture("resize", *size))

    def go_to(self, number: int) -> None:
        """Show a remembered moment; the newest follows what happens."""
        number = max(number, self.history.oldest)
        self.cursor = None if number >= self.history.newest else number

    def take_up(self, choices: Choices) -> None:
        """Go on as the person has chosen before this show began."""
        self.simulation.set_speed(choices.speed)
        self.simulation.pause(choices.paused)
        if choices.grid:
            self.simulation.tell(Gesture("grid", on=True))

    def answers(self) -> list[Answer]:
        """What the show has said since the last call."""
        found = []
        while (answer := self.simulation.take_answer()) is not None:
            found.append(answer)
        return found
