"""A walker in the window: a camera that follows or stands still, and read-outs with units."""

import numpy as np
import pytest

from sim.viewer.contract.gesture import Gesture
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
    assert abs(world.camera.elevation) == 89
    renderer.touch(Gesture("zoom", 2.0))
    assert world.camera.distance == pytest.approx(distance / 2)
    renderer.touch(Gesture("resize", 9000, 3))
    assert (world.camera.width, world.camera.height) == (4096, 16)
    assert not renderer.touch(Gesture("press", 3, 3)).redraw
