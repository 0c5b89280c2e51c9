"""Walkers equal gymnasium's v5 step for step, go on exactly where they stopped, and refuse nonsense."""

import gymnasium
import numpy as np
import pytest

pytest.importorskip("mujoco")

from sim.conformance import check_world  # noqa: E402
from sim.fields import FieldError, construct  # noqa: E402
from sim.vector import ActionError, episode_seed  # noqa: E402
from sim.walker.contact_pairs import read_with_pairs  # noqa: E402
from sim.walker.engine import mujoco  # noqa: E402
from sim.walker.reward import BODIES, Motion, clipped, healthy, observe, reward_terms, total  # noqa: E402
from sim.walker.simulation import load, model_file  # noqa: E402
from sim.walker.world import Walker  # noqa: E402

ALL = list(BODIES)
#: A flat body and the largest; the others, which the same code moves, are slow where pictures are drawn.
TWO = [pytest.param(b, marks=[] if b in ("walker2d", "humanoid") else [pytest.mark.slow]) for b in ALL]


def actions_for(worlds, steps, seed, strength=1.0):
    """(steps, N, motors) float32, uniform over `strength` of the bounds."""
    space = worlds.single_action_space
    shape = (steps, worlds.num_envs, *space.shape)
    return (strength * np.random.default_rng(seed).uniform(space.low, space.high, shape)).astype(np.float32)


def compare_with_gymnasium(body, *, num_envs, seed, steps, max_steps, strength):
    """Play both side by side; returns how many episodes ended."""
    pytest.importorskip("imageio")  # gymnasium's own walkers want it
    worlds = Walker(body, max_steps=max_steps).make_batch(num_envs, seed, num_threads=2)
    peers = [gymnasium.make(BODIES[body].id, max_episode_steps=max_steps) for _ in range(num_envs)]
    assert worlds.single_observation_space == peers[0].observation_space
    assert worlds.single_action_space == peers[0].action_space
    obs, _ = worlds.reset()
    expected = [peer.reset(seed=seed + i)[0] for i, peer in enumerate(peers)]
    np.testing.assert_allclose(obs, expected, rtol=0, atol=1e-9)
    episode = np.zeros(num_envs, int)
    for actions in actions_for(worlds, steps, seed, strength):
        obs, reward, terminated, truncated, info = worlds.step(actions)
        last, said = info.get("final_obs", obs), info.get("final_info", info)
        for i, peer in enumerate(peers):
            final, gained, over, cut, told = peer.step(actions[i])
            np.testing.assert_allclose(last[i], final, rtol=0, atol=1e-9)
            assert reward[i] == pytest.approx(gained, abs=1e-9)
            assert (terminated[i], truncated[i]) == (over, cut)
            for key in set(told) & set(said):
                assert said[key][i] == pytest.approx(told[key], abs=1e-9), key
            if over or cut:
                episode[i] += 1
                start, _ = peer.reset(seed=episode_seed(seed, i, int(episode[i])))
                np.testing.assert_allclose(obs[i], start, rtol=0, atol=1e-9)
    worlds.close()
    for peer in peers:
        peer.close()
    return int(episode.sum())


@pytest.mark.parametrize("body", ALL)
def test_equals_gymnasium_step_for_step_falls_and_time_limits_included(body):
    ended = compare_with_gymnasium(body, num_envs=3, seed=5, steps=110, max_steps=50, strength=1.0)
    assert ended >= 6


@pytest.mark.slow
@pytest.mark.parametrize("strength", [0.1, 0.5, 1.0])
@pytest.mark.parametrize("seed", [0, 1000, 20000])
@pytest.mark.parametrize("body", ALL)
def test_equals_gymnasium_over_whole_episodes(body, seed, strength):
    ended = compare_with_gymnasium(body, num_envs=4, seed=seed, steps=1100, max_steps=1000, strength=strength)
    assert ended >= 4, "every world came to its end at least once"


@pytest.mark.parametrize("body", TWO)
def test_keeps_every_promise_of_a_world(body):
    check_world(Walker(body, max_steps=30, width=64, height=48), steps=45)


def test_the_number_of_threads_changes_nothing():
    one, three = (Walker("humanoid").make_batch(5, 2, num_threads=n) for n in (1, 3))
    one.reset(), three.reset()
    for actions in actions_for(one, 60, 0):
        a, b = one.step(actions), three.step(actions)
        assert all(np.array_equal(x, y) for x, y in zip(a[:4], b[:4], strict=True))


