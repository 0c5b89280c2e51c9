"""OpenGL renderer of MuJoCo models, fast on processors too, with segmentation and depth.

On Linux a window-less EGL context is used whichever way `mujoco` was imported before, or OSMesa if
``MUJOCO_GL`` says so; ``MUJOCO_GL=disable`` means none. Shadows, reflections and multi-sampling are
off: tenfold the speed where Mesa computes every pixel.

A second picture, drawn by the same camera, paints each geom in a colour of its own. Its colours say
which geom each pixel shows, and the depth buffer beside it how far away that is.
"""

from __future__ import annotations

import sys
from contextlib import AbstractContextManager
from functools import cache
from typing import Any, Protocol, cast

import numpy as np

from sim.records import Array
from sim.walker.camera import FIELD_OF_VIEW, Camera
from sim.walker.engine import OFF, mujoco, requested_platform
from sim.walker.mjcf import root_body
from sim.walker.rendering.palette import STANDARD, TILE, Appearance, apply_appearance

MOST_GEOMS = 200
SKY = -1  # where no geom is
# Share of its radius by which a limb differs from the next: more than the facets of capsules are off, which
# 28 slices and 16 stacks put together, 1 − cos(π/28) + 1 − cos(π/32).
SLIMMER = 0.012
SKETCH_SLICES, SKETCH_STACKS = 12, 8  # of a capsule in a sketch, instead of 28 and 16
SKETCH_GROUND = 150.0  # m from the robot to the edge of the ground in a sketch; it is endless elsewhere


class OpenGLError(RuntimeError):
    """OpenGL is missing on this machine, or lacks what is needed."""


class Context(Protocol):
    """An OpenGL context of `mujoco`'s: EGL, OSMesa, or the platform's own."""

    def as_current(self) -> AbstractContextManager[None]:
        """Use this context on this thread until the end of the block."""

    def free(self) -> None:
        """Release the context."""


