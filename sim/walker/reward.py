"""Observations, rewards and termination of the five walkers, as in gymnasium's v5 environments.

Pure functions of batched arrays; nothing here steps or draws. Every constant is the default of the
environment that `Body.id` names, in `gymnasium.envs.mujoco`, where each is also explained:

    reward = forward_weight · v_x + healthy_reward − ctrl_weight · Σ ctrl² − contact_weight · Σ f²

with v_x in m/s, ctrl in units of the motors' gear, and f the contact forces in N and N·m.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np

from sim.records import Array


@dataclass(frozen=True)
class Body:
    """Constants of one walker's observations, rewards and termination.

    Attributes:
        id: the gymnasium environment that it equals.
        model: the MuJoCo model's file inside the gymnasium package.
        frame_skip: simulation steps in one step of the world.
        hidden: how many leading positions (m) the observation leaves out, to be independent of place.
        tracked: the point whose x velocity is rewarded.
        forward_weight: reward for each m/s.
        ctrl_weight: cost of each squared unit of control.
        noise: half width (m, rad) of the uniform noise on the starting positions.
        normal_velocity: whether starting velocities are normal with deviation `noise`, or uniform too.
        healthy_reward: reward for each step that does not end in a fall.
        height: index of the torso's height in the positions.
        healthy_height: m; None for a body that cannot fall.
        bounds_healthy: whether the two heights themselves still count as healthy.
        healthy_angle: rad, of the torso; None: any.
        healthy_state: bound on the size of all positions and velocities but the first two; None: any.
        velocity_clip: bound on observed velocities (m/s, rad/s); None: unbounded.
        contact_weight: cost of each squared unit of contact force; None: neither observed nor penalised.
        contact_clip: bound on each observed and penalised contact force; None: unbounded.
        contact_cost_max: most that contacts cost in one step.
        sees_dynamics: whether inertias, body velocities and joint torques are observed.
    """

    id: str
    model: str
    frame_skip: int
    hidden: int
    tracked: Literal["root", "torso", "mass"]
    forward_weight: float
    ctrl_weight: float
    noise: float
    normal_velocity: bool = False
    healthy_reward: float = 0.0
    height: int = 1
    healthy_height: tuple[float, float] | None = None
    bounds_healthy: bool = False
    healthy_angle: tuple[float, float] | None = None
    healthy_state: float | None = None
    velocity_clip: float | None = None
    contact_weight: float | None = None
    contact_clip: float | None = None
    contact_cost_max: float = np.inf
    sees_dynamics: bool = False


BODIES = {
    "walker2d": Body(
        id="Walker2d-v5",
        model="walker2d_v5.xml",
        frame_skip=4,
        hidden=1,
        tracked="root",
        forward_weight=1.0,
        ctrl_weight=1e-3,
        noise=5e-3,
        healthy_reward=1.0,
        healthy_height=(0.8, 2.0),
        healthy_angle=(-1.0, 1.0),
        velocity_clip=10.0,
    ),
    "hopper": Body(
        id="Hopper-v5",
        model="hopper.xml",
        frame_skip=4,
        hidden=1,
        tracked="root",
        forward_weight=1.0,
        ctrl_weight=1e-3,
        noise=5e-3,
        healthy_reward=1.0,
        healthy_height=(0.7, np.inf),
        healthy_angle=(-0.2, 0.2),
        healthy_state=100.0,
        velocity_clip=10.0,
    ),
    "halfcheetah": Body(
        id="HalfCheetah-v5",
        model="half_cheetah.xml",
        frame_skip=5,
        hidden=1,
        tracked="root",
        forward_weight=1.0,
        ctrl_weight=0.1,
        noise=0.1,
        normal_velocity=True,
    ),
    "ant": Body(
        id="Ant-v5",
        model="ant.xml",
        frame_skip=5,
        hidden=2,
        tracked="torso",
        forward_weight=1.0,
        ctrl_weight=0.5,
        noise=0.1,
        normal_velocity=True,
        healthy_reward=1.0,
        height=2,
        healthy_height=(0.2, 1.0),
        bounds_healthy=True,
        contact_weight=5e-4,
        contact_clip=1.0,
    ),
    "humanoid": Body(
        id="Humanoid-v5",
        model="humanoid.xml",
        frame_skip=5,
        hidden=2,
        tracked="mass",
        forward_weight=1.25,
        ctrl_weight=0.1,
        noise=1e-2,
        healthy_reward=5.0,
        height=2,
        healthy_height=(1.0, 2.0),
        contact_weight=5e-7,
        contact_cost_max=10.0,
        sees_dynamics=True,
    ),
}


@dataclass(frozen=True, slots=True)
class Motion:
    """Physics state of N equal bodies after a step; B counts the model's bodies, the ground first.

    Attributes:
        qpos: (N, nq) positions, m and rad; free joints turn by unit quaternions.
        qvel: (N, nv) velocities, m/s and rad/s.
        contacts: (N, B, 6) torque (N·m) and force (N) that contacts put on each body, about the centre of
            mass, `clipped`; None for bodies that do not use them, like the following three.
        inertias: (N, B, 10) inertia (kg·m²), mass moment (kg·m) and mass (kg) about the centre of mass.
        velocities: (N, B, 6) rotation (rad/s) and velocity (m/s) about the centre of mass.
        torques: (N, nv) what the motors put on each joint, N·m.
    """

    qpos: Array
    qvel: Array
    contacts: Array | None = None
    inertias: Array | None = None
    velocities: Array | None = None
    torques: Array | None = None


def clipped(body: Body, contacts: Array) -> Array:
    """(N, B, 6) contact forces, clipped as they are observed and penalised."""
    if body.contact_clip is None:
        return contacts
    return np.asarray(np.minimum(np.maximum(contacts, -body.contact_clip), body.contact_clip))


def observe(body: Body, motion: Motion) -> Array:
    """The observation, (N, D) float64, in the order of gymnasium's v5 environments.

    >>> still = Motion(qpos=np.zeros((2, 9)), qvel=np.full((2, 9), 99.0))
    >>> observe(BODIES["walker2d"], still)[0, -1], observe(BODIES["walker2d"], still).shape
    (np.float64(10.0), (2, 17))
    """
    velocity = motion.qvel
    if body.velocity_clip is not None:
        velocity = np.minimum(np.maximum(velocity, -body.velocity_clip), body.velocity_clip)
    parts = [motion.qpos[:, body.hidden :], velocity]
    if body.sees_dynamics:
        assert motion.inertias is not None and motion.velocities is not None and motion.torques is not None
        free = 6  # the free joint has no motor
        parts += [_flat(motion.inertias[:, 1:]), _flat(motion.velocities[:, 1:]), motion.torques[:, free:]]
    if body.contact_weight is not None:
        assert motion.contacts is not None
        parts.append(_flat(motion.contacts[:, 1:]))
    return np.concatenate(parts, axis=1)


def healthy(body: Body, motion: Motion) -> Array:
    """(N,) bool: whether the body is within its healthy bounds; NaN counts as a fall."""
    if body.healthy_height is None:
        return np.ones(len(motion.qpos), bool)
    height = motion.qpos[:, body.height]
    low, high = body.healthy_height
    well = (low <= height) & (height <= high) if body.bounds_healthy else (low < height) & (height < high)
    if body.healthy_angle is not None:
        angle = motion.qpos[:, 2]
        well &= (body.healthy_angle[0] < angle) & (angle < body.healthy_angle[1])
    if body.healthy_state is not None:
        for part in (motion.qpos[:, 2:], motion.qvel):
            well &= (np.abs(part) < body.healthy_state).all(axis=1)
    return well


def reward_terms(
    body: Body, motion: Motion, velocity: Array, actions: Array, well: Array
) -> dict[str, Array]:
    """The reward's terms by gymnasium's names, (N,) each; `total` adds them up.

    Args:
        body: the constants.
        motion: after the step.
        velocity: (N,) m/s along x of the tracked point, averaged over the step.
        actions: (N, D) float32 as they were given, in units of the motors' gear.
        well: (N,) bool from `healthy`.
    """
    terms = {"reward_forward": body.forward_weight * velocity}
    # gymnasium squares what it is handed, float32, but Humanoid's costs the simulator's own float64.
    ctrl = actions.astype(np.float64) if body.sees_dynamics else actions
    terms["reward_ctrl"] = -np.multiply(body.ctrl_weight, np.square(ctrl).sum(axis=1)).astype(np.float64)
    if body.contact_weight is not None:
        assert motion.contacts is not None
        cost = body.contact_weight * np.square(_flat(motion.contacts)).sum(axis=1)
        terms["reward_contact"] = -np.minimum(cost, body.contact_cost_max)
    if body.healthy_height is not None:
        terms["reward_survive"] = body.healthy_reward * well
    return terms


def total(terms: Mapping[str, Array]) -> Array:
    """(N,) the reward: the sum of its terms, added in gymnasium's order to the last bit."""
    earned = terms["reward_forward"] + terms.get("reward_survive", 0.0)
    return np.asarray(earned + (terms["reward_ctrl"] + terms.get("reward_contact", 0.0)))


def initial_state(body: Body, qpos: Array, nv: int, generator: np.random.Generator) -> tuple[Array, Array]:
    """Draw initial positions (nq,) and velocities (nv,) of an episode, in gymnasium's order."""
    positions = qpos + generator.uniform(-body.noise, body.noise, len(qpos))
    if body.normal_velocity:
        return positions, body.noise * generator.standard_normal(nv)
    return positions, generator.uniform(-body.noise, body.noise, nv)


def _flat(values: Array) -> Array:
    return values.reshape(len(values), -1)
