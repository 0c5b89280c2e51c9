"""Rollout actors: their stretches are what was played, and DQN learns from them as from its own play."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import gymnasium
import numpy as np
import pytest
import torch
from gymnasium.spaces import Box, Discrete

from agents.actors.feed import ShardFeed
from agents.actors.in_process import InProcessBackend
from agents.actors.pool import ActorPool
from agents.dqn import DQN
from agents.evaluation.evaluate import evaluate
from agents.replay import Replay
from agents.rollout_actor import LEAST_STEPS, RolloutActor
from agents.rollouts.rollout_stretch import EPSILON, add_stretch
from sim.catalog import make_worlds, world_config
from sim.records import Budget
from sim.storage.runs import Run
from sim.vector import EnvWorlds

STACK, WORLDS = 3, 2
TINY = DQN(
    network="mlp", buffer_size=2000, batch_size=16, learning_starts=100, train_frequency=16,
    target_frequency=200, epsilon_steps=2000, clip_reward=False,
)  # fmt: skip


class Counter(gymnasium.Env):
    """Observations stack the last three of all frames ever shown here, zeros before an episode's first."""

    observation_space = Box(-1e6, 1e6, (STACK, 2), np.float32)
    action_space = Discrete(2)

    def __init__(self, first):
        self.shown = first

    def frame(self):
        self.shown += 1
        return np.array([self.shown, -self.shown], np.float32)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.obs = np.stack([np.zeros(2, np.float32)] * (STACK - 1) + [self.frame()])
        return self.obs, {}

    def step(self, action):
        self.obs = np.concatenate([self.obs[1:], self.frame()[None]])
        chance = self.np_random.random()
        return self.obs, float(self.np_random.normal()), bool(chance < 0.1), bool(0.1 <= chance < 0.2), {}


class Recorded(EnvWorlds):
    """Worlds that write down every transition, by its newest frame."""

    frame_stack = STACK

    def __init__(self, seed):
        super().__init__([partial(Counter, 100_000 * i) for i in range(WORLDS)], seed=seed)
        self.played = {}

    def reset(self, **options):
        self.obs, info = super().reset(**options)
        return self.obs, info

    def step(self, actions):
        before = self.obs.copy()
        self.obs, reward, terminated, truncated, info = super().step(actions)
        for i in range(WORLDS):
            over = terminated[i] or truncated[i]
            after = (info["final_obs"] if over else self.obs)[i].copy()
            ends = bool(terminated[i])
            self.played[int(before[i, -1, 0])] = (before[i], actions[i], reward[i], ends, after)
        return self.obs, reward, terminated, truncated, info


def stretches(worlds, count, actors=1):
    config = replace(TINY, network="mlp")
    actor = RolloutActor(config, lambda num_envs, seed: worlds, WORLDS, actors, seed=3)
    policy = config.build(worlds.single_observation_space, worlds.single_action_space, seed=0)
    weights = {**policy.weights(), EPSILON: np.array(1.0)}
    return policy, [actor.play(version, weights) for version in range(count)]


def test_the_replay_of_stretches_holds_what_was_played_and_nothing_else():
    worlds = Recorded(seed=0)
    policy, played = stretches(worlds, 4, actors=50)
    assert [stretch.positions for stretch in played] == [LEAST_STEPS * WORLDS] * 4
    assert sum(len(stretch.episodes) for stretch in played) > 20
    replay = Replay(
        2000,
        WORLDS,
        worlds.single_observation_space,
        frame_stack=STACK,
        gamma=0.9,
        arrange=policy.network.trunk.arrange,
    )
    added = [
        steps
        for stretch in played
        for steps in add_stretch(replay, stretch.arrays, observe=policy.observe, clip_reward=False)
    ]
    assert sum(added) == 4 * LEAST_STEPS * WORLDS and added.count(0) == 4
    rows = torch.from_numpy(replay.drawable())
    batch = replay.gather(rows, torch.ones(len(rows)))
    assert len(rows) == 4 * LEAST_STEPS * WORLDS, "the last ones, too: their successors came as final frames"
    found = set()
    for row in range(len(rows)):
        obs, action, reward, ends, after = worlds.played[int(batch.obs[row, -1, 0])]
        found.add(int(batch.obs[row, -1, 0]))
        np.testing.assert_array_equal(batch.obs[row], obs)
        np.testing.assert_array_equal(batch.next_obs[row], after)
        assert (int(batch.action[row]), float(batch.discount[row])) == (
            action,
            0.0 if ends else np.float32(0.9),
        )
        assert float(batch.n_step_return[row]) == pytest.approx(reward, abs=1e-6)
    assert found == set(worlds.played)


