"""Ground contacts and joint torques of a walker: points, forces on the robot, which feet touch.

Forces are those that MuJoCo's constraint solver finds at the state shown, under the controls of the last
step (`mj_forward`, then `mj_contactForce`): they belong to the picture, not to the middle of a step.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

from sim.records import Array
from sim.walker.engine import mujoco

#: Foot → its geoms.
Feet: TypeAlias = Mapping[str, Collection[int]]

#: Foot → the geom that touches the ground, of gymnasium's bodies.
FEET: dict[str, dict[str, str]] = {
    "walker2d": {"left": "foot_left_geom", "right": "foot_geom"},
    "hopper": {"foot": "foot_geom"},
    "halfcheetah": {"rear": "bfoot", "front": "ffoot"},
    "ant": {
        "front left": "left_ankle_geom",
        "front right": "right_ankle_geom",
        "back left": "third_ankle_geom",
        "back right": "fourth_ankle_geom",
    },
    "humanoid": {"left": "left_foot", "right": "right_foot"},
}


def feet_of(body: str, model: mujoco.MjModel, declared: tuple[str, ...] = ()) -> dict[str, tuple[int, ...]]:
    """Feet of a robot: name → its geoms.

    They are the `declared` geoms; else gymnasium's bodies have a table, and of any other robot these are the
    geoms and bodies with "foot" in their name.

    >>> from sim.walker.reward import BODIES
    >>> from sim.walker.simulation import load
    >>> feet_of("hopper", load(BODIES["hopper"]))
    {'foot': (4,)}
    """
    if declared:
        names = {geom: name for name, geom in FEET.get(body, {}).items()}
        own: dict[str, list[int]] = {}
        for label in declared:
            own.setdefault(names.get(label) or _side(label), []).append(model.geom(label).id)
        return {name: tuple(geoms) for name, geoms in own.items()}
    if body in FEET:
        return {name: (model.geom(geom).id,) for name, geom in FEET[body].items()}
    found: dict[str, list[int]] = {}
    for geom in range(model.ngeom):
        owner = model.body(int(model.geom_bodyid[geom])).name
        name = next((name for name in (model.geom(geom).name, owner) if "foot" in name.lower()), "")
        if name:
            found.setdefault(_side(name), []).append(geom)
    return {name: tuple(geoms) for name, geoms in found.items()}


def _side(name: str) -> str:
    """What a foot's name says besides being a foot: ``foot_front_left_geom`` is ``front left``."""
    words = [word for word in re.split(r"[^a-z0-9]+", name.lower()) if word not in ("", "foot", "geom")]
    return " ".join(words) or "foot"


@dataclass(frozen=True)
class Contacts:
    """C ground contacts of one robot, and the torques of its M motors.

    Attributes:
        points: (C, 3) m, in space.
        forces: (C, 3) N on the robot, along the axes of space.
        touching: (F,) bool, the feet on the ground.
        torques: (M,) N·m on the joints of the motors (N where a joint slides).
    """

    points: Array
    forces: Array
    touching: Array
    torques: Array


def ground_contacts(model: mujoco.MjModel, data: mujoco.MjData, feet: Feet) -> Contacts:
    """The contacts between a robot and what does not move.

    Args:
        model: of the robot.
        data: its state; all that follows from it is computed anew.
        feet: the robot's.
    """
    mujoco.mj_forward(model, data)
    points, forces, touched = [], [], set[int]()
    wrench = np.zeros(6)
    for number in range(data.ncon):
        contact = data.contact[number]
        first, second = (int(geom) for geom in contact.geom)
        if contact.efc_address < 0:  # near, but not in touch
            continue
        still = [model.body_weldid[model.geom_bodyid[geom]] == 0 for geom in (first, second)]
        if still[0] == still[1]:
            continue
        mujoco.mj_contactForce(model, data, number, wrench)
        on_second = contact.frame.reshape(3, 3).T @ wrench[:3]  # its normal points from first to second
        points.append(contact.pos.copy())
        forces.append(on_second if still[0] else -on_second)
        touched.add(second if still[0] else first)
    return Contacts(
        np.array(points).reshape(-1, 3),
        np.array(forces).reshape(-1, 3),
        np.array([not touched.isdisjoint(geoms) for geoms in feet.values()], bool),
        data.qfrc_actuator[model.jnt_dofadr[motor_joints(model)]].copy(),
    )


def motor_joints(model: mujoco.MjModel) -> Array:
    """(M,) number of the joint that each motor drives; of one that drives no single joint, 0."""
    kinds = mujoco.mjtTrn
    joint = np.isin(model.actuator_trntype, (kinds.mjTRN_JOINT, kinds.mjTRN_JOINTINPARENT))
    return np.where(joint, model.actuator_trnid[:, 0], 0)


def motor_limits(model: mujoco.MjModel) -> Array:
    """(M,) N·m, the most that each motor can put on its joint either way; 0 where nothing bounds it."""
    gear = np.abs(model.actuator_gear[:, 0])
    bounds = np.where(
        model.actuator_forcelimited.astype(bool)[:, None],
        model.actuator_forcerange,
        np.where(model.actuator_ctrllimited.astype(bool)[:, None], model.actuator_ctrlrange, 0.0),
    )
    return np.asarray(gear * np.abs(bounds).max(axis=1))
