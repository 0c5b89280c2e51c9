"""PPO: its losses by hand, its bootstraps and masks in real rollouts, exact resume, learning."""

from __future__ import annotations

import copy
import math

import gymnasium
import numpy as np
import pytest
import torch
from rollouts import collected

from agents.evaluation.evaluate import evaluate
from agents.ppo import PPO, RolloutSamples, policy_loss, standardise_advantages, value_loss
from agents.random import Random
from sim.catalog import make_worlds, world_config
from sim.records import Budget
from sim.vector import EnvWorlds
from supervised.tensors import NonFiniteError

#: Of learning: one by default, all with ``-m slow``.
SEEDS = [0, *(pytest.param(seed, marks=pytest.mark.slow) for seed in (1, 2))]
TINY = PPO(network="mlp", num_steps=16, num_epochs=2, minibatch_size=32, clip_reward=False)


class FollowTheSign(gymnasium.Env):
    """Sees one of four signs and should answer with the next one; one wrong answer is forbidden a step."""

    observation_space = gymnasium.spaces.Discrete(4)
    action_space = gymnasium.spaces.Discrete(4)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.left = 10
        return self._look()

    def step(self, action):
        assert self.mask[action], "a masked action was played"
        reward = float(action == (self.sign + 1) % 4)
        self.left -= 1
        obs, info = self._look()
        return obs, reward, False, self.left == 0, info

    def _look(self):
        self.sign = int(self.np_random.integers(4))
        self.mask = np.ones(4, bool)
        self.mask[(self.sign + 2 + int(self.np_random.integers(3))) % 4] = False
        return self.sign, {"action_mask": self.mask.copy()}


class Endless(gymnasium.Env):
    """Reward 1 a step; cut after five steps, or over after five."""

    observation_space = gymnasium.spaces.Box(-1, 1, (1,))
    action_space = gymnasium.spaces.Discrete(2)

    def __init__(self, cut: bool):
        self.cut = cut

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.steps = 0
        return np.zeros(1, np.float32), {}

    def step(self, action):
        self.steps += 1
        over = self.steps == 5
        obs = np.full(1, self.steps / 5, np.float32)
        return obs, 1.0, over and not self.cut, over and self.cut, {}


def learner(config, worlds, seed=0):
    return config.build(worlds.single_observation_space, worlds.single_action_space, seed=seed)


def run(config, worlds, updates, seed=0):
    agent = learner(config, worlds, seed)
    return agent, list(agent.learn(worlds, Budget(updates=updates)))


def test_the_clipped_loss_by_hand():
    old = torch.zeros(4)
    new = torch.tensor([1.5, 1.5, 0.5, 0.5]).log()
    advantage = torch.tensor([1.0, -1.0, 1.0, -1.0])
    # min(1.5, 1.2) = 1.2; min(-1.5, -1.2) = -1.5; min(.5, .8) = .5; min(-.5, -.8) = -.8
    assert policy_loss(new, old, advantage, torch.tensor(0.2)).item() == pytest.approx(
        -(1.2 - 1.5 + 0.5 - 0.8) / 4
    )


def test_a_clipped_ratio_has_no_gradient():
    new = torch.tensor([math.log(1.5)], requires_grad=True)
    policy_loss(new, torch.zeros(1), torch.ones(1), torch.tensor(0.2)).backward()
    assert new.grad.item() == 0.0


def test_the_value_loss_by_hand():
    assert value_loss(torch.tensor([1.0, 3.0]), torch.tensor([0.0, 1.0])).item() == 0.5 * (1 + 4) / 2


class Scattered(gymnasium.Env):
    """Random observations and rewards; actions of three numbers."""

    observation_space = gymnasium.spaces.Box(-3, 3, (2, 2), np.float64)
    action_space = gymnasium.spaces.Box(-1, 1, (3,))

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        return self.np_random.uniform(-3, 3, (2, 2)), {}

    def step(self, action):
        obs, reward = self.np_random.uniform(-3, 3, (2, 2)), float(self.np_random.normal() + action.sum())
        return obs, reward, self.np_random.random() < 0.1, False, {}


