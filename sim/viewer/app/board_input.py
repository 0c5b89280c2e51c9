"""Mouse input on the panels of a board game: a click on a move shows its position, and buttons work."""

from __future__ import annotations

from sim.viewer.app.viewer import Viewer
from sim.viewer.draw import layout
from sim.viewer.keymap import Command
from sim.viewer.panels import moves_panel, panels


class BoardInput:
    """Mouse input on the moves panel of one viewer."""

    def __init__(self, viewer: Viewer) -> None:
        self._viewer = viewer

    def press(self, at: tuple[int, int]) -> Command | None:
        """The button goes down; returns the command of what it hit."""
        viewer = self._viewer
        rect = viewer.layout().panels.get(layout.MOVES)
        if rect is None or layout.MOVES in viewer.choices.folded or not rect.collidepoint(at):
            return None
        inside = panels.inside_of(rect, viewer.ink)
        for command, place in moves_panel.buttons(inside, viewer.ink, viewer.facts).items():
            if place.collidepoint(at):
                return command
        moment = moves_panel.move_at(inside, viewer.ink, viewer.view, at)
        if moment is not None:
            viewer.transport.visit(moment)
        return None
