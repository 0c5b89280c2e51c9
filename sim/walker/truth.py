"""Ground truth of walker pictures: part segmentation, depth, and keypoints of the joints.

`TruthRenderer` reads the simulation that it draws, at the same instant and by the same camera. It changes
nothing in it: with or without ground truth, trajectories are the same to the last bit.
"""

from __future__ import annotations

from collections.abc import Collection
from functools import cached_property
from typing import Literal, TypeAlias, get_args

from sim.errors import RequestError
from sim.records import Array, Percept
from sim.walker.anatomy import KEYPOINTS, Anatomy
from sim.walker.camera import Camera
from sim.walker.engine import mujoco
from sim.walker.mjcf import root_body
from sim.walker.rendering.palette import STANDARD, Appearance
from sim.walker.rendering.pictures import WalkerPictures

Kind: TypeAlias = Literal["mask", "depth", "keypoints"]
KINDS: tuple[Kind, ...] = get_args(Kind)
Points: TypeAlias = dict[str, tuple[float, float, float]]


class TruthError(RequestError, ValueError):
    """An unknown kind of ground truth."""


class TruthRenderer:
    """Renders the worlds of one body, with the ground truth of the pictures.

    Nothing is opened before the first picture, and then by the thread that asks for it.

    Args:
        body: whose worlds they are.
        model: of that body.
    """

    def __init__(self, body: str, model: mujoco.MjModel) -> None:
        self._body = body
        self._model = model

    @cached_property
    def pictures(self) -> WalkerPictures:
        """The renderer."""
        return WalkerPictures(self._model)

    @cached_property
    def anatomy(self) -> Anatomy:
        """The body's parts and keypoints by name."""
        return Anatomy(self._body, self._model)

    def draw(self, data: mujoco.MjData, camera: Camera, look: Appearance = STANDARD) -> Array:
        """The world `data` as `camera` sees it, (camera.height, camera.width, 3) uint8."""
        return self.pictures.draw(data, camera, look)

    def truth(self, data: mujoco.MjData, camera: Camera, kinds: Collection[Kind] = KINDS) -> Percept:
        """Ground truth of `draw`'s picture of the same world; its label is the body.

        Args:
            data: one world, its places in space up to date.
            camera: what looks at it.
            kinds: what is wanted. ``"mask"`` is (H, W) uint8, indices into `anatomy.classes`; ``"depth"``
                is (H, W) float32, m along the camera's axis, NaN where the sky is; ``"keypoints"`` sets
                the percept's `keypoints` in pixels and its `places` in m.

        Raises:
            TruthError: for another kind.
            NoOpenGLError: for masks and depth where there is no OpenGL; keypoints need none.
        """
        for kind in kinds:
            if kind not in KINDS:
                raise TruthError(f'no walker knows its "{kind}"; they know {", ".join(KINDS)}')
            if kind != "depth" and self._body not in KEYPOINTS:
                raise TruthError(
                    f'the parts of a robot from a file have no names: there is no truth of its "{kind}"'
                )
        mask = depth = None
        if "mask" in kinds or "depth" in kinds:
            geoms, metres = self.pictures.survey(data, camera)
            mask = self.anatomy.mask(geoms) if "mask" in kinds else None
            depth = metres if "depth" in kinds else None
        keypoints, places = self._pose(data, camera) if "keypoints" in kinds else ({}, {})
        return Percept("truth", mask=mask, depth=depth, keypoints=keypoints, places=places, label=self._body)

    def close(self) -> None:
        """Free what drawing holds; the next picture opens it again."""
        if "pictures" in self.__dict__:
            self.pictures.close()
            del self.pictures

    def _pose(self, data: mujoco.MjData, camera: Camera) -> tuple[Points, Points]:
        """Keypoints in pixels, with whether the picture shows them, and in m of the camera's frame."""
        view = camera.view(data.xpos[root_body(self._model)])
        points = self.anatomy.places(data)
        pixels, depth = view.project(points)
        x, y = pixels.T
        inside = (depth > 0) & (x >= 0) & (x < view.width) & (y >= 0) & (y < view.height)
        visible = inside & self.anatomy.visible(data, points, view.origin)
        seen = zip(x.tolist(), y.tolist(), visible.astype(float).tolist(), strict=True)
        located = (tuple(place) for place in view.locate(points).tolist())
        names = self.anatomy.keypoints
        return dict(zip(names, seen, strict=True)), dict(zip(names, located, strict=True))
