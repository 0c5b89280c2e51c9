"""Pinhole camera that follows a walker: viewpoint, orbit and zoom, and projection of points to pixels.

The software drawing and MuJoCo's own pictures share this camera, so a projected point lies in the
same place in both. It never rolls: the horizon stays level.

Three things have a size: the `Viewpoint` (degrees, m) says where a camera stands, the `Camera` adds the
picture's pixels and follows the walker, and its `PinholeCamera` is the pinhole at one instant. All three
agree on pixels: x runs to the right and y down, and pixel (0, 0) covers what lies between 0 and 1 in both.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from sim.records import Array

FIELD_OF_VIEW = 45.0  # degrees from top to bottom: MuJoCo's default
CLEARANCE = 0.1  # m that a turned camera stays above the ground

#: Distance (m), height looked at (m), azimuth and elevation (degrees) that show each body well.
FACING = {
    "walker2d": (2.9, 0.8, 76.0, -8.0),
    "hopper": (2.7, 0.75, 76.0, -8.0),
    "halfcheetah": (2.7, 0.45, 76.0, -10.0),
    "ant": (3.3, 0.35, 62.0, -22.0),
    "humanoid": (3.0, 0.85, 58.0, -8.0),
}


#: Viewpoint → azimuth and elevation (degrees) at the distance that shows a body well; a robot walks along +x.
PRESETS = {
    "side": (90.0, -4.0),
    "front": (180.0, -8.0),
    "three-quarter": (140.0, -16.0),
    "behind": (0.0, -14.0),
}


@dataclass(frozen=True)
class PinholeCamera:
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

    def locate(self, points: Array) -> Array:
        """Points (K, 3), m in the world, in the camera's frame: (K, 3) m to the right, down and ahead."""
        axes = np.stack([self.right, -self.up, self.forward], axis=-1)
        return np.asarray((np.asarray(points) - self.origin) @ axes)

    def project(self, points: Array) -> tuple[Array, Array]:
        """Where points (K, 3), m, appear.

        Returns:
            (K, 2) pixels, x from the left and y from the top (the middle of the first pixel is at 0.5,
            0.5), and (K,) depth in m along `forward`; points at depth 0 or less are behind the viewer and
            their pixels mean nothing.
        """
        located = self.locate(points)
        depth = located[..., 2]
        scale = self.focal / np.maximum(depth, 1e-6)
        middle = np.array([self.width / 2, self.height / 2])
        return middle + scale[..., None] * located[..., :2], depth


@dataclass(frozen=True)
class Viewpoint:
    """Viewpoint of a camera, whatever the size of its picture.

    Attributes:
        azimuth: degrees about the vertical; 90 looks along +y, so that +x is to the right.
        elevation: degrees; negative looks down.
        distance: m from what is looked at.
        look_height: m above the ground of what is looked at, which is above or below the torso.
    """

    azimuth: float
    elevation: float
    distance: float
    look_height: float

    @classmethod
    def facing(cls, body: str) -> Viewpoint:
        """The one that shows `body` well."""
        distance, look_height, azimuth, elevation = FACING[body]
        return cls(azimuth, elevation, distance, look_height)

    def preset(self, name: str) -> Viewpoint:
        """The one of `PRESETS` with this name, from as far away as this one.

        >>> Viewpoint.facing("hopper").preset("front")
        Viewpoint(azimuth=180.0, elevation=-8.0, distance=2.7, look_height=0.75)
        """
        azimuth, elevation = PRESETS[name]
        return Viewpoint(azimuth, elevation, self.distance, self.look_height)

    def camera(self, width: int, height: int) -> Camera:
        """A camera there, for pictures of `width` by `height` pixels."""
        return Camera(self.azimuth, self.elevation, self.distance, self.look_height, width, height)


