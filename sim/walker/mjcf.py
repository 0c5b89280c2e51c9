"""MJCF files as robots: reading, checking, and adding what a file of a robot alone lacks.

A file that holds only the robot gets a ground at z = 0, a sky and a light. A named foot gets a sensor that
says whether it touches the ground. Nothing else of the file is changed. Knows no rewards and no episodes.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from functools import lru_cache
from pathlib import Path
from xml.etree import ElementTree

import numpy as np

from sim.errors import RequestError
from sim.fields import excerpt, nearest
from sim.records import Array
from sim.storage.files import special_file_kind
from sim.walker.camera import FACING, Viewpoint
from sim.walker.engine import mujoco, quieten

FOOT = "playfield foot "  # how the names of the added sensors begin
GROUND = 50.0  # m, half a side
FOLDERS = ("assetdir", "meshdir", "texturedir")  # keys of <compiler>, from the MJCF file's folder


class MjcfError(RequestError, ValueError):
    """An MJCF file that is not there, is none, or holds no robot that can be driven."""


def read_model(path: str, feet: Iterable[str] = ()) -> mujoco.MjModel:
    """Compile the MJCF file at `path`, with a contact sensor for each of the geoms `feet`.

    The caller may change what it gets; a file is read once, and again when it has changed.

    Raises:
        MjcfError: naming the file, what is wrong in it, and the mend.
    """
    file = Path(path)
    if odd := special_file_kind(file):
        raise MjcfError(f"{path} is {odd}, not an MJCF file")
    try:
        stamp = file.stat().st_mtime_ns
    except (OSError, ValueError):
        raise MjcfError(f"there is no MJCF file {path}") from None
    return _compiled(str(file), tuple(feet), stamp).__copy__()


@lru_cache(maxsize=8)
def _compiled(path: str, feet: tuple[str, ...], stamp: int) -> mujoco.MjModel:
    quieten()
    name = Path(path).name
    _check_named_files(Path(path))
    try:
        spec = mujoco.MjSpec.from_file(path)
        _furnish(spec)
        add_foot_sensors(spec, feet, name)
        model = spec.compile()
    except MjcfError:
        raise
    except Exception as error:  # MuJoCo raises ValueError, and others for what its parser did not foresee
        raise MjcfError(f"{name}: {_why(error)}") from error
    _check_robot(model, name)
    return model


def _check_named_files(file: Path) -> None:
    """Refuse meshes, textures and included files that are pipes or devices, whose reading may never end.

    Raises:
        MjcfError: naming the file.
    """
    try:
        root = ElementTree.parse(file).getroot()
    except (OSError, ElementTree.ParseError):
        return  # MuJoCo says what is wrong
    compiler = root.find("compiler")
    folders = {"", *([] if compiler is None else [compiler.get(key, "") for key in FOLDERS])}
    for element in root.iter():
        for folder in folders if element.get("file") else ():
            named = file.parent / folder / element.get("file", "")
            if odd := special_file_kind(named):
                raise MjcfError(f"{file.name}: the {element.tag} {element.get('file')} is {odd}, not a file")


def _why(error: Exception) -> str:
    """What MuJoCo says, in one line, with the mend for a file that it did not find."""
    lines = str(error).removeprefix("Error: ").split("\n")
    said = excerpt("; ".join(line.strip(" :") for line in lines if line.strip()), 300)
    if "opening file" in said:
        said += "; paths of meshes and textures start from the MJCF file's folder and its meshdir"
    return said or type(error).__name__


def _check_robot(model: mujoco.MjModel, name: str) -> None:
    """Refuse a model that nothing can drive, or that breaks apart where it begins.

    Raises:
        MjcfError: naming the file.
    """
    if model.nv == 0:
        raise MjcfError(f"{name} has no joint: give its robot a <freejoint/> and hinges")
    if model.nu == 0:
        raise MjcfError(f"{name} has no actuator: add <actuator><motor joint=…/></actuator>")
    data = mujoco.MjData(model)
    try:
        data.qpos[:] = home_position(model)
        mujoco.mj_forward(model, data)
    except Exception as error:  # such as an arena without room for the contacts
        raise MjcfError(f"{name} cannot be simulated: {_why(error)}") from error
    if not np.isfinite(data.qacc).all():
        raise MjcfError(f"{name} cannot be simulated: its accelerations at the start are not finite")


def home_position(model: mujoco.MjModel) -> Array:
    """(nq,) positions to begin from: the first keyframe's, or those in which the file draws the robot."""
    return np.array(model.key_qpos[0] if model.nkey else model.qpos0)


def root_body(model: mujoco.MjModel) -> int:
    """Number of the first body that moves, else of the first: the trunk, unless another is named."""
    moving = np.flatnonzero(model.body_dofnum > 0)
    return int(moving[0]) if len(moving) else min(1, model.nbody - 1)


def body_number(model: mujoco.MjModel, name: str) -> int:
    """Number of a moving body by name; of `root_body` for "".

    Raises:
        MjcfError: with the nearest names.
    """
    if not name:
        return root_body(model)
    names = [model.body(i).name for i in range(1, model.nbody)]
    if name not in names:
        raise MjcfError(f'trunk: there is no body "{name}"; {nearest(name, filter(None, names))}')
    return int(model.body(name).id)


