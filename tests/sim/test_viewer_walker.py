"""A walker in the window: a camera that follows or stands still, and read-outs with units."""

import numpy as np
import pytest

from sim.viewer.contract.gesture import Gesture
from sim.walker.camera import CLEARANCE, PRESETS
from sim.walker.world import Walker


@pytest.fixture
def world():
    opened = Walker("hopper", width=96, height=64).make(0)
    opened.reset(seed=0)
    yield opened
    opened.close()


def test_power_is_torque_times_angular_velocity(world):
    assert world.power == 0.0  # nothing has been driven yet
    world.step(np.array([1.0, -0.5, 0.25], np.float32))
    gears = np.array([200.0, 200.0, 200.0])  # N·m; gymnasium's hopper.xml
    np.testing.assert_allclose(world.torques, gears * [1.0, -0.5, 0.25])
    joints = world.simulation.qvel[0, 3:]  # after x, z and the torso's angle
    assert world.power == pytest.approx(np.abs(world.torques * joints).sum()) and world.power > 1


def test_height_is_the_torsos_above_the_ground(world):
    assert world.height == pytest.approx(1.25, abs=0.02)
    np.testing.assert_allclose(world.torso[2], world.height)


def test_a_standing_camera_lets_the_walker_pass(world):
    renderer = world.interactive_renderer()
    here, there = np.array([0.0, 0.0, 1.2]), np.array([3.0, 0.0, 1.2])
    assert world.camera.target(there)[0] == 3.0
    assert "stands still" in renderer.touch(Gesture("follow")).message
    at = world.torso[0]
    assert world.camera.target(here)[0] == world.camera.target(there)[0] == pytest.approx(at)
    assert "follows" in renderer.touch(Gesture("follow")).message
    assert world.camera.target(there)[0] == 3.0


def test_the_camera_turns_nears_and_keeps_its_limits(world):
    renderer = world.interactive_renderer()
    azimuth, elevation, distance = world.camera.azimuth, world.camera.elevation, world.camera.distance
    renderer.touch(Gesture("orbit", 0.5, 0.0))
    assert world.camera.azimuth == pytest.approx((azimuth - 90) % 360) and world.camera.elevation == elevation
    renderer.touch(Gesture("orbit", 0.0, 5.0))
    assert world.camera.elevation == -89
    renderer.touch(Gesture("zoom", 2.0))
    assert world.camera.distance == pytest.approx(distance / 2)
    renderer.touch(Gesture("resize", 9000, 3))
    assert (world.camera.width, world.camera.height) == (4096, 16)
    assert not renderer.touch(Gesture("press", 3, 3)).redraw


def height(camera):
    return camera.view(np.zeros(3)).origin[2]


def test_the_camera_stays_above_the_ground(world):
    renderer = world.interactive_renderer()
    renderer.touch(Gesture("orbit", 0.0, -5.0))
    assert height(world.camera) == pytest.approx(CLEARANCE) and world.camera.elevation > 0
    renderer.touch(Gesture("zoom", 0.2))
    assert height(world.camera) == pytest.approx(CLEARANCE), "farther away it must look up less"
    for factor in (0.01, 100.0):
        renderer.touch(Gesture("zoom", factor))
        renderer.touch(Gesture("orbit", 0.3, -1.0))
        assert height(world.camera) >= CLEARANCE - 1e-9


def test_presets_look_from_where_they_say_and_a_reset_goes_back(world):
    renderer = world.interactive_renderer()
    first = world.camera.azimuth, world.camera.elevation, world.camera.distance
    said, ways = [], []
    for _ in PRESETS:
        said.append(renderer.touch(Gesture("camera")).message)
        ways.append(world.camera.view(np.zeros(3)).forward)
        assert height(world.camera) > CLEARANCE
    assert said == ["camera: side", "camera: front", "camera: three-quarter", "camera: behind"]
    side, front, _, behind = ways
    assert side[1] > 0.99 and front[0] < -0.95 and behind[0] > 0.95, "the robot walks along +x"
    renderer.touch(Gesture("orbit", 0.2, 0.3))
    renderer.touch(Gesture("follow"))
    renderer.touch(Gesture("zoom", 2.0))
    assert renderer.touch(Gesture("camera", name="reset")).message == "camera reset"
    assert first == (world.camera.azimuth, world.camera.elevation, world.camera.distance)
    assert world.camera.anchor is None
