"""Software renderer of walkers in numpy, for machines without OpenGL: shaded capsules on a chequered ground.

Every limb is a capsule, two spheres and what lies between, and perspective turns it into two discs
and their common tangents. The signed distance to that outline gives smooth edges without drawing
anything twice; the same numbers give the surface's normal for the light and its depth, so that
limbs pass in front of each other as they should. Shadows are capsules too, flat on the ground.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np

from sim.records import Array
from sim.walker.camera import Camera, PinholeCamera
from sim.walker.engine import mujoco
from sim.walker.mjcf import root_body
from sim.walker.rendering.palette import HAZE, STANDARD, TILE, Appearance, geom_colors

NEAR = 0.05  # m; what is nearer to the lens is not drawn
SHOWN_GROUPS = 3  # MuJoCo shows groups 0 to 2 of geoms; the others are for collisions, by convention
SHADOW = 0.6  # of the ground's light that a shadow takes


@dataclass(frozen=True)
class Capsules:
    """K capsules in space: ends (K, 3) m, radius (K,) m, colour (K, 3) in [0, 255]."""

    start: Array
    end: Array
    radius: Array
    color: Array


class Drawing:
    """Software renderer of `model`: capsules and spheres; other shapes as the capsule that fits inside."""

    def __init__(self, model: mujoco.MjModel) -> None:
        self._model = model
        self._root = root_body(model)
        self._geoms, self._radius, self._middle, self._axis = _as_capsules(model)

    def draw(self, data: mujoco.MjData, camera: Camera, look: Appearance = STANDARD) -> Array:
        """(camera.height, camera.width, 3) uint8."""
        color = geom_colors(self._model, look)[self._geoms]
        view = camera.view(data.xpos[self._root])
        turned = data.geom_xmat[self._geoms].reshape(-1, 3, 3)
        middle = data.geom_xpos[self._geoms] + np.einsum("kij,kj->ki", turned, self._middle)
        axis = np.einsum("kij,kj->ki", turned, self._axis)
        return picture(Capsules(middle - axis, middle + axis, self._radius, color), view, look)


def _as_capsules(model: mujoco.MjModel) -> tuple[Array, Array, Array, Array]:
    """The geoms that can be seen, as capsules.

    Returns:
        (K,) numbers of the geoms; (K,) m radius; (K, 3) m middle and (K, 3) m from there to an end, in each
        geom's own frame. A box is as long as its longest side, and as thick as the other two.
    """
    kinds = mujoco.mjtGeom
    ground = np.isin(model.geom_type, (kinds.mjGEOM_PLANE, kinds.mjGEOM_HFIELD))
    shown = np.flatnonzero(~ground & (model.geom_group < SHOWN_GROUPS))
    radius, middle, axis = np.zeros(len(shown)), np.zeros((len(shown), 3)), np.zeros((len(shown), 3))
    for k, geom in enumerate(shown):
        kind, size = model.geom_type[geom], model.geom_size[geom]
        if kind == kinds.mjGEOM_SPHERE:
            radius[k] = size[0]
        elif kind in (kinds.mjGEOM_CAPSULE, kinds.mjGEOM_CYLINDER):
            radius[k], axis[k, 2] = size[0], size[1]
        else:
            middle[k], sides = model.geom_aabb[geom, :3], model.geom_aabb[geom, 3:]
            longest = int(sides.argmax())
            radius[k] = np.delete(sides, longest).mean()
            axis[k, longest] = max(float(sides[longest] - radius[k]), 0.0)
    return shown, radius, middle, axis


def picture(capsules: Capsules, view: PinholeCamera, look: Appearance = STANDARD) -> Array:
    """Render sky, ground, shadows and capsules, (view.height, view.width, 3) uint8."""
    canvas = _sky_and_ground(view, capsules, look)
    depth = np.full(canvas.shape[:2], np.inf, np.float32)
    start, start_depth = view.project(capsules.start)
    end, end_depth = view.project(capsules.end)
    visible = np.flatnonzero((start_depth > NEAR) & (end_depth > NEAR))
    nearness = -np.round(start_depth + end_depth, 3)[visible]  # limbs in one plane keep their order
    far_first = visible[np.argsort(nearness, kind="stable")]
    for k in far_first:
        _capsule(
            canvas,
            depth,
            view,
            look,
            (start[k], end[k]),
            (float(start_depth[k]), float(end_depth[k])),
            float(capsules.radius[k]),
            capsules.color[k],
        )
    return np.asarray((canvas + 0.5).astype(np.uint8))


def _capsule(
    canvas: Array,
    depth: Array,
    view: PinholeCamera,
    look: Appearance,
    ends: tuple[Array, Array],
    depths: tuple[float, float],
    radius: float,
    color: Array,
) -> None:
    """Draw one capsule over `canvas` (H, W, 3) where it is nearer than `depth` (H, W); update both."""
    radii = view.focal * radius / depths[0], view.focal * radius / depths[1]  # pixels
    box = _box(ends, max(radii) + 1.0, view)
    if box is None:
        return
    rows, columns = box
    y = np.arange(rows.start, rows.stop, dtype=np.float32)[:, None] + np.float32(0.5)
    x = np.arange(columns.start, columns.stop, dtype=np.float32)[None] + np.float32(0.5)
    share, across, down = _nearest(x, y, ends, radii)
    local = np.float32(radii[0]) + share * np.float32(radii[1] - radii[0])  # (h, w) pixels
    distance = np.sqrt(across * across + down * down)
    inside = np.minimum(distance / local, np.float32(1.0))
    towards = np.sqrt(np.float32(1.0) - inside * inside)  # of the normal, towards the viewer
    z = np.float32(depths[0]) + share * np.float32(depths[1] - depths[0]) - np.float32(radius) * towards
    old = depth[rows, columns]
    blur = np.float32(depths[0] / view.focal * 2)  # m: soften where limbs pass through each other
    coverage = np.clip(local - distance + np.float32(0.5), 0.0, 1.0)
    coverage *= np.clip((old - z) / blur + np.float32(1.0), 0.0, 1.0)
    light = _light(across / local, -down / local, towards, view, look)
    patch = canvas[rows, columns]
    shaded = np.minimum(light[..., None] * color.astype(np.float32), np.float32(255.0))
    patch += coverage[..., None] * (shaded - patch)
    np.copyto(old, z, where=(coverage > 0.5) & (z < old))


def _nearest(
    x: Array, y: Array, ends: tuple[Array, Array], radii: tuple[float, float]
) -> tuple[Array, Array, Array]:
    """For pixels x (1, w) and y (h, 1): which disc along the way from one end to the other reaches best.

    Returns:
        (h, w) the disc, from 0 at the first end to 1 at the second; and how far, in pixels to the
        right and down, the pixel lies from its centre.
    """
    (x0, y0), (x1, y1) = ends[0].tolist(), ends[1].tolist()
    length = max(float(np.hypot(x1 - x0, y1 - y0)), 1e-3)
    along_x, along_y = np.float32((x1 - x0) / length), np.float32((y1 - y0) / length)
    dx, dy = x - np.float32(x0), y - np.float32(y0)
    taper = (radii[1] - radii[0]) / length
    if abs(taper) >= 0.99:  # one disc hides the other
        share = np.full((len(y), x.shape[1]), float(radii[1] > radii[0]), np.float32)
    else:
        along = dx * along_x + dy * along_y
        beside = np.abs(dx * along_y - dy * along_x)
        lean = np.float32(taper / np.sqrt(1.0 - taper * taper))
        share = np.clip((along + beside * lean) / np.float32(length), 0.0, 1.0)
    return share, dx - share * np.float32(x1 - x0), dy - share * np.float32(y1 - y0)


def _light(right: Array, up: Array, towards: Array, view: PinholeCamera, look: Appearance) -> Array:
    """(h, w) brightness of surfaces with these normals: sky, sun and a narrow glint."""
    sun_right, sun_up = np.float32(np.dot(look.sun, view.right)), np.float32(np.dot(look.sun, view.up))
    sun_towards = np.float32(-np.dot(look.sun, view.forward))
    sun = np.maximum(right * sun_right + up * sun_up + towards * sun_towards, np.float32(0.0))
    sky = up * np.float32(view.up[2]) - towards * np.float32(view.forward[2])  # 1 faces the zenith
    light = np.float32(look.ambient) * (np.float32(0.46) + np.float32(0.16) * sky)
    light += np.float32(look.sunlight * 0.5) * sun
    glint = sun * sun
    glint *= glint
    glint *= glint
    return np.asarray(light + np.float32(look.sunlight * 0.14) * glint * glint)


def _box(ends: tuple[Array, Array], margin: float, view: PinholeCamera) -> tuple[slice, slice] | None:
    """Rows and columns that hold both ends and `margin` pixels around; None outside the picture."""
    both = np.stack(ends)
    left, top = np.floor(both.min(axis=0) - margin)
    right, bottom = np.ceil(both.max(axis=0) + margin)
    if right <= 0 or bottom <= 0 or left >= view.width or top >= view.height:
        return None
    rows = slice(max(int(top), 0), min(int(bottom), view.height))
    return rows, slice(max(int(left), 0), min(int(right), view.width))


def _sky_and_ground(view: PinholeCamera, capsules: Capsules, look: Appearance) -> Array:
    """(H, W, 3) float32 in [0, 255] of what is behind the walker, its shadow included."""
    height, width = view.height, view.width
    canvas = np.empty((height, width, 3), np.float32)
    v = height / 2 - (np.arange(height) + 0.5)  # (H,) pixels above the middle
    slope = view.up[2] * v + view.forward[2] * view.focal  # (H,) of each row's rays
    steep = slope / np.sqrt(view.focal**2 + v * v)  # sine of their angle above the horizon
    share = np.clip(steep / 0.7, 0.0, 1.0)[:, None] ** 0.6
    canvas[:] = (_rgb(look.horizon) + share * (_rgb(look.zenith) - _rgb(look.horizon)))[:, None].astype(
        np.float32
    )
    first = int(np.searchsorted(-slope, 1e-6))  # rows from here on see the ground
    if view.origin[2] <= 0 or first == height:
        return canvas
    reach = view.origin[2] / -slope[first:]  # (G,) m of travel for each pixel of focal length
    ground = _Ground(view, v[first:], reach)
    light = ground.tiles()  # (G, W)
    shade = ground.shadows(capsules, look)
    haze = np.exp(-reach * view.focal / HAZE)[:, None].astype(np.float32)
    for channel in range(3):
        dark, bright = look.tiles[0][channel], look.tiles[1][channel]
        color = np.float32(dark) + np.float32(bright - dark) * light
        color *= shade
        canvas[first:, :, channel] += haze * (color - np.float32(look.horizon[channel]))
    return canvas


class _Ground:
    """The rows of a picture that see the ground: pixel (g, w) looks at x_g + u_w · step_g there."""

    def __init__(self, view: PinholeCamera, v: Array, reach: Array) -> None:
        self._view = view
        u = np.arange(view.width) + 0.5 - view.width / 2
        ahead = view.focal * view.forward[:2] + v[:, None] * view.up[:2]  # (G, 2)
        self._middle = view.origin[:2] + reach[:, None] * ahead  # (G, 2) m
        self._step = reach[:, None] * view.right[:2]  # (G, 2) m for a pixel to the right
        self._u = u.astype(np.float32)
        self._first = view.height - len(v)

    def at(self, axis: int, rows: slice = slice(None), columns: slice = slice(None)) -> Array:
        """(g, w) x or y, m, relative to a whole number of tiles near the viewer."""
        period = 2 * TILE
        anchor = np.round(self._view.origin[axis] / period) * period
        middle = (self._middle[rows, axis] - anchor).astype(np.float32)
        step = self._step[rows, axis].astype(np.float32)
        return np.asarray(middle[:, None] + step[:, None] * self._u[columns])

    def tiles(self) -> Array:
        """(G, W) from 0 to 1: the chequers, averaged over what each pixel covers."""
        waves = []
        for axis in range(2):
            down = np.abs(np.gradient(self._middle[:, axis])) if len(self._middle) > 1 else 0.0
            covers = (np.abs(self._step[:, axis]) + down + 1e-4) / TILE  # (G,) tiles a pixel
            waves.append(_square_wave(self.at(axis) / np.float32(TILE), covers[:, None].astype(np.float32)))
        return np.asarray(np.float32(0.5) - np.float32(0.5) * waves[0] * waves[1])

    def shadows(self, capsules: Capsules, look: Appearance) -> Array:
        """(G, W) share of the light that reaches the ground, softer below what is higher."""
        shade = np.zeros((len(self._middle), self._view.width), np.float32)
        period = 2 * TILE
        anchor = np.round(self._view.origin[:2] / period) * period
        sun = np.array(look.sun)
        for k in range(len(capsules.radius)):
            ends = np.stack([capsules.start[k], capsules.end[k]])
            radius = float(capsules.radius[k])
            soft = 0.3 * radius + 0.15 * float(max(ends[:, 2].mean(), 0.0))
            flat = ends[:, :2] - ends[:, 2:] * (sun[:2] / sun[2])
            box = self._covered(flat, radius + soft)
            if box is None:
                continue
            start, along = (flat[0] - anchor).astype(np.float32), (flat[1] - flat[0]).astype(np.float32)
            dx, dy = self.at(0, *box) - start[0], self.at(1, *box) - start[1]
            share = np.clip((dx * along[0] + dy * along[1]) / max(float(along @ along), 1e-9), 0.0, 1.0)
            dx -= share * along[0]
            dy -= share * along[1]
            edge = np.clip((radius + soft - np.sqrt(dx * dx + dy * dy)) / np.float32(2 * soft), 0.0, 1.0)
            edge *= np.float32(min(1.0, 2 * radius / (radius + soft)))
            patch = shade[box]
            np.maximum(patch, edge * edge * (np.float32(3.0) - np.float32(2.0) * edge), out=patch)
        return np.asarray(np.float32(1.0) - np.float32(SHADOW) * shade)

    def _covered(self, points: Array, margin: float) -> tuple[slice, slice] | None:
        """Rows of the ground and columns around flat points (K, 2) and `margin` m about them."""
        low, high = points.min(axis=0) - margin, points.max(axis=0) + margin
        corners = np.array([[x, y, 0.0] for x in (low[0], high[0]) for y in (low[1], high[1])])
        pixels, depth = self._view.project(corners)
        if (depth < NEAR).any():
            return slice(None), slice(None)
        box = _box((pixels.min(axis=0), pixels.max(axis=0)), 1.0, self._view)
        if box is None:
            return None
        rows, columns = box
        top, bottom = max(rows.start - self._first, 0), rows.stop - self._first
        return (slice(top, bottom), columns) if bottom > top else None


def _square_wave(x: Array, width: Array) -> Array:
    """A wave of ±1 with period 2, averaged over `width` around each x: no moiré far away."""
    half = np.float32(0.5) * width
    return np.asarray((_triangle(x + half) - _triangle(x - half)) / width)


def _triangle(x: Array) -> Array:
    """The integral of the square wave."""
    phase = x * np.float32(0.5)
    phase -= np.floor(phase)
    phase -= np.float32(0.5)
    return np.asarray(np.float32(1.0) - np.float32(2.0) * np.abs(phase))


@cache
def _rgb(color: tuple[int, int, int]) -> Array:
    return np.array(color, np.float32)