def test_actors_explore_by_the_rate_that_they_are_sent(masked_world):
    worlds = make_worlds(masked_world, 8, 0)
    actor = RolloutActor(TINY, lambda num_envs, seed: worlds, 8, 1, seed=1)
    policy = TINY.build(worlds.single_observation_space, worlds.single_action_space, seed=5)

    def share_of_best(version, epsilon):
        arrays = actor.play(version, {**policy.weights(), EPSILON: np.array(epsilon)}).arrays
        frames, mask = torch.from_numpy(arrays["frames"]), torch.from_numpy(arrays["mask"])
        q = policy.q_values(frames.flatten(0, 1)).masked_fill(~mask.flatten(0, 1), -torch.inf)
        assert (np.take_along_axis(arrays["mask"], arrays["action"][..., None].astype(int), 2)).all()
        return (q.argmax(1).numpy() == arrays["action"].ravel()).mean()

    assert share_of_best(1, 0.0) == 1.0
    assert share_of_best(2, 1.0) < 0.8


def learner_with(backend, config=TINY, folder=None, world="gym/tests/Masked-v0", yield_every=256):
    worlds = make_worlds(world, 8, 0)
    learner = config.build(worlds.single_observation_space, worlds.single_action_space, seed=0)
    learner.yield_every = yield_every
    factory = partial(RolloutActor, config, world_config(world, {}).make_batch, 8, 2)
    learner.feed = ShardFeed(ActorPool(backend, factory, 2, seed=0), 8)
    if folder is not None:
        learner.feed.keep_in(folder)
    return learner, worlds


def test_as_many_gradient_steps_an_env_step_whoever_plays():
    config = replace(TINY, prioritized=True, n_step=3)
    finals = []
    for _ in range(2):
        learner, worlds = learner_with(InProcessBackend(die_after={"1-0-0": 1}), config)
        *_, last = learner.learn(worlds, Budget(env_steps=1000))
        finals.append(learner.weights())
    assert all(np.array_equal(finals[0][name], finals[1][name]) for name in finals[0])
    assert last.env_steps == learner.feed.ledger.positions >= 1000 and last.metrics["actors_replaced"] == 1
    assert last.metrics["gradient_steps"] == last.env_steps // 16 - 100 // 16


@pytest.mark.slow
def test_it_learns_from_its_actors(masked_world):
    learner, worlds = learner_with(InProcessBackend(), replace(TINY, learning_rate=1e-3, train_frequency=4))
    for _ in learner.learn(worlds, Budget(env_steps=5000)):
        pass
    scores = evaluate(learner, world_config(masked_world, {}), episodes=40, seed=1, greedy=True)
    assert scores.metrics()["return_mean"] > 4.0, "0.4 a step by chance, about 1 at best, 6 steps an episode"


def test_a_killed_learner_goes_on_and_one_that_played_itself_does_not_go_on_with_actors(tmp_path):
    run = Run(tmp_path / "r", resume=False)
    learner, worlds = learner_with(InProcessBackend(), folder=tmp_path / "shards")
    updates = learner.learn(worlds, Budget(env_steps=2000))
    next(updates)
    run.save_state(1, learner.state())
    lost = next(updates)
    _, state = run.newest_state()
    again, fresh = learner_with(InProcessBackend(), folder=tmp_path / "shards")
    again.restore(state)
    assert not again.resumes_exactly
    first = next(again.learn(fresh, Budget(env_steps=2000)))
    assert first.env_steps == lost.env_steps and first.episodes == lost.episodes, "what had been delivered"
    alone = TINY.build(worlds.single_observation_space, worlds.single_action_space, seed=0)
    alone.yield_every = 256
    alone.restore(state)
    own = make_worlds("gym/tests/Masked-v0", 8, 0)
    assert next(alone.learn(own, Budget(env_steps=2000))).env_steps == state["env_steps"] + 256
    run.save_state(2, alone.state())
    third, _ = learner_with(InProcessBackend())
    with pytest.raises(ValueError, match="resume it without --actors"):
        third.restore(run.newest_state()[1])
    run.close()
