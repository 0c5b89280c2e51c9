"""The colours of pictures, the same in software and in OpenGL: a neutral ground, limbs told apart."""

from __future__ import annotations

import mujoco
import numpy as np

from sim.records import Array

Color = tuple[int, int, int]

TORSO = (226, 223, 214)
RIGHT = (230, 159, 0)  # orange and sky blue of Okabe & Ito 2008, told apart by every eye
LEFT = (86, 180, 233)
ZENITH = (20, 24, 31)
HORIZON = (92, 103, 117)
TILES = (47, 53, 61), (62, 69, 79)
TILE = 0.5  # m
HAZE = 25.0  # m at which the ground has faded into the horizon by 1 − 1/e

#: Bodies that start a limb; what hangs on them has their colour. Half a cheetah's are rear and front.
LIMBS = {
    "thigh": RIGHT,
    "thigh_left": LEFT,
    "bthigh": RIGHT,
    "fthigh": LEFT,
    "front_left_leg": LEFT,
    "front_right_leg": RIGHT,
    "back_leg": LEFT,
    "right_back_leg": RIGHT,
    "right_thigh": RIGHT,
    "left_thigh": LEFT,
    "right_upper_arm": RIGHT,
    "left_upper_arm": LEFT,
}


def geom_colors(model: mujoco.MjModel) -> Array:
    """(geoms, 3) in [0, 255], by the limb that each belongs to."""
    of_body = [TORSO] * model.nbody
    for body in range(1, model.nbody):
        of_body[body] = LIMBS.get(model.body(body).name, of_body[model.body_parentid[body]])
    return np.asarray(np.array(of_body, np.float32)[model.geom_bodyid])


def dress(model: mujoco.MjModel) -> None:
    """Give a model that is only drawn, never stepped, these colours instead of its own."""
    bodies = model.geom_bodyid > 0
    model.geom_matid[bodies] = -1
    model.geom_rgba[bodies, :3] = geom_colors(model)[bodies] / 255
    model.geom_rgba[~bodies] = 1.0
    model.geom_size[~bodies, :2] = 0.0  # the ground has no end
    model.mat_reflectance[:], model.mat_specular[:] = 0.0, 0.0
    model.mat_texuniform[:], model.mat_texrepeat[:] = True, 1 / TILE
    model.vis.rgba.haze[:3], model.vis.map.haze = np.array(HORIZON) / 255, 0.8
    for texture in range(model.ntex):
        kind = model.tex_type[texture]
        if kind == mujoco.mjtTexture.mjTEXTURE_SKYBOX:
            _recolor(model, texture, HORIZON, ZENITH, centered=True)
        elif kind == mujoco.mjtTexture.mjTEXTURE_2D:
            _recolor(model, texture, *TILES)
    model.vis.headlight.ambient[:], model.vis.headlight.diffuse[:] = 0.5, 0.25
    model.light_diffuse[:], model.light_dir[:] = 0.45, np.array([0.35, 0.5, -0.8])


def _recolor(model: mujoco.MjModel, texture: int, low: Color, high: Color, *, centered: bool = False) -> None:
    """Stretch a grey texture between two colours; `centered`: from its middle grey to both its ends."""
    start = int(model.tex_adr[texture])
    channels = int(model.tex_nchannel[texture])
    size = int(model.tex_height[texture] * model.tex_width[texture]) * channels
    pixels = model.tex_data[start : start + size].reshape(-1, channels)
    grey = pixels[:, :3].mean(axis=1, keepdims=True)
    share = (grey - grey.min()) / max(float(np.ptp(grey)), 1.0)
    if centered:
        share = np.abs(2 * share - 1) ** 0.6
    pixels[:, :3] = np.rint(np.array(low) + share * (np.array(high) - np.array(low)))
