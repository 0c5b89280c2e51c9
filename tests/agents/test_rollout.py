"""Rollout collection by an actor of plain numbers: values, ends, masks and memory by hand."""

from __future__ import annotations

import gymnasium
import numpy as np
import pytest
import torch
from gymnasium.spaces import Box, Discrete

from agents.rollouts.rollout import Choice, RolloutCollector
from sim.vector import EnvWorlds, WorldError


class Clock(gymnasium.Env):
    """Shows the steps of this episode, pays twice as much, forbids one action; over or cut at `length`."""

    observation_space, action_space = Box(0, 100, (1,)), Discrete(3)

    def __init__(self, length, cut, lives=False):
        self.length, self.cut, self.lives = length, cut, lives

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.time = 0
        return self._look()

    def step(self, action):
        assert action == (self.time + 1) % 3, "the actor's action arrives"
        self.time += 1
        over = self.time == self.length
        obs, info = self._look()
        return obs, 2.0 * self.time, over and not self.cut, over and self.cut, info

    def _look(self):
        mask = np.arange(3) != self.time % 3
        info = {"action_mask": mask} | ({"lives": 9 - self.time // 2} if self.lives else {})
        return np.full(1, self.time, np.float32), info


class Counter:
    """Values are 10 times the observation; the memory counts the observations of an episode."""

    def __init__(self, remembers=True, on_host=False):
        self.remembers, self.on_host, self.bootstraps = remembers, on_host, []

    def tensor(self, array):
        return torch.from_numpy(np.ascontiguousarray(array))

    def observe(self, obs):
        return self.tensor(obs)

    def mask(self, info):
        return self.tensor(info["action_mask"]) if "action_mask" in info else None

    def choose(self, obs, mask, memory):
        time = obs[:, 0]
        if self.remembers:
            memory = torch.zeros(len(obs), 1) if memory is None else memory
            assert memory[:, 0].tolist() == time.tolist(), "it is zero where an episode begins"
            memory = memory + 1
        action = ((time + 1) % 3).long()
        assert mask.gather(1, action[:, None]).all()
        if self.on_host:
            return Choice(action.numpy(), 10 * time)
        return Choice(action.numpy(), 10 * time, 100 + action, -time, memory)

    def bootstrap(self, obs, mask, memory):
        self.bootstraps.append((obs[:, 0].tolist(), mask, None if memory is None else memory[:, 0].tolist()))
        return 10 * obs[:, 0]


def collector(*clocks, actor=None, **options):
    worlds = EnvWorlds([lambda clock=clock: Clock(*clock) for clock in clocks], seed=0)
    return RolloutCollector(actor or Counter(), worlds, worlds.reset(), **options)


OVER, CUT = (2, False), (3, True)


def test_a_rollout_is_time_first_with_the_value_of_what_follows():
    rollout = collector(OVER, CUT).collect(4)
    assert rollout.obs[..., 0].tolist() == [[0, 0], [1, 1], [0, 2], [1, 0]]
    assert rollout.value.tolist() == [[0, 0], [10, 10], [0, 20], [10, 0]]
    # World 1 is cut at 3 and bootstraps there; what follows an end is the next episode's and not counted.
    assert rollout.next_value.tolist() == [[10, 10], [0, 20], [10, 30], [0, 10]]
    assert (
        rollout.reward.tolist() == [[2, 2], [4, 4], [2, 6], [4, 2]] and rollout.reward.dtype == torch.float32
    )
    assert rollout.terminated.tolist() == [[False, False], [True, False], [False, False], [True, False]]
    assert rollout.truncated.tolist() == [[False, False], [False, False], [False, True], [False, False]]
    assert torch.equal(rollout.ended, rollout.terminated | rollout.truncated)
    assert rollout.action.tolist() == [[101, 101], [102, 102], [101, 100], [102, 101]]
    assert torch.equal(rollout.log_prob, -rollout.obs[..., 0])
    assert rollout.mask.tolist() == [
        [[t % 3 != a for a in range(3)] for t in row] for row in rollout.obs[..., 0]
    ]
    assert [(e.score, e.length) for e in rollout.episodes] == [(6, 2), (12, 3), (6, 2)]


def test_the_next_rollout_goes_on_where_the_last_one_stopped_in_memory_too():
    collecting, whole = collector(OVER, CUT), collector(OVER, CUT).collect(7)
    first, second = collecting.collect(4), collecting.collect(3)
    assert first.memory[:, 0].tolist() == [0, 0] and second.memory[:, 0].tolist() == [0, 1]
    for name in ("obs", "action", "reward", "value", "next_value", "ended", "mask"):
        joined = torch.cat([getattr(first, name), getattr(second, name)])
        assert torch.equal(joined, getattr(whole, name)), name
    assert first.episodes + second.episodes == whole.episodes


def test_a_cut_episode_bootstraps_from_its_own_mask_and_memory():
    collecting = collector(OVER, CUT)
    collecting.collect(3)
    (cut, mask, memory), (last, _, after) = collecting._actor.bootstraps
    assert cut == [3] and mask.tolist() == [[False, True, True]] and memory == [3]
    assert last == [1, 0] and after == [1, 0]


def test_actions_on_the_host_are_copied_at_the_end():
    rollout = collector(OVER, CUT, actor=Counter(remembers=False, on_host=True)).collect(3)
    assert rollout.action.tolist() == [[1, 1], [2, 2], [1, 0]]
    assert rollout.log_prob is None and rollout.memory is None


def test_whole_episodes_stop_when_each_world_has_ended_one_and_count_no_second():
    collecting = collector(OVER, (5, True))
    rollout = collecting.collect(99, whole_episodes=True)
    assert rollout.ended.shape == (5, 2)
    assert [(e.score, e.length) for e in rollout.episodes] == [(6, 2), (30, 5)]
    assert collector(OVER, (5, True)).collect(4, whole_episodes=True).ended.shape == (4, 2)


def test_a_lost_life_terminates_for_learning_but_neither_the_episode_nor_its_memory():
    rollout = collector((5, True, True), life_loss_ends=True).collect(5)
    assert rollout.terminated[:, 0].tolist() == [False, True, False, True, False]
    assert rollout.ended[:, 0].tolist() == [False, False, False, False, True]
    assert [e.length for e in rollout.episodes] == [5]
    with pytest.raises(WorldError, match="tell no lives"):
        collector(OVER, life_loss_ends=True).collect(1)


def test_rewards_are_clipped_to_their_sign_but_scores_are_not():
    rollout = collector(OVER, clip_reward=True).collect(2)
    assert rollout.reward.unique().tolist() == [1.0]
    assert rollout.episodes[0].score == 6
