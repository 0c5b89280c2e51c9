"""Commands about percepts: shown or hidden, in a split view, the FEN that is read copied."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Protocol

from sim.viewer.output import files
from sim.viewer.playback.session import Session
from sim.viewer.playback.view import Choices, Overlay

STEP = 0.05  # of the picture's width that a key moves the divider


class ShowsPercepts(Protocol):
    """What shows percepts: a `sim.viewer.app.viewer.Viewer`."""

    choices: Choices
    session: Session

    def offers(self, overlay: Overlay) -> bool:
        """Whether the show has this overlay; if not, it is said."""

    def say(self, message: str, seconds: float = ...) -> None:
        """Show a line for a while."""


class PerceptCommands:
    """Commands of one viewer about the percepts of its show."""

    def __init__(self, viewer: ShowsPercepts) -> None:
        self._viewer = viewer

    def toggle(self) -> None:
        """Show or hide percepts, and what a board game's analysis draws."""
        viewer = self._viewer
        if "board" in viewer.session.facts.abilities:
            viewer.choices = replace(viewer.choices, analysis=not viewer.choices.analysis)
            if "percepts" not in viewer.session.facts.abilities:
                viewer.say("")
                return
        if viewer.offers("percepts"):
            viewer.choices = replace(viewer.choices, percepts=not viewer.choices.percepts)

    def split(self, changed: Callable[[Choices], Choices]) -> None:
        """Change the split view, where a percept has a value for every pixel."""
        if self._viewer.offers("dense"):
            self._viewer.choices = changed(self._viewer.choices)

    def move_divider(self, number: int) -> None:
        """Move the divider of the split view: 1 to the right, else to the left."""
        by = STEP if number == 1 else -STEP
        self.split(lambda chosen: chosen.with_divider(chosen.divider + by))

    def copy_fen(self) -> None:
        """Copy the FEN that a perception reads from the moment shown."""
        viewer = self._viewer
        if not viewer.offers("fen"):
            return
        moment = viewer.session.perceived(viewer.choices, exact=False).moment
        fens = [one.percept.fen for one in moment.seen if one.percept.fen] if moment is not None else []
        copied = (
            files.copy_text(viewer.session.facts.title, ".fen", fens[0]) if fens else "no board is read yet"
        )
        viewer.say(copied)
