"""Ground contacts and pushes of walkers: forces balance the weight, pushes obey Newton's second law."""

import mujoco
import numpy as np
import pytest

from sim.viewer.contract.gesture import DrawsRobot, Gesture
from sim.walker.contacts import feet_of, ground_contacts, motor_limits
from sim.walker.push import PER_WEIGHT, STRONGEST
from sim.walker.reward import BODIES
from sim.walker.simulation import load
from sim.walker.world import Walker


@pytest.fixture
def stage():
    """`stage(body)`: a world that has begun, and its renderer."""
    opened = []

    def make(body="walker2d"):
        world = Walker(body, width=320, height=240).make(0)
        opened.append(world)
        world.reset(seed=0)
        renderer = world.interactive_renderer()
        renderer.note()
        return world, renderer

    yield make
    for world in opened:
        world.close()


def idle(world):
    return np.zeros(world.action_space.shape, np.float32)


def landed(stage):
    world, renderer = stage()
    for _ in range(20):
        world.step(idle(world))
    renderer.note()
    return world, renderer


def test_a_box_at_rest_presses_with_its_weight_on_the_ground():
    model = mujoco.MjModel.from_xml_string("""
        <mujoco><worldbody><geom name="floor" type="plane" size="0 0 1"/>
        <body pos="0 0 .1"><freejoint/><geom name="right_foot" type="box" size=".1 .1 .1" mass="3"/></body>
        <body pos="9 0 50"><freejoint/><geom name="foot_front_left_geom" size=".1"/></body>
        </worldbody></mujoco>""")
    data = mujoco.MjData(model)
    mujoco.mj_step(model, data, 500)
    feet = feet_of("file", model)
    found = ground_contacts(model, data, feet)
    assert list(feet) == ["right", "front left"]
    np.testing.assert_allclose(found.forces.sum(0), [0, 0, 3 * 9.81], atol=0.05)
    assert len(found.points) == 4 and np.abs(found.points[:, 2]).max() < 1e-3
    assert found.touching.tolist() == [True, False], "the ball is still in the air"


def test_contacts_push_the_robot_up_whichever_geom_is_named_first():
    """MuJoCo orders the two geoms of a contact by type: a mesh of the ground would come second."""
    still = '<geom name="table" type="box" size="1 1 .1" pos="0 0 -.1"/>'
    model = mujoco.MjModel.from_xml_string(f"""
        <mujoco><worldbody>{still}
        <body pos="0 0 .1"><freejoint/><geom name="foot" type="sphere" size=".1" mass="2"/></body>
        </worldbody></mujoco>""")
    data = mujoco.MjData(model)
    mujoco.mj_step(model, data, 500)
    assert list(data.contact[0].geom) == [1, 0]
    np.testing.assert_allclose(
        ground_contacts(model, data, {"foot": (1,)}).forces.sum(0), [0, 0, 2 * 9.81], atol=0.05
    )


def test_a_walker_in_flight_has_no_contacts(stage):
    world, renderer = landed(stage)
    assert renderer.robot(None).touching == (True, True) and renderer.robot(None).contacts
    world.simulation.qpos[0, 1] += 0.5
    renderer.note()
    state = renderer.robot(None)
    assert state.contacts == () and state.touching == (False, False) and state.pattern == 0


@pytest.mark.parametrize("body", BODIES)
def test_every_body_has_feet_and_bounded_motors(body):
    model = load(BODIES[body])
    feet = feet_of(body, model)
    expected = {"walker2d": 2, "hopper": 1, "halfcheetah": 2, "ant": 4, "humanoid": 2}
    assert len(feet) == expected[body]
    limits = np.abs(model.actuator_gear[:, 0]) * model.actuator_ctrlrange[:, 1]
    np.testing.assert_allclose(motor_limits(model), limits)


def test_torques_are_the_actions_times_the_gears(stage):
    world, renderer = stage("hopper")
    world.step(np.array([1.0, -0.5, 0.25], np.float32))
    renderer.note()
    state = renderer.robot(None)
    assert [joint.torque for joint in state.joints] == pytest.approx([200.0, -100.0, 50.0])
    assert [joint.share for joint in state.joints] == pytest.approx([1.0, -0.5, 0.25])
    assert isinstance(renderer, DrawsRobot) and state.most_torque == 200


