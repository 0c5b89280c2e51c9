"""Recurrent PPO: a cue remembered, sequences equal to steps, memory reset by mask, exact resume."""

from __future__ import annotations

import gymnasium
import numpy as np
import pytest
import torch
from gymnasium.spaces import Discrete
from rollouts import collected

from agents.dqn import DQN
from agents.evaluation.evaluate import evaluate
from agents.ppo import PPO, RolloutSamples
from agents.pqn import PQN
from agents.reinforce import Reinforce
from agents.rollouts.rollout import RolloutCollector
from sim.catalog import make_worlds
from sim.conformance import check_policy
from sim.records import Budget
from sim.storage.states import read_state, write_state
from sim.vector import EnvWorlds

CUES, DELAY = 4, 4
GRU = PPO(network="gru", num_steps=10, minibatch_size=160, num_epochs=4, learning_rate=1e-2, clip_coef=0.2)


class Recall(gymnasium.Env):
    """One of four cues is shown, then nothing for some steps; reward 1 for naming it at the last step."""

    observation_space, action_space = Discrete(CUES + 1), Discrete(CUES)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.cue, self.left = int(self.np_random.integers(CUES)), DELAY
        return self.cue, {}

    def step(self, action):
        self.left -= 1
        return CUES, float(self.left == 0 and action == self.cue), self.left == 0, False, {}


class RecallConfig:
    """Enough of a world's configuration to be evaluated in."""

    name = "recall"

    def make_batch(self, num_envs, seed):
        return EnvWorlds([Recall] * num_envs, seed)

    def protocol(self):
        return {"world": self.name}


def built(worlds, seed=0, **changes):
    config = PPO(**vars(GRU) | changes)
    return config.build(worlds.single_observation_space, worlds.single_action_space, seed=seed)


def learned(network, seed):
    worlds = EnvWorlds([Recall] * 32, seed)
    agent = built(worlds, seed, network=network)
    for _ in agent.learn(worlds, Budget(updates=18)):
        pass
    return evaluate(agent, RecallConfig(), episodes=100, seed=seed, greedy=True).metrics()["return_mean"]


@pytest.mark.parametrize("seed", [0, *(pytest.param(seed, marks=pytest.mark.slow) for seed in (1, 2, 3))])
def test_a_gru_remembers_a_cue(seed):
    assert learned("gru", seed) > 0.9


def test_without_memory_the_cue_is_guessed():
    assert learned("mlp", 0) < 0.45  # 1 in 4, and four and a half deviations of 100 guesses


@pytest.fixture
def second():
    """A learner with a will of its own and its second rollout, which begins in the middle of episodes."""
    worlds = EnvWorlds([Recall] * 6, 0)
    agent = built(worlds, num_steps=7)
    generator = torch.Generator().manual_seed(3)
    with torch.no_grad():
        for parameter in agent.network.parameters():
            parameter += 0.3 * torch.randn(parameter.shape, generator=generator)
    collector = RolloutCollector(agent, worlds, worlds.reset())
    collector.collect(7)
    return agent, collector.collect(7)


