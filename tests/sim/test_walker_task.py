"""Named rewards, observation parts, limits and targets of walkers: by hand, by physics, and as worlds."""

import math

import numpy as np
import pytest

pytest.importorskip("mujoco")

from sim.catalog import make_world, make_worlds  # noqa: E402
from sim.conformance import check_world  # noqa: E402
from sim.fields import FieldError  # noqa: E402
from sim.walker.tasks.reward_terms import Reading, RewardTerms, named_reward  # noqa: E402
from sim.walker.world import Walker  # noqa: E402

#: A box on two wheels that hinges drive, and a pole on it: trunk, joints, feet and sensors by other names.
CART = """
<mujoco>
  <option timestep="0.005"/>
  <worldbody>
    <geom name="ground" type="plane" size="9 9 1"/>
    <body name="cart" pos="0 0 0.2">
      <freejoint/>
      <geom name="box" type="box" size="0.3 0.2 0.05" mass="2"/>
      <geom name="glide" type="sphere" pos="-0.25 0 -0.1" size="0.1" mass="0.1" friction="0.01" priority="1"/>
      <site name="imu"/>
      <body name="pole" pos="0 0 0.05">
        <joint name="lean" axis="0 1 0" damping="0.1" stiffness="20"/>
        <geom name="rod" type="capsule" fromto="0 0 0 0 0 0.4" size="0.02" mass="0.2"/>
      </body>
      <body name="left" pos="0.2 0.25 -0.1">
        <joint name="left_axle" axis="0 1 0" damping="0.01"/>
        <geom name="left_wheel" type="sphere" size="0.1" mass="0.3" friction="1.5"/>
      </body>
      <body name="right" pos="0.2 -0.25 -0.1">
        <joint name="right_axle" axis="0 1 0" damping="0.01"/>
        <geom name="right_wheel" type="sphere" size="0.1" mass="0.3" friction="1.5"/>
      </body>
    </body>
  </worldbody>
  <actuator>
    <motor name="left_drive" joint="left_axle" ctrlrange="-2 2" ctrllimited="true"/>
    <motor joint="right_axle" ctrlrange="-1 3" ctrllimited="true"/>
  </actuator>
  <sensor><gyro site="imu"/></sensor>
</mujoco>
"""
PARTS = (
    "joint_positions",
    "joint_velocities",
    "trunk_height",
    "trunk_orientation",
    "trunk_velocity",
    "contacts",
    "sensors",
    "target",
    "last_action",
)
WIDTHS = dict(zip(PARTS, (3, 3, 1, 3, 6, 2, 3, 3, 2), strict=True))
FEET = ["left_wheel", "right_wheel"]
ALL_TERMS = {
    "forward": 1.0,
    "speed": 0.5,
    "alive": 0.1,
    "posture": 0.2,
    "height": 0.3,
    "direction": 0.4,
    "flight": -0.6,
    "effort": -0.2,
    "power": -0.4,
    "action_rate": -0.3,
}


@pytest.fixture(scope="module")
def cart(tmp_path_factory):
    file = tmp_path_factory.mktemp("robots") / "cart.xml"
    file.write_text(CART)
    return {"path": str(file), "reward": {"forward": 1.0}, "feet": FEET, "observe": list(PARTS)}


def part(obs, name):
    start = sum(WIDTHS[before] for before in PARTS[: PARTS.index(name)])
    return obs[..., start : start + WIDTHS[name]]


def reading(**changes):
    usual = dict(
        velocity=np.array([[1.0, 1.0]]),
        height=np.array([0.9]),
        upright=np.array([0.5]),
        heading=np.array([math.pi / 2]),
        flight=np.array([1.0]),
        force=np.array([[1.0, -0.5]]),
        power=np.array([0.25]),
        action=np.array([[1.0, -0.5]]),
        last_action=np.array([[0.5, 0.5]]),
        alive=np.array([True]),
        target_speed=np.array([2.0]),
        target_direction=np.array([0.0]),
        standing_height=1.2,
    )
    return Reading(**usual | changes)


def terms(**changes):
    return {
        name: value[0] for name, value in named_reward(RewardTerms(**ALL_TERMS), reading(**changes)).items()
    }


def test_every_term_by_hand():
    """1 m/s of wanted 2, tilted by 60°, turned by 90°, three quarters of the height, controls 1 and −0.5."""
    assert terms() == pytest.approx(
        {
            "forward": 1.0,
            "speed": 0.5 * 0.5,
            "alive": 0.1,
            "posture": 0.2 * 0.5,
            "height": 0.3 * 0.75,
            "direction": 0.0,
            "flight": -0.6,
            "effort": -0.2 * (1.0 + 0.25) / 2,
            "power": -0.1,
            "action_rate": -0.3 * (0.25 + 1.0) / 2,
        }
    )


