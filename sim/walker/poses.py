"""Validity of poses: joints within their ranges, nothing inside the ground.

A pose may come from anywhere, such as a generative model; it is checked by the simulator's own geometry,
without a simulation step. MuJoCo's limits and contacts are soft, so simulated bodies exceed them a little: as
much is allowed.
"""

from __future__ import annotations

import numpy as np

from sim.records import Array
from sim.walker.engine import mujoco
from sim.walker.reward import BODIES
from sim.walker.simulation import load

#: Tolerances on the limits: random play exceeds them in one of a thousand poses of the walker; the other
#: bodies keep within half of them, save an ant's joints in one pose of fifty.
OVERBENT = 0.35  # rad
SUNK = 0.05  # m


def pose_faults(body: str, positions: Array) -> list[str]:
    """Describe what is wrong with each pose; empty where it is possible.

    Args:
        body: a key of `BODIES`.
        positions: (N, nq) MuJoCo's generalised positions: metres, radians, quaternions of any length.

    Raises:
        ValueError: if the body is unknown, or its poses have another number of positions.

    >>> import numpy as np
    >>> upright = np.array([[0, 1.25, 0, 0, 0, 0, 0, 0, 0.0]])
    >>> pose_faults("walker2d", upright - [0, 1, 0, 0, 0, 0, 0, 0, 0])
    ['foot is 0.96 m inside the ground']
    """
    if body not in BODIES:
        raise ValueError(f"body must be one of {', '.join(BODIES)}, not {body!r}")
    model = load(BODIES[body])
    if positions.ndim != 2 or positions.shape[1] != model.nq:
        raise ValueError(f"poses of {body} are (N, {model.nq}), not {positions.shape}")
    data = mujoco.MjData(model)
    return [_fault(model, data, pose) for pose in positions.astype(np.float64)]


def _fault(model: mujoco.MjModel, data: mujoco.MjData, pose: Array) -> str:
    if not np.isfinite(pose).all():
        return "a position is not finite"
    return _bent(model, pose) or _inside(model, data, pose)


def _bent(model: mujoco.MjModel, pose: Array) -> str:
    """Describe a joint beyond its range, or ""."""
    for joint in np.flatnonzero(model.jnt_limited):
        angle = pose[model.jnt_qposadr[joint]]
        low, high = model.jnt_range[joint]
        if not low - OVERBENT <= angle <= high + OVERBENT:
            name = model.joint(joint).name.replace("_", " ")
            return f"{name} is bent to {angle:.2f}, its range is {low:.2f} … {high:.2f} rad"
    return ""


def _inside(model: mujoco.MjModel, data: mujoco.MjData, pose: Array) -> str:
    """Describe a part in the ground, or ""."""
    data.qpos[:] = pose
    mujoco.mj_kinematics(model, data)
    mujoco.mj_collision(model, data)
    ground = model.geom("floor").id
    deepest, part = -SUNK, -1
    for contact in data.contact[: data.ncon]:
        if ground in contact.geom and contact.dist < deepest:
            deepest = contact.dist
            part = int(contact.geom[0] if contact.geom[1] == ground else contact.geom[1])
    if part < 0:
        return ""
    name = model.body(model.geom_bodyid[part]).name.replace("_", " ")
    return f"{name} is {-deepest:.2f} m inside the ground"


def whole_positions(body: str, shown: Array) -> Array:
    """Complete the observed positions of a body at the origin to MuJoCo's (N, nq) positions.

    Args:
        body: a key of `BODIES`.
        shown: (N, nq − `Body.hidden`) the others, in their order; quaternions of any length become units.

    Raises:
        ValueError: if the body is unknown, or has another number of positions.
    """
    if body not in BODIES:
        raise ValueError(f"body must be one of {', '.join(BODIES)}, not {body!r}")
    model, hidden = load(BODIES[body]), BODIES[body].hidden
    if shown.ndim != 2 or shown.shape[1] != model.nq - hidden:
        raise ValueError(f"shown positions of {body} are (N, {model.nq - hidden}), not {shown.shape}")
    whole = np.concatenate([np.zeros((len(shown), hidden)), shown.astype(np.float64)], axis=1)
    for joint in np.flatnonzero(model.jnt_type == mujoco.mjtJoint.mjJNT_FREE):
        first = model.jnt_qposadr[joint] + 3
        length = np.linalg.norm(whole[:, first : first + 4], axis=1, keepdims=True)
        whole[:, first : first + 4] /= np.where(length > 0, length, 1.0)
    return whole


def kind_of_fault(model: mujoco.MjModel, pose: Array) -> str:
    """The kind of fault of one pose (nq,), without its numbers, for counting; "" if there is none."""
    if _bent(model, pose):
        return "a joint beyond its range"
    return "inside the ground" if _inside(model, mujoco.MjData(model), pose) else ""
