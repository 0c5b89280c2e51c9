"""Pictures of a walker: MuJoCo's own where OpenGL works, else the software drawing; decided once."""

from __future__ import annotations

import copy
from typing import Protocol

import mujoco

from sim.records import Array
from sim.walker.camera import Camera
from sim.walker.draw import Drawing
from sim.walker.opengl import OpenGLDrawing, refusal
from sim.walker.palette import dress


class Artist(Protocol):
    """Draws one body's worlds."""

    def draw(self, data: mujoco.MjData, camera: Camera) -> Array:
        """(height, width, 3) uint8."""

    def close(self) -> None:
        """Free what is held."""


class Pictures:
    """Draws one body's worlds. All calls must come from one thread at a time.

    Attributes:
        backend: ``"opengl"`` or ``"software"``.
        reason: why there is no OpenGL; empty if there is.
    """

    def __init__(self, model: mujoco.MjModel) -> None:
        painted = copy.copy(model)
        dress(painted)
        self.reason = refusal()
        self.backend = "software" if self.reason else "opengl"
        self._artist: Artist = Drawing(painted) if self.reason else OpenGLDrawing(painted)

    def draw(self, data: mujoco.MjData, camera: Camera) -> Array:
        """The world as `camera` sees it, (camera.height, camera.width, 3) uint8."""
        return self._artist.draw(data, camera)

    def close(self) -> None:
        """Free what is held."""
        self._artist.close()
