"""Gait of walkers: known contact sequences, costs by hand, and what a real body does."""

import math

import numpy as np
import pytest

mujoco = pytest.importorskip("mujoco")

from sim.vector import finished  # noqa: E402
from sim.walker.contacts import FEET, feet_of  # noqa: E402
from sim.walker.gait import (  # noqa: E402
    GaitMeter,
    alternation,
    contact_statistics,
    cost_of_transport,
    on_ground,
    strikes,
)
from sim.walker.reward import BODIES  # noqa: E402
from sim.walker.simulation import Simulation, load  # noqa: E402
from sim.walker.world import Walker  # noqa: E402

DT = 0.01  # s


def cycle(*phases):
    """(T, 2) contacts of five strides of ``(steps, right, left)`` phases."""
    return np.array([foot for steps, *foot in phases for _ in range(steps)] * 5, bool)


WALK = cycle((40, 1, 0), (10, 1, 1), (40, 0, 1), (10, 1, 1))
RUN = cycle((30, 1, 0), (20, 0, 0), (30, 0, 1), (20, 0, 0))
JUMP = cycle((30, 1, 1), (20, 0, 0))
HOP = cycle((30, 1, 0), (20, 0, 0))
GALLOP = cycle((10, 1, 1), (20, 0, 1), (20, 0, 0))  # both strike, then both again


@pytest.mark.parametrize(
    ("contacts", "right", "left", "double", "flight", "alternates"),
    [
        (WALK, 0.6, 0.6, 0.2, 0.0, 1.0),
        (RUN, 0.3, 0.3, 0.0, 0.4, 1.0),
        (JUMP, 0.6, 0.6, 0.6, 0.4, 0.0),
        (HOP, 0.6, 0.0, 0.0, 0.4, 0.0),
        (GALLOP, 0.2, 0.6, 0.2, 0.4, 0.0),
    ],
)
def test_known_gaits_have_their_known_figures(contacts, right, left, double, flight, alternates):
    found = contact_statistics(contacts, ("right", "left"), DT)
    assert found == pytest.approx(
        {
            "duty_factor_right": right,
            "duty_factor_left": left,
            "double_support": double,
            "flight": flight,
            "alternation": alternates,
        }
    )


def test_a_bounce_is_no_strike_and_who_stands_has_none():
    bouncing = WALK.copy()
    bouncing[5, 0] = bouncing[60, 1] = False  # 10 ms off the ground within a stance
    assert strikes(bouncing, DT) == strikes(WALK, DT)
    assert strikes(np.ones((50, 2), bool), DT) == []
    assert math.isnan(alternation(np.ones((50, 2), bool), DT))
    one_foot = contact_statistics(HOP[:, :1], ("foot",), DT)
    assert one_foot == pytest.approx({"duty_factor_foot": 0.6, "flight": 0.4})


def test_a_limp_alternates_less_than_a_walk():
    limp = np.concatenate([WALK, HOP])
    assert 0.0 < alternation(limp, DT) < 1.0


def test_cost_of_transport_by_hand():
    """50 N·m through 4 rad/s for 2 s: 400 J, for 10 kg over 8 m under 9.81 m/s²."""
    assert cost_of_transport(50 * 4 * 2, 10, 9.81, 8) == pytest.approx(0.50968, abs=1e-5)
    assert cost_of_transport(400, 10, 9.81, -8) == cost_of_transport(400, 10, 9.81, 8)
    assert math.isnan(cost_of_transport(400, 10, 9.81, 0.2))


def test_the_meter_adds_up_torque_times_speed_and_squares_of_control():
    """A cheetah in the air: its sums are those of MuJoCo's own torques and joint speeds."""
    simulation = Simulation(BODIES["halfcheetah"], 2, 1)
    model, qpos = simulation.model, np.tile(simulation.model.qpos0, (2, 1))
    qpos[:, 1] = 20.0
    simulation.reset(np.arange(2), qpos, np.zeros((2, model.nv)))
    meter = GaitMeter(simulation, feet_of("halfcheetah", model))
    meter.begin(np.arange(2))
    actions = np.random.default_rng(0).uniform(-1, 1, (10, 2, 6))
    data, work = mujoco.MjData(model), 0.0
    data.qpos[:] = qpos[1]
    for action in actions:
        simulation.step(action)
        meter.update()
        data.ctrl[:] = action[1]
        mujoco.mj_step(model, data, 4)
        speeds = data.qvel[3:].copy()  # rad/s of the joints before the last simulation step
        mujoco.mj_step(model, data)
        work += np.abs(model.actuator_gear[:, 0] * action[1] * speeds).sum() * 0.05  # N·m rad/s s
    found = meter.statistics(1)
    assert meter._sums[1, 2] == pytest.approx(work)
    assert found["effort"] == pytest.approx(np.square(actions[:, 1]).mean())
    assert found["action_rate"] == pytest.approx(np.square(np.diff(actions[:, 1], axis=0)).mean())
    assert found["speed"] == pytest.approx((data.qpos[0] - qpos[1, 0]) / 0.5)
    assert found["flight"] == 1.0 and found["duty_factor_rear"] == 0.0


@pytest.mark.parametrize("body", list(BODIES))
def test_feet_are_geoms_of_the_body_and_touch_what_mujoco_says(body):
    model = load(BODIES[body])
    feet = feet_of(body, model)
    assert list(feet) == list(FEET[body])
    owner = np.full(model.ngeom, -1)
    for number, geoms in enumerate(feet.values()):
        owner[list(geoms)] = number
    data = mujoco.MjData(model)
    mujoco.mj_resetData(model, data)
    for _ in range(300):
        mujoco.mj_step(model, data)
    mujoco.mj_forward(model, data)
    touching = on_ground(model, data, owner, len(feet))
    ground = {
        int(geom)
        for contact in data.contact
        for geom, other in (contact.geom, contact.geom[::-1])
        if other == model.geom("floor").id
    }
    assert touching.tolist() == [bool(ground & set(geoms)) for geoms in feet.values()]
    data.qpos[2 if model.jnt_type[0] == mujoco.mjtJoint.mjJNT_FREE else 1] += 3.0
    mujoco.mj_forward(model, data)
    assert not on_ground(model, data, owner, len(feet)).any()


def test_episodes_tell_their_gait_only_when_it_is_kept():
    worlds = Walker("halfcheetah", max_steps=6, mass=2.0).make_batch(2, 0)
    for kept in (False, True):
        if kept:
            worlds.keep_statistics()
        worlds.reset(seed=3)
        generator = np.random.default_rng(1)
        for _ in range(6):
            info = worlds.step(generator.uniform(-1, 1, (2, 6)).astype(np.float32))[4]
        episodes = finished(info)
        assert [episode.length for episode in episodes] == [6, 6]
        assert all(bool(episode.statistics) == bool(episode.traces) == kept for episode in episodes)
    first, second = episodes
    assert first.statistics != second.statistics
    assert set(first.traces) == {"seconds", "rear", "front"} and first.traces["rear"].shape == (6,)
    assert first.traces["seconds"] == pytest.approx(0.05 * np.arange(1, 7))
    for _ in range(6):  # the next episodes begin anew
        info = worlds.step(np.zeros((2, 6), np.float32))[4]
    assert [episode.statistics["effort"] for episode in finished(info)] == [0.0, 0.0]
