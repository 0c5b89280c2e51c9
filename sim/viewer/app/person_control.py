"""Control of a show by a person: keys held are actions, and the agent is handed over to and back."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from typing import Protocol

from sim.viewer.contract.gesture import Gesture
from sim.viewer.playback.session import Session
from sim.viewer.playback.view import Choices

_HINT_SECONDS = 3.0  # of how to play


class HasPerson(Protocol):
    """What a person may play in: a `sim.viewer.app.viewer.Viewer`."""

    choices: Choices
    session: Session
    headless: bool

    def say(self, message: str, seconds: float = ...) -> None:
        """Show a line for a while."""


class PersonControl:
    """Control of one viewer's show by a person."""

    def __init__(self, viewer: HasPerson) -> None:
        self._viewer = viewer
        self._held: frozenset[int] = frozenset()  # keys that are down
        self._last_action = 0

    def hold(self, held: Collection[int], *, tapped: bool = False) -> None:
        """Play the action of the held keys, if a person plays; `tapped`: at least for one step."""
        self._held = frozenset(held)
        keys, simulation = self._viewer.session.keys, self._viewer.session.simulation
        if self._viewer.choices.person and keys.playable:
            self._last_action = keys.action(self._held, self._last_action)
            simulation.set_person(self._last_action, tapped=tapped)
        else:
            simulation.set_person(None)

    def hand_over(self) -> None:
        """Let the person play, or the agent again."""
        viewer, session = self._viewer, self._viewer.session
        if not session.facts.played:
            viewer.say("nobody plays here; H shows all keys")
            return
        by_hand = session.keys.playable if viewer.headless else session.playable
        if not viewer.choices.person and not by_hand:
            viewer.say("this world's actions have no keys: the agent goes on")
            return
        viewer.choices = replace(viewer.choices, person=not viewer.choices.person)
        self.take_effect()
        if viewer.choices.person:
            how = "click or drag" if session.by_pointer else session.keys.described()
            viewer.say(f"you play: {how}; M hands back", _HINT_SECONDS)

    def take_effect(self) -> None:
        """Tell the simulation, and the show, who plays."""
        self.hold(self._held)
        self._viewer.session.simulation.tell(Gesture("person", on=self._viewer.choices.person))
