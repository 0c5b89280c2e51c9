"""Batches: seeds, endings, the words of a refusal, and states that `restore` plays again."""

from dataclasses import dataclass

import gymnasium
import numpy as np
import pytest
from gymnasium.spaces import Box, Dict, Discrete, MultiBinary, MultiDiscrete

from sim.catalog import make_world, make_worlds
from sim.errors import RequestError
from sim.records import Episode
from sim.storage.states import read_state, write_state
from sim.vector import ActionError, EnvWorlds, WorldError, episode_seed, finished


class Counter(gymnasium.Env):
    """Observes [its seed, its steps, its last action]; ends after `ends` steps, is cut after `cut`."""

    observation_space = Box(-np.inf, np.inf, (3,), np.float64)

    def __init__(self, action_space=None, ends=None, cut=None):
        self.action_space = action_space or Discrete(3)
        self.ends, self.cut = ends, cut

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.seen = np.array([np.nan if seed is None else seed, 0.0, 0.0])
        return self.seen, {"steps": 0, "note": "not a number"}

    def step(self, action):
        self.seen = np.array([self.seen[0], self.seen[1] + 1, np.sum(action)])
        steps = int(self.seen[1])
        return self.seen, 10.0 * steps, steps == self.ends, steps == self.cut, {"steps": steps}


@dataclass
class Counters:
    """Makes one `Counter` a world, ending after these steps."""

    ends: tuple = (3, 5)
    cut: tuple = (None, None)
    space: object = None

    def make(self, seed=0):
        makers = [
            lambda ends=ends, cut=cut: Counter(self.space, ends, cut)
            for ends, cut in zip(self.ends, self.cut, strict=True)
        ]
        return EnvWorlds(makers, seed)


NOTHING = np.zeros(2, np.int64)


def test_first_episodes_count_up_from_the_seed_and_later_ones_are_scattered():
    assert [episode_seed(40, world, 0) for world in range(3)] == [40, 41, 42]
    later = [episode_seed(s, w, e) for s in range(12) for w in range(12) for e in range(1, 12)]
    assert len(set(later)) == len(later), "neighbouring seeds share no later episode"
    assert all(0 <= seed < 2**31 for seed in later)
    assert 0.45 * 2**31 < np.mean(later) < 0.55 * 2**31
    assert episode_seed(7, 2, 3) == episode_seed(7, 2, 3) == 2116986732
    assert episode_seed(2**31 - 1, world=1, episode=0) == 0, "every seed fits the emulator's 31 bits"


def test_a_world_s_seed_does_not_depend_on_how_others_went():
    fast, slow = Counters(ends=(2, 2)).make(7), Counters(ends=(2, 9)).make(7)
    for worlds in (fast, slow):
        worlds.reset()
        for _ in range(5):
            obs, *_ = worlds.step(NOTHING)
        assert obs[0].tolist() == [episode_seed(7, 0, 2), 1, 0]


def test_a_rarely_seeded_world_goes_on_unseeded_until_its_next_seed_is_due():
    worlds = Counters(ends=(2, 3)).make(7)
    worlds.seed_every = 5
    worlds.reset()
    begun = ([], [])  # the seeds of the episodes that follow the first
    for _ in range(12):
        obs, _, terminated, _, _ = worlds.step(NOTHING)
        for world in np.flatnonzero(terminated):
            begun[world].append(obs[world, 0])
    nan = np.nan
    np.testing.assert_equal(begun[0], [nan, nan, episode_seed(7, 0, 3), nan, nan, episode_seed(7, 0, 6)])
    np.testing.assert_equal(begun[1], [nan, episode_seed(7, 1, 2), nan, episode_seed(7, 1, 4)])
    assert len(worlds.state()["played"]) == 0, "both were seeded just now"


@pytest.mark.parametrize("moment", range(13))
def test_a_rarely_seeded_batch_is_restored_through_its_unseeded_episodes(moment):
    worlds, other = Counters(ends=(2, 3)).make(7), Counters(ends=(2, 3)).make(1)
    worlds.seed_every = other.seed_every = 5
    obs, _ = worlds.reset()
    for step in range(moment):
        obs, *_ = worlds.step(np.array([step % 3, 1]))
    np.testing.assert_equal(other.restore(worlds.state())[0], obs)
    assert other.length.tolist() == worlds.length.tolist()
    for _ in range(7):
        for found, wanted in zip(other.step(NOTHING)[:4], worlds.step(NOTHING)[:4], strict=True):
            np.testing.assert_equal(found, wanted)


