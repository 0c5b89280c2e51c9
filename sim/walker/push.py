"""A person's push on a walker: where the robot is held, and the force of the drag.

The force grows with the distance from where the robot is held to where the pointer is, both in the plane
of the picture: a robot's own weight for each `PER_WEIGHT` m.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from sim.records import Array
from sim.walker.camera import PinholeCamera
from sim.walker.engine import mujoco

PER_WEIGHT = 0.25  # m of drag, and of an arrow, for a force as large as the robot's weight
STRONGEST = 3.0  # weights
SHOVE_SECONDS = 0.2
SHOVE = 1.0  # weights


@dataclass(frozen=True)
class Grip:
    """Point of a robot's body that a spring pulls towards the pointer.

    Attributes:
        body: its number.
        at: (3,) m, the place that is held, in the body's own frame.
        pointer: (2,) pixels of the picture, where it is pulled.
    """

    body: int
    at: Array
    pointer: Array

    @classmethod
    def nearest(cls, model: mujoco.MjModel, data: mujoco.MjData, view: PinholeCamera, pointer: Array) -> Grip:
        """Hold the limb whose axis appears nearest to `pointer`, (2,) pixels."""
        geoms = np.flatnonzero(model.geom_bodyid > 0)
        capsule = model.geom_type[geoms] == mujoco.mjtGeom.mjGEOM_CAPSULE
        half = np.where(capsule, model.geom_size[geoms, 1], 0.0)
        axis = data.geom_xmat[geoms].reshape(-1, 3, 3)[:, :, 2] * half[:, None]
        start, end = data.geom_xpos[geoms] - axis, data.geom_xpos[geoms] + axis
        (first, _), (last, _) = view.project(start), view.project(end)
        along = last - first
        length = np.maximum((along**2).sum(axis=1), 1e-9)
        share = np.clip(((pointer - first) * along).sum(axis=1) / length, 0.0, 1.0)
        off = np.linalg.norm(first + share[:, None] * along - pointer, axis=1)
        best = int(np.argmin(off))
        point = start[best] + share[best] * (end[best] - start[best])
        body = int(model.geom_bodyid[geoms[best]])
        frame = data.xmat[body].reshape(3, 3)
        return cls(body, frame.T @ (point - data.xpos[body]), pointer)

    def moved(self, pointer: Array) -> Grip:
        """The same hold, pulled elsewhere."""
        return replace(self, pointer=pointer)

    def point(self, data: mujoco.MjData) -> Array:
        """(3,) m, the place that is held, in space."""
        return np.asarray(data.xpos[self.body] + data.xmat[self.body].reshape(3, 3) @ self.at)

    def force(self, data: mujoco.MjData, view: PinholeCamera, weight: float) -> Array:
        """(3,) N on a robot of `weight` N, in the plane of the picture."""
        (pixel,), (depth,) = view.project(self.point(data)[None])
        right, down = (self.pointer - pixel) * max(float(depth), 0.0) / view.focal  # m
        force = (right * view.right - down * view.up) / PER_WEIGHT
        size = float(np.linalg.norm(force))
        return np.asarray(weight * force * min(1.0, STRONGEST / max(size, 1e-9)))
