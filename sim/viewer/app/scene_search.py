"""Mouse and keyboard input of the list "Find a scene"; while it is open every key is its own."""

from __future__ import annotations

from dataclasses import replace

import pygame
from pygame import Rect

from sim.viewer.app.viewer import Viewer
from sim.viewer.draw.scene_search import rows
from sim.viewer.playback.view import SceneSearch

LONGEST = 60  # characters

_STEPS = {pygame.K_UP: -1, pygame.K_DOWN: 1, pygame.K_PAGEUP: -8, pygame.K_PAGEDOWN: 8}


class SceneSearchMenu:
    """The list of one viewer."""

    def __init__(self, viewer: Viewer) -> None:
        self._viewer = viewer

    @property
    def active(self) -> bool:
        """Whether it is open."""
        return self._viewer.choices.search is not None

    def open(self) -> None:
        """Open the list with the present scene chosen, where there are several."""
        if "scenes" in self._viewer.facts.abilities:
            viewer, scenes = self._viewer, self._viewer.playlist.scenes
            titles = [title for title, _ in scenes]
            here = titles.index(viewer.facts.title) if viewer.facts.title in titles else 0
            viewer.playlist.open_list()
            self._show(SceneSearch(scenes, row=here, posters=viewer.playlist.posters))

    def press(self, event: pygame.Event) -> None:
        """Handle a key: letters search, arrows choose, Enter goes there, Esc closes."""
        search = self._viewer.choices.search
        if search is None:
            return
        letter = getattr(event, "unicode", "")
        if event.key == pygame.K_ESCAPE:
            self._show(None)
        elif event.key in (pygame.K_RETURN, pygame.K_KP_ENTER):
            self._go(search)
        elif event.key in _STEPS:
            self._show(search.moved(_STEPS[event.key]))
        elif event.key == pygame.K_BACKSPACE:
            self._show(search.typed(search.query[:-1]))
        elif letter.isprintable() and letter:
            self._show(search.typed((search.query + letter)[:LONGEST]))

    def click(self, at: tuple[int, int]) -> None:
        """Handle a click: on a scene, which is gone to, or beside the list, which closes it."""
        search = self._viewer.choices.search
        if search is None:
            return
        card, shown = rows(Rect((0, 0), self._viewer.size), self._viewer.ink, search)
        for place, rect in shown:
            if rect.collidepoint(at):
                self._go(replace(search, row=place))
                return
        if not card.collidepoint(at):
            self._show(None)

    def _go(self, search: SceneSearch) -> None:
        if search.found:
            self._show(None)
            self._viewer.travel(self._viewer.playlist.to_scene_at(search.found[search.row]))

    def _show(self, search: SceneSearch | None) -> None:
        self._viewer.choices = replace(self._viewer.choices, search=search)