def test_an_ending_resets_in_the_same_step_and_keeps_what_ended():
    worlds = Counters().make(20)
    obs, info = worlds.reset()
    assert obs[:, 0].tolist() == [20, 21] and info["steps"].tolist() == [0, 0] and "note" not in info
    for _ in range(2):
        *_, info = worlds.step(np.array([1, 2]))
        assert set(info) == {"steps"} and finished(info) == []
    assert worlds.score.tolist() == [30, 30] and worlds.length.tolist() == [2, 2]
    obs, reward, terminated, truncated, info = worlds.step(np.array([1, 2]))
    assert terminated.tolist() == [True, False] and truncated.tolist() == [False, False]
    assert reward.tolist() == [30, 30], "the reward belongs to the episode that ended"
    assert obs.tolist() == [[episode_seed(20, 0, 1), 0, 0], [21, 3, 2]]
    assert info["final_obs"].tolist() == [[20, 3, 1], [21, 3, 2]]
    assert info["final_info"]["steps"].tolist() == [3, 3] and info["steps"].tolist() == [0, 3]
    assert info["_final_obs"].tolist() == info["_final_info"].tolist() == info["_episode"].tolist()
    assert finished(info) == [Episode(60.0, 3)]
    assert worlds.score.tolist() == [0, 60] and worlds.length.tolist() == [0, 3]


@pytest.mark.parametrize(
    ("ends", "cut", "flags"),
    [(2, None, (True, False)), (None, 2, (False, True)), (2, 2, (True, True))],
)
def test_terminated_and_truncated_stay_apart(ends, cut, flags):
    worlds = Counters(ends=(ends,), cut=(cut,)).make()
    worlds.reset()
    worlds.step(NOTHING[:1])
    _, _, terminated, truncated, info = worlds.step(NOTHING[:1])
    assert (terminated[0], truncated[0]) == flags
    assert finished(info) == [Episode(30.0, 2)]


def test_what_was_handed_out_does_not_change_later():
    worlds = Counters(ends=(3, None)).make()
    worlds.reset()
    _, _, _, _, info = [worlds.step(NOTHING) for _ in range(3)][-1]
    obs, *_ = worlds.step(NOTHING)
    kept, final, score = obs.copy(), info["final_obs"].copy(), info["episode"]["r"].copy()
    state = worlds.state()
    played, lengths = state["played"].copy(), state["length"].copy()
    actions = np.array([2, 1])
    worlds.step(actions)
    actions[:] = 0
    worlds.step(actions)
    np.testing.assert_array_equal(obs, kept)
    np.testing.assert_array_equal(info["final_obs"], final)
    np.testing.assert_array_equal(info["episode"]["r"], score)
    np.testing.assert_array_equal(state["played"], played)
    np.testing.assert_array_equal(state["length"], lengths)
    assert worlds.state()["played"][-2].tolist() == [2, 1], "actions are copied when they are played"


def test_reset_takes_a_seed_seeds_or_a_mask():
    worlds = Counters(ends=(None, None)).make(3)
    assert worlds.reset()[0][:, 0].tolist() == [3, 4]
    assert worlds.reset()[0][:, 0].tolist() == [episode_seed(3, 0, 1), episode_seed(3, 1, 1)]
    assert worlds.reset(seed=30)[0][:, 0].tolist() == [30, 31]
    assert worlds.reset(seed=np.array([5, 9]))[0][:, 0].tolist() == [5, 9]
    assert worlds.reset(seed=[6, 8])[0][:, 0].tolist() == [6, 8]
    worlds.step(NOTHING)
    only = {"reset_mask": np.array([False, True])}
    assert worlds.reset(seed=np.array([70]), options=only)[0].tolist() == [[6, 1, 0], [70, 0, 0]]
    assert worlds.length.tolist() == [1, 0]
    assert worlds.reset(options=only)[0][1, 0] == episode_seed(30, 1, 4)
    for wrong in ({"seed": np.array([1, 2, 3])}, {"options": {"reset_mask": np.array([True])}}):
        with pytest.raises(ValueError, match="must have shape"):
            worlds.reset(**wrong)


@pytest.mark.parametrize(
    ("actions", "message"),
    [
        ([0, 3], r"world 1: action 3 is not in 0…2"),
        ([-1, 0], r"world 0: action -1 is not in 0…2"),
        ([0], r"expected actions of shape \(2,\), got \(1,\)"),
        ([[0, 1]], r"expected actions of shape \(2,\), got \(1, 2\)"),
        ([0.0, 1.0], "expected whole numbers as actions, got float64"),
        ([True, False], "expected whole numbers as actions, got bool"),
        (["0", "1"], "expected whole numbers as actions, got <U1"),
        ([2**62, 0], "world 0: action 4611686018427387904 is not in"),
    ],
)
def test_a_refused_action_names_its_world(actions, message):
    worlds = Counters().make()
    worlds.reset()
    with pytest.raises(ActionError, match=message):
        worlds.step(np.array(actions))
    assert worlds.length.tolist() == [0, 0]


