"""Renderer of walkers: OpenGL where it works, else the software renderer; decided once."""

from __future__ import annotations

import copy

from sim.records import Array
from sim.walker.camera import Camera
from sim.walker.engine import NoOpenGLError, mujoco
from sim.walker.rendering.opengl import OpenGLDrawing, refusal
from sim.walker.rendering.palette import STANDARD, Appearance
from sim.walker.rendering.software import Drawing


class WalkerPictures:
    """Renderer of one body's worlds. All calls must come from one thread at a time.

    Args:
        model: of the body.
        sketch: for small pictures, see `OpenGLDrawing`.

    Attributes:
        backend: ``"opengl"`` or ``"software"``.
        reason: why there is no OpenGL; empty if there is.
    """

    def __init__(self, model: mujoco.MjModel, *, sketch: bool = False) -> None:
        self.reason = refusal()
        self.backend = "software" if self.reason else "opengl"
        self._opengl = None if self.reason else OpenGLDrawing(copy.copy(model), sketch=sketch)
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


class Thumbnails:
    """Renderer of the small pictures of many worlds of one body, with one OpenGL context for all of them.

    Nothing is opened before the first picture, and then by the thread that asks for it.
    """

    def __init__(self, model: mujoco.MjModel) -> None:
        self._model = model
        self._pictures: WalkerPictures | None = None

    def draw(self, data: mujoco.MjData, camera: Camera, look: Appearance = STANDARD) -> Array:
        """The world as `camera` sees it, (camera.height, camera.width, 3) uint8."""
        if self._pictures is None:
            self._pictures = WalkerPictures(self._model, sketch=True)
        return self._pictures.draw(data, camera, look)

    def close(self) -> None:
        """Free what is held; the next picture opens it again."""
        if self._pictures is not None:
            self._pictures.close()
            self._pictures = None
