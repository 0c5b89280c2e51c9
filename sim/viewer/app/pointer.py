"""Mouse input on the world's picture: pixels of the window become gestures of the show."""

from __future__ import annotations

import time
from collections.abc import Callable

from pygame import Rect

from sim.viewer.app.commands import Commands
from sim.viewer.app.viewer import Viewer
from sim.viewer.contract.gesture import Gesture
from sim.viewer.keymap import Command
from sim.viewer.overlays import world_picture

_STILL = 4  # pixels at scale 1 within which a press and its release are a click
_WHEEL = 1.15  # zoom a notch
_DOUBLE_SECONDS = 0.4  # between the presses of a double-click


class Pointer:
    """The mouse over one viewer's world: plays a show that is played by pointer, else orbits or clicks."""

    def __init__(
        self, viewer: Viewer, commands: Commands, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._viewer, self._commands = viewer, commands
        self._clock = clock
        self._pressed: tuple[int, int] | None = None
        self._pressed_at = -1.0  # seconds
        self._last = (0, 0)
        self._turning = self._pushing = False

    def press(self, at: tuple[int, int], *, control: bool = False) -> None:
        """The button goes down over the world; `control`: with Ctrl."""
        abilities = self._viewer.facts.abilities
        again = self._clock() - self._pressed_at < _DOUBLE_SECONDS and self._is_near(self._last, at)
        self._pressed = self._last = at
        self._pressed_at = -1.0 if again else self._clock()
        self._turning = self._pushing = False
        if self._viewer.choices.grid or not abilities & {"point", "orbit"}:
            self._commands.do(Command.GRID)
            self._pressed = None
        elif "point" in abilities:
            self._point("press", at)
        elif control and "robot" in abilities:
            self._pushing = True
            self._push(at, begins=True)
        elif again and not control:
            self._commands.do(Command.CAMERA, 10)

    def move(self, at: tuple[int, int]) -> None:
        """The mouse moves; it may be anywhere."""
        if self._pressed is None:
            return
        if "point" in self._viewer.facts.abilities:
            self._point("move", at)
            return
        if self._pushing:
            self._push(at)
            return
        self._turning |= not self._is_near(self._pressed, at)
        if self._turning:
            height = max(1, self._viewer.layout().world.height)
            right, down = at[0] - self._last[0], at[1] - self._last[1]
            self._viewer.tell(Gesture("orbit", right / height, down / height))
            self._last = at

    def release(self, at: tuple[int, int]) -> None:
        """The button goes up."""
        if self._pressed is None:
            return
        self._pressed = None
        if "point" in self._viewer.facts.abilities:
            self._point("release", at)
        elif self._pushing:
            self._pushing = False
            self._viewer.tell(Gesture("let_go"))

    def lose(self) -> None:
        """The window loses the mouse: a push ends."""
        if self._pushing:
            self.release(self._last)

    def wheel(self, notches: float) -> None:
        """The wheel turns; up is nearer."""
        if "orbit" in self._viewer.facts.abilities:
            self._viewer.tell(Gesture("zoom", _WHEEL**notches))

    def _is_near(self, first: tuple[int, int], second: tuple[int, int]) -> bool:
        far = max(abs(first[0] - second[0]), abs(first[1] - second[1]))
        return far <= _STILL * self._viewer.scale

    def _push(self, at: tuple[int, int], *, begins: bool = False) -> None:
        if (place := self._place()) is not None:
            _, rect = place
            x, y = (at[0] + 0.5 - rect.left) / rect.width, (at[1] + 0.5 - rect.top) / rect.height
            self._viewer.tell(Gesture("push", x, y, on=begins))

    def _point(self, kind: str, at: tuple[int, int]) -> None:
        place = self._place()
        if place is None:
            return
        size, rect = place
        x = (at[0] + 0.5 - rect.left) * size[0] / rect.width
        y = (at[1] + 0.5 - rect.top) * size[1] / rect.height
        if kind == "press":
            self._viewer.tell(Gesture("press", x, y))
        else:
            self._viewer.tell(Gesture("move" if kind == "move" else "release", x, y))

    def _place(self) -> tuple[tuple[int, int], Rect] | None:
        """The size of the first world's picture, and where it is drawn."""
        moment = self._viewer.view.moment
        if moment is None:
            return None
        height, width = moment.pictures[0].shape[:2]
        layout = self._viewer.layout()
        return (width, height), world_picture.place((width, height), layout.world, whole=layout.whole)
