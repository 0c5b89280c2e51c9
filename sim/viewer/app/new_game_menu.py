"""Mouse and keyboard input of the dialog "New game"; while it is open every key is its own."""

from __future__ import annotations

from dataclasses import replace

import pygame
from pygame import Rect

from sim.viewer.app.viewer import Viewer
from sim.viewer.contract.gesture import Gesture
from sim.viewer.draw.new_game import places
from sim.viewer.playback.view import NewGame

_STEPS = {pygame.K_LEFT: -1, pygame.K_RIGHT: 1}
_ROWS = {pygame.K_UP: -1, pygame.K_DOWN: 1}


class NewGameMenu:
    """The dialog of one viewer."""

    def __init__(self, viewer: Viewer) -> None:
        self._viewer = viewer

    @property
    def active(self) -> bool:
        """Whether it is open."""
        return self._viewer.choices.menu is not None

    def open(self) -> None:
        """Open the dialog, where the show has one."""
        game = self._viewer.view.game
        if "table" in self._viewer.facts.abilities and game is not None and game.offer is not None:
            self._show(NewGame.of(game.offer))

    def press(self, key: int) -> None:
        """Handle a key: arrows choose, Enter starts, Esc or N closes."""
        menu = self._viewer.choices.menu
        if menu is None:
            return
        if key in (pygame.K_ESCAPE, pygame.K_n):
            self._show(None)
        elif key in (pygame.K_RETURN, pygame.K_KP_ENTER):
            self._start(menu)
        elif key in _ROWS:
            self._show(menu.moved(_ROWS[key]))
        elif key in _STEPS:
            self._show(menu.stepped(_STEPS[key]))

    def click(self, at: tuple[int, int]) -> None:
        """Handle a click: on a choice, on a button, or beside the dialog, which closes it."""
        menu = self._viewer.choices.menu
        if menu is None:
            return
        found = places(Rect((0, 0), self._viewer.size), self._viewer.ink, menu)
        for row, index, rect in found.chips:
            if rect.collidepoint(at):
                self._show(menu.picked(row, index))
        if found.start.collidepoint(at):
            self._start(menu)
        elif found.cancel.collidepoint(at) or not found.card.collidepoint(at):
            self._show(None)

    def _start(self, menu: NewGame) -> None:
        """Begin the game that is asked for; from now on it is shown."""
        self._show(None)
        self._viewer.transport.return_to_newest()
        self._viewer.tell(Gesture("new_game", name=menu.asked))

    def _show(self, menu: NewGame | None) -> None:
        self._viewer.choices = replace(self._viewer.choices, menu=menu)
