"""State of a robot as its trunk, joints, feet and sensors: what rewards, limits and observations are made of.

All of it is batched over N worlds. Joint positions and velocities are those after the step; places in space,
contacts and sensors are, as in gymnasium, those of the integrator's last evaluation, one simulation step
before. Sums are added in a fixed order, so that a world alone gives the same bits as among others.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from sim.records import Array
from sim.walker.engine import mujoco
from sim.walker.mjcf import FOOT, body_number, home_position
from sim.walker.simulation import ALL, Simulation

Rows = Array | slice


class Proprioception:
    """Reads one robot's trunk, joints, feet and sensors out of a `Simulation`.

    Args:
        simulation: of N worlds.
        trunk: name of the body that must stay upright; "" is the first that moves.

    Attributes:
        home: (nq,) positions to begin from.
        standing_height: m, of the trunk there.
    """

    def __init__(self, simulation: Simulation, trunk: str = "") -> None:
        model = simulation.model
        self._simulation = simulation
        self._trunk = body_number(model, trunk)
        self._root = int(model.body_rootid[self._trunk])
        fields = ("xpos", "xmat", "cvel", "subtree_com", "sensordata")
        self._xpos, self._xmat, self._cvel, self._com, self._sensors = map(simulation.output, fields)
        self.home = home_position(model)
        still = mujoco.MjData(model)
        still.qpos[:] = self.home
        mujoco.mj_kinematics(model, still)
        self.standing_height = float(still.xpos[self._trunk, 2])
        self._upright = still.xmat[self._trunk].reshape(3, 3).T.copy()  # undoes how the file turns the trunk
        self._positions, self._velocities = _driven(model, self._trunk)
        feet = sum(model.sensor(i).name.startswith(FOOT) for i in range(model.nsensor))
        self._own_sensors = int(model.nsensordata) - feet  # numbers; then one a foot

    def place(self, rows: Rows = ALL) -> Array:
        """(K, 3) m, the trunk's."""
        return np.array(self._xpos[rows, self._trunk])

    def axes(self, rows: Rows = ALL) -> Array:
        """(K, 3, 3) the trunk's forward, left and up as columns; the identity where it stands as at first."""
        turned = self._xmat[rows, self._trunk].reshape(-1, 3, 3)
        return np.asarray(sum(turned[:, :, k, None] * self._upright[None, None, k] for k in range(3)))

    def upright(self, rows: Rows = ALL) -> Array:
        """(K,) cosine of the trunk's tilt."""
        return self.axes(rows)[:, 2, 2]

    def heading(self, rows: Rows = ALL) -> Array:
        """(K,) rad about the vertical, where the trunk points; 0 is along x."""
        axes = self.axes(rows)
        return np.arctan2(axes[:, 1, 0], axes[:, 0, 0])

    # Parts of observations, (K, …) each

    def joint_positions(self, rows: Rows = ALL) -> Array:
        """Of all joints but the trunk's own, less the first ones: rad, m; ball joints' quaternions."""
        return np.asarray((self._simulation.qpos[rows] - self.home)[:, self._positions])

    def joint_velocities(self, rows: Rows = ALL) -> Array:
        """Of the same joints, rad/s or m/s."""
        return np.asarray(self._simulation.qvel[rows][:, self._velocities])

    def trunk_height(self, rows: Rows = ALL) -> Array:
        """Above z = 0, m."""
        return self._xpos[rows, self._trunk, 2:3]

    def trunk_orientation(self, rows: Rows = ALL) -> Array:
        """Direction of gravity in the trunk's frame, a unit vector (3): (0, 0, −1) while it is upright."""
        return -self.axes(rows)[:, 2]

    def trunk_velocity(self, rows: Rows = ALL) -> Array:
        """Velocity (3), m/s, and rotation (3), rad/s, of the trunk, in its own frame."""
        spin, along = self._cvel[rows, self._trunk, :3], self._cvel[rows, self._trunk, 3:]
        lever = self._xpos[rows, self._trunk] - self._com[rows, self._root]
        axes = self.axes(rows)
        return np.concatenate(
            [_seen_from(axes, along + np.cross(spin, lever)), _seen_from(axes, spin)], axis=1
        )

    def contacts(self, rows: Rows = ALL) -> Array:
        """One number a foot: 1 while it touches the ground, else 0."""
        return np.minimum(self._sensors[rows][:, self._own_sensors :], 1.0)

    def sensors(self, rows: Rows = ALL) -> Array:
        """What the file's own sensors measure, in their units."""
        return np.array(self._sensors[rows][:, : self._own_sensors])


Part = Callable[[Proprioception, Rows], Array]

#: Part of an observation → how it is read; `sim.walker.tasks.task` adds those of no physical state.
PARTS: dict[str, Part] = {
    "joint_positions": Proprioception.joint_positions,
    "joint_velocities": Proprioception.joint_velocities,
    "trunk_height": Proprioception.trunk_height,
    "trunk_orientation": Proprioception.trunk_orientation,
    "trunk_velocity": Proprioception.trunk_velocity,
    "contacts": Proprioception.contacts,
    "sensors": Proprioception.sensors,
}


def _seen_from(axes: Array, vectors: Array) -> Array:
    """(K, 3) vectors of the world in frames (K, 3, 3) whose columns are their axes."""
    return np.asarray(sum(axes[:, k] * vectors[:, k, None] for k in range(3)))


def _driven(model: mujoco.MjModel, trunk: int) -> tuple[Array, Array]:
    """Indices of the positions and of the velocities of all joints but those that carry the trunk."""
    carrying, body = [], trunk
    while body > 0:
        carrying.append(body)
        body = int(model.body_parentid[body])
    joints = [j for j in range(model.njnt) if model.jnt_bodyid[j] not in carrying]
    sizes = {mujoco.mjtJoint.mjJNT_FREE: (7, 6), mujoco.mjtJoint.mjJNT_BALL: (4, 3)}
    positions: list[int] = []
    velocities: list[int] = []
    for j in joints:
        wide = sizes.get(mujoco.mjtJoint(int(model.jnt_type[j])), (1, 1))
        positions += range(model.jnt_qposadr[j], model.jnt_qposadr[j] + wide[0])
        velocities += range(model.jnt_dofadr[j], model.jnt_dofadr[j] + wide[1])
    return np.array(positions, np.intp), np.array(velocities, np.intp)