def actuator_names(model: mujoco.MjModel) -> tuple[str, ...]:
    """Name of each actuator, else of the joint that it drives, else its number; "_" becomes a blank."""
    named = []
    for i in range(model.nu):
        name = model.actuator(i).name
        if not name and model.actuator_trntype[i] == mujoco.mjtTrn.mjTRN_JOINT:
            name = model.joint(int(model.actuator_trnid[i, 0])).name
        named.append((name or f"actuator {i}").replace("_", " "))
    return tuple(named)


def strongest_forces(model: mujoco.MjModel) -> Array:
    """(actuators,) N or N·m, the most of each: its force range, else what full control gives."""
    half = np.where(model.actuator_ctrllimited, np.ptp(model.actuator_ctrlrange, axis=1) / 2, 1.0)
    far = np.where(model.actuator_ctrllimited, np.abs(model.actuator_ctrlrange).max(axis=1), 1.0)
    servo = model.actuator_biastype != mujoco.mjtBias.mjBIAS_NONE  # it pulls towards where control says
    by_control = np.abs(model.actuator_gainprm[:, 0]) * np.where(servo, half, far)
    limited = model.actuator_forcelimited.astype(bool)
    most = np.where(limited, np.abs(model.actuator_forcerange).max(axis=1), by_control)
    return np.asarray(np.where(most > 0, most, 1.0))


def weight(model: mujoco.MjModel) -> float:
    """Of all that moves, N; where there is no gravity, on Earth."""
    moving = model.body_mass[model.body_weldid > 0].sum()
    return float(moving * (np.linalg.norm(model.opt.gravity) or 9.81))


def viewpoint(body: str, model: mujoco.MjModel) -> Viewpoint:
    """The viewpoint that shows `body` well; of a robot from a file from its size where it begins."""
    if body in FACING:
        return Viewpoint.facing(body)
    data = mujoco.MjData(model)
    data.qpos[:] = home_position(model)
    mujoco.mj_kinematics(model, data)
    geoms = np.flatnonzero((model.body_weldid > 0)[model.geom_bodyid])
    middle = data.xpos[root_body(model)]
    reach = np.linalg.norm(data.geom_xpos[geoms] - middle, axis=1) + model.geom_rbound[geoms]
    size = float(reach.max()) if len(geoms) else 1.0  # m from the trunk to the farthest part
    return Viewpoint(azimuth=62.0, elevation=-16.0, distance=3.2 * size, look_height=0.7 * float(middle[2]))


def fingerprint(model: mujoco.MjModel) -> str:
    """Hash of a compiled model, meshes included: 12 hexadecimal digits."""
    data = np.empty(mujoco.mj_sizeModel(model), np.uint8)
    mujoco.mj_saveModel(model, None, data)
    return hashlib.sha256(data.tobytes()).hexdigest()[:12]


def _furnish(spec: mujoco.MjSpec) -> None:
    """Add a ground where nothing stands still, and the sky, tiles and light that pictures need."""
    plane = mujoco.mjtGeom.mjGEOM_PLANE
    if not any(geom.type in (plane, mujoco.mjtGeom.mjGEOM_HFIELD) for geom in spec.worldbody.geoms):
        spec.worldbody.add_geom(type=plane, size=[GROUND, GROUND, 1.0], contype=1, conaffinity=1)
    if not spec.lights:
        spec.worldbody.add_light(pos=[0, 0, 3], dir=[0, 0, -1], type=mujoco.mjtLightType.mjLIGHT_DIRECTIONAL)
    if not any(texture.type == mujoco.mjtTexture.mjTEXTURE_SKYBOX for texture in spec.textures):
        _add_texture(spec, "playfield sky", mujoco.mjtTexture.mjTEXTURE_SKYBOX, "mjBUILTIN_GRADIENT")
    grounds = [geom for geom in spec.worldbody.geoms if geom.type == plane and not geom.material]
    if grounds:
        _add_texture(spec, "playfield tiles", mujoco.mjtTexture.mjTEXTURE_2D, "mjBUILTIN_CHECKER")
        material = spec.add_material(name="playfield ground")
        material.textures[mujoco.mjtTextureRole.mjTEXROLE_RGB] = "playfield tiles"
        for geom in grounds:
            geom.material = "playfield ground"


def _add_texture(spec: mujoco.MjSpec, name: str, kind: mujoco.mjtTexture, builtin: str) -> None:
    spec.add_texture(
        name=name,
        type=kind,
        builtin=getattr(mujoco.mjtBuiltin, builtin),
        rgb1=[0, 0, 0],
        rgb2=[0.8, 0.8, 0.8],
        width=128,
        height=128,
    )


def add_foot_sensors(spec: mujoco.MjSpec, feet: tuple[str, ...], name: str) -> None:
    """Add a sensor a foot, after the file's own: 1 while its geom touches something that stands still.

    Raises:
        MjcfError: naming a foot that is no geom, with the nearest names.
    """
    geoms = [geom.name for geom in spec.geoms if geom.name]
    for foot in feet:
        if foot not in geoms:
            raise MjcfError(f'feet: {name} has no geom "{foot}"; {nearest(foot, geoms)}')
        sensor = spec.add_sensor(
            name=f"{FOOT}{foot}",
            type=mujoco.mjtSensor.mjSENS_CONTACT,
            objtype=mujoco.mjtObj.mjOBJ_GEOM,
            objname=foot,
            reftype=mujoco.mjtObj.mjOBJ_BODY,
            refname="world",
        )
        sensor.intprm[:3] = [1, 0, 1]  # tell whether there is a contact, unsorted, of one at most
