"""Part classes for segmentation masks, and keypoints and bones for poses, of the five bodies.

A part names the kind of limb, not its side: both thighs are "thigh". An ant has no feet: its thighs reach
from the torso to the knee, its legs from there to the toe. Keypoints name the side as well; a cheetah's are
rear and front.
Pure tables and geometry; nothing here draws.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np

from sim.records import Array
from sim.walker.engine import mujoco

#: Class of a pixel → its name, the same for all bodies; each body has a first few of them.
CLASSES = (
    "background",
    "floor",
    "torso",
    "thigh",
    "leg",
    "foot",
    "head",
    "upper arm",
    "lower arm",  # with its hand
    "waist",
    "pelvis",
)

#: gymnasium's names of geoms, as a pattern → the part that they are.
PARTS = {
    r"floor": "floor",
    r"torso(1|_geom)?|uwaist": "torso",
    r"thigh_(left_)?geom|[bf]thigh|(left|right)_thigh1": "thigh",
    r"aux_\d_geom|(left|right|back|rightback)_leg_geom": "thigh",
    r"leg_(left_)?geom|[bf]shin|(left|right|third|fourth)_ankle_geom|(left|right)_shin1": "leg",
    r"foot_(left_)?geom|[bf]foot|(left|right)_foot": "foot",
    r"head": "head",
    r"(left|right)_uarm1": "upper arm",
    r"(left|right)_larm|(left|right)_hand": "lower arm",
    r"lwaist": "waist",
    r"butt": "pelvis",
}

END_ON = 2.0  # 1 / sin 30°: so much farther than from the side is it from a limb's axis to its surface


@dataclass(frozen=True)
class End:
    """A point of a geom: +1 and −1 are the middles of a capsule's two round ends, 0 its own middle."""

    geom: str
    side: int


#: Keypoint → the joint that it is, or the end of a geom.
KEYPOINTS: dict[str, dict[str, str | End]] = {
    "walker2d": {
        "head": End("torso_geom", 1),
        "hip": "thigh_joint",  # both legs hang on the same point
        "right knee": "leg_joint",
        "right ankle": "foot_joint",
        "right toe": End("foot_geom", -1),
        "left knee": "leg_left_joint",
        "left ankle": "foot_left_joint",
        "left toe": End("foot_left_geom", -1),
    },
    "hopper": {
        "head": End("torso_geom", 1),
        "hip": "thigh_joint",
        "knee": "leg_joint",
        "ankle": "foot_joint",
        "toe": End("foot_geom", -1),
        "heel": End("foot_geom", 1),
    },
    "halfcheetah": {
        "head": End("head", 1),
        "rear hip": "bthigh",
        "rear knee": "bshin",
        "rear ankle": "bfoot",
        "rear toe": End("bfoot", -1),
        "front hip": "fthigh",
        "front knee": "fshin",
        "front ankle": "ffoot",
        "front toe": End("ffoot", -1),
    },
    "ant": {
        "torso": End("torso_geom", 0),
        "front left hip": "hip_1",
        "front left knee": "ankle_1",
        "front left toe": End("left_ankle_geom", -1),
        "front right hip": "hip_2",
        "front right knee": "ankle_2",
        "front right toe": End("right_ankle_geom", -1),
        "back left hip": "hip_3",
        "back left knee": "ankle_3",
        "back left toe": End("third_ankle_geom", -1),
        "back right hip": "hip_4",
        "back right knee": "ankle_4",
        "back right toe": End("fourth_ankle_geom", -1),
    },
    "humanoid": {
        "head": End("head", 0),
        "waist": End("lwaist", 0),
        "pelvis": End("butt", 0),
        "right shoulder": "right_shoulder1",
        "right elbow": "right_elbow",
        "right hand": End("right_hand", 0),
        "right hip": "right_hip_x",
        "right knee": "right_knee",
        "right foot": End("right_foot", 0),
        "left shoulder": "left_shoulder1",
        "left elbow": "left_elbow",
        "left hand": End("left_hand", 0),
        "left hip": "left_hip_x",
        "left knee": "left_knee",
        "left foot": End("left_foot", 0),
    },
}

#: Chains of keypoints between which bones are drawn.
CHAINS: dict[str, tuple[tuple[str, ...], ...]] = {
    "walker2d": (
        ("head", "hip", "right knee", "right ankle", "right toe"),
        ("hip", "left knee", "left ankle", "left toe"),
    ),
    "hopper": (("head", "hip", "knee", "ankle", "toe"), ("ankle", "heel")),
    "halfcheetah": (
        ("head", "front hip", "rear hip", "rear knee", "rear ankle", "rear toe"),
        ("front hip", "front knee", "front ankle", "front toe"),
    ),
    "ant": tuple(
        ("torso", f"{leg} hip", f"{leg} knee", f"{leg} toe")
        for leg in ("front left", "front right", "back left", "back right")
    ),
    "humanoid": (
        ("head", "waist", "pelvis"),
        *(("waist", f"{side} shoulder", f"{side} elbow", f"{side} hand") for side in ("right", "left")),
        *(("pelvis", f"{side} hip", f"{side} knee", f"{side} foot") for side in ("right", "left")),
    ),
}