def test_speed_is_best_at_the_target_in_its_direction_and_never_negative():
    along_y = {"target_direction": np.array([math.pi / 2])}
    assert terms(velocity=np.array([[0.0, 2.0]]), **along_y)["speed"] == pytest.approx(0.5)
    assert terms(velocity=np.array([[2.0, 0.0]]), **along_y)["speed"] == pytest.approx(0.0)
    assert terms(velocity=np.array([[9.0, 0.0]]))["speed"] == 0.0
    still = {"target_speed": np.array([0.0])}  # to stand still is a target, too
    assert terms(velocity=np.array([[0.25, 0.0]]), **still)["speed"] == pytest.approx(0.25)
    assert terms(height=np.array([5.0]))["height"] == pytest.approx(0.3), "no reward for jumping"


def test_the_reward_is_the_sum_of_the_terms_in_info(cart):
    worlds = make_worlds("walker/file", 3, seed=1, **cart | {"reward": ALL_TERMS, "target_speed": 1.0})
    worlds.reset()
    generator = np.random.default_rng(0)
    for _ in range(20):
        _, reward, _, _, info = worlds.step(generator.uniform(-1, 1, (3, 2)).astype(np.float32))
        assert reward == pytest.approx(sum(info[f"reward_{name}"] for name in ALL_TERMS), abs=1e-12)
    assert (info["x_velocity"] != 0).all()


def test_forward_is_the_way_over_the_time(cart):
    world = make_world("walker/file", **cart | {"reset_noise_scale": 0.0})
    world.reset()
    began = world.torso[0]
    gained = sum(world.step(np.array([0.5, 0.0], np.float32))[1] for _ in range(40))
    travelled = world.torso[0] - began
    assert travelled > 0.3
    assert gained * 0.02 == pytest.approx(travelled, abs=0.02), "∑ v·dt, the last simulation step apart"


def test_actions_span_each_actuators_range(cart):
    world = make_world("walker/file", **cart)
    assert world.action_labels == ("left drive", "right axle")
    assert (world.action_space.low == -1).all() and (world.action_space.high == 1).all()
    world.reset()
    for action, controls in (([0, 0], [0, 1]), ([1, -1], [2, -1]), ([-0.5, 1], [-1, 3])):
        world.step(np.array(action, np.float32))
        np.testing.assert_allclose(world.simulation.ctrl[0], controls)
        np.testing.assert_allclose(world.torques, controls)


def test_each_part_of_the_observation_says_what_it_promises(cart):
    world = make_world("walker/file", **cart | {"reset_noise_scale": 0.0, "target_speed": 0.7})
    obs, _ = world.reset()
    assert obs.shape == (sum(WIDTHS.values()),)
    np.testing.assert_allclose(part(obs, "trunk_orientation"), [0, 0, -1], atol=1e-12)
    np.testing.assert_allclose(part(obs, "trunk_height"), 0.2)
    np.testing.assert_allclose(part(obs, "target"), [0.7, 1, 0])
    for name in ("joint_positions", "joint_velocities", "trunk_velocity", "last_action"):
        assert not part(obs, name).any(), name
    for _ in range(25):
        obs = world.step(np.array([0.2, -0.5], np.float32))[0]
    np.testing.assert_allclose(part(obs, "last_action"), [0.2, -0.5], rtol=1e-6)
    assert (part(obs, "contacts") == 1).all(), "both wheels stand on the ground"
    qpos, qvel = world.simulation.qpos[0], world.simulation.qvel[0]
    np.testing.assert_array_equal(part(obs, "joint_positions"), qpos[7:])
    np.testing.assert_array_equal(part(obs, "joint_velocities"), qvel[6:])
    np.testing.assert_allclose(part(obs, "trunk_velocity")[3:], qvel[3:6], atol=0.2)  # one substep apart
    np.testing.assert_allclose(part(obs, "sensors"), part(obs, "trunk_velocity")[3:], atol=1e-9)  # a gyro
    yaw = 2 * math.atan2(qpos[6], qpos[3])
    assert abs(yaw) > 0.1, "one wheel drives: it turns"
    assert math.atan2(*part(obs, "target")[:0:-1]) == pytest.approx(-yaw, abs=0.05)