def test_a_time_limit_truncates_and_a_fall_terminates():
    worlds = Walker("halfcheetah", max_steps=7).make_batch(2, 0)
    worlds.reset()
    for step, actions in enumerate(actions_for(worlds, 7, 0), start=1):
        _, _, terminated, truncated, info = worlds.step(actions)
        assert not terminated.any() and truncated.all() == (step == 7)
    assert list(info["final_info"]["reason"]) == ["time limit"] * 2
    assert list(info["reason"]) == ["", ""]
    hopper = Walker("hopper").make(3)
    hopper.reset()
    over = cut = False
    while not over:
        _, _, over, cut, info = hopper.step(np.ones(3, np.float32))
    assert info["reason"] == "unhealthy" and not cut


@pytest.mark.parametrize("body", ALL)
def test_a_restored_batch_goes_on_to_the_last_bit_and_replays_nothing(body):
    worlds = Walker(body, max_steps=40).make_batch(3, 7)
    worlds.reset()
    actions = actions_for(worlds, 90, 1)
    for row in actions[:55]:
        obs = worlds.step(row)[0]
    state = worlds.state()
    assert len(state["played"]) == 0
    other = Walker(body, max_steps=40).make_batch(3, 99, num_threads=1)
    other.reset()
    other.step(actions[0])
    restored, _ = other.restore(state)
    assert np.array_equal(restored, obs)
    for row in actions[55:]:
        a, b = worlds.step(row), other.step(row)
        assert all(np.array_equal(x, y) for x, y in zip(a[:4], b[:4], strict=True))
        assert np.array_equal(a[4]["reward_forward"], b[4]["reward_forward"])
    assert np.array_equal(worlds.state()["physics"], other.state()["physics"])


@pytest.mark.parametrize("body", ALL)
def test_listed_contact_pairs_and_no_islands_leave_every_bit_of_the_physics(body):
    """MuJoCo's own collision detection on gymnasium's file, from the start until the body lies still."""
    plain = mujoco.MjModel.from_xml_path(str(model_file(BODIES[body])))
    listed = load(BODIES[body])
    assert not plain.npair and listed.npair and not listed.geom_contype.any()
    ours, theirs = mujoco.MjData(listed), mujoco.MjData(plain)
    low, high = plain.actuator_ctrlrange.T
    random, touched = np.random.default_rng(0), 0
    for step in range(1200):
        if step % 5 == 0:
            ours.ctrl[:] = theirs.ctrl[:] = random.uniform(low, high) * (step < 600)
        mujoco.mj_step(listed, ours)
        mujoco.mj_step(plain, theirs)
        touched = max(touched, theirs.ncon)
    mujoco.mj_rnePostConstraint(listed, ours)
    mujoco.mj_rnePostConstraint(plain, theirs)
    assert touched >= 2
    for field in ("qpos", "qvel", "qacc_warmstart", "cfrc_ext"):
        assert np.array_equal(getattr(ours, field), getattr(theirs, field)), field


def test_a_file_whose_contacts_mujoco_mixes_is_left_as_it_is(tmp_path):
    """Listed pairs have one solver parameter each; of geoms that differ MuJoCo weighs them."""
    text = model_file(BODIES["hopper"]).read_text()
    odd = tmp_path / "odd.xml"
    odd.write_text(text.replace('name="foot_geom"', 'name="foot_geom" solref="0.03 1"'))
    assert odd.read_text() != text
    model = read_with_pairs(odd)
    assert model.npair == 0 and model.geom_contype.any()


def test_a_state_of_another_body_is_refused():
    state = Walker("hopper").make_batch(2, 0).state()
    with pytest.raises(ValueError, match="the state is of shape"):
        Walker("walker2d").make_batch(2, 0).restore(state)


@pytest.mark.parametrize("value", [1.01, -1.01, np.nan, np.inf, 1e300])
def test_actions_outside_the_bounds_are_refused_by_world_joint_and_bound(value):
    worlds, single = Walker("walker2d").make_batch(3, 0), Walker("walker2d").make(0)
    worlds.reset(), single.reset()
    actions = np.zeros((3, 6))
    actions[2, 3] = value
    with pytest.raises(ActionError, match=r"world 2: action .* for thigh left is not in -1…1"):
        worlds.step(actions)
    with pytest.raises(ActionError, match="thigh left"):
        single.step(actions[2])
    assert not worlds.length.any()


@pytest.mark.parametrize("action", [np.zeros(5), np.zeros((1, 6)), np.array(["x"] * 6), 0.0])
def test_actions_of_another_shape_or_kind_are_refused(action):
    single = Walker("walker2d").make(0)
    single.reset()
    with pytest.raises(ActionError, match="expected"):
        single.step(action)


def test_what_rounding_put_outside_the_bounds_is_clipped():
    near, exact = Walker("humanoid").make_batch(1, 0), Walker("humanoid").make_batch(1, 0)
    near.reset(), exact.reset()
    full = exact.single_action_space.high[None]
    a, b = near.step(full.astype(np.float64) + 5e-7), exact.step(full)
    assert np.array_equal(a[0], b[0]) and np.array_equal(a[1], b[1])


