"""Mouse input on the world's picture: pixels of the window become gestures of the show."""

from __future__ import annotations

from pygame import Rect

from sim.viewer.app.viewer import Viewer
from sim.viewer.contract.gesture import Gesture
from sim.viewer.keymap import Command
from sim.viewer.overlays import world_picture

_STILL = 4  # pixels at scale 1 within which a press and its release are a click
_WHEEL = 1.15  # zoom a notch


class Pointer:
    """The mouse over one viewer's world: plays a show that is played by pointer, else orbits or clicks."""

    def __init__(self, viewer: Viewer) -> None:
        self._viewer = viewer
        self._pressed: tuple[int, int] | None = None
        self._last = (0, 0)
        self._turning = False

    def press(self, at: tuple[int, int]) -> None:
        """The button goes down over the world."""
        abilities = self._viewer.facts.abilities
        self._pressed = self._last = at
        self._turning = False
        if self._viewer.choices.grid or not abilities & {"point", "orbit"}:
            self._viewer.do(Command.GRID)
            self._pressed = None
        elif "point" in abilities:
            self._point("press", at)

    def move(self, at: tuple[int, int]) -> None:
        """The mouse moves; it may be anywhere."""
        if self._pressed is None:
            return
        if "point" in self._viewer.facts.abilities:
            self._point("move", at)
            return
        far = max(abs(at[0] - self._pressed[0]), abs(at[1] - self._pressed[1]))
        self._turning |= far > _STILL * self._viewer.scale
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
        elif not self._turning and "worlds" in self._viewer.facts.abilities:
            self._viewer.do(Command.GRID)

    def wheel(self, notches: float) -> None:
        """The wheel turns; up is nearer."""
        if "orbit" in self._viewer.facts.abilities:
            self._viewer.tell(Gesture("zoom", _WHEEL**notches))

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
        return (width, height), world_picture.place((width, height), self._viewer.layout().world)