class OpenGLDrawing:
    """OpenGL renderer of `model`; its context is current only inside calls, so any one thread may make them.

    It changes the model's colours and sizes, so the model must be a copy that nothing else uses.

    Args:
        model: what is drawn.
        sketch: for small pictures: fewer facets, and a ground that ends far away. Where Mesa computes every
            pixel a small picture then takes a quarter of the time. There are no `survey`s of sketches.

    Raises:
        OpenGLError: if there is no OpenGL, with the reason.
    """

    def __init__(self, model: mujoco.MjModel, *, sketch: bool = False) -> None:
        self._model = model
        self._sketch = sketch
        self._root = root_body(model)
        self._textures = model.tex_data.copy()
        self._look: Appearance | None = None
        self._size = (0, 0)
        self._context: Context | None = None
        self._renderer: Any = None
        _untangle(model)
        model.vis.quality.offsamples = 0
        model.vis.quality.shadowsize = 0  # else 4096² texels are set aside, though shadows are off
        model.vis.global_.fovy = FIELD_OF_VIEW
        self._scene = mujoco.MjvScene(model, max(MOST_GEOMS, 2 * model.ngeom))
        self._scene.flags[mujoco.mjtRndFlag.mjRND_SHADOW] = 0
        self._scene.flags[mujoco.mjtRndFlag.mjRND_REFLECTION] = 0
        self._scene.flags[mujoco.mjtRndFlag.mjRND_FOG] = 0
        self._scene.flags[mujoco.mjtRndFlag.mjRND_HAZE] = 1
        self._options = mujoco.MjvOption()
        self._eye = mujoco.MjvCamera()
        if sketch:
            model.vis.quality.numslices, model.vis.quality.numstacks = SKETCH_SLICES, SKETCH_STACKS
        self._dress(STANDARD)
        self._open(model.vis.global_.offwidth, model.vis.global_.offheight)

    def draw(self, data: mujoco.MjData, camera: Camera, look: Appearance = STANDARD) -> Array:
        """(camera.height, camera.width, 3) uint8."""
        self._wear(look)
        picture = np.empty((camera.height, camera.width, 3), np.uint8)
        self._render(data, camera, look, picture, None)
        return np.ascontiguousarray(picture[::-1])

    def survey(self, data: mujoco.MjData, camera: Camera) -> tuple[Array, Array]:
        """Segmentation and depth of what `draw` shows; a pixel is the geom that its middle meets first.

        Returns:
            (H, W) int16 number of the geom, or `SKY`; and (H, W) float32 depth in m along the camera's
            axis, not along the ray, NaN where the sky is.
        """
        colors = np.empty((camera.height, camera.width, 3), np.uint8)
        buffer = np.empty((camera.height, camera.width), np.float32)
        flags = self._scene.flags
        flags[mujoco.mjtRndFlag.mjRND_SEGMENT] = flags[mujoco.mjtRndFlag.mjRND_IDCOLOR] = 1
        try:
            self._render(data, camera, STANDARD, colors, buffer)
        finally:
            flags[mujoco.mjtRndFlag.mjRND_SEGMENT] = flags[mujoco.mjtRndFlag.mjRND_IDCOLOR] = 0
        geoms = self._geoms()[colors[::-1, :, 0]]
        depth = self._meters(buffer[::-1])
        depth[geoms == SKY] = np.nan
        return geoms, depth

    def _render(
        self, data: mujoco.MjData, camera: Camera, look: Appearance, colors: Array, depth: Array | None
    ) -> None:
        """Fill `colors` (H, W, 3) uint8 and `depth` (H, W) float32 from OpenGL, the lowest row first."""
        if camera.width > self._size[0] or camera.height > self._size[1]:
            self._open(camera.width, camera.height)
        self._eye.azimuth, self._eye.elevation = camera.azimuth, min(max(camera.elevation, -89.0), 89.0)
        self._eye.distance, self._eye.lookat = camera.distance, camera.target(data.xpos[self._root])
        # The endless ground is centred on where the camera was before, so tell it first.
        mujoco.mjv_updateCamera(self._model, data, self._eye, self._scene)
        everything = mujoco.mjtCatBit.mjCAT_ALL.value
        mujoco.mjv_updateScene(self._model, data, self._options, None, self._eye, everything, self._scene)
        if self._sketch:
            self._follow_ground(data.xpos[self._root])
        for light in self._scene.lights[: self._scene.nlight]:
            if not light.headlight:  # `data` knows where the simulation's light is, not this look's sun
                light.dir = [-part for part in look.sun]
        area = mujoco.MjrRect(0, 0, camera.width, camera.height)
        assert self._context is not None
        with self._context.as_current():
            mujoco.mjr_render(area, self._scene, self._renderer)
            mujoco.mjr_readPixels(colors, depth, area, self._renderer)

    def _dress(self, look: Appearance) -> None:
        apply_appearance(self._model, self._textures, look)
        if self._sketch:
            self._model.geom_size[self._model.geom_type == mujoco.mjtGeom.mjGEOM_PLANE] = SKETCH_GROUND

    def _follow_ground(self, torso: Array) -> None:
        """Move a ground that ends along with the robot, by whole tiles."""
        for geom in self._scene.geoms[: self._scene.ngeom]:
            if geom.type == mujoco.mjtGeom.mjGEOM_PLANE:
                geom.pos[:2] += np.round(torso[:2] / (2 * TILE)) * 2 * TILE

    def _geoms(self) -> Array:
        """(256,) int16: the geom behind each value of the first channel; MuJoCo paints number + 1."""
        assert self._scene.ngeom <= MOST_GEOMS < 255
        numbers = np.full(256, SKY, np.int16)
        for drawn in self._scene.geoms[: self._scene.ngeom]:
            if drawn.segid != -1 and drawn.objtype == mujoco.mjtObj.mjOBJ_GEOM:
                numbers[drawn.segid + 1] = drawn.objid
        return numbers

    def _meters(self, buffer: Array) -> Array:
        """(H, W) float32 m from a depth buffer that is 1 at the nearest plane and 0 at the farthest."""
        scale = self._model.vis.map
        near, far = scale.znear * self._model.stat.extent, scale.zfar * self._model.stat.extent
        return np.asarray((near * far / (near + buffer.astype(np.float64) * (far - near))), np.float32)

    def _wear(self, look: Appearance) -> None:
        if look == self._look:
            return
        self._dress(look)
        assert self._context is not None
        with self._context.as_current():
            for texture in range(self._model.ntex):
                if self._model.tex_type[texture] != mujoco.mjtTexture.mjTEXTURE_CUBE:  # no limb wears one
                    mujoco.mjr_uploadTexture(self._model, self._renderer, texture)
        self._look = look

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
                self._renderer.readDepthMap = mujoco.mjtDepthMap.mjDEPTH_ZEROFAR.value
                mujoco.mjr_setBuffer(mujoco.mjtFramebuffer.mjFB_OFFSCREEN.value, self._renderer)
        except OpenGLError:
            self.close()
            raise
        # Every missing library and driver fails in a way of its own; all mean the same here.
        except Exception as error:
            self.close()
            raise OpenGLError(f"{type(error).__name__}: {error}") from error
        if self._renderer.offWidth < width or self._renderer.offHeight < height:
            self.close()
            raise OpenGLError(f"no room for a picture of {width}×{height}")
        self._size = (width, height)


def _untangle(model: mujoco.MjModel) -> None:
    """Make limbs that meet differ a little in radius, at most 1.8 %, and a walker's left leg from its right.

    Where two limbs meet, their ends are the same sphere; walker2d's legs even pass through each other.
    Which of the two a pixel shows would be left to rounding, and masks would be full of specks there.
    """
    odd = np.zeros(model.nbody, bool)
    for body in range(1, model.nbody):
        odd[body] = not odd[model.body_parentid[body]]
    left = np.array([model.body(body).name.endswith("_left") for body in range(model.nbody)])
    scale = 1 + SLIMMER * (odd - 0.5 - left)
    bodies = np.flatnonzero(model.geom_bodyid > 0)
    model.geom_size[bodies, 0] *= scale[model.geom_bodyid[bodies]]


@cache
def refusal() -> str:
    """The reason why this machine has no OpenGL, empty if it has; found once, by trying."""
    try:
        OpenGLDrawing(mujoco.MjModel.from_xml_string("<mujoco/>")).close()
    except OpenGLError as error:
        return str(error)
    return ""


def _context(width: int, height: int) -> Context:
    """A context that needs no window, of the kind that the user wants.

    GLFW is never used on Linux: without a display it hands out contexts that crash MuJoCo.
    """
    named = requested_platform()
    if named in OFF:
        raise OpenGLError(f"MUJOCO_GL={named}")
    if sys.platform != "linux":
        return cast(Context, mujoco.GLContext(width, height))
    if named == "osmesa":
        from mujoco.osmesa import GLContext as OSMesaContext

        return cast(Context, OSMesaContext(width, height))
    from mujoco.egl import GLContext as EGLContext

    return cast(Context, EGLContext(width, height))