@pytest.mark.parametrize("value", [1e12, np.nan, np.inf])
@pytest.mark.parametrize("body", ALL)
def test_an_unstable_simulation_is_truncated_with_the_reason(body, value, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    worlds, untouched = (Walker(body).make_batch(3, 0, num_threads=2) for _ in range(2))
    worlds.reset(), untouched.reset()
    for count, actions in enumerate(actions_for(worlds, 6, 0, strength=0.1)):
        if count == 3:
            before = worlds.step(actions)[0]
            untouched.step(actions)
            worlds.walkers.simulation.qvel[1, 0] = value
            continue
        obs, reward, terminated, truncated, info = worlds.step(actions)
        expected = untouched.step(actions)
        assert np.isfinite(obs).all() and np.isfinite(reward).all()
        if count == 4:
            assert list(truncated) == [False, True, False] and not terminated.any()
            assert info["final_info"]["reason"][1] == "unstable" and reward[1] == 0.0
            assert np.array_equal(info["final_obs"][1], before[1])
        elif count == 5:
            assert not truncated.any()
        for i in (0, 2):
            assert np.array_equal(obs[i], expected[0][i])
    assert list(tmp_path.iterdir()) == []  # MuJoCo would leave a log file here


def test_a_single_unstable_world_can_be_reset():
    single = Walker("ant").make(0)
    first, _ = single.reset(seed=4)
    single.simulation.qvel[0] = np.nan
    obs, reward, over, cut, info = single.step(np.zeros(8, np.float32))
    assert np.isfinite(obs).all() and reward == 0 and cut and not over
    assert info["reason"] == "unstable"
    assert np.isfinite(single.step(np.zeros(8, np.float32))[0]).all()  # if its caller goes on regardless
    again, _ = single.reset(seed=4)
    assert np.array_equal(first, again)
    assert not single.step(np.zeros(8, np.float32))[3]


def test_rewards_are_the_papers_sums_by_hand():
    """Two Ants: v = 2 m/s, ctrl 0.5 in one motor, a contact force of 3 N clipped to 1."""
    ant = BODIES["ant"]
    contacts = np.zeros((2, 14, 6))
    contacts[0, 4, 5] = 3.0
    qpos = np.zeros((2, 15))
    qpos[:, 2] = [1.0, 1.1]  # the bound itself is healthy
    motion = Motion(qpos, np.zeros((2, 14)), clipped(ant, contacts))
    actions = np.zeros((2, 8), np.float32)
    actions[1, 0] = 0.5
    well = healthy(ant, motion)
    terms = reward_terms(ant, motion, np.array([2.0, 2.0]), actions, well)
    assert total(terms) == pytest.approx([2.0 + 1.0 - 5e-4, 2.0 + 0.0 - 0.5 * 0.25])
    assert observe(ant, motion).shape == (2, 105) and observe(ant, motion)[0].max() == 1.0


@pytest.mark.parametrize(("body", "falls"), [("walker2d", True), ("hopper", True), ("halfcheetah", False)])
def test_only_bodies_that_can_fall_do(body, falls):
    motion = Motion(np.zeros((1, 9)), np.zeros((1, 9)))  # lying on the ground
    assert healthy(BODIES[body], motion)[0] == (not falls)


def test_humanoid_contact_cost_is_capped():
    humanoid = BODIES["humanoid"]
    motion = Motion(np.zeros((1, 24)), np.zeros((1, 23)), np.full((1, 14, 6), 1e4))
    terms = reward_terms(humanoid, motion, np.zeros(1), np.zeros((1, 17), np.float32), np.ones(1, bool))
    assert terms["reward_contact"][0] == -10.0 and terms["reward_survive"][0] == 5.0


def test_torques_and_speed_are_readable():
    single = Walker("walker2d").make(0)
    single.reset()
    assert single.action_names == ()
    assert single.action_labels == ("thigh", "leg", "foot", "thigh left", "leg left", "foot left")
    single.step(np.array([0, 0.5, 0, 0, 0, -1], np.float32))
    assert list(single.torques) == [0, 50, 0, 0, 0, -100]  # N·m: the gear is 100
    single.simulation.qvel[0, 0] = 1.5
    assert single.speed == 1.5
    assert single.metadata["render_fps"] == 125


@pytest.mark.parametrize(
    ("keys", "says"),
    [({"body": "walker"}, "walker2d"), ({"max_steps": 0}, "max_steps"), ({"width": 5}, "width")],
)
def test_bad_keys_are_refused(keys, says):
    with pytest.raises(FieldError, match=says):
        construct(Walker, keys, "test")


def test_the_protocol_tells_rules_apart():
    protocols = [Walker(body).protocol() for body in ALL] + [Walker(max_steps=10).protocol()]
    assert len({tuple(p.items()) for p in protocols}) == 6
    assert Walker("ant").protocol()["rules"] == "Ant-v5"