@pytest.mark.parametrize("network", ["mlp", "mlp256"])
def test_the_closed_form_is_the_gradient_of_the_loss(network):
    """Ratios on both sides of both bounds, an entropy bonus, observations of two axes."""
    worlds = EnvWorlds([Scattered] * 4, seed=0)
    config = PPO(network=network, num_steps=16, minibatch_size=64, ent_coef=0.03, vf_coef=0.7)
    agent = learner(config, worlds)
    rollout = collected(agent, worlds)
    batch = RolloutSamples.from_rollout(rollout, rollout.advantage(0.9, 0.9))
    batch.log_prob += 0.3 * torch.randn(64, generator=torch.Generator().manual_seed(0))
    buffer = agent._optimizer.whole.grad
    loss, wanted = agent.loss(batch)
    loss.backward()
    gradient = buffer.clone()
    buffer.fill_(torch.nan)  # all of it is set
    found = agent.closed_form(batch)
    assert 0.1 < wanted[-1] < 0.9
    torch.testing.assert_close(found, wanted)
    torch.testing.assert_close(buffer, gradient, rtol=1e-4, atol=1e-6)
    parameters, value, _ = agent.unroll(batch.obs, None)
    assert all(
        torch.equal(a, b) for a, b in zip(agent.infer(batch.obs)[:2], (parameters, value), strict=True)
    )


def test_in_closed_form_too_a_number_that_is_not_finite_stops_learning():
    worlds = EnvWorlds([Scattered], seed=0)
    agent = learner(PPO(network="mlp", num_steps=8, minibatch_size=8), worlds)
    rollout = collected(agent, worlds)
    rollout.log_prob[3] = torch.nan
    with pytest.raises(NonFiniteError, match="policy_loss.*grad_norm"):
        agent._update(rollout, 1e-3, 0.2, 0.0)


def test_advantages_are_normalised_but_a_lone_one_is_kept():
    got = standardise_advantages(torch.tensor([1.0, 2.0, 3.0]))
    assert got.tolist() == pytest.approx([-1.0, 0.0, 1.0], abs=1e-6)
    assert standardise_advantages(torch.tensor([7.0])).tolist() == [7.0]


@pytest.mark.parametrize("cut", [True, False])
def test_a_cut_episode_is_worth_its_final_observation_and_an_ended_one_nothing(cut):
    worlds = EnvWorlds([lambda: Endless(cut)] * 2, seed=0)
    agent = learner(TINY, worlds)
    rollout = collected(agent, worlds)
    ends = (rollout.terminated | rollout.truncated).nonzero()
    assert ends[:, 0].tolist() == [4, 4, 9, 9, 14, 14]
    final = agent.forward(torch.ones(1, 1))[1].item()
    first = agent.forward(torch.zeros(1, 1))[1].item()
    assert final != pytest.approx(first)
    if cut:
        assert rollout.next_value[4].tolist() == pytest.approx([final] * 2)
    else:
        assert rollout.terminated[4].all()
    assert rollout.next_value[3].tolist() == pytest.approx(rollout.value[4].tolist())


def test_a_learning_rate_falls_in_a_straight_line():
    worlds = make_worlds("gym/CartPole-v1", 2)
    _, progress = run(TINY, worlds, 4)
    rates = [p.metrics["learning_rate"] for p in progress]
    assert rates == pytest.approx([2.5e-4, 1.875e-4, 1.25e-4, 0.625e-4])
    assert [p.env_steps for p in progress] == [32, 64, 96, 128]


def test_a_number_that_is_not_finite_stops_learning():
    worlds = make_worlds("gym/CartPole-v1", 2)
    agent = learner(TINY, worlds)
    with torch.no_grad():
        agent.network["actor_critic"].value.weight.fill_(torch.nan)
    with pytest.raises(NonFiniteError, match="value_loss.*update 1"):
        next(agent.learn(worlds, Budget(updates=2)))


def test_a_resumed_learner_on_pictures_ends_in_the_same_weights():
    """On vectors, with masks and with continuous actions `test_agents_conform` resumes it."""
    config = PPO(network="small", num_steps=8, minibatch_size=4)
    whole = learner(config, worlds := make_worlds("atari/pong", 1, seed=3))
    learning = whole.learn(worlds, Budget(updates=4))
    next(learning), next(learning)
    state = copy.deepcopy(whole.state())
    assert [p.updates for p in learning] == [3, 4]
    resumed = learner(config, worlds := make_worlds("atari/pong", 1, seed=99), seed=99)
    resumed.restore(state)
    assert [p.updates for p in resumed.learn(worlds, Budget(updates=4))] == [3, 4]
    wanted = whole.weights()
    assert all(np.array_equal(wanted[name], array) for name, array in resumed.weights().items())


