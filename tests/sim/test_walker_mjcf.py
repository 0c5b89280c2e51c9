"""MJCF files as robots: bad ones are named and cost nothing, bare ones are furnished, wild ones are cut."""

import os

import numpy as np
import pytest

pytest.importorskip("mujoco")

from sim.catalog import make_world, make_worlds  # noqa: E402
from sim.errors import RequestError, WorkError  # noqa: E402
from sim.walker.contacts import feet_of  # noqa: E402
from sim.walker.engine import mujoco  # noqa: E402
from sim.walker.mjcf import MjcfError, fingerprint, read_model  # noqa: E402
from sim.walker.rendering.palette import side_of  # noqa: E402
from sim.walker.rendering.software import Drawing  # noqa: E402
from sim.walker.reward import BODIES  # noqa: E402
from sim.walker.simulation import load  # noqa: E402
from sim.walker.truth import TruthError  # noqa: E402

BODY = '<body name="a" pos="0 0 0.5"><freejoint/><geom size="0.1"/>{}</body>'
ARM = '<body name="b"><joint name="j" {}/><geom pos="0.2 0 0" size="0.1"/></body>'
MOTOR = '<actuator><motor joint="j"/></actuator>'


def mjcf(inside, rest=MOTOR):
    return f"<mujoco><worldbody>{inside}</worldbody>{rest}</mujoco>"


ROBOT = mjcf(BODY.format(ARM.format("")))
CRAMPED = ROBOT.replace("<mujoco>", '<mujoco><size memory="1K"/>')  # room for no contact
BAD = {
    "element": (
        "<mujoco><worldbody><bdy/></worldbody></mujoco>",
        "unrecognized element; Element 'bdy', line 1",
    ),
    "no XML": ("a robot", "XML parse error"),
    "nothing": ("", "XML"),
    "no joint": (mjcf("<geom size='1'/>", ""), "has no joint: give its robot a <freejoint/>"),
    "no actuator": (mjcf(BODY.format("")).replace(MOTOR, ""), "has no actuator: add <actuator>"),
    "massless": (mjcf("<body><freejoint/></body>", ""), "mass and inertia of moving bodies"),
    "unknown joint": (ROBOT.replace('joint="j"', 'joint="k"'), "'k'"),
    "itself": ('<mujoco><include file="robot.xml"/></mujoco>', "already included"),
    "mesh": (
        ROBOT.replace("<worldbody>", '<asset><mesh name="m" file="no.stl"/></asset><worldbody>'),
        "opening file 'no.stl'; paths of meshes and textures start from the MJCF file's folder",
    ),
    "memory": (CRAMPED.replace("0 0 0.5", "0 0 0.05"), "cannot be simulated: .*out of memory"),
}


@pytest.mark.parametrize("case", BAD)
def test_a_bad_file_is_refused_with_its_name_and_the_reason(tmp_path, case):
    text, says = BAD[case]
    file = tmp_path / "robot.xml"
    file.write_text(text)
    with pytest.raises(RequestError, match=f"(?s)robot.xml.*{says}") as caught:
        make_world("walker/file", path=str(file), reward={"alive": 1.0})
    assert "\n" not in str(caught.value)


def test_what_is_no_file_is_refused_and_never_waited_for(tmp_path):
    os.mkfifo(tmp_path / "pipe.xml")
    for name, says in (
        ("pipe.xml", "is a named pipe"),
        ("", "is a folder"),
        ("no.xml", "there is no MJCF file"),
    ):
        with pytest.raises(MjcfError, match=says):
            read_model(str(tmp_path / name))


@pytest.mark.parametrize("folder", ["", "shapes"])
def test_a_mesh_that_is_a_pipe_is_refused_and_never_waited_for(tmp_path, folder):
    (tmp_path / folder).mkdir(exist_ok=True)
    os.mkfifo(tmp_path / folder / "trunk.stl")
    mesh = f'<compiler meshdir="{folder}"/><asset><mesh name="trunk" file="trunk.stl"/></asset>'
    (tmp_path / "robot.xml").write_text(ROBOT.replace("<mujoco>", f"<mujoco>{mesh}"))
    with pytest.raises(MjcfError, match=r"robot\.xml: the mesh trunk\.stl is a named pipe, not a file"):
        read_model(str(tmp_path / "robot.xml"))