def part(geom: str) -> str:
    """The class of a geom by gymnasium's name for it.

    Raises:
        KeyError: for a name that no pattern knows.

    >>> part("leg_left_geom")
    'leg'
    """
    for pattern, name in PARTS.items():
        if re.fullmatch(pattern, geom):
            return name
    raise KeyError(f'no part is known for the geom "{geom}"; add it to PARTS')


def keypoint_names(body: str) -> tuple[str, ...]:
    """The keypoints of one body, in a fixed order."""
    return tuple(KEYPOINTS[body])


def bones(body: str) -> tuple[tuple[str, str], ...]:
    """Bones of the skeleton: pairs of joined keypoints.

    >>> bones("hopper")[-1]
    ('ankle', 'heel')
    """
    return tuple(pair for chain in CHAINS[body] for pair in zip(chain[:-1], chain[1:], strict=True))


class Anatomy:
    """Parts and keypoints of one body's MuJoCo model.

    Attributes:
        classes: the names that its masks may hold; a mask's value is the index.
        keypoints: K names, in a fixed order.
        bones: pairs of keypoints.
        around: (K, geoms) bool, the limbs that each keypoint lies inside, in the model's own pose.
        depths: (K,) m, how deep inside: radius of the limb plus distance from its axis, the most of all.
    """

    def __init__(self, body: str, model: mujoco.MjModel) -> None:
        self._model = model
        parts = [CLASSES.index(part(model.geom(geom).name)) for geom in range(model.ngeom)]
        self._class_of = np.array([*parts, CLASSES.index("background")], np.uint8)  # the sky is geom −1
        self.classes = CLASSES[: max(parts) + 1]
        self.keypoints = keypoint_names(body)
        self.bones = bones(body)
        self._joints, self._ends = {}, {}
        for index, source in enumerate(KEYPOINTS[body].values()):
            if isinstance(source, End):
                self._ends[index] = (model.geom(source.geom).id, source.side)
            else:
                self._joints[index] = model.joint(source).id
        self._axes = np.zeros((model.ngeom, 3))  # m, from each geom's middle to its end, in its own frame
        capsule = model.geom_type == mujoco.mjtGeom.mjGEOM_CAPSULE
        self._axes[capsule, 2] = model.geom_size[capsule, 1]
        still = mujoco.MjData(model)
        mujoco.mj_kinematics(model, still)
        self.around, self.depths = self._measure(still)

    def mask(self, geoms: Array) -> Array:
        """(H, W) uint8 classes of a picture of geoms (H, W), −1 where the sky is."""
        return np.asarray(self._class_of[geoms])

    def places(self, data: mujoco.MjData) -> Array:
        """(K, 3) m, where the keypoints are in the world."""
        found = np.empty((len(self.keypoints), 3))
        for index, joint in self._joints.items():
            found[index] = data.xanchor[joint]
        for index, (geom, side) in self._ends.items():
            turned = data.geom_xmat[geom].reshape(3, 3) @ self._axes[geom]
            found[index] = data.geom_xpos[geom] + side * turned
        return found

    def visible(self, data: mujoco.MjData, places: Array, origin: Array) -> Array:
        """(K,) bool: whether a viewer at `origin` (3,) m sees the keypoints at `places` (K, 3) m.

        A keypoint lies inside limbs, so it counts as seen where the first surface on the way to it is
        theirs, or anyone's that is no farther in front of it than theirs can be where they are seen from
        the side. Seen end on, from within 30° of its axis, a limb hides what is behind its nearer end.
        Found by ray casting, so that no picture is needed.
        """
        rays = places - origin
        distance = np.linalg.norm(rays, axis=1)
        seen = np.zeros(len(places), bool)
        first = np.zeros(1, np.int32)
        for k, ray in enumerate(rays / np.maximum(distance, 1e-9)[:, None]):
            hit = mujoco.mj_ray(self._model, data, origin, ray, None, True, -1, first)
            slack = self.depths[k] * (END_ON if self.around[k, first[0]] else 1.0)
            seen[k] = hit < 0 or hit >= distance[k] - slack - 1e-6
        return seen

    def _measure(self, data: mujoco.MjData) -> tuple[Array, Array]:
        """`around` and `depths`."""
        points = self.places(data)
        around = np.zeros((len(points), self._model.ngeom), bool)
        depths = np.zeros(len(points))
        for geom in np.flatnonzero(self._model.geom_bodyid > 0):
            end = data.geom_xmat[geom].reshape(3, 3) @ self._axes[geom]
            offset = points - data.geom_xpos[geom]
            share = np.clip(offset @ end / max(float(end @ end), 1e-12), -1, 1)
            away = np.linalg.norm(offset - share[:, None] * end, axis=1)
            radius = float(self._model.geom_size[geom, 0])
            around[:, geom] = away < radius
            depths = np.where(around[:, geom], np.maximum(depths, radius + away), depths)
        return around, depths
