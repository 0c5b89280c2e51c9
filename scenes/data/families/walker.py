"""Walker family: generated poses, checked by the simulator's geometry, rendered, used as initial states."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from scenes.data.families.family import Decoded, WorldFamily
from sim.records import Array
from sim.walker.reward import BODIES

SIDE = 96  # pixels of a thumbnail
VELOCITY = 5e-3  # m/s, rad/s: deviation of the velocities, of which poses say nothing


def world_of(data: str) -> str | None:
    """``walker/<body>`` for ``states/<body>``.

    >>> world_of("states/ant"), world_of("states/pong")
    ('walker/ant', None)
    """
    family, _, body = data.partition("/")
    return f"walker/{body}" if family == "states" and body in BODIES else None


def decode(body: str, values: Array) -> list[Decoded]:
    """Faults of each pose, such as joints out of range."""
    from sim.walker.poses import pose_faults

    faults = pose_faults(body, whole_poses(body, values))
    return [Decoded(fault or "a possible pose", not fault, fault or "possible") for fault in faults]


def whole_poses(body: str, values: Array) -> Array:
    """Poses (n, nq) of a body from vectors without its position along the ground."""
    return np.pad(values.astype(np.float64), ((0, 0), (BODIES[body].hidden, 0)))


def states(body: str, values: Array, seed: int) -> Iterator[tuple[Array, Array]]:
    """Positions (nq,) of samples, and small random velocities (nv,)."""
    from sim.walker.poses import whole_positions
    from sim.walker.simulation import load

    generator = np.random.default_rng(seed)
    width = load(BODIES[body]).nv
    for pose in whole_positions(body, values):
        yield pose, VELOCITY * generator.standard_normal(width)


def draw(body: str, values: Array) -> Array:
    """(n, SIDE, SIDE, 3) uint8 pictures of the body in each pose."""
    import mujoco

    from sim.walker.camera import Camera
    from sim.walker.rendering.software import Drawing
    from sim.walker.simulation import load

    model = load(BODIES[body])
    state, drawing, camera = mujoco.MjData(model), Drawing(model), Camera.facing(body, SIDE, SIDE)
    drawn = []
    for pose in whole_poses(body, values):
        state.qpos[:] = np.nan_to_num(pose)
        mujoco.mj_kinematics(model, state)
        drawn.append(drawing.draw(state, camera))
    return np.stack(drawn) if drawn else np.zeros((0, SIDE, SIDE, 3), np.uint8)


FAMILY = WorldFamily(
    world_of,
    decode,
    states,
    states_from="walker/<body> takes states/<body>",
    verdict_names=("possible", "impossible"),
    draw=draw,
)