@pytest.mark.parametrize(
    ("space", "actions", "message"),
    [
        (Box(-1, 1, (2,)), [[0, 0], [0, np.nan]], r"world 1: action \[ ?0. nan\] is not in Box"),
        (Box(-1, 1, (2,)), [[0, 1.01], [0, 0]], "world 0: action .* is not in Box"),
        (Box(-np.inf, np.inf, (2,)), [[0, 0], [0, np.inf]], "world 1: action .* is not in Box"),
        (Box(-1, 1, (2,)), [["a", "b"], ["c", "d"]], "expected actions of type float32, got <U1"),
        (Box(-1, 1, (2,)), [[0j, 0j], [0j, 1j]], "expected actions of type float32, got complex128"),
        (Box(-1, 1, (2,)), [0.0, 0.0], r"expected actions of shape \(2, 2\), got \(2,\)"),
        (MultiDiscrete([2, 3]), [[1, 2], [2, 0]], "world 1: action .2 0. is not in MultiDiscrete"),
        (MultiDiscrete([2, 3]), [[0.5, 1], [0, 0]], "expected actions of type int64, got float64"),
        (MultiBinary(2), [[0, 1], [0, 2]], "world 1: action .0 2. is not in MultiBinary"),
    ],
)
def test_every_kind_of_action_space_refuses_what_is_not_in_it(space, actions, message):
    worlds = Counters(space=space).make()
    worlds.reset()
    with pytest.raises(ActionError, match=message):
        worlds.step(np.array(actions))
    worlds.step(np.zeros((2, 2), space.dtype))


def test_actions_on_the_bounds_pass_in_any_float_type():
    worlds = Counters(space=Box(-1, 1, (2,))).make()
    worlds.reset()
    obs, *_ = worlds.step(np.array([[1.0, 1.0], [-1.0, -1.0]], np.float64))
    assert obs[:, 2].tolist() == [2, -2]
    worlds.step(np.array([[1, 1], [-1, -1]]))


@pytest.mark.parametrize("seed", [-1, np.int64(-5)])
def test_a_negative_seed_is_refused_at_once(seed):
    with pytest.raises(WorldError, match=f"from 0 on, not {seed}"):
        make_worlds("gym/CartPole-v1", seed=seed)
    worlds = make_worlds("gym/CartPole-v1", seed=1)
    with pytest.raises(RequestError, match="from 0 on"):
        worlds.reset(seed=seed)
    with pytest.raises(RequestError, match="from 0 on"):
        worlds.reset(seed=np.array([seed]))


def test_observations_that_are_no_array_are_refused():
    class Odd(Counter):
        observation_space = Dict(a=Discrete(2))

    with pytest.raises(WorldError, match="are a Dict, not an array"):
        EnvWorlds([Odd], 0)


@pytest.mark.parametrize("name", ["gym/CartPole-v1", "atari/pong"])
@pytest.mark.parametrize("num_envs", [0, -2])
def test_a_batch_has_at_least_one_world(name, num_envs):
    with pytest.raises(WorldError, match="num_envs must be at least 1, not"):
        make_worlds(name, num_envs=num_envs)


def play(worlds, steps, seed=0):
    generator = np.random.default_rng(seed)
    for _ in range(steps):
        actions = generator.integers(worlds.single_action_space.n, size=worlds.num_envs)
        yield worlds.step(actions + worlds.single_action_space.start)


def test_a_state_is_only_the_actions_of_episodes_in_progress():
    worlds = make_worlds("gym/CartPole-v1", num_envs=2, seed=3)
    worlds.reset()
    longest = 0
    for _ in play(worlds, 300):
        state = worlds.state()
        assert len(state["played"]) == (state["start"] + state["length"]).max()
        assert state["start"].min() == 0
        assert state["played"].dtype == np.uint8
        longest = max(longest, len(state["played"]))
    assert longest < 200, "the history is cut where no episode needs it"


def test_a_state_survives_the_disk_and_goes_on_exactly(tmp_path, masked_world):
    for name in ("gym/CartPole-v1", "gym/Acrobot-v1"):
        worlds = make_worlds(name, num_envs=3, seed=3)
        worlds.reset()
        list(play(worlds, 77))
        folder = tmp_path / name.replace("/", "-")
        folder.mkdir()
        write_state(folder, worlds.state(), folder)
        expected = list(play(worlds, 60, seed=1))
        other = make_worlds(name, num_envs=3, seed=99)
        other.restore(read_state(folder, folder))
        for (*found, _), (*wanted, _) in zip(play(other, 60, seed=1), expected, strict=True):
            for a, b in zip(found, wanted, strict=True):
                np.testing.assert_array_equal(a, b)
        assert other.score.tolist() == worlds.score.tolist()