def test_in_the_trunks_frame_forward_stays_forward(cart):
    world = make_world("walker/file", **cart)
    world.reset(seed=3)
    simulation = world.simulation
    for turn in (0.0, 1.0, 2.5):
        qpos, qvel = simulation.qpos[:1].copy(), np.zeros_like(simulation.qvel[:1])
        qpos[0, 3:7] = math.cos(turn / 2), 0, 0, math.sin(turn / 2)
        qvel[0, :2] = math.cos(turn), math.sin(turn)  # m/s, where it points
        simulation.reset(np.array([0]), qpos, qvel)
        seen = world._walkers.robot.trunk_velocity()[0]
        np.testing.assert_allclose(seen, [1, 0, 0, 0, 0, 0], atol=1e-9)
        assert world._walkers.robot.heading()[0] == pytest.approx(turn)


def test_a_foot_in_the_air_touches_nothing_and_none_on_the_ground_is_flight(cart):
    world = make_world("walker/file", **cart | {"reward": {"flight": -2.0}})
    world.reset()
    assert [world.step(np.zeros(2, np.float32))[1] for _ in range(20)][-1] == 0.0
    lifted = world.simulation.qpos[:1].copy()
    lifted[0, 2] = 1.0
    world.simulation.reset(np.array([0]), lifted, np.zeros_like(world.simulation.qvel[:1]))
    obs, reward, *_ = world.step(np.zeros(2, np.float32))
    assert not part(obs, "contacts").any() and reward == -2.0


@pytest.mark.parametrize("limit", [{"healthy_height": [0.5, 2.0]}, {"healthy_tilt": 20}])
def test_an_episode_ends_outside_its_limits(cart, limit):
    world = make_world("walker/file", **cart | limit)
    world.reset()
    tipped = world.simulation.qpos[:1].copy()
    tipped[0, 3:7] = math.cos(0.3), 0, math.sin(0.3), 0  # by 34°
    world.simulation.reset(np.array([0]), tipped, np.zeros_like(world.simulation.qvel[:1]))
    _, _, terminated, truncated, info = world.step(np.zeros(2, np.float32))
    assert terminated and not truncated and info["reason"] == "unhealthy"
    assert not make_world("walker/file", **cart).reset()[1]["reason"]


def test_each_episode_draws_its_target_and_a_held_one_stays(cart):
    fields = cart | {"target_speed": [0.5, 2.0], "target_direction": [-90, 90], "max_steps": 5}
    worlds = make_worlds("walker/file", 8, seed=0, **fields)
    first = part(worlds.reset()[0], "target")[:, 0].copy()
    assert len(set(first)) == 8 and (first >= 0.5).all() and (first <= 2.0).all()
    still = np.zeros((8, 2), np.float32)
    for _ in range(5):
        obs = worlds.step(still)[0]
    assert not (part(obs, "target")[:, 0] == first).any(), "another episode, another target"
    worlds.walkers.hold_speed(1.25)
    for _ in range(12):
        obs = worlds.step(still)[0]
        assert (part(obs, "target")[:, 0] == 1.25).all()


@pytest.mark.parametrize("body", ["file", "walker2d", "ant"])
def test_a_task_keeps_every_promise_of_a_world(cart, body):
    fields = {
        "reward": ALL_TERMS,
        "target_speed": [0.5, 1.5],
        "target_direction": [-30, 30],
        "max_steps": 30,
        "width": 64,
        "height": 48,
    }
    if body == "file":
        fields = cart | fields | {"healthy_tilt": 60}
    else:
        fields["observe"] = ["v5", "target", "last_action", "trunk_velocity", "contacts"]
        fields["feet"] = ["foot_geom"] if body == "walker2d" else ["left_ankle_geom"]
    check_world(f"walker/{body}", steps=45, **fields)


def test_named_forward_speed_on_a_body_of_gymnasium_is_gymnasiums_own_term():
    plain, named = (Walker("walker2d").make(0), make_world("walker/walker2d", reward={"forward": 1.0}))
    assert np.array_equal(plain.reset(seed=2)[0], named.reset(seed=2)[0]), "observe is v5 unless told"
    generator, gained = np.random.default_rng(0), np.zeros(2)
    for _ in range(12):
        action = generator.uniform(-1, 1, 6).astype(np.float32)
        (obs, _, _, _, info), (same, reward, *_) = plain.step(action), named.step(action)
        assert np.array_equal(obs, same)
        gained += info["reward_forward"], reward
    assert gained[0] == pytest.approx(gained[1], abs=0.2), "a simulation step of 2 ms apart"


def test_a_humanoids_effort_is_in_units_of_its_own_limits():
    world = make_world("walker/humanoid", reward={"effort": -1.0})
    world.reset()
    assert world.step(world.action_space.high)[1] == pytest.approx(-1.0)  # ±0.4 is all that its motors take


