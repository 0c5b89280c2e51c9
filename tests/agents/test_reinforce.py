"""REINFORCE: its gradient against the analytic one, what a baseline does, resume, learning."""

from __future__ import annotations

import gymnasium
import numpy as np
import pytest
import torch

from agents.reinforce import Reinforce, first_episodes
from agents.rollouts.rollout import Rollout, RolloutCollector
from sim.catalog import make_worlds
from sim.records import Budget
from sim.vector import EnvWorlds
from supervised.tensors import NonFiniteError

#: A bandit with three arms. Probabilities in quarters, so that four pulls are exactly the expectation.
PROBABILITY = torch.tensor([0.5, 0.25, 0.25])
REWARD = torch.tensor([9.0, 10.0, 13.0])
EXPECTED_PULLS = torch.tensor([0, 0, 1, 2])

#: Of learning: one by default, all with ``-m slow``.
SEEDS = [0, *(pytest.param(seed, marks=pytest.mark.slow) for seed in (1, 2))]
PLAIN = Reinforce(
    learning_rate=1e-30,  # the gradient is looked at, not followed
    baseline=False,
    normalize=False,
    max_grad_norm=1e9,
)
BASELINE = Reinforce(**{**PLAIN.__dict__, "baseline": True, "vf_coef": 0.0})


def bandit(config):
    """A learner whose policy is a bare softmax over its bias, and whose value is the mean reward."""
    agent = config.build(gymnasium.spaces.Discrete(1), gymnasium.spaces.Discrete(3), seed=0)
    net = agent.network["actor_critic"]
    with torch.no_grad():
        for layer, bias in ((net.policy, PROBABILITY.log()), (net.value, (PROBABILITY * REWARD).sum())):
            layer.weight.zero_()
            layer.bias.copy_(bias)
    return agent


def gradient(agent, pulls):
    """Of the expected reward with respect to the three logits, as `update` finds it."""
    zero, yes = torch.zeros(1, len(pulls)), torch.ones(1, len(pulls), dtype=torch.bool)
    agent.update(
        Rollout(
            obs=zero.long(),
            action=pulls[None],
            value=zero,
            next_value=zero,
            reward=REWARD[pulls][None],
            terminated=yes,
            truncated=~yes,
            ended=yes,
        )
    )
    return -agent.network["actor_critic"].policy.bias.grad.clone()  # the loss is the negated objective


def analytic():
    """d/dθ_j Σ_k p_k r_k = p_j (r_j − Σ_k p_k r_k) for a softmax."""
    return PROBABILITY * (REWARD - (PROBABILITY * REWARD).sum())


@pytest.mark.parametrize("config", [PLAIN, BASELINE], ids=["plain", "baseline"])
def test_the_expected_gradient_is_the_analytic_one_with_and_without_a_baseline(config):
    assert torch.allclose(gradient(bandit(config), EXPECTED_PULLS), analytic(), atol=1e-5)


def test_a_baseline_lowers_the_variance_and_not_the_mean():
    generator = torch.Generator().manual_seed(0)
    pulls = torch.multinomial(PROBABILITY, 150, replacement=True, generator=generator)
    found = {}
    for name, config in (("plain", PLAIN), ("baseline", BASELINE)):
        agent = bandit(config)
        found[name] = torch.stack([gradient(agent, pull[None]) for pull in pulls])
    for draws in found.values():
        error = draws.std(0) / len(pulls) ** 0.5
        assert ((draws.mean(0) - analytic()).abs() < 4 * error).all()
    assert found["baseline"].var(0).sum() < 0.05 * found["plain"].var(0).sum()


def test_an_entropy_bonus_pulls_towards_even_chances():
    config = Reinforce(**{**PLAIN.__dict__, "ent_coef": 1000.0})
    pull = gradient(bandit(config), EXPECTED_PULLS)
    assert pull[0] < 0 < pull[1] and pull[0] < 0 < pull[2]  # the first has the highest probability


class Steps(gymnasium.Env):
    """Reward 1 a step; world by world, over or cut after `length` steps."""

    observation_space = gymnasium.spaces.Box(-1, 1, (1,))
    action_space = gymnasium.spaces.Discrete(2)

    def __init__(self, length, cut):
        self.length, self.cut = length, cut

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.steps = 0
        return np.zeros(1, np.float32), {}

    def step(self, action):
        self.steps += 1
        over = self.steps == self.length
        obs = np.full(1, self.steps / self.length, np.float32)
        return obs, 1.0, over and not self.cut, over and self.cut, {}


