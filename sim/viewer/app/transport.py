"""Transport of a viewer: pause, single steps, speed, and moments of the past."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Protocol

from sim.viewer.contract.gesture import Gesture
from sim.viewer.draw import hud
from sim.viewer.draw.layout import Layout
from sim.viewer.playback.session import Session
from sim.viewer.playback.view import Choices

SPEEDS = (0.125, 0.25, 0.5, 1.0, 2.0, 4.0, 8.0, 16.0)


class HasTransport(Protocol):
    """What has a transport: a `sim.viewer.app.viewer.Viewer`."""

    choices: Choices
    session: Session
    clock: Callable[[], float]

    def layout(self) -> Layout:
        """The present layout."""

    def say(self, message: str, seconds: float = ...) -> None:
        """Show a line for a while."""

    def tell(self, gesture: Gesture) -> None:
        """Pass a gesture to the show."""


class Transport:
    """Transport of one viewer, whatever show it has on."""

    def __init__(self, viewer: HasTransport) -> None:
        self._viewer = viewer
        self._browsing = False  # paused only because the past is looked at
        self._loop_began = 0.0  # time of the first moment of the loop

    @property
    def _abilities(self) -> frozenset[str]:
        return self._viewer.session.facts.abilities

    def set_paused(self, paused: bool) -> None:
        """Pause, or resume."""
        viewer = self._viewer
        self._browsing &= paused
        if not paused:
            self.unloop()
        if paused != viewer.choices.paused:
            viewer.choices = replace(viewer.choices, paused=paused)
            viewer.session.simulation.pause(paused)
            if "table" in self._abilities:
                viewer.session.simulation.tell(Gesture("hold", on=paused))

    def toggle_pause(self) -> None:
        """Pause, or go on from the newest moment."""
        self.set_paused(not self._viewer.choices.paused)
        if not self._viewer.choices.paused:
            self._viewer.session.cursor = None

    def pause(self) -> None:
        """Pause at the newest moment."""
        self.set_paused(True)
        self._viewer.session.cursor = None

    def forward(self, steps: int) -> None:
        """Pause; paused, go on by `steps` of the past, or take one more step."""
        session = self._viewer.session
        self.unloop()
        if "analysis" in self._abilities:
            self.set_paused(True)
            self._viewer.tell(Gesture("key", name="right", on=steps > 1))
        elif not self._viewer.choices.paused:
            self.set_paused(True)
        elif session.cursor is not None:
            session.go_to(session.cursor + steps)
            self._resume_at_newest()
        else:
            session.simulation.step_once()

    def back(self, steps: int) -> None:
        """Pause, and go back by `steps`."""
        session = self._viewer.session
        self.unloop()
        if "table" in self._abilities:
            self.visit(session.number - steps)
            return
        self.set_paused(True)
        if "analysis" in self._abilities:
            self._viewer.tell(Gesture("key", name="left", on=steps > 1))
        else:
            session.go_to(session.number - steps)

    def visit(self, number: int) -> None:
        """Go to a moment; the newest one goes on, unless it was paused before."""
        self.unloop()
        if not self._viewer.choices.paused:
            self._browsing = True
            self.set_paused(True)
        self._viewer.session.go_to(number)
        self._resume_at_newest()

    def scrub(self, x: int) -> None:
        """Pause, and go to the moment at `x` pixels on the track."""
        self.unloop()
        self.set_paused(True)
        track, session = self._viewer.layout().scrubber, self._viewer.session
        view = session.view
        if view.moment is not None and view.moment.analysis is not None:
            self._viewer.tell(Gesture("seek", hud.ply_at(track, x, view.moment.analysis)))
        else:
            session.go_to(hud.number_at(track, x, view))

    def return_to_newest(self) -> None:
        """Show the newest moment, and go on if only a look at the past had paused."""
        self.unloop()
        self._viewer.session.cursor = None
        self._resume_at_newest()

    def _resume_at_newest(self) -> None:
        if self._browsing and self._viewer.session.cursor is None:
            self.set_paused(False)

    def jump(self, way: int) -> None:
        """Go to the next reward or surprise that is remembered, or with −1 to the previous one.

        Where there are none, go ten steps.
        """
        session = self._viewer.session
        if "events" not in self._abilities:
            (self.forward if way > 0 else self.back)(10)
            return
        here = session.number
        found = [event for event in session.history.events() if (event.number - here) * way > 0]
        if not found:
            later = "later" if way > 0 else "earlier"
            self._viewer.say(f"no {later} reward or surprise is remembered")
            return
        event = found[0] if way > 0 else found[-1]
        self.visit(event.number)
        self._viewer.say(event.words)

    @property
    def loops(self) -> bool:
        """Whether a segment is played again and again."""
        loop = self._viewer.choices.loop
        return loop is not None and loop[0] < loop[1]

    def mark(self) -> None:
        """Begin a segment at the moment shown, end it there and play it again and again, or stop that."""
        viewer, number = self._viewer, self._viewer.session.number
        loop = viewer.choices.loop
        if "events" not in self._abilities or number < 0:
            viewer.say("there is nothing to loop")
        elif loop is None:
            viewer.choices = replace(viewer.choices, loop=(number, number))
            viewer.say("a loop begins here; B again where it ends")
        elif self.loops or loop[0] == number:
            self.unloop()
            viewer.say("no loop")
        else:
            first, last = sorted((loop[0], number))
            self.visit(max(first, viewer.session.history.oldest))
            viewer.choices = replace(viewer.choices, loop=(first, last))
            self._loop_began = viewer.clock()
            viewer.say("B or Space ends the loop")

    def play_loop(self) -> None:
        """Go to the moment of the loop, if there is one, that is due now."""
        loop, session = self._viewer.choices.loop, self._viewer.session
        if loop is None or not self.loops:
            return
        gone = self._viewer.clock() - self._loop_began
        gone *= session.facts.steps_per_second * self._viewer.choices.speed
        session.go_to(loop[0] + int(gone) % (loop[1] + 1 - loop[0]))

    def unloop(self) -> None:
        """Forget a loop that plays; one whose end is still to be chosen stays."""
        if self.loops:
            self._viewer.choices = replace(self._viewer.choices, loop=None)

    def change_speed(self, by: int) -> None:
        """Take the speed that is `by` places faster."""
        index = min(max(SPEEDS.index(self._viewer.choices.speed) + by, 0), len(SPEEDS) - 1)
        self._viewer.choices = replace(self._viewer.choices, speed=SPEEDS[index])
        self._viewer.session.simulation.set_speed(SPEEDS[index])
