"""Warp kernels of walkers: observations, rewards, ends and starts of episodes, one world a thread.

The rules are those of `sim.walker.reward`, gymnasium's v5, in float32. Arrays of small vectors (inertias,
velocities, forces, positions) are seen flat: (N, bodies · k).
"""

# ruff: noqa: UP018 - to Warp float(0.0) is a variable, and 0.0 a constant that a loop cannot change

from __future__ import annotations

from typing import Any

import numpy as np
import warp as wp

from sim.walker.engine import mujoco
from sim.walker.reward import Body

TRACKED = {"root": 0, "torso": 1, "mass": 2}
UNBOUNDED = 1e30  # in place of infinities, which would make products that are not numbers


@wp.struct
class Rules:
    """Constants of one body; see `sim.walker.reward.Body`."""

    bodies: int
    positions: int
    velocities: int
    motors: int
    hidden: int
    dynamics: int  # 1: inertias, velocities and torques are observed
    contacts: int  # 1: contact forces are observed and penalised
    tracked: int
    falls: int  # 1: the body can
    bounded: int  # 1: the bounds of the height are healthy
    height: int
    max_steps: int
    dt: float
    forward_weight: float
    ctrl_weight: float
    healthy_reward: float
    lowest: float
    highest: float
    least_angle: float
    most_angle: float
    healthy_state: float
    velocity_clip: float
    contact_weight: float
    contact_clip: float
    contact_cost_max: float
    noise: float
    normal_velocity: int


def rules_of(body: Body, model: mujoco.MjModel, max_steps: int) -> Any:
    """The `Rules` of a body."""
    rules = Rules()
    rules.bodies, rules.positions, rules.velocities = model.nbody, model.nq, model.nv
    rules.motors, rules.hidden, rules.height = model.nu, body.hidden, body.height
    rules.dynamics, rules.contacts = int(body.sees_dynamics), int(body.contact_weight is not None)
    rules.tracked, rules.max_steps = TRACKED[body.tracked], max_steps
    rules.dt = model.opt.timestep * body.frame_skip
    rules.forward_weight, rules.ctrl_weight = body.forward_weight, body.ctrl_weight
    rules.healthy_reward = body.healthy_reward
    rules.falls, rules.bounded = int(body.healthy_height is not None), int(body.bounds_healthy)
    everywhere = -UNBOUNDED, UNBOUNDED
    rules.lowest, rules.highest = np.clip(body.healthy_height or everywhere, *everywhere)
    rules.least_angle, rules.most_angle = body.healthy_angle or everywhere
    rules.healthy_state = body.healthy_state or UNBOUNDED
    rules.velocity_clip = body.velocity_clip or UNBOUNDED
    rules.contact_weight, rules.contact_clip = body.contact_weight or 0.0, body.contact_clip or UNBOUNDED
    rules.contact_cost_max = min(body.contact_cost_max, UNBOUNDED)
    rules.noise, rules.normal_velocity = body.noise, int(body.normal_velocity)
    return rules


@wp.kernel
def begin(
    rules: Rules,
    masked: wp.array(dtype=wp.bool),
    seeds: wp.array(dtype=wp.int32),
    given: int,  # 1: positions and velocities are those given, 0: drawn by the seeds
    given_qpos: wp.array2d(dtype=float),
    given_qvel: wp.array2d(dtype=float),
    home: wp.array(dtype=float),
    qpos: wp.array2d(dtype=float),
    qvel: wp.array2d(dtype=float),
    warm_start: wp.array2d(dtype=float),
    torques: wp.array2d(dtype=float),
    contacts: wp.array2d(dtype=float),
    elapsed: wp.array(dtype=wp.int32),
) -> None:
    """Put the masked worlds where their next episodes begin, at rest but for the starting noise."""
    i = wp.tid()
    if not masked[i]:
        return
    state = wp.rand_init(seeds[i])
    for k in range(rules.positions):
        if given == 1:
            qpos[i, k] = given_qpos[i, k]
        else:
            qpos[i, k] = home[k] + wp.randf(state, -rules.noise, rules.noise)
    for k in range(rules.velocities):
        if given == 1:
            qvel[i, k] = given_qvel[i, k]
        elif rules.normal_velocity == 1:
            qvel[i, k] = rules.noise * wp.randn(state)
        else:
            qvel[i, k] = wp.randf(state, -rules.noise, rules.noise)
        warm_start[i, k] = 0.0
        torques[i, k] = 0.0
    for k in range(rules.bodies * 6):
        contacts[i, k] = 0.0
    elapsed[i] = 0


@wp.kernel
def next_seeds(masked: wp.array(dtype=wp.bool), seeds: wp.array(dtype=wp.int32)) -> None:
    """Draw the seed of the next episode of the masked worlds from that of the last one."""
    i = wp.tid()
    if masked[i]:
        seeds[i] = wp.randi(wp.rand_init(seeds[i], 1), 0, 2147483647)