def test_effort_and_power_are_forces_of_motors_and_servos(tmp_path):
    """A wheel of 1 kg, held by nothing: a motor of 2 N·m at half, a servo that is 0.3 rad off, of 10 N·m."""
    wheel = (
        '<body name="{0}"><joint name="{0}" axis="0 1 0"/><geom type="sphere" size="0.1" mass="1"/></body>'
    )
    file = tmp_path / "wheels.xml"
    file.write_text(
        '<mujoco><option timestep="0.02"/><worldbody><body pos="0 0 1"><joint type="slide" axis="0 1 0"/>'
        f'<geom size="0.1" mass="1"/>{wheel.format("a")}{wheel.format("b")}</body></worldbody><actuator>'
        '<motor joint="a" ctrllimited="true" ctrlrange="-2 2"/>'
        '<position joint="b" kp="10" ctrllimited="true" ctrlrange="-0.6 0.6" forcelimited="true"'
        ' forcerange="-10 10"/></actuator></mujoco>'
    )
    fields = {"reward": {"effort": 1.0, "power": 1.0}, "reset_noise_scale": 0.0}
    world = make_world("walker/file", path=str(file), **fields)
    world.reset()
    action = np.array([0.5, 0.5], np.float32)
    info = world.step(action)[4]
    assert info["reward_effort"] == pytest.approx((0.5**2 + 0.3**2) / 2) and info["reward_power"] == 0.0
    speeds = world.simulation.qvel[0, 1:].copy()
    forces = np.array([1.0, 10 * (0.3 - world.simulation.qpos[0, 2])])
    info = world.step(action)[4]
    assert info["reward_power"] == pytest.approx(np.abs(forces * speeds).sum() / (3 * 9.81))


BAD = {
    "foward": ({"reward": {"foward": 1.0}}, 'reward: unknown key "foward"; did you mean "forward"?'),
    "empty": ({"reward": {}}, "reward: it needs at least one term: forward, speed"),
    "zero": ({"reward": {"alive": 0.0}}, "it needs at least one term"),
    "no table": ({"reward": 1.0}, "reward must be a table, not 1.0"),
    "part": ({"observe": ["joint_position"]}, 'did you mean "joint_positions"'),
    "v5": ({"observe": ["v5"]}, 'there is no part "v5"'),
    "twice": ({"observe": ["target", "target"]}, 'names "target" twice'),
    "no feet": ({"feet": []}, '"contacts" needs feet'),
    "flight": ({"reward": {"flight": -1.0}, "feet": [], "observe": []}, "reward.flight needs feet"),
    "foot": ({"feet": ["left_whel"]}, 'no geom "left_whel"; did you mean "left_wheel"'),
    "trunk": ({"trunk": "carte"}, 'trunk: there is no body "carte"; did you mean "cart"'),
    "span": ({"target_speed": [2, 1]}, r"target_speed must be a number or \[low, high\], not \[2.0, 1.0\]"),
    "three": ({"healthy_height": [0, 1, 2]}, "healthy_height must be a number or"),
    "tilt": ({"healthy_tilt": 200}, r"healthy_tilt must be in \(0, 180\], not 200"),
    "blind": ({"target_speed": [0, 1], "observe": ["sensors"]}, 'target_speed differs .* add "target"'),
    "no reward": ({"reward": None}, "reward is missing: a table of named terms"),
}


@pytest.mark.parametrize("case", BAD)
def test_a_bad_task_is_refused_by_its_key(cart, case):
    change, says = BAD[case]
    with pytest.raises(FieldError, match=says):
        make_world("walker/file", **cart | change)


def test_without_named_terms_gymnasiums_rules_hold_whole():
    with pytest.raises(FieldError, match=r"target_speed needs \[world.reward\]: .* gymnasium's rules hold"):
        make_world("walker/ant", target_speed=1.0)


def test_the_protocol_tells_tasks_apart(cart):
    tasks = [
        {},
        {"reward": {"forward": 2.0}},
        {"target_speed": 1.0},
        {"target_speed": [1.0, 2.0]},
        {"healthy_tilt": 30},
        {"trunk": "pole"},
        {"frame_skip": 3},
    ]
    stamps = [Walker("file", **_built(cart | task)).protocol() for task in tasks]
    assert len({tuple(sorted(stamp.items())) for stamp in stamps}) == len(tasks)
    assert stamps[0]["rules"] == "cart.xml" and stamps[0]["frame_skip"] == 4  # 4 × 5 ms


def _built(fields):
    reward = RewardTerms(**fields["reward"])
    lists = {key: tuple(value) for key, value in fields.items() if isinstance(value, list)}
    return fields | lists | {"reward": reward}
