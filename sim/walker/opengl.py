"""MuJoCo's own pictures through OpenGL, with what is slow on a processor left out.

On Linux a window-less EGL context is used whichever way `mujoco` was imported before, or OSMesa if
``MUJOCO_GL`` says so; ``MUJOCO_GL=disable`` means none. Shadows, reflections and multi-sampling are
off: tenfold the speed where Mesa computes every pixel.
"""

from __future__ import annotations

import os
import sys
from contextlib import AbstractContextManager
from functools import cache
from typing import Any, Protocol, cast

import mujoco
import numpy as np

from sim.records import Array
from sim.walker.camera import FIELD_OF_VIEW, Camera

MOST_GEOMS = 200
OFF = ("disable", "disabled", "off", "false", "0")  # as `mujoco` itself understands MUJOCO_GL


class OpenGLError(RuntimeError):
    """There is no OpenGL here, or not enough of it."""


class Context(Protocol):
    """What `mujoco` offers for each way to get at OpenGL."""

    def as_current(self) -> AbstractContextManager[None]:
        """Use this context on this thread until the end of the block."""

    def free(self) -> None:
        """Give it back."""


class OpenGLDrawing:
    """Draws `model`; the context is current only inside its calls, so any one thread may make them.

    Raises:
        OpenGLError: if there is no OpenGL, with the reason.
    """

    def __init__(self, model: mujoco.MjModel) -> None:
        self._model = model
        self._size = (0, 0)
        self._context: Context | None = None
        self._renderer: Any = None
        model.vis.quality.offsamples = 0
        model.vis.global_.fovy = FIELD_OF_VIEW
        self._scene = mujoco.MjvScene(model, MOST_GEOMS)
        self._scene.flags[mujoco.mjtRndFlag.mjRND_SHADOW] = 0
        self._scene.flags[mujoco.mjtRndFlag.mjRND_REFLECTION] = 0
        self._scene.flags[mujoco.mjtRndFlag.mjRND_FOG] = 0
        self._scene.flags[mujoco.mjtRndFlag.mjRND_HAZE] = 1
        self._options = mujoco.MjvOption()
        self._eye = mujoco.MjvCamera()
        self._open(model.vis.global_.offwidth, model.vis.global_.offheight)

    def draw(self, data: mujoco.MjData, camera: Camera) -> Array:
        """(camera.height, camera.width, 3) uint8."""
        if camera.width > self._size[0] or camera.height > self._size[1]:
            self._open(camera.width, camera.height)
        self._eye.azimuth, self._eye.elevation = camera.azimuth, min(max(camera.elevation, -89.0), 89.0)
        self._eye.distance, self._eye.lookat = camera.distance, camera.target(data.xpos[1])
        # The endless ground is centred on where the camera was before, so tell it first.
        mujoco.mjv_updateCamera(self._model, data, self._eye, self._scene)
        everything = mujoco.mjtCatBit.mjCAT_ALL.value
        mujoco.mjv_updateScene(self._model, data, self._options, None, self._eye, everything, self._scene)
        picture = np.empty((camera.height, camera.width, 3), np.uint8)
        area = mujoco.MjrRect(0, 0, camera.width, camera.height)
        assert self._context is not None
        with self._context.as_current():
            mujoco.mjr_render(area, self._scene, self._renderer)
            mujoco.mjr_readPixels(picture, None, area, self._renderer)
        return np.ascontiguousarray(picture[::-1])

    def close(self) -> None:
        """Free the context; a second call does nothing."""
        if self._context is not None:
            if self._renderer is not None:
                with self._context.as_current():
                    self._renderer.free()
            self._context.free()
        self._context = self._renderer = None

    def __del__(self) -> None:
        # MuJoCo frees its part without a current context, which crashes some drivers.
        if getattr(self, "_context", None) is not None and not sys.is_finalizing():
            self.close()

    def _open(self, width: int, height: int) -> None:
        """Make a context with room for pictures of that size."""
        self.close()
        self._model.vis.global_.offwidth, self._model.vis.global_.offheight = width, height
        try:
            self._context = _context(width, height)
            with self._context.as_current():
                self._renderer = mujoco.MjrContext(self._model, mujoco.mjtFontScale.mjFONTSCALE_100.value)
                mujoco.mjr_setBuffer(mujoco.mjtFramebuffer.mjFB_OFFSCREEN.value, self._renderer)
        # Every missing library and driver fails in a way of its own; all mean the same here.
        except Exception as error:
            self.close()
            raise OpenGLError(f"{type(error).__name__}: {error}") from error
        if self._renderer.offWidth < width or self._renderer.offHeight < height:
            self.close()
            raise OpenGLError(f"no room for a picture of {width}×{height}")
        self._size = (width, height)


@cache
def refusal() -> str:
    """Why there is no OpenGL on this machine; empty if there is. Found out once, by trying."""
    try:
        OpenGLDrawing(mujoco.MjModel.from_xml_string("<mujoco/>")).close()
    except OpenGLError as error:
        return str(error)
    return ""


def _context(width: int, height: int) -> Context:
    """A context that needs no window, of the kind that the user wants.

    GLFW is never used on Linux: without a display it hands out contexts that crash MuJoCo.
    """
    wanted = os.environ.get("MUJOCO_GL", "").lower().strip()
    if wanted in OFF:
        raise OpenGLError(f"MUJOCO_GL={wanted}")
    if sys.platform != "linux":
        return cast(Context, mujoco.GLContext(width, height))
    if wanted == "osmesa":
        from mujoco.osmesa import GLContext as OSMesaContext

        return cast(Context, OSMesaContext(width, height))
    from mujoco.egl import GLContext as EGLContext

    return cast(Context, EGLContext(width, height))