@dataclass(frozen=True)
class Viewpoints:
    """Ranges, low and high, that viewpoints are drawn from uniformly.

    Attributes:
        azimuth: degrees.
        elevation: degrees within ±89; negative looks down.
        distance: times the distance that shows the body well.
        look_height: m, added to the height that shows the body well.
    """

    azimuth: tuple[float, float] = (0.0, 360.0)
    elevation: tuple[float, float] = (-40.0, -3.0)
    distance: tuple[float, float] = (0.75, 1.2)
    look_height: tuple[float, float] = (-0.1, 0.1)

    def __post_init__(self) -> None:
        """Refuse ranges that hold no viewpoint.

        Raises:
            ValueError: naming the range.
        """
        for name in ("azimuth", "elevation", "distance", "look_height"):
            low, high = getattr(self, name)
            if not low <= high:  # also not a number
                raise ValueError(f"{name} must run from low to high, not from {low} to {high}")
        if self.distance[0] <= 0:
            raise ValueError(f"distance must be above 0, not {self.distance[0]}")
        if not (-89 <= self.elevation[0] and self.elevation[1] <= 89):
            raise ValueError(f"elevation must be within ±89, not {self.elevation}")

    def draw(self, body: str, generator: np.random.Generator) -> Viewpoint:
        """Draw one viewpoint on `body`.

        >>> level = Viewpoints(azimuth=(90, 90), elevation=(0, 0), distance=(2, 2), look_height=(0, 0))
        >>> level.draw("hopper", np.random.default_rng(0))
        Viewpoint(azimuth=90.0, elevation=0.0, distance=5.4, look_height=0.75)
        """
        usual = Viewpoint.facing(body)
        return Viewpoint(
            azimuth=float(generator.uniform(*self.azimuth)),
            elevation=float(generator.uniform(*self.elevation)),
            distance=usual.distance * float(generator.uniform(*self.distance)),
            look_height=usual.look_height + float(generator.uniform(*self.look_height)),
        )


@dataclass
class Camera:
    """A camera that can be turned: a viewpoint and the size of the picture.

    It follows the torso over the ground but keeps its own height.

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
        at = Viewpoint.facing(body)
        return cls(at.azimuth, at.elevation, at.distance, at.look_height, width, height)

    def orbit(self, degrees_right: float, degrees_up: float) -> None:
        """Go around the walker and over it; never past the zenith, nor under the ground."""
        self.azimuth = (self.azimuth - degrees_right) % 360.0
        self.elevation = min(max(self.elevation - degrees_up, -89.0), self._highest)

    def zoom(self, factor: float) -> None:
        """Make the walker `factor` times as large, within 0.5 to 50 m; never under the ground."""
        self.distance = min(max(self.distance / factor, 0.5), 50.0)
        self.elevation = min(self.elevation, self._highest)

    def place(self, at: Viewpoint) -> None:
        """Stand at a viewpoint."""
        self.azimuth, self.elevation = at.azimuth, at.elevation
        self.distance, self.look_height = at.distance, at.look_height

    @property
    def _highest(self) -> float:
        """Degrees of elevation at which the lens is `CLEARANCE` above the ground."""
        sine = (self.look_height - CLEARANCE) / self.distance
        return min(math.degrees(math.asin(min(max(sine, -1.0), 1.0))), 89.0)

    def target(self, torso: Array) -> Array:
        """(3,) m, what is looked at while the torso is at `torso` (3,)."""
        return np.array([torso[0], torso[1], self.look_height])

    def view(self, torso: Array) -> PinholeCamera:
        """The pinhole camera while the torso is at `torso` (3,)."""
        azimuth = math.radians(self.azimuth)
        elevation = math.radians(min(max(self.elevation, -89.0), 89.0))
        around = np.array([math.cos(azimuth), math.sin(azimuth), 0.0])
        forward = math.cos(elevation) * around + np.array([0.0, 0.0, math.sin(elevation)])
        right = np.array([around[1], -around[0], 0.0])
        focal = self.height / 2 / math.tan(math.radians(FIELD_OF_VIEW) / 2)
        origin = self.target(torso) - self.distance * forward
        return PinholeCamera(origin, right, np.cross(right, forward), forward, focal, self.width, self.height)
