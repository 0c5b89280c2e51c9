"""Colours and lights of walker pictures, the same in software and in OpenGL.

`STANDARD` is for people: a neutral ground, limbs told apart. `random_appearance` draws others at random, so
that a model trained on them does not rely on one colour.
"""

from __future__ import annotations

import colorsys
import math
import re
from dataclasses import dataclass

import numpy as np

from sim.records import Array
from sim.walker.engine import mujoco

Color = tuple[int, int, int]

TILE = 0.5  # m
HAZE = 25.0  # m at which the ground has faded into the horizon by 1 − 1/e


@dataclass(frozen=True)
class Appearance:
    """Colours and lights of a picture. Colours are 0 to 255.

    Attributes:
        torso: the colour of what is in the middle.
        right: of the limbs on the right, and of a cheetah's hind leg.
        left: of the limbs on the left, and of a cheetah's front leg.
        zenith: of the sky above.
        horizon: of the sky where it meets the ground, and of what is far away.
        tiles: of the two kinds of tile.
        sun: (3,) towards the sun; of length 1.
        sunlight: brightness of the sun, times the usual.
        ambient: brightness of what the sun does not reach, times the usual.
    """

    torso: Color = (226, 223, 214)
    right: Color = (230, 159, 0)  # orange and sky blue of Okabe & Ito 2008, told apart by every eye
    left: Color = (86, 180, 233)
    zenith: Color = (20, 24, 31)
    horizon: Color = (92, 103, 117)
    tiles: tuple[Color, Color] = ((47, 53, 61), (62, 69, 79))
    sun: tuple[float, float, float] = (-0.3478, -0.4969, 0.7951)
    sunlight: float = 1.0
    ambient: float = 1.0


STANDARD = Appearance()

#: Bodies that start a limb and its side; what hangs on them has its colour. A cheetah's are rear and front.
LIMBS = {
    "thigh": "right",
    "thigh_left": "left",
    "bthigh": "right",
    "fthigh": "left",
    "front_left_leg": "left",
    "front_right_leg": "right",
    "back_leg": "left",
    "right_back_leg": "right",
    "right_thigh": "right",
    "left_thigh": "left",
    "right_upper_arm": "right",
    "left_upper_arm": "left",
}


#: Words in the names of other bodies; the short ones are front left, hind left, rear left and so on.
SIDES = {"right": {"right", "r", "fr", "hr", "rr", "br"}, "left": {"left", "l", "fl", "hl", "rl", "bl"}}


def random_appearance(generator: np.random.Generator) -> Appearance:
    """Random colours and lights, for domain randomisation; right limbs stay warm and left ones cool.

    In bodies that move in a plane nothing else distinguishes left from right.
    """
    tile = generator.uniform(0.12, 0.7)
    contrast = generator.uniform(0.04, 0.25) * (1 if tile < 0.4 else -1)
    hue, tint = generator.uniform(0, 1), generator.uniform(0, 0.45)
    sky, blue = generator.uniform(0, 1), generator.uniform(0, 0.6)
    around, above = math.radians(generator.uniform(0, 360)), math.radians(generator.uniform(35, 80))
    return Appearance(
        torso=_color(generator.uniform(0, 1), generator.uniform(0, 0.35), generator.uniform(0.6, 1)),
        right=_color(generator.uniform(-0.06, 0.16), generator.uniform(0.6, 1), generator.uniform(0.65, 1)),
        left=_color(generator.uniform(0.46, 0.74), generator.uniform(0.45, 1), generator.uniform(0.65, 1)),
        zenith=_color(sky, blue, generator.uniform(0.05, 0.95)),
        horizon=_color(sky, blue * 0.5, generator.uniform(0.25, 1)),
        tiles=(_color(hue, tint, tile), _color(hue, tint, tile + contrast)),
        sun=(
            math.cos(above) * math.cos(around),
            math.cos(above) * math.sin(around),
            math.sin(above),
        ),
        sunlight=float(generator.uniform(0.5, 1.3)),
        ambient=float(generator.uniform(0.7, 1.2)),
    )