def played(config, **more):
    worlds = EnvWorlds([lambda: Steps(3, False), lambda: Steps(5, True), lambda: Steps(99, True)], seed=0)
    agent = Reinforce(**{**config.__dict__, "max_steps": 8, **more}).build(
        worlds.single_observation_space, worlds.single_action_space, seed=0
    )
    collector = RolloutCollector(agent, worlds, worlds.reset())
    return agent, collector.collect(agent.config.max_steps, whole_episodes=True)


def test_what_was_cut_off_bootstraps_only_with_a_baseline():
    agent, rollout = played(BASELINE)
    worth = agent.forward(torch.tensor([[0.0], [1.0], [8 / 99]]))[1]
    final_value = first_episodes(rollout)[1]
    assert final_value.tolist() == pytest.approx([0.0, worth[1].item(), worth[2].item()])
    assert worth[1].abs() > 0.01
    assert first_episodes(played(PLAIN)[1])[1].tolist() == [0.0, 0.0, 0.0]


def test_each_world_plays_one_whole_episode_and_no_more_is_learned_from():
    _, rollout = played(PLAIN)
    real, _ = first_episodes(rollout)
    assert real.sum(0).tolist() == [3, 5, 8]
    assert (~real).int().diff(dim=0).min() == 0, "what is real comes first"
    assert [(e.score, e.length) for e in rollout.episodes] == [(3.0, 3), (5.0, 5)]
    assert rollout.reward.shape == (8, 3)


def test_returns_are_discounted_from_each_step_on():
    weights = {}

    class Spy(torch.nn.Module):
        outputs = 2

        def evaluate(self, parameters, mask, action):
            weights["log_prob"] = torch.zeros(len(action), requires_grad=True)
            return weights["log_prob"], torch.zeros(len(action))

    agent, rollout = played(PLAIN, gamma=0.5)
    agent.head = Spy()
    agent.update(rollout)
    real, _ = first_episodes(rollout)
    found = -weights["log_prob"].grad * real.sum()  # the return that weighs each step
    by_hand = torch.zeros(real.shape)
    for world, length in enumerate((3, 5, 8)):
        for t in range(length):
            by_hand[t, world] = sum(0.5**k for k in range(length - t))
    assert torch.allclose(found, by_hand[real])


QUICK = Reinforce(learning_rate=2e-2, gamma=0.98)


def run(config, worlds, updates, seed=0):
    agent = config.build(worlds.single_observation_space, worlds.single_action_space, seed=seed)
    return agent, list(agent.learn(worlds, Budget(updates=updates)))


def test_a_budget_of_env_steps_is_overshot_by_one_update_at_most():
    worlds = make_worlds("gym/CartPole-v1", 2)
    agent = QUICK.build(worlds.single_observation_space, worlds.single_action_space, seed=0)
    steps = [p.env_steps for p in agent.learn(worlds, Budget(env_steps=300))]
    assert steps[-2] < 300 <= steps[-1]


def test_a_number_that_is_not_finite_stops_learning():
    worlds = make_worlds("gym/CartPole-v1", 2)
    agent = QUICK.build(worlds.single_observation_space, worlds.single_action_space, seed=0)
    with torch.no_grad():
        agent.network["actor_critic"].value.weight.fill_(torch.nan)
    with pytest.raises(NonFiniteError, match="value_loss.*update 1"):
        next(agent.learn(worlds, Budget(updates=2)))


@pytest.mark.parametrize("field", ["gamma", "learning_rate", "ent_coef", "max_steps"])
def test_values_out_of_range_are_refused_by_name(field):
    with pytest.raises(ValueError, match=field):
        Reinforce(**{field: -1})


@pytest.mark.parametrize("seed", SEEDS)
def test_learns_cartpole(seed):
    worlds = make_worlds("gym/CartPole-v1", 8, seed=seed)
    _, progress = run(QUICK, worlds, 12, seed)
    returns = [np.mean([e.score for e in p.episodes]) for p in progress]
    assert np.mean(returns[:2]) < 40  # chance is about 22
    assert np.mean(returns[-3:]) > 70
