"""Double-buffered worlds: the same episodes as one undivided batch, halves in turn, exact resume."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from sim.atari.world import Atari
from sim.conformance import check_world
from sim.double_buffer import DoubleBufferedWorlds
from sim.vector import ActionError, Worlds

PONG = Atari("pong", max_frames=60)  # episodes of 15 steps
HALVED = Atari("pong", max_frames=60, double_buffered=True)


def rarely_seeded(config, num_envs, seed=3, every=20):
    worlds = config.make_batch(num_envs, seed, num_threads=2)
    worlds.seed_every = every
    for half in getattr(worlds, "halves", ()):
        half.seed_every = every
    return worlds


def assert_equal(found, wanted):
    """Compare two steps; of infos the rows that say something."""
    for one, other in zip(found[:-1], wanted[:-1], strict=True):
        np.testing.assert_array_equal(one, other)
    info, other = found[-1], wanted[-1]
    assert set(info) == set(other)
    for key in ("lives", "episode_frame_number", "final_obs", "_final_obs", "_final_info", "_episode"):
        if key in other:
            np.testing.assert_array_equal(info[key], other[key], err_msg=key)
    if "episode" in other:
        ended = other["_episode"]
        for key in "rl":
            assert info["episode"][key][ended].tolist() == other["episode"][key][ended].tolist()
        assert {"episode"} <= set(info["final_info"]) <= {"episode", "lives"}


@pytest.fixture(scope="module")
def batches():
    """Three Pongs in one batch, and twice in halves of two and one."""
    made = [rarely_seeded(PONG, 3), rarely_seeded(HALVED, 3), rarely_seeded(HALVED, 3, seed=99)]
    yield made
    for worlds in made:
        worlds.close()


def test_halves_play_the_episodes_of_one_batch_together_in_turn_and_resumed(batches):
    whole, halved, other = batches
    generator = np.random.default_rng(0)
    assert [half.num_envs for half in halved.halves] == [2, 1]
    np.testing.assert_array_equal(halved.reset()[0], whole.reset()[0])
    sooner = np.array([False, False, True])  # ends apart from the others
    for step in range(36):
        if step == 7:
            obs, info = halved.reset(options={"reset_mask": sooner})
            wanted, wanted_info = whole.reset(options={"reset_mask": sooner})
            np.testing.assert_array_equal(obs, wanted)
            assert info["episode_frame_number"].tolist() == wanted_info["episode_frame_number"].tolist()
        actions = generator.integers(6, size=3)
        wanted = whole.step(actions)
        if step % 2:  # each half alone, the second one sent before the first one has come back
            for half, own in zip(halved.halves, halved.split(actions), strict=True):
                half.send(own)
            parts = [half.recv() for half in halved.halves]
            for i in range(4):
                np.testing.assert_array_equal(np.concatenate([part[i] for part in parts]), wanted[i])
        else:
            assert_equal(halved.step(actions), wanted)
        assert halved.score.tolist() == whole.score.tolist()
        assert halved.length.tolist() == whole.length.tolist()
        if step == 20:
            state, same = halved.state(), whole.state()
            assert set(state) == set(same)
            for key in set(same) - {"played"}:
                assert np.array_equal(state[key], same[key]), key
            assert len(state["played"]) == len(same["played"])
            obs, info = other.restore(halved.state())
            np.testing.assert_array_equal(obs, wanted[0])
            assert [len(info[key]) for key in ("lives", "episode_frame_number")] == [3, 3]
        if step > 20:
            assert_equal(other.step(actions), wanted)


@pytest.mark.slow  # the default suite compares halves with one batch, which it holds to these promises
def test_halves_keep_every_promise_of_worlds():
    check_world(replace(HALVED, max_frames=120), steps=40)


def test_a_start_is_split_into_those_of_the_halves(batches):
    _, halved, _ = batches
    obs, info = halved.reset(seed=5)
    (first, one), (second, two) = halved.split_start((obs, info))
    np.testing.assert_array_equal(np.concatenate([first, second]), obs)
    assert len(one["lives"]) == 2 and len(two["lives"]) == 1
    seeds = np.array([5, 6, 7])
    np.testing.assert_array_equal(halved.reset(seed=seeds)[0], obs)


def test_what_one_batch_refuses_halves_refuse_too(batches):
    _, halved, _ = batches
    halved.reset()
    with pytest.raises(ActionError, match="world 2: action 6"):
        halved.step(np.array([0, 0, 6]))
    with pytest.raises(ActionError, match="expected actions of shape"):
        halved.send(np.zeros(2, np.int64))
    with pytest.raises(ValueError, match="reset_mask must have shape"):
        halved.reset(options={"reset_mask": np.ones(2, bool)})
    with pytest.raises(ValueError, match="seed must have shape"):
        halved.reset(seed=np.arange(2))


def test_a_batch_of_one_and_one_with_truth_are_not_divided():
    for config in (HALVED, Atari("pong", double_buffered=True, truth=True)):
        worlds = config.make_batch(1, 0, num_threads=1)
        assert not isinstance(worlds, DoubleBufferedWorlds)
        worlds.close()


def test_halves_are_seeded_as_rarely_as_one_batch_of_all_worlds_or_as_the_key_says(monkeypatch):
    monkeypatch.setattr("sim.atari.world.seeding_interval", lambda num_envs: 100 * num_envs)
    for config, interval in ((HALVED, 200), (replace(HALVED, seed_every=7), 7)):
        worlds = config.make_batch(2, 0)
        worlds.seed_rarely()
        assert [half.seed_every for half in worlds.halves] == [interval, interval]
        worlds.close()
    worlds = Atari("pong", seed_every=7, truth=True).make_batch(1, 0)
    worlds.seed_rarely()
    assert worlds.seed_every == 7
    worlds.close()
    with pytest.raises(ValueError, match="seed_every must be at least 1, not 0"):
        Atari("pong", seed_every=0)


def test_its_rows_are_those_of_its_halves(batches):
    """Driven by them, as by any backend, an undivided batch's state is restored to the same frames."""
    whole, _, halved = batches
    whole.reset(seed=5)
    for step in range(20):
        obs = whole.step(np.full(3, step % 6))[0]
    np.testing.assert_array_equal(Worlds.restore(halved, whole.state())[0], obs)