def _color(hue: float, saturation: float, value: float) -> Color:
    red, green, blue = (round(255 * part) for part in colorsys.hsv_to_rgb(hue % 1, saturation, value))
    return red, green, blue


def side_of(body: str) -> str | None:
    """Side of the limb that begins with a body, "right" or "left"; None where its name tells none.

    Of other bodies than gymnasium's the words of the name tell it.

    >>> side_of("bthigh"), side_of("FL_hip"), side_of("rear-right thigh"), side_of("torso")
    ('right', 'left', 'right', None)
    """
    words = set(re.split(r"[^a-z]+", body.lower()))
    return LIMBS.get(body) or next((side for side, names in SIDES.items() if words & names), None)


def geom_colors(model: mujoco.MjModel, look: Appearance = STANDARD) -> Array:
    """Colours of the geoms, (geoms, 3) in [0, 255], by the limb that each belongs to."""
    of_body = [look.torso] * model.nbody
    for body in range(1, model.nbody):
        side = side_of(model.body(body).name)
        inherited = of_body[model.body_parentid[body]]
        of_body[body] = {"right": look.right, "left": look.left}[side] if side else inherited
    return np.asarray(np.array(of_body, np.float32)[model.geom_bodyid])


def apply_appearance(model: mujoco.MjModel, textures: Array, look: Appearance) -> None:
    """Set the colours and lights of a model that is only drawn, never stepped.

    Args:
        model: changed in place.
        textures: the `tex_data` that it came with.
        look: to apply.
    """
    bodies = model.geom_type != mujoco.mjtGeom.mjGEOM_PLANE
    model.geom_matid[bodies] = -1
    model.geom_rgba[bodies, :3] = geom_colors(model, look)[bodies] / 255
    model.geom_rgba[~bodies] = 1.0
    model.geom_size[~bodies, :2] = 0.0  # the ground has no end
    model.mat_reflectance[:], model.mat_specular[:] = 0.0, 0.0
    model.mat_texuniform[:], model.mat_texrepeat[:] = True, 1 / TILE
    model.vis.rgba.haze[:3], model.vis.map.haze = np.array(look.horizon) / 255, 0.8
    model.tex_data[:] = textures
    for texture in range(model.ntex):
        kind = model.tex_type[texture]
        if kind == mujoco.mjtTexture.mjTEXTURE_SKYBOX:
            _recolor(model, texture, look.horizon, look.zenith, centered=True)
        elif kind == mujoco.mjtTexture.mjTEXTURE_2D:
            _recolor(model, texture, *look.tiles)
    model.vis.headlight.ambient[:], model.vis.headlight.diffuse[:] = 0.42 * look.ambient, 0.12 * look.ambient
    model.light_diffuse[:] = 0.5 * look.sunlight


def _recolor(model: mujoco.MjModel, texture: int, low: Color, high: Color, *, centered: bool = False) -> None:
    """Stretch a grey texture between two colours; `centered`: from its middle grey to both its ends."""
    start = int(model.tex_adr[texture])
    channels = int(model.tex_nchannel[texture])
    size = int(model.tex_height[texture] * model.tex_width[texture]) * channels
    pixels = model.tex_data[start : start + size].reshape(-1, channels)
    grey = pixels[:, 0].astype(np.intp) + pixels[:, 1] + pixels[:, 2]
    level = np.arange(3 * 255 + 1)[:, None]
    share = np.clip((level - grey.min()) / max(int(np.ptp(grey)), 1), 0.0, 1.0)
    if centered:
        share = np.abs(2 * share - 1) ** 0.6
    shades = np.rint(np.array(low) + share * (np.array(high) - np.array(low)))
    pixels[:, :3] = shades.astype(np.uint8)[grey]
