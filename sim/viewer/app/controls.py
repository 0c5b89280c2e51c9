"""Event handling: pygame's keyboard, mouse and window events become commands of the viewer."""

from __future__ import annotations

import pygame

from sim.viewer.app.board_input import BoardInput
from sim.viewer.app.commands import Commands
from sim.viewer.app.divider_input import DividerInput
from sim.viewer.app.gallery_input import GalleryInput
from sim.viewer.app.new_game_menu import NewGameMenu
from sim.viewer.app.pointer import Pointer
from sim.viewer.app.scene_search import SceneSearchMenu
from sim.viewer.app.target_input import TargetInput
from sim.viewer.app.text_entry import TextEntry
from sim.viewer.app.viewer import Viewer
from sim.viewer.contract.gesture import Gesture
from sim.viewer.draw.layout import title_of
from sim.viewer.draw.toolbar import button_of
from sim.viewer.keymap import REPEATING, Command, command, controlled, key_name
from sim.viewer.panels import analysis_panels
from sim.viewer.panels.panels import CHARTS, inside_of

_CONTROL = pygame.KMOD_CTRL | pygame.KMOD_META


class Controls:
    """Keyboard and mouse input of one viewer."""

    def __init__(self, viewer: Viewer) -> None:
        self._viewer = viewer
        self._held: set[int] = set()  # keys that are down
        self._scrubbing = False
        self._commands = Commands(viewer)
        self._pointer = Pointer(viewer, self._commands)
        self._entry = TextEntry(viewer)
        self._hand = GalleryInput(viewer, self._entry)
        self._board = BoardInput(viewer)
        self._targets = TargetInput(viewer, self._entry)
        self._divider = DividerInput(viewer)
        self._menu = NewGameMenu(viewer)
        self._search = SceneSearchMenu(viewer)

    def handle(self, event: pygame.Event, mouse_scale: float = 1.0) -> None:
        """Handle one pygame event; `mouse_scale` is pixels a unit of its mouse positions."""
        self._viewer.touch(redraw=event.type == pygame.WINDOWEXPOSED)
        if event.type in (pygame.QUIT, pygame.WINDOWCLOSE):
            self._viewer.done = True
        elif event.type == pygame.KEYDOWN and _wants_to_quit(event):
            self._do(Command.QUIT)
        elif event.type == pygame.KEYDOWN and self._entry.active:
            self._entry.press(event)
        elif event.type == pygame.KEYDOWN and self._search.active:
            self._held.add(event.key)
            self._search.press(event)
        elif event.type == pygame.KEYDOWN and self._menu.active:
            self._held.add(event.key)
            self._menu.press(event.key)
        elif event.type == pygame.KEYDOWN:
            self._press(event.key, int(getattr(event, "mod", 0)))
        elif event.type == pygame.KEYUP:
            self._held.discard(event.key)
            self._viewer.person.hold(self._held)
        elif event.type == pygame.WINDOWFOCUSLOST:
            self._held.clear()
            self._viewer.person.hold(self._held)
            self._pointer.lose()
        elif event.type == pygame.MOUSEBUTTONDOWN and event.button == 1:
            self._click(_scaled(event.pos, mouse_scale), control=bool(pygame.key.get_mods() & _CONTROL))
        elif event.type == pygame.MOUSEBUTTONUP and event.button == 1:
            self._scrubbing = False
            self._pointer.release(_scaled(event.pos, mouse_scale))
            self._hand.release(_scaled(event.pos, mouse_scale))
            self._targets.release()
            self._divider.release()
        elif event.type == pygame.MOUSEMOTION and self._scrubbing:
            self._viewer.transport.scrub(_scaled(event.pos, mouse_scale)[0])
        elif event.type == pygame.WINDOWLEAVE:
            self._viewer.point_at("")
        elif event.type == pygame.MOUSEMOTION:
            self._point_at(_scaled(event.pos, mouse_scale))
            self._pointer.move(_scaled(event.pos, mouse_scale))
            self._hand.move(_scaled(event.pos, mouse_scale))
            self._targets.move(_scaled(event.pos, mouse_scale))
            self._divider.move(_scaled(event.pos, mouse_scale))
        elif event.type == pygame.MOUSEWHEEL:
            self._pointer.wheel(getattr(event, "precise_y", event.y))

    def _press(self, key: int, held: int) -> None:
        """Handle a key: when a person plays, the game's keys are its own, but Shift+digit is the window's."""
        shift = bool(held & pygame.KMOD_SHIFT)
        repeated = key in self._held
        self._held.add(key)
        if held & _CONTROL and (wanted := controlled(key, shift)):
            if not repeated:
                self._do(wanted)
            return
        choices, found = self._viewer.choices, command(key, shift)
        folds = shift and found is not None and found[0] is Command.PANEL
        name = key_name(key)
        if key == pygame.K_RETURN and not choices.help and not repeated and self._entry.begin():
            return
        if not choices.help and self._viewer.wants(name):
            if "gallery" in self._viewer.facts.abilities:
                self._hand.press_key(name, shift=shift)
            else:
                self._viewer.tell(Gesture("key", name=name, on=shift))
        elif choices.person and not choices.paused and not folds and self._viewer.keys.owns(key):
            self._viewer.person.hold(self._held, tapped=not repeated)
        elif found is not None and (not repeated or found[0] in REPEATING):
            self._do(*found)

    def _do(self, wanted: Command, number: int = 1) -> None:
        """Execute a command; those that open something of the window's own are dealt with here."""
        if wanted is Command.NEW_GAME:
            self._menu.open()
        elif wanted is Command.FIND_SCENE:
            self._search.open()
        elif wanted is Command.PASTE:
            self._entry.paste()
        elif wanted is Command.TYPE_VALUE:
            self._entry.begin_value()
        else:
            self._commands.do(wanted, number)

    def _click(self, at: tuple[int, int], *, control: bool) -> None:
        viewer = self._viewer
        if viewer.choices.help:
            self._commands.do(Command.HELP)
            return
        if self._search.active:
            self._search.click(at)
            return
        if self._menu.active:
            self._menu.click(at)
            return
        if "fen" in viewer.facts.abilities and viewer.subtitles.collidepoint(at):
            viewer.percepts.copy_fen()
            return
        layout = viewer.layout()
        in_gallery = "gallery" in viewer.facts.abilities
        for name, rect in layout.buttons.items():
            if rect.collidepoint(at) and (viewer.facts.played or name != "who"):
                self._do(button_of(name, viewer.facts).command)
        if in_gallery:
            self._hand.press(at)
        elif "analysis" in viewer.facts.abilities:
            self._click_analysis(at)
        elif "board" in viewer.facts.abilities and not layout.world.collidepoint(at):
            if (wanted := self._board.press(at)) is not None:
                self._do(wanted)
        elif layout.world.collidepoint(at) and self._divider.press(at):
            pass
        elif layout.world.collidepoint(at):
            self._pointer.press(at, control=control)
        else:
            self._targets.press(at)
        for number, rect in layout.panels.items():
            if title_of(rect, viewer.scale).collidepoint(at):
                self._commands.do(Command.PANEL, number)
        if layout.scrubber.collidepoint(at):
            self._scrubbing = True
            viewer.transport.scrub(at[0])

    def _point_at(self, at: tuple[int, int]) -> None:
        """Note the button, or the chart, under the mouse; none while something lies over all."""
        viewer = self._viewer
        if viewer.choices.help or self._search.active or self._menu.active:
            viewer.point_at("")
            return
        layout = viewer.layout()
        button = next((name for name, rect in layout.buttons.items() if rect.collidepoint(at)), "")
        panel = next((number for number, rect in layout.panels.items() if rect.collidepoint(at)), 0)
        charted = panel in CHARTS and panel not in viewer.choices.folded
        viewer.point_at(button, (panel, at[0] - layout.panels[panel].left) if charted else None)

    def _click_analysis(self, at: tuple[int, int]) -> None:
        """Go to the position of a move in the list, or of a point of the graph."""
        viewer, moment = self._viewer, self._viewer.view.moment
        for number, rect in viewer.layout().panels.items():
            if moment is None or moment.analysis is None or number in viewer.choices.folded:
                continue
            inside = inside_of(rect, viewer.ink)
            ply = analysis_panels.ply_at(number, inside, viewer.ink, moment.analysis, at)
            if ply is not None:
                viewer.tell(Gesture("seek", ply))


def _wants_to_quit(event: pygame.Event) -> bool:
    """Whether a key quits, whatever is open and whoever plays."""
    held = int(getattr(event, "mod", 0))
    with_control = held & (pygame.KMOD_CTRL | pygame.KMOD_META)
    return bool(with_control) and controlled(event.key, bool(held & pygame.KMOD_SHIFT)) is Command.QUIT


def _scaled(at: tuple[int, int], factor: float) -> tuple[int, int]:
    return round(at[0] * factor), round(at[1] * factor)
