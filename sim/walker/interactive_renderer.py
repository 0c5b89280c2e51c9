"""Interactive walker for the window: a camera turned by mouse or keys, and read-outs of speed and power.

A `sim.viewer.contract.gesture.InteractiveRenderer`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from sim.records import Array
from sim.viewer.contract.gesture import Ability, Answer, Gesture
from sim.viewer.contract.moment import Readout
from sim.walker.camera import Camera

if TYPE_CHECKING:
    from sim.walker.world import WalkerWorld

DEGREES = 180.0  # that a drag over the height of the picture turns
SMALLEST, LARGEST = 16, 4096  # pixels of a side


@dataclass
class AnchoredCamera(Camera):
    """Camera that follows the walker, or stands still and looks at the fixed point `anchor` (3,) m."""

    anchor: Array | None = None

    def target(self, torso: Array) -> Array:
        """(3,) m, what is looked at while the torso is at `torso` (3,)."""
        return super().target(torso if self.anchor is None else self.anchor)


class WalkerRenderer:
    """Interactive renderer of one `WalkerWorld`: its camera and read-outs."""

    abilities = frozenset({Ability.ORBIT, Ability.FOLLOW})
    turns = False
    asks: tuple[str, ...] = ()
    caption = ""

    def __init__(self, world: WalkerWorld) -> None:
        self._world = world
        at = world.camera
        self._camera = AnchoredCamera(
            at.azimuth, at.elevation, at.distance, at.look_height, at.width, at.height
        )
        world.camera = self._camera

    def note(self) -> None:
        """Nothing to remember; see `sim.viewer.contract.gesture.InteractiveRenderer`."""

    @property
    def readouts(self) -> tuple[Readout, ...]:
        """Speed, height of the torso and mechanical power."""
        world = self._world
        return (
            Readout("speed", world.speed, "m/s"),
            Readout("torso height", world.height, "m"),
            Readout("power", world.power, "W"),
            Readout("largest torque", float(np.abs(world.torques).max()), "N·m"),
        )

    def draw(self) -> Array:
        """The walker as the camera sees it, (H, W, 3) uint8."""
        return self._world.render()

    def touch(self, gesture: Gesture) -> Answer:
        """Turn the camera; see `sim.viewer.contract.gesture.Interactive`."""
        camera = self._camera
        if gesture.kind == "orbit":
            camera.orbit(DEGREES * gesture.x, DEGREES * gesture.y)
        elif gesture.kind == "zoom":
            camera.zoom(gesture.x)
        elif gesture.kind == "resize":
            width, height = (min(max(int(side), SMALLEST), LARGEST) for side in (gesture.x, gesture.y))
            camera.width, camera.height = width, height
        elif gesture.kind == "follow":
            camera.anchor = self._world.torso if camera.anchor is None else None
            still = camera.anchor is not None
            return Answer(redraw=True, message="the camera stands still" if still else "the camera follows")
        else:
            return Answer()
        return Answer(redraw=True)
