"""Where a walker is looked at from, and where that puts points of the world in the picture.

The software drawing and MuJoCo's own pictures share this camera, so a projected point lies in the
same place in both. It never rolls: the horizon stays level.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from sim.records import Array

FIELD_OF_VIEW = 45.0  # degrees from top to bottom: MuJoCo's default

#: Distance (m), height looked at (m), azimuth and elevation (degrees) that show each body well.
FACING = {
    "walker2d": (2.9, 0.8, 76.0, -8.0),
    "hopper": (2.7, 0.75, 76.0, -8.0),
    "halfcheetah": (2.7, 0.45, 76.0, -10.0),
    "ant": (3.3, 0.35, 62.0, -22.0),
    "humanoid": (3.0, 0.85, 58.0, -8.0),
}


@dataclass(frozen=True)
class View:
    """A pinhole camera at one instant.

    Attributes:
        origin: (3,) m, where the lens is.
        right: (3,) unit vector towards the right edge; always level.
        up: (3,) unit vector towards the top edge.
        forward: (3,) unit vector away from the viewer.
        focal: pixels.
        width: pixels.
        height: pixels.
    """

    origin: Array
    right: Array
    up: Array
    forward: Array
    focal: float
    width: int
    height: int

    def project(self, points: Array) -> tuple[Array, Array]:
        """Where points (K, 3), m, appear.

        Returns:
            (K, 2) pixels, x from the left and y from the top, and (K,) depth in m along `forward`;
            points at depth 0 or less are behind the viewer and their pixels mean nothing.
        """
        offset = np.asarray(points) - self.origin
        depth = offset @ self.forward
        scale = self.focal / np.maximum(depth, 1e-6)
        x = self.width / 2 + scale * (offset @ self.right)
        y = self.height / 2 - scale * (offset @ self.up)
        return np.stack([x, y], axis=-1), depth


@dataclass
class Camera:
    """What a viewer turns. It follows the torso over the ground but keeps its own height.

    Attributes:
        azimuth: degrees about the vertical; 90 looks along +y, so that +x is to the right.
        elevation: degrees; negative looks down. Kept within ±89.
        distance: m from what is looked at.
        look_height: m above the ground of what is looked at.
        width: of the picture, pixels.
        height: of the picture, pixels.
    """

    azimuth: float
    elevation: float
    distance: float
    look_height: float
    width: int
    height: int

    @classmethod
    def facing(cls, body: str, width: int, height: int) -> Camera:
        """The camera that shows `body` well."""
        distance, look_height, azimuth, elevation = FACING[body]
        return cls(azimuth, elevation, distance, look_height, width, height)

    def orbit(self, degrees_right: float, degrees_up: float) -> None:
        """Go around the walker and over it; never past the zenith."""
        self.azimuth = (self.azimuth - degrees_right) % 360.0
        self.elevation = min(max(self.elevation - degrees_up, -89.0), 89.0)

    def zoom(self, factor: float) -> None:
        """Make the walker `factor` times as large, within 0.5 to 50 m."""
        self.distance = min(max(self.distance / factor, 0.5), 50.0)

    def target(self, torso: Array) -> Array:
        """(3,) m, what is looked at while the torso is at `torso` (3,)."""
        return np.array([torso[0], torso[1], self.look_height])

    def view(self, torso: Array) -> View:
        """The pinhole camera while the torso is at `torso` (3,)."""
        azimuth = math.radians(self.azimuth)
        elevation = math.radians(min(max(self.elevation, -89.0), 89.0))
        around = np.array([math.cos(azimuth), math.sin(azimuth), 0.0])
        forward = math.cos(elevation) * around + np.array([0.0, 0.0, math.sin(elevation)])
        right = np.array([around[1], -around[0], 0.0])
        focal = self.height / 2 / math.tan(math.radians(FIELD_OF_VIEW) / 2)
        origin = self.target(torso) - self.distance * forward
        return View(origin, right, np.cross(right, forward), forward, focal, self.width, self.height)