def test_negative_and_wide_actions_are_stored_exactly():
    for space in (Discrete(3, start=-1), Discrete(300), Discrete(5, start=254), Discrete(2, start=2**40)):
        worlds = Counters(space=space, ends=(None, None)).make()
        worlds.reset()
        obs, *_ = worlds.step(np.array([space.start, space.start + space.n - 1], np.int64))
        restored, _ = Counters(space=space, ends=(None, None)).make().restore(worlds.state())
        np.testing.assert_array_equal(restored, obs)


def test_replaying_never_plays_an_action_in_an_episode_that_is_not_its_own(masked_world):
    """Illegal actions are refused by the world, so a stale one would raise."""
    worlds = make_worlds(masked_world, num_envs=4, seed=0)
    obs, info = worlds.reset()
    generator, offsets = np.random.default_rng(0), set()
    for _ in range(60):
        actions = [generator.choice(np.flatnonzero(row)) for row in info["action_mask"]]
        obs, _, _, _, info = worlds.step(np.array(actions))
        state = worlds.state()
        offsets.add(tuple(state["start"]))
        restored, found = make_worlds(masked_world, num_envs=4, seed=5).restore(state)
        np.testing.assert_array_equal(restored, obs)
        np.testing.assert_array_equal(found["action_mask"], info["action_mask"])
    assert len(offsets) > 20, "the episodes began at different times"


def test_a_batch_restored_at_an_end_has_the_next_episode():
    worlds = Counters().make(20)
    worlds.reset()
    for _ in range(3):
        obs, _, terminated, _, info = worlds.step(NOTHING)
    assert terminated.tolist() == [True, False]
    other = Counters().make(1)
    restored, restored_info = other.restore(worlds.state())
    np.testing.assert_array_equal(restored, obs)
    assert restored_info["steps"].tolist() == info["steps"].tolist() == [0, 3]
    other.step(NOTHING)
    *_, info = other.step(NOTHING)
    assert finished(info) == [Episode(150.0, 5)], "the score before the state counts"
    assert other.state()["episode"].tolist() == [1, 1]


def test_worlds_equal_gymnasium_s_own_for_the_first_episode():
    worlds = make_worlds("gym/CartPole-v1", num_envs=3, seed=11)
    obs, _ = worlds.reset()
    for i in range(3):
        theirs, _ = gymnasium.make("CartPole-v1").reset(seed=11 + i)
        np.testing.assert_array_equal(obs[i], theirs)
        np.testing.assert_array_equal(obs[i], make_world("gym/CartPole-v1", seed=11 + i).reset()[0])


@pytest.mark.parametrize("name", ["gym/CartPole-v1", "walker/hopper", "chess/kqk"])
def test_parts_of_a_batch_play_what_the_whole_batch_plays(name):
    whole, parts = make_worlds(name, 4, seed=7), [make_worlds(name, 2, seed=7) for _ in range(2)]
    parts[1].first_index = 2
    obs, info = whole.reset()
    halves, infos = zip(*(part.reset() for part in parts), strict=True)
    generator = np.random.default_rng(0)
    for _ in range(40):
        np.testing.assert_array_equal(np.concatenate(halves), obs)
        if "action_mask" in info:
            np.testing.assert_array_equal(
                np.concatenate([i["action_mask"] for i in infos]), info["action_mask"]
            )
        actions = legal_actions(whole, info, generator)
        obs, _, _, _, info = whole.step(actions)
        halves, *_, infos = zip(
            *(part.step(own) for part, own in zip(parts, np.split(actions, 2), strict=True)), strict=True
        )
    for worlds in (whole, *parts):
        worlds.close()


def legal_actions(worlds, info, generator):
    """A random action a world, of those that the mask allows."""
    if "action_mask" in info:
        return np.array([generator.choice(np.flatnonzero(mask)) for mask in info["action_mask"]])
    worlds.action_space.seed(int(generator.integers(1_000)))
    return worlds.action_space.sample()


def test_a_part_of_a_batch_goes_on_with_the_later_seeds_of_its_worlds():
    part = Counters(ends=(1, 1)).make(seed=40)
    part.first_index = 2
    assert part.reset()[0][:, 0].tolist() == [42, 43]
    assert part.step(NOTHING)[0][:, 0].tolist() == [episode_seed(40, world, 1) for world in (2, 3)]
