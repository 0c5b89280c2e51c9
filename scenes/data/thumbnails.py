"""Examples as pictures: those that are pictures already, walkers' poses drawn, other vectors as bars."""

from __future__ import annotations

from typing import Any

import numpy as np

from sim.records import Array
from sim.viewer.draw.theme import CLASS_COLORS, PALETTE
from supervised.data.dataset import Spec

SIDE = 96  # pixels of a portrait


def thumbnails(values: Array, spec: Spec, data: str) -> Array:
    """(n, H, W, 3) uint8 of n examples.

    Args:
        values: (n, …) examples.
        spec: of their data.
        data: its name, such as ``states/walker2d``.
    """
    if spec.pictures:
        return values
    family, _, variant = data.partition("/")
    if family == "states" and variant in _bodies():
        return _poses(whole_poses(variant, values), variant)
    return np.stack([_bars(row) for row in _scaled(values)]) if len(values) else _none()


def whole_poses(body: str, values: Array) -> Array:
    """Poses (n, nq) of a body from vectors that leave out where along the ground it stands."""
    hidden = _bodies()[body].hidden
    return np.pad(values.astype(np.float64), ((0, 0), (hidden, 0)))


def _bodies() -> Any:
    from sim.walker.reward import BODIES

    return BODIES


def _poses(positions: Array, body: str) -> Array:
    import mujoco

    from sim.walker.camera import Camera
    from sim.walker.draw import Drawing
    from sim.walker.simulation import load

    model = load(_bodies()[body])
    state, drawing, camera = mujoco.MjData(model), Drawing(model), Camera.facing(body, SIDE, SIDE)
    drawn = []
    for pose in positions:
        state.qpos[:] = np.nan_to_num(pose)
        mujoco.mj_kinematics(model, state)
        drawn.append(drawing.draw(state, camera))
    return np.stack(drawn) if drawn else _none()


def _scaled(values: Array) -> Array:
    """(n, D) in [−1, 1] by each number's own largest size among these."""
    scaled: Array = values / np.abs(values).max(0).clip(min=1e-6)
    return scaled


def _bars(row: Array) -> Array:
    """One bar a number, to the left of the middle where it is negative."""
    picture = np.empty((SIDE, SIDE, 3), np.uint8)
    picture[:] = PALETTE.panel
    middle, edges = SIDE // 2, np.linspace(2, SIDE - 2, len(row) + 1).round().astype(int)
    for i, value in enumerate(row):
        end = middle + round(float(value) * (middle - 4))
        bottom = max(edges[i] + 1, edges[i + 1] - 1)
        picture[edges[i] : bottom, min(middle, end) : max(middle, end) + 1] = CLASS_COLORS[
            i % len(CLASS_COLORS)
        ]
    return picture


def _none() -> Array:
    return np.zeros((0, SIDE, SIDE, 3), np.uint8)
