"""Episodes as a data set: aligned as gymnasium steps, alike played and recorded; no sequence crosses one."""

from __future__ import annotations

import re

import gymnasium
import numpy as np
import pytest
from gymnasium.spaces import Box, Discrete

from sim.records import Decision
from sim.storage.episodes import AddRenderInfo, new_dataset, record
from sim.vector import EnvWorlds
from supervised.data.array_file import map_arrays, write_arrays
from supervised.data.dataset import Dataset
from supervised.data.episodes import EpisodesError, played, recorded

BY_ACTION = np.array([-0.5, 0.25, 0.75])


class Line(gymnasium.Env):
    """x ← x + `BY_ACTION`[action]; reward 2 x; terminated beyond 1.5, truncated after 6 steps."""

    render_mode = "rgb_array"

    def __init__(self):
        self.observation_space = Box(-9.0, 9.0, (2,), np.float32)
        self.action_space = Discrete(3)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self._x, self._t = float(self.np_random.uniform(-1, 1)), 0
        return self._seen()

    def step(self, action):
        self._x, self._t = self._x + BY_ACTION[action], self._t + 1
        lost = abs(self._x) > 1.5
        obs, info = self._seen()
        return obs, 2 * self._x, lost, not lost and self._t == 6, info

    def render(self):
        return np.full((2, 3, 3), 10 * self._t, np.uint8)

    def _seen(self):
        return np.array([self._x, self._t], np.float32), {}


class Walker:
    """Acts at random, and its memory notices when nobody reset it."""

    def seed(self, seed):
        self.generator = np.random.default_rng(seed)

    def act(self, obs, info, memory=None, *, greedy=False):
        before = np.zeros((len(obs), 1)) if memory is None else memory
        assert before[:, 0].tolist() == obs[:, 1].tolist(), "the memory is zero where an episode begins"
        return Decision(self.generator.integers(0, 3, len(obs))), before + 1


def worlds(n=3, make=Line):
    return EnvWorlds([make] * n, 7)


def play(steps=25, **options):
    return played(Walker(), worlds(), steps, seed=7, **options)


def test_each_row_is_what_a_step_of_gymnasium_gives():
    data = play()
    x, t = data.values.T
    assert np.array_equal(t, data["order"]), "the world's own count of steps"
    pairs = data.windows(2)
    here, there = pairs.T
    assert len(pairs) == 3 * 25 == (~data["last"]).sum(), "as many steps as were played"
    np.testing.assert_allclose(x[there], x[here] + BY_ACTION[data["actions"][here]], rtol=1e-6)
    np.testing.assert_allclose(data["rewards"][here], 2 * x[there], rtol=1e-6)
    assert np.array_equal(data["terminated"][here], abs(x[there]) > 1.5)
    assert np.array_equal(data["truncated"][here], ~data["terminated"][here] & (t[there] == 6))
    assert data["terminated"].any() and data["truncated"].any()
    for name in ("actions", "rewards", "terminated", "truncated"):
        assert not data[name][data["last"]].any(), "nothing was done there"


def test_every_end_is_before_the_last_observation_and_unfinished_ones_have_none():
    data = play()
    ended = np.flatnonzero(data["terminated"] | data["truncated"])
    assert data["last"][ended + 1].all()
    whole = set(data.episodes[ended].tolist())
    newest = {max(e for e in data.episodes.tolist() if e % 3 == world) for world in range(3)}
    assert set(data.episodes.tolist()) - whole <= newest, "only each world's newest may be unfinished"
    assert (np.diff(data.episodes) >= 0).all() and data.episodes.dtype == np.int64


@pytest.mark.parametrize("length", [1, 3, 7])
def test_sequences_of_any_length_cross_no_episode(length):
    data = play()
    rows = data.windows(length)
    counts = np.unique(data.episodes, return_counts=True)[1]
    assert len(rows) == np.maximum(counts - length + 1, 0).sum() > 0, "all that there are"
    assert (data.episodes[rows] == data.episodes[rows[:, :1]]).all()
    assert (np.diff(data["order"][rows], axis=1) == 1).all()
    assert not data["last"][rows][:, :-1].any()
    assert not (data["terminated"] | data["truncated"])[rows][:, :-2].any()


def test_a_recording_gives_the_same_data_set(tmp_path):
    batch = worlds()
    spaces = batch.single_observation_space, batch.single_action_space
    with new_dataset(tmp_path / "x", *spaces) as target:
        steps = list(record(Walker(), batch, target, seed=7, greedy=False, steps=60))
    found, expected = recorded(tmp_path / "x"), play(steps=len(steps))
    assert found.names == expected.names
    sequences = {}
    for name, data in (("found", found), ("expected", expected)):
        groups = [np.flatnonzero(data.episodes == number) for number in np.unique(data.episodes)]
        columns = [column for column in data.names if column != "episodes"]
        sequences[name] = {tuple(data[c][rows].tobytes() for c in columns): len(rows) for rows in groups}
    assert len(sequences["found"]) == target.episodes > 9
    assert sequences["found"].items() <= sequences["expected"].items()


def test_it_lies_on_disk_and_comes_back_with_all_columns(tmp_path):
    data = play()
    write_arrays(tmp_path / "data", data.arrays())
    back = Dataset.from_arrays(map_arrays(tmp_path / "data"))
    assert back.names == data.names
    for name in data.names:
        assert np.array_equal(back[name], data[name]) and back[name].dtype == data[name].dtype
    train, held = data.parted(0.2)
    assert len(train.windows(3)) + len(held.windows(3)) == len(data.windows(3))


def test_pictures_are_kept_in_the_place_of_observations(tmp_path):
    def pictured():
        return AddRenderInfo(Line())

    data = played(Walker(), worlds(2, pictured), 15, seed=7, key="rgb")
    assert data.values.shape[1:] == (2, 3, 3) and data.values.dtype == np.uint8
    assert np.array_equal(data.values[:, 0, 0, 0], 10 * data["order"]), "that of the end, too"
    batch = worlds(2, pictured)
    spaces = batch.single_observation_space, batch.single_action_space
    with new_dataset(tmp_path / "x", *spaces) as target:
        list(record(Walker(), batch, target, seed=7, greedy=False, episodes=3))
    seen = recorded(tmp_path / "x", pictures=True)
    assert np.array_equal(seen.values[:, 0, 0, 0], 10 * seen["order"])
    assert recorded(tmp_path / "x").values.shape[1:] == (2,)


def test_what_holds_no_episodes_is_refused_by_name(tmp_path):
    with pytest.raises(EpisodesError, match="is no recording of playfield collect: there is no main_data"):
        recorded(tmp_path)
    batch = worlds(1)
    spaces = batch.single_observation_space, batch.single_action_space
    with new_dataset(tmp_path / "x", *spaces) as target:
        list(record(Walker(), batch, target, seed=7, greedy=False, episodes=1))
    with pytest.raises(EpisodesError, match=re.escape("x holds no pictures: record it anew with playfield")):
        recorded(tmp_path / "x", pictures=True)
    (tmp_path / "x" / "data" / "main_data.hdf5").write_bytes(b"not HDF5")
    with pytest.raises(EpisodesError, match="x is damaged"):
        recorded(tmp_path / "x")
    with pytest.raises(EpisodesError, match="at least one step"):
        play(steps=0)