def test_a_shove_changes_the_momentum_by_force_times_time(stage):
    world, renderer = stage()
    weight = renderer.robot(None).weight
    assert weight == pytest.approx(23.677 * 9.81, rel=1e-4)
    world.simulation.qpos[0, 1] += 2.0  # in flight, where nothing else acts along x

    def momentum():
        model, data = world.simulation.model, world.simulation.data(0)
        mujoco.mj_forward(model, data)
        mujoco.mj_subtreeVel(model, data)
        return float(model.body_mass.sum() * data.subtree_linvel[0, 0])

    world.camera.azimuth = 90.0  # right is +x
    before, steps = momentum(), round(0.2 / world.simulation.dt)
    renderer.touch(Gesture("shove", 1.0))
    for _ in range(steps):
        assert world.pushing
        world.step(idle(world))
        renderer.note()
    assert momentum() - before == pytest.approx(weight * 0.2, rel=0.02)
    assert world.pushed and renderer.pushed and not world.pushing and renderer.robot(None).push is None
    world.step(idle(world))
    assert momentum() - before == pytest.approx(weight * 0.2, rel=0.02), "it has ended"
    world.reset()
    assert not world.pushed


def test_a_drag_pulls_the_limb_towards_the_pointer_until_let_go(stage):
    world, renderer = stage()
    renderer.touch(Gesture("push", 0.5, 0.3, on=True))
    assert renderer.robot(None).push.newtons < 0.35 * renderer.robot(None).weight, "it begins where it holds"
    held = renderer.robot(None).push.at
    renderer.touch(Gesture("push", held[0] + 0.1, held[1]))
    state = renderer.robot(None)
    metres = 0.1 * 320 / (120 / np.tan(np.radians(22.5))) * 2.9  # pixels over focal length times distance
    assert state.push.newtons == pytest.approx(state.weight * metres / PER_WEIGHT, rel=0.05)
    assert state.push.tip == pytest.approx((held[0] + 0.1, held[1]), abs=1e-6)
    renderer.touch(Gesture("push", 5.0, held[1]))
    assert renderer.robot(None).push.newtons == pytest.approx(STRONGEST * state.weight)
    before = world.speed
    for _ in range(5):
        world.step(idle(world))
        renderer.note()
    assert world.speed > before + 0.1 and renderer.pushed
    renderer.touch(Gesture("let_go"))
    world.step(idle(world))
    renderer.note()
    assert renderer.robot(None).push is None and not world.pushing


def test_without_a_push_measuring_changes_nothing(stage):
    """With contacts measured after each step or never, the walker goes the same way to the last bit."""
    (world, renderer), (other, _) = stage("humanoid"), stage("humanoid")
    action = np.full(world.action_space.shape, 0.1, np.float32)
    for _ in range(20):
        world.step(action)
        renderer.note()
        renderer.robot(None)
        other.step(action)
    np.testing.assert_array_equal(world.simulation.qpos, other.simulation.qpos)
    assert not world.pushed


def test_places_hold_at_every_size_of_the_picture(stage):
    world, renderer = stage("ant")
    whole = renderer.robot(None)
    renderer.touch(Gesture("coarse", 2))
    assert (world.camera.width, world.camera.height) == (160, 120)
    half = renderer.robot(None)
    for first, second in zip(whole.joints, half.joints, strict=True):
        assert first.at == pytest.approx(second.at, abs=1e-9)
    renderer.touch(Gesture("coarse", 4))
    assert world.camera.height == 80, "less would be a smudge"
    renderer.touch(Gesture("coarse", 1))
    assert (world.camera.width, world.camera.height) == (320, 240)


def test_moments_between_two_pictures_keep_the_places_of_the_last(stage):
    world, renderer = landed(stage)
    drawn = renderer.robot(None)
    world.simulation.qpos[0, :2] += 0.5
    renderer.note()
    between = renderer.robot(drawn)
    assert between.joints == drawn.joints and between.touching == (False, False) != drawn.touching


def test_a_heavier_robot_on_a_slope_presses_by_its_own_weight():
    world = Walker("ant", mass=1.5, slope=5.0).make(0)
    world.reset(seed=0)
    renderer = world.interactive_renderer()
    for _ in range(100):
        world.step(idle(world))
    renderer.note()
    weight = 1.5 * 0.911 * 9.81
    assert renderer.robot(None).weight == pytest.approx(weight, rel=1e-3)
    assert renderer.readouts[-1].value == pytest.approx(weight, rel=0.02)
    world.close()
