"""Renderer of walkers: OpenGL where it works, else the software renderer; decided once."""

from __future__ import annotations

import copy

from sim.records import Array
from sim.walker.camera import Camera
from sim.walker.draw import Drawing
from sim.walker.engine import NoOpenGLError, mujoco
from sim.walker.opengl import OpenGLDrawing, refusal
from sim.walker.palette import STANDARD, Appearance


class WalkerPictures:
    """Renderer of one body's worlds. All calls must come from one thread at a time.

    Attributes:
        backend: ``"opengl"`` or ``"software"``.
        reason: why there is no OpenGL; empty if there is.
    """

    def __init__(self, model: mujoco.MjModel) -> None:
        self.reason = refusal()
        self.backend = "software" if self.reason else "opengl"
        self._opengl = None if self.reason else OpenGLDrawing(copy.copy(model))
        self._software = Drawing(model) if self.reason else None

    def draw(self, data: mujoco.MjData, camera: Camera, look: Appearance = STANDARD) -> Array:
        """The world as `camera` sees it, (camera.height, camera.width, 3) uint8."""
        artist = self._opengl or self._software
        assert artist is not None
        return artist.draw(data, camera, look)

    def survey(self, data: mujoco.MjData, camera: Camera) -> tuple[Array, Array]:
        """Which geom each pixel of `draw` shows, and how far away it is.

        Returns:
            (H, W) int16 number of the geom, −1 where the sky is; and (H, W) float32 depth in m along the
            camera's axis, NaN where the sky is.

        Raises:
            NoOpenGLError: if there is no OpenGL.
        """
        if self._opengl is None:
            raise NoOpenGLError.of("depth and masks", self.reason)
        return self._opengl.survey(data, camera)

    def close(self) -> None:
        """Free what is held."""
        if self._opengl is not None:
            self._opengl.close()