def test_watching_does_not_change_what_is_learned():
    worlds = make_worlds("gym/CartPole-v1", 2)
    quiet, _ = run(TINY, worlds, 3)
    watched = learner(TINY, worlds := make_worlds("gym/CartPole-v1", 2))
    obs = np.zeros((5, 4), np.float32)
    for _ in watched.learn(worlds, Budget(updates=3)):
        watched.act(obs, {})
    assert all(
        np.array_equal(a, b)
        for a, b in zip(quiet.weights().values(), watched.weights().values(), strict=True)
    )


def test_weights_of_another_shape_are_refused_by_name():
    worlds = make_worlds("gym/CartPole-v1", 1)
    agent = learner(TINY, worlds)
    weights = agent.weights()
    with pytest.raises(ValueError, match="lack actor_critic.policy.bias"):
        agent.load_weights({k: v for k, v in weights.items() if k != "actor_critic.policy.bias"})
    with pytest.raises(ValueError, match="policy.bias has shape"):
        agent.load_weights(weights | {"actor_critic.policy.bias": np.zeros(9, np.float32)})


@pytest.mark.parametrize(
    ("field", "value"), [("gamma", 1.5), ("num_steps", 0), ("learning_rate", -1.0), ("network", "huge")]
)
def test_values_out_of_range_are_refused_by_name(field, value):
    with pytest.raises(ValueError, match=field):
        PPO(**{field: value})


def test_an_end_of_the_desired_divergence_needs_a_start():
    with pytest.raises(ValueError, match="desired_kl_end needs a desired_kl above 0"):
        PPO(desired_kl_end=0.01)


def test_bfloat16_and_float32_agree_to_rounding():
    worlds = make_worlds("atari/pong", 4, seed=1)
    obs, info = worlds.reset()
    full = learner(PPO(network="small", precision="float32"), worlds).act(obs, info)[0]
    half = learner(PPO(network="small", precision="bfloat16"), worlds).act(obs, info)[0]
    assert half.value == pytest.approx(full.value, abs=0.02)
    assert half.probabilities == pytest.approx(full.probabilities, abs=0.01)


@pytest.mark.parametrize("seed", SEEDS)
def test_learns_a_masked_world(seed):
    worlds = EnvWorlds([FollowTheSign] * 8, seed)
    config = PPO(network="mlp", num_steps=16, minibatch_size=64, learning_rate=3e-3, clip_coef=0.2)
    _, progress = run(config, worlds, 30, seed)
    before = np.mean([e.score for p in progress[:3] for e in p.episodes])
    after = np.mean([e.score for p in progress[-3:] for e in p.episodes])
    assert before < 5.0  # chance is 10 / 3
    assert after > 8.5  # the best is 10


@pytest.mark.parametrize("seed", SEEDS)
def test_learns_cartpole(seed):
    worlds = make_worlds("gym/CartPole-v1", 8, seed=seed)
    config = PPO(
        network="mlp", num_steps=32, num_epochs=6, minibatch_size=128, learning_rate=5e-3, clip_coef=0.2,
        gae_lambda=0.8, gamma=0.98, ent_coef=0.0, clip_reward=False,
    )  # fmt: skip
    agent, _ = run(config, worlds, 30, seed)
    world = world_config("gym/CartPole-v1", {})
    trained = evaluate(agent, world, episodes=5, seed=seed, greedy=True).metrics()["return_mean"]
    random = Random().build(None, worlds.single_action_space, seed=seed)
    chance = evaluate(random, world, episodes=10, seed=seed, greedy=False).metrics()["return_mean"]
    assert chance < 50
    assert trained > 3 * chance  # by seed 170 … 468, against 22


def test_initial_log_std_is_that_of_the_first_gaussian_and_refused_of_discrete_actions():
    config, seen = PPO(network="mlp", log_std_init=-1.0), gymnasium.spaces.Box(-1, 1, (3,))
    learner = config.build(seen, gymnasium.spaces.Box(-1, 1, (2,)), seed=0)
    assert learner.head.log_std.tolist() == [-1.0, -1.0]
    with pytest.raises(ValueError, match="log_std_init is of continuous actions, and these are Discrete"):
        config.build(seen, gymnasium.spaces.Discrete(2), seed=0)
