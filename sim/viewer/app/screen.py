"""Drawing of the whole window: a pure function of facts, choices, view and size, with cached panels.

`Screen.draw` gives the same picture whatever was drawn before; it only skips panels whose content
is the same as last time.
"""

from __future__ import annotations

from collections.abc import Hashable

import pygame
from pygame import Rect

from sim.viewer.draw import hud
from sim.viewer.draw.layout import Layout, arrange
from sim.viewer.draw.new_game import draw_new_game
from sim.viewer.draw.scene_search import draw_scene_search
from sim.viewer.draw.text_box import draw_text_box
from sim.viewer.draw.theme import PALETTE, Ink, canvas
from sim.viewer.draw.toolbar import draw_tip, draw_tools, tools_of
from sim.viewer.keymap import Binding, GameKeys, help_lines
from sim.viewer.overlays import gallery_mosaic, saliency_overlay, subtitles, world_picture
from sim.viewer.panels.panels import draw_panel, needs, panels_for
from sim.viewer.playback.view import Choices, Facts, View


class Screen:
    """Renderer of the window for one show at one display scale.

    Args:
        facts: of the show.
        scale: pixels a length of 1 takes; text is 13, 16 and 22 times that.

    Attributes:
        drawn: the layout of the last drawing.
        subtitles: where it has captions and FENs; empty without any.
    """

    def __init__(self, facts: Facts, scale: float = 1.0) -> None:
        self._facts = facts
        self._keys = GameKeys(facts.action_names)
        self._ink = Ink(scale)
        self._surface = canvas((1, 1))
        self._tools = tools_of(facts)
        self.drawn: Layout | None = None
        self.subtitles = Rect(0, 0, 0, 0)
        self._cards: dict[int, tuple[Hashable, pygame.Surface]] = {}

    @property
    def scale(self) -> float:
        """Pixels a length of 1 takes."""
        return self._ink.scale

    @property
    def ink(self) -> Ink:
        """Text and shapes at this scale."""
        return self._ink

    def layout(self, size: tuple[int, int], choices: Choices, view: View) -> Layout:
        """Layout of a window of `size` pixels."""
        found = arrange(
            size,
            self.scale,
            needs(self._facts, view),
            choices.folded,
            self._tools,
            presents=choices.presents,
        )
        moment = view.moment
        if moment is None or choices.grid or not (choices.percepts and subtitles.has_text(moment.seen)):
            return found
        height, width = moment.pictures[0].shape[:2]
        placed = world_picture.place((width, height), found.world, whole=found.whole)
        spare = found.world.height - placed.height
        return found.with_foot(min(spare, self._ink.px(subtitles.FOOT)))

    def rooms(self, layout: Layout) -> tuple[tuple[int, int], tuple[int, int]]:
        """Sizes in pixels of the world's picture, and of each picture where all worlds are side by side."""
        return layout.world.size, world_picture.tile_size(self._ink, layout.world, self._facts.num_worlds)

    def draw(self, size: tuple[int, int], choices: Choices, view: View) -> pygame.Surface:
        """Draw a window of `size` pixels; the surface is valid until the next call."""
        if self._surface.get_size() != size:
            self._surface = canvas(size)
            self._cards.clear()
        surface, ink, layout = self._surface, self._ink, self.layout(size, choices, view)
        self.drawn = layout
        surface.fill(PALETTE.ground)
        self._draw_world(layout.world, choices, view)
        for number, rect in layout.panels.items():
            surface.blit(self._card(number, rect, choices, view), rect)
        hud.draw_bar(surface, ink, layout, self._facts, choices, view)
        draw_tools(surface, ink, layout, self._facts, choices)
        world = layout.world
        under = Rect(world.left, world.top, world.width, world.height + layout.foot)
        self._draw_lines(under, choices, view)
        if choices.box is not None:
            draw_text_box(surface, ink, under, choices.box)
        draw_tip(surface, ink, layout, self._facts, choices)
        if choices.menu is not None:
            draw_new_game(surface, ink, choices.menu)
        if choices.search is not None:
            draw_scene_search(surface, ink, choices.search)
        if choices.help:
            hud.draw_help(surface, ink, self._help(choices, view))
        return surface

    def _help(self, choices: Choices, view: View) -> list[Binding]:
        """Lines of the help: a past moment takes no keys, and while a game is paused none of them plays."""
        asks = view.moment.asks if view.moment is not None and view.number == view.newest else ()
        playing = choices.person and not choices.paused
        return help_lines(self._keys, self._facts.abilities, playing=playing, asks=asks)

    def _draw_world(self, area: Rect, choices: Choices, view: View) -> None:
        surface, ink = self._surface, self._ink
        if view.moment is not None and view.moment.page is not None:
            if not view.error:
                gallery_mosaic.draw_page(surface, ink, area, view, choices.message)
        elif view.moment is not None and choices.grid:
            world_picture.draw_grid(surface, ink, area, view)
        elif view.moment is not None:
            world_picture.draw_world(
                surface,
                ink,
                area,
                view,
                percepts=choices.percepts,
                analysis=choices.analysis,
                robot=choices.robot,
                still=choices.paused or view.number < view.newest,
                split=choices.split,
                divider=choices.divider,
                whole=not choices.presents,
            )
        elif not view.error:
            hud.draw_empty(surface, ink, area, self._facts, view.doing)
        if view.error:
            elsewhere = "scenes" in self._facts.abilities
            hud.draw_error(surface, ink, area, view.error, elsewhere=elsewhere)

    def _draw_lines(self, area: Rect, choices: Choices, view: View) -> None:
        """Draw the lines of text over the lower edge of the world, one above the other."""
        lines, row = [choices.message], 0
        self.subtitles = Rect(0, 0, 0, 0)
        if view.moment is not None and view.moment.page is not None and not view.error:
            return
        if view.moment is not None and not view.error and not choices.grid:
            lines.append(view.moment.caption)
            if choices.percepts:
                self.subtitles = subtitles.draw_subtitles(self._surface, self._ink, area, view.moment.seen)
                area = Rect(area.left, area.top, area.width, area.height - self.subtitles.height)
            if view.attributed is not None:
                saliency_overlay.draw_legend(self._surface, self._ink, area, view.attributed, view.number)
                row = 1
        for line in filter(None, lines):
            hud.draw_message(self._surface, self._ink, area, line, row)
            row += 1

    def _card(self, number: int, rect: Rect, choices: Choices, view: View) -> pygame.Surface:
        panel = panels_for(self._facts)[number]
        folded = number in choices.folded
        note = panel.note(self._facts, choices, view)
        key = (
            rect.size,
            folded,
            note,
            choices.pointed_at(number),
            None if folded else panel.key(self._facts, choices, view),
        )
        kept = self._cards.get(number)
        if kept is None or kept[0] != key:
            card = kept[1] if kept is not None and kept[1].get_size() == rect.size else canvas(rect.size)
            draw_panel(number, card, self._ink, self._facts, choices, view)
            self._cards[number] = kept = (key, card)
        return kept[1]