def test_a_file_that_changed_is_read_again(tmp_path):
    file = tmp_path / "robot.xml"
    file.write_text(ROBOT)
    before = fingerprint(read_model(str(file)))
    assert fingerprint(read_model(str(file))) == before
    file.write_text(ROBOT.replace('size="0.1"', 'size="0.11"', 1))
    os.utime(file, ns=(1, 1))
    assert fingerprint(read_model(str(file))) != before


def test_a_robot_without_a_ground_gets_one_and_lands_on_it(tmp_path):
    """By default geoms of this file touch nothing but what touches them: the ground must."""
    file = tmp_path / "robot.xml"
    default = '<mujoco><default><geom contype="0" conaffinity="1"/></default>'
    file.write_text(ROBOT.replace("<mujoco>", default))
    world = make_world("walker/file", path=str(file), reward={"alive": 1.0}, width=64, height=48)
    world.reset(seed=0)
    for _ in range(100):
        world.step(np.zeros(1, np.float32))
    assert 0.05 < world.height < 0.3
    assert len(np.unique(world.render())) > 20


def test_what_a_file_has_of_its_own_is_left_alone(tmp_path):
    file = tmp_path / "robot.xml"
    inside = '<geom name="mine" type="plane" size="1 1 1"/><light pos="0 0 5"/>' + BODY.format(ARM.format(""))
    file.write_text(mjcf(inside))
    model = read_model(str(file))
    assert [model.geom(i).name for i in np.flatnonzero(model.geom_type == 0)] == ["mine"]
    assert model.nlight == 1 and model.nsensor == 0


#: What gymnasium's robots have not: a wall, a body that stands still before the robot, a ball joint, a mesh,
#: a tendon's motor, one without limits, and geoms that are only there to collide.
ODD = """
<mujoco>
  <asset><mesh name="wedge" vertex="0 0 0  0.3 0 0  0 0.2 0  0 0 0.1"/></asset>
  <worldbody>
    <geom name="wall" type="box" pos="2 0 0.5" size="0.1 1 0.5"/>
    <body name="post"><geom type="cylinder" pos="0 2 0.2" size="0.1 0.2"/></body>
    <body name="hull" pos="0 0 0.5">
      <freejoint/>
      <geom type="mesh" mesh="wedge"/>
      <geom type="sphere" size="0.3" group="3" contype="0" conaffinity="0" mass="0"/>
      <body pos="0.1 0 0"><joint type="ball"/><geom type="capsule" size="0.03" fromto="0 0 0 0.2 0 0"/>
        <body pos="0.2 0 0"><joint name="a"/><geom type="ellipsoid" size="0.1 0.05 0.05"/></body></body>
      <body pos="-0.1 0 0"><joint name="b"/><geom type="box" size="0.05 0.1 0.05"/></body>
    </body>
  </worldbody>
  <tendon><fixed name="both"><joint joint="a" coef="1"/><joint joint="b" coef="-1"/></fixed></tendon>
  <equality><joint joint1="a" joint2="b"/></equality>
  <actuator><motor name="cable" tendon="both"/><position joint="b" kp="5"/></actuator>
</mujoco>
"""


REWARD = {"alive": 1.0, "power": -1.0}


@pytest.mark.parametrize("backend", ["opengl", "software"])
def test_what_gymnasiums_robots_have_not_plays_and_is_drawn(tmp_path, backend, block_opengl):
    file = tmp_path / "odd.xml"
    file.write_text(ODD)
    if backend == "software":
        block_opengl("told so")
    world = make_world("walker/file", path=str(file), reward=REWARD, width=80, height=60)
    renderer = world.interactive_renderer()
    obs, _ = world.reset(seed=0)
    assert len(obs) == (4 + 1 + 1) + (3 + 1 + 1) + (1 + 3 + 6)  # joints, their velocities, the trunk
    for _ in range(20):
        obs, reward, _, truncated, _ = world.step(np.ones(2, np.float32))
        assert np.isfinite(obs).all() and np.isfinite(reward) and not truncated
        renderer.note()
    assert world.action_labels == ("cable", "b")
    assert world.torso[2] == pytest.approx(world.height) and world.torso[1] < 1, "the hull, not the post"
    assert len(np.unique(renderer.draw().reshape(-1, 3), axis=0)) > 50
    assert all(np.isfinite(reading.value) for reading in renderer.readouts)
    assert len(renderer.robot(None).joints) >= 1
    with pytest.raises(TruthError, match="the parts of a robot from a file have no names"):
        world.truth()


