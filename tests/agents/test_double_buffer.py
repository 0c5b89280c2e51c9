"""Double-buffered sampling: equal to plain rollouts, halves in turn, exact resume; stacks on the device."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from test_rollout import CUT, OVER, Clock, Counter

from agents.dqn import DQN
from agents.ppo import PPO
from agents.pqn import PQN
from agents.rollouts.double_buffer import DoubleBufferedCollector, rollout_collector
from agents.rollouts.rollout import RolloutCollector
from sim.atari.world import Atari
from sim.catalog import make_worlds
from sim.double_buffer import DoubleBufferedWorlds
from sim.records import Budget
from sim.vector import EnvWorlds

CLOCKS = [OVER, CUT, (4, True), (3, False), (2, True)]
POLE = "gym/CartPole-v1"
CONFIGS = {
    "ppo": PPO(network="mlp", num_steps=9, num_epochs=1, minibatch_size=16),
    "pqn": PQN(network="mlp", num_steps=9, num_epochs=1, minibatch_size=16),
    "dqn": DQN(
        network="mlp", buffer_size=500, batch_size=8, learning_starts=9, train_frequency=5,
        target_frequency=12,
    ),
}  # fmt: skip


def clocks(of):
    return EnvWorlds([lambda clock=clock: Clock(*clock) for clock in of], seed=0)


def collector(divided, actor, **options):
    worlds = DoubleBufferedWorlds(clocks(CLOCKS[:3]), clocks(CLOCKS[3:]), 0) if divided else clocks(CLOCKS)
    return rollout_collector(actor, worlds, worlds.reset(), **options)


def learner(name, worlds, seed=0):
    agent = CONFIGS[name].build(worlds.single_observation_space, worlds.single_action_space, seed=seed)
    agent.yield_every = 27  # of DQN
    return agent


@pytest.mark.parametrize("actor", [{}, {"remembers": False}, {"remembers": False, "on_host": True}])
def test_halves_in_turn_give_the_rollouts_of_undivided_worlds(actor):
    whole, divided = (collector(how, Counter(**actor), clip_reward=True) for how in (False, True))
    assert isinstance(divided, DoubleBufferedCollector)
    for steps in (5, 4):
        wanted, found = whole.collect(steps), divided.collect(steps)
        for name, tensor in vars(wanted).items():
            if isinstance(tensor, torch.Tensor):
                assert torch.equal(getattr(found, name), tensor), name
            else:
                assert getattr(found, name) == tensor, name


def test_one_half_is_simulated_while_the_policy_chooses_for_the_other(monkeypatch):
    divided, told = collector(True, Counter()), []
    for number, half in enumerate(divided._halves):
        for name in ("send", "recv"):
            does = getattr(half._worlds, name)
            monkeypatch.setattr(
                half._worlds, name, lambda *a, n=number, w=name, do=does: (told.append((n, w)), do(*a))[1]
            )
    divided.collect(3)
    turns = [(0, "recv"), (0, "send"), (1, "recv"), (1, "send")]
    assert told == [(0, "send"), (1, "send"), *turns, *turns, (0, "recv"), (1, "recv")]


def halved_poles(seed):
    return DoubleBufferedWorlds(make_worlds(POLE, 2, seed=seed), make_worlds(POLE, 1, seed=seed), seed)


@pytest.mark.parametrize("name", CONFIGS)
def test_a_resumed_double_buffered_learner_ends_in_the_same_weights(name):
    whole = learner(name, worlds := halved_poles(1))
    learning = whole.learn(worlds, Budget(updates=6))
    next(learning), next(learning), next(learning)
    resumed = learner(name, other := halved_poles(99), seed=5)
    resumed.restore(whole.state())
    *_, last = learning
    *_, again = resumed.learn(other, Budget(updates=6))
    assert again.metrics == last.metrics and again.env_steps == last.env_steps == 6 * 9 * 3
    wanted = whole.weights()
    assert all(np.array_equal(wanted[key], array) for key, array in resumed.weights().items())


def test_dqn_learns_while_double_buffered_worlds_step():
    agent, told = learner("dqn", worlds := halved_poles(1)), []
    send, recv, update = worlds.send, worlds.recv, agent.update
    worlds.send = lambda actions: (told.append("send"), send(actions))[1]
    worlds.recv = lambda: (told.append("recv"), recv())[1]
    agent.update = lambda share: (told.append("update"), update(share))[1]
    next(agent.learn(worlds, Budget(updates=1)))
    assert told[:8] == 4 * ["send", "recv"], "learning starts after 9 env steps, every 5"
    turn, learned = ["send", "recv"], ["send", "update", "recv"]
    assert told[8:] == [*learned, *learned, *turn, *learned, *turn, "update"], "none is left over"


@pytest.fixture(scope="module")
def pongs():
    """Two Pongs in two halves, with episodes of 15 steps."""
    worlds = Atari("pong", max_frames=60, double_buffered=True).make_batch(2, 1, num_threads=2)
    worlds.seed_rarely()
    yield worlds
    worlds.close()


def test_stacks_put_together_on_the_device_are_the_worlds_observations_over_ends(pongs):
    worlds = pongs.halves[1]
    agent = PPO(network="small").build(worlds.single_observation_space, worlds.single_action_space, seed=0)
    collecting = RolloutCollector(agent, worlds, worlds.reset(seed=3))
    ends = 0
    for _ in range(34):
        wanted = agent.observe(collecting.obs)
        assert torch.equal(collecting._seen.newest, wanted)
        assert collecting._seen.newest.stride() == wanted.stride()
        rollout = collecting.collect(1)
        assert torch.equal(rollout.obs[0], wanted)
        ends += int(rollout.ended.sum())
    assert ends == 2 * worlds.num_envs


def test_of_stacked_frames_only_the_newest_is_copied_after_the_first(pongs):
    worlds = pongs.halves[0]
    agent = PQN(network="small").build(worlds.single_observation_space, worlds.single_action_space, seed=0)
    sizes, tensor = [], agent.tensor
    agent.tensor = lambda array: (sizes.append(array.nbytes), tensor(array))[1]
    RolloutCollector(agent, worlds, worlds.reset(seed=3)).collect(4)
    frame = worlds.num_envs * 84 * 84
    assert [size for size in sizes if size >= frame] == [4 * frame, *4 * [frame]]