@wp.kernel
def observe(
    rules: Rules,
    masked: wp.array(dtype=wp.bool),
    qpos: wp.array2d(dtype=float),
    qvel: wp.array2d(dtype=float),
    inertias: wp.array2d(dtype=float),
    velocities: wp.array2d(dtype=float),
    torques: wp.array2d(dtype=float),
    contacts: wp.array2d(dtype=float),
    obs: wp.array2d(dtype=float),
) -> None:
    """Write number k of the masked worlds' observations, in the order of `sim.walker.reward.observe`."""
    i, k = wp.tid()
    if not masked[i]:
        return
    at = k
    shown = rules.positions - rules.hidden
    if at < shown:
        obs[i, k] = qpos[i, at + rules.hidden]
        return
    at -= shown
    if at < rules.velocities:
        obs[i, k] = wp.clamp(qvel[i, at], -rules.velocity_clip, rules.velocity_clip)
        return
    at -= rules.velocities
    moving = rules.bodies - 1  # the ground is left out
    if rules.dynamics == 1:
        if at < moving * 10:
            obs[i, k] = inertias[i, at + 10]
            return
        at -= moving * 10
        if at < moving * 6:
            obs[i, k] = velocities[i, at + 6]
            return
        at -= moving * 6
        if at < rules.velocities - 6:  # the free joint has no motor
            obs[i, k] = torques[i, at + 6]
            return
        at -= rules.velocities - 6
    obs[i, k] = wp.clamp(contacts[i, at + 6], -rules.contact_clip, rules.contact_clip)


@wp.kernel
def track(
    rules: Rules,
    masked: wp.array(dtype=wp.bool),
    qpos: wp.array2d(dtype=float),
    origins: wp.array2d(dtype=float),
    centres: wp.array2d(dtype=float),
    masses: wp.array(dtype=float),
    x: wp.array(dtype=float),
) -> None:
    """Find the x (m) of the point whose advance is rewarded, of the masked worlds."""
    i = wp.tid()
    if not masked[i]:
        return
    if rules.tracked == 0:
        x[i] = qpos[i, 0]
    elif rules.tracked == 1:
        x[i] = origins[i, 3]
    else:
        moment = float(0.0)
        total = float(0.0)
        for b in range(rules.bodies):
            moment += masses[b] * centres[i, 3 * b]
            total += masses[b]
        x[i] = moment / total


@wp.kernel
def judge(
    rules: Rules,
    qpos: wp.array2d(dtype=float),
    qvel: wp.array2d(dtype=float),
    contacts: wp.array2d(dtype=float),
    actions: wp.array2d(dtype=float),
    before: wp.array(dtype=float),
    x: wp.array(dtype=float),
    last_obs: wp.array2d(dtype=float),
    obs: wp.array2d(dtype=float),
    elapsed: wp.array(dtype=wp.int32),
    terms: wp.array2d(dtype=float),
    reward: wp.array(dtype=float),
    terminated: wp.array(dtype=wp.bool),
    truncated: wp.array(dtype=wp.bool),
    ended: wp.array(dtype=wp.bool),
    reason: wp.array(dtype=wp.int32),
) -> None:
    """Rewards and ends of one step; `terms` are velocity (m/s), forward, control, contact and survival.

    Reasons are numbers of `sim.walker.walkers.REASONS`: 1 unhealthy, 2 time limit, 3 unstable.
    """
    i = wp.tid()
    well = bool(True)
    if rules.falls == 1:
        height = qpos[i, rules.height]
        if rules.bounded == 1:
            well = rules.lowest <= height and height <= rules.highest
        else:
            well = rules.lowest < height and height < rules.highest
        well = well and rules.least_angle < qpos[i, 2] and qpos[i, 2] < rules.most_angle
        for k in range(2, rules.positions):
            well = well and wp.abs(qpos[i, k]) < rules.healthy_state
        for k in range(rules.velocities):
            well = well and wp.abs(qvel[i, k]) < rules.healthy_state
    control = float(0.0)
    for k in range(rules.motors):
        control += actions[i, k] * actions[i, k]
    force = float(0.0)
    if rules.contacts == 1:
        for k in range(rules.bodies * 6):
            pressed = wp.clamp(contacts[i, k], -rules.contact_clip, rules.contact_clip)
            force += pressed * pressed
    velocity = (x[i] - before[i]) / rules.dt
    terms[i, 0] = velocity
    terms[i, 1] = rules.forward_weight * velocity
    terms[i, 2] = -rules.ctrl_weight * control
    terms[i, 3] = -wp.min(rules.contact_weight * force, rules.contact_cost_max)
    terms[i, 4] = wp.where(well and rules.falls == 1, rules.healthy_reward, 0.0)
    gained = terms[i, 1] + terms[i, 4] + (terms[i, 2] + terms[i, 3])
    elapsed[i] += 1
    sane = wp.isfinite(gained)
    for k in range(obs.shape[1]):
        sane = sane and wp.isfinite(obs[i, k])
    late = elapsed[i] >= rules.max_steps
    if not sane:  # the last sane observation, and no reward
        for k in range(obs.shape[1]):
            obs[i, k] = last_obs[i, k]
        for k in range(5):
            terms[i, k] = 0.0
        gained = 0.0
        well = bool(True)
    reward[i] = gained
    terminated[i] = not well
    truncated[i] = late or not sane
    ended[i] = terminated[i] or truncated[i]
    reason[i] = 0
    if not sane:
        reason[i] = 3
    elif not well:
        reason[i] = 1
    elif late:
        reason[i] = 2