@pytest.mark.parametrize("flag", ["", '<option><flag autoreset="disable"/></option>'])
def test_a_simulation_that_diverges_is_truncated_with_the_reason(tmp_path, flag):
    file = tmp_path / "wild.xml"
    wild = '<option timestep="0.05" integrator="Euler"/>'  # a spring far too stiff for such steps
    file.write_text(
        mjcf(BODY.format(ARM.format('stiffness="1e9"'))).replace("<mujoco>", f"<mujoco>{wild}{flag}")
    )
    worlds = make_worlds("walker/file", 2, path=str(file), reward={"forward": 1.0}, reset_noise_scale=0.1)
    worlds.reset(seed=0)
    for _ in range(200):
        obs, reward, terminated, truncated, info = worlds.step(np.ones((2, 1), np.float32))
        assert np.isfinite(obs).all() and np.isfinite(reward).all() and not terminated.any()
        if truncated.any():
            break
    assert info["final_info"]["reason"][truncated].tolist() == ["unstable"] * truncated.sum()


def test_a_robot_that_finds_no_memory_for_its_contacts_is_truncated_and_one_that_begins_so_is_refused(
    tmp_path,
):
    file = tmp_path / "cramped.xml"
    file.write_text(CRAMPED)
    world = make_world("walker/file", path=str(file), reward={"alive": 1.0})
    world.reset(seed=0)
    over = cut = False
    for _ in range(60):
        _, _, over, cut, info = world.step(np.zeros(1, np.float32))
        if over or cut:
            break
    assert cut and not over and info["reason"] == "unstable"
    sunk = world.simulation.qpos[:1].copy()
    sunk[0, 2] = 0.05
    with pytest.raises(WorkError, match="an episode cannot begin: .*out of memory"):
        world.simulation.reset(np.array([0]), sunk, np.zeros_like(world.simulation.qvel[:1]))


@pytest.mark.parametrize(
    ("geom", "long", "thick"),
    [
        ('type="box" size="0.1 0.5 0.1"', [0, 0.4, 0], 0.1),
        ('type="ellipsoid" size="0.6 0.2 0.2"', [0.4, 0, 0], 0.2),
        ('type="capsule" size="0.1 0.3"', [0, 0, 0.3], 0.1),
        ('type="sphere" size="0.2"', [0, 0, 0], 0.2),
    ],
)
def test_shapes_are_drawn_as_long_as_they_are(geom, long, thick):
    model = mujoco.MjModel.from_xml_string(
        f"<mujoco><worldbody><body><freejoint/><geom {geom}/></body></worldbody></mujoco>"
    )
    drawing = Drawing(model)
    np.testing.assert_allclose(drawing._axis[0], long, atol=1e-6)
    assert drawing._radius[0] == pytest.approx(thick)


def test_declared_feet_have_the_names_of_their_sides():
    for body, feet, names in (
        ("walker2d", ("foot_left_geom",), ["left"]),
        ("ant", (), ["front left", "front right", "back left", "back right"]),
        ("ant", ("third_ankle_geom", "left_ankle_geom"), ["back left", "front left"]),
    ):
        assert list(feet_of(body, load(BODIES[body]), feet)) == names


def test_sides_of_limbs_are_told_by_their_names():
    names = [
        "FL_thigh",
        "rear_left_hip",
        "LEFT-arm",
        "fr_foot",
        "right_leg",
        "head",
        "floor",
        "thigh_left",
        "bthigh",
    ]
    sides = ["left", "left", "left", "right", "right", None, None, "left", "right"]
    assert [side_of(name) for name in names] == sides