def test_an_update_sees_what_play_saw(second):
    agent, rollout = second
    assert rollout.memory.abs().sum(1).min() > 0 and rollout.ended.any(), "memory, and an end, to get wrong"
    batch = RolloutSamples.from_rollout(rollout, torch.zeros_like(rollout.value))
    parameters, value, _ = agent.unroll(batch.obs, batch.memory, batch.ended)
    log_prob, _ = agent.head.evaluate(parameters, None, batch.action)
    torch.testing.assert_close(value, rollout.value.flatten(), rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(log_prob, rollout.log_prob.flatten(), rtol=1e-5, atol=1e-6)
    for forgotten in ({"memory": torch.zeros_like(batch.memory)}, {"ended": torch.zeros_like(batch.ended)}):
        given = {"memory": batch.memory, "ended": batch.ended} | forgotten
        assert not torch.allclose(agent.unroll(batch.obs, **given)[1], value, atol=1e-3)


def test_gradients_go_back_in_time_but_not_beyond_the_beginning_of_an_episode(second):
    agent, rollout = second
    memory = rollout.memory.clone().requires_grad_()
    value = agent.unroll(rollout.obs.flatten(0, 1), memory, rollout.ended)[1].view(rollout.value.shape)
    for t in range(len(value)):
        (gradient,) = torch.autograd.grad(value[t].sum(), memory, retain_graph=True)
        reached = gradient.abs().sum(1) > 0
        assert torch.equal(reached, ~rollout.ended[:t].any(0)), t


def test_a_minibatch_is_all_steps_of_some_worlds(second):
    _, rollout = second
    batch = RolloutSamples.from_rollout(rollout, torch.randn(rollout.value.shape))
    chosen = torch.tensor([4, 1])
    part = batch.sequences(chosen)
    assert torch.equal(part.obs.view(7, 2), rollout.obs[:, chosen])
    assert torch.equal(part.action.view(7, 2), rollout.action[:, chosen])
    assert torch.equal(part.advantage.view(7, 2), batch.advantage.view(7, 6)[:, chosen])
    assert torch.equal(part.memory, rollout.memory[chosen])
    assert torch.equal(part.ended, rollout.ended[:, chosen])


def test_each_world_is_learned_from_once_an_epoch_in_whole_sequences():
    worlds = EnvWorlds([Recall] * 6, 0)
    agent = built(worlds, num_steps=7, minibatch_size=20, num_epochs=2)
    seen, step = [], agent.gradient_step
    agent.gradient_step = lambda batch, **share: seen.append(batch) or step(batch, **share)
    agent.run_epochs(collected(agent, worlds))
    assert [batch.ended.shape for batch in seen] == [(7, 2)] * 6
    assert [len(batch.target) for batch in seen] == [14] * 6


@pytest.mark.parametrize("world", ["gym/CartPole-v1", "gym/Pendulum-v1", "gym/tests/Masked-v0"])
def test_it_keeps_every_promise_of_a_policy(world):
    worlds = make_worlds(world, 3)
    check_policy(built(worlds), worlds)


@pytest.mark.parametrize(
    ("world", "size"), [("gym/tests/Masked-v0", 128), pytest.param("atari/pong", 256, marks=pytest.mark.slow)]
)
def test_a_resumed_learner_ends_in_the_same_weights(world, size, tmp_path):
    config = {"num_steps": 6, "minibatch_size": 6, "num_epochs": 1}
    worlds = make_worlds(world, 2, seed=3)
    whole = built(worlds, **config)
    learning = whole.learn(worlds, Budget(updates=3))
    next(learning)
    for folder in ("state", "segments"):
        (tmp_path / folder).mkdir()
    write_state(tmp_path / "state", whole.state(), tmp_path / "segments")
    assert [progress.updates for progress in learning] == [2, 3]
    state = read_state(tmp_path / "state", tmp_path / "segments")
    assert state["memory"].shape == (2, size) and np.abs(state["memory"]).max() > 0
    resumed = built(worlds := make_worlds(world, 2, seed=99), seed=99, **config)
    resumed.restore(state)
    assert [progress.updates for progress in resumed.learn(worlds, Budget(updates=3))] == [2, 3]
    wanted = whole.weights()
    assert all(np.array_equal(wanted[name], array) for name, array in resumed.weights().items())
    assert np.array_equal(whole.state()["memory"], resumed.state()["memory"])


def test_who_has_no_memory_keeps_none_in_its_state():
    worlds = EnvWorlds([Recall] * 4, 0)
    agent = built(worlds, network="mlp", minibatch_size=40)
    next(agent.learn(worlds, Budget(updates=1)))
    assert "memory" not in agent.state()
    assert agent.act(*worlds.reset())[1] is None


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"minibatch_size": 9}, r"minibatch_size must be at least num_steps, 10, not 9: network = \"gru\""),
        ({"compile": True}, r"compile must be false with network = \"gru\""),
    ],
)
def test_what_a_recurrent_network_cannot_do_is_refused_by_name(fields, words):
    with pytest.raises(ValueError, match=words):
        PPO(**vars(GRU) | fields)
    PPO(**vars(GRU) | fields | {"network": "mlp"})


@pytest.mark.parametrize("kind", [DQN, PQN, Reinforce])
def test_only_ppo_has_it(kind):
    with pytest.raises(ValueError, match='network must be one of .*, not "gru"'):
        kind(network="gru")


def test_the_first_rollout_begins_with_a_memory_of_zeros():
    worlds = EnvWorlds([Recall] * 4, 0)
    memory = collected(built(worlds), worlds).memory
    assert memory.shape == (4, 128) and not memory.any()
