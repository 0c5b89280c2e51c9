"""PQN's targets by hand, its masks, its learning."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from agents.evaluation.evaluate import evaluate
from agents.pqn import PQN
from agents.q_policy import best_values
from agents.rollouts.rollout import Rollout
from sim.catalog import make_worlds, world_config
from sim.records import Budget

#: Of learning: one by default, all with ``-m slow``.
SEEDS = [0, *(pytest.param(seed, marks=pytest.mark.slow) for seed in (1, 2))]
NEVER = torch.zeros(3, 1, dtype=torch.bool)


def rollout(reward, value, next_value, terminated=NEVER, truncated=NEVER):
    def column(x):
        return torch.tensor(x, dtype=torch.float32)[:, None]

    zeros = torch.zeros(3, 1)
    ended = terminated | truncated
    return Rollout(
        zeros, zeros.long(), column(value), column(next_value), column(reward), terminated, truncated, ended
    )


def targets(rollout, gamma, q_lambda):
    """The λ-returns (3,) that PQN learns."""
    return (rollout.advantage(gamma, q_lambda) + rollout.value).squeeze(1).tolist()


def flag(*at):
    flags = NEVER.clone()
    flags[list(at)] = True
    return flags


def test_targets_are_pengs_q_lambda_by_hand():
    # γ = λ = ½; V(s_1), V(s_2), V(s_3) = 4, 8, 16:
    # G_2 = 3 + ½·16 = 11;  G_1 = 2 + ½(½·8 + ½·11) = 6.75;  G_0 = 1 + ½(½·4 + ½·6.75) = 3.6875
    assert targets(rollout([1, 2, 3], [99, 4, 8], [4, 8, 16]), 0.5, 0.5) == [3.6875, 6.75, 11.0]


def test_an_end_counts_nothing_and_a_cut_counts_its_final_observation():
    ended = rollout([1, 2, 3], [99, 4, 8], [4, 8, 16], terminated=flag(1))
    assert targets(ended, 0.5, 0.5) == [1 + 0.5 * (0.5 * 4 + 0.5 * 2), 2.0, 11.0]
    cut = rollout([1, 2, 3], [99, 4, 8], [4, 20, 16], truncated=flag(1))
    assert targets(cut, 0.5, 0.5) == [1 + 0.5 * (0.5 * 4 + 0.5 * 12), 2 + 0.5 * 20, 11.0]


def test_lambda_0_is_one_step_q_learning_and_lambda_1_the_return():
    one = rollout([1, 2, 3], [5, 4, 8], [4, 8, 16])
    assert targets(one, 0.5, 0.0) == [3.0, 6.0, 11.0]
    assert targets(one, 0.5, 1.0) == [1 + 0.5 * (2 + 0.5 * 11), 2 + 0.5 * 11, 11.0]


def test_the_best_value_heeds_the_mask_and_is_0_where_nothing_is_legal():
    q = torch.tensor([[1.0, 5.0], [2.0, 3.0]])
    mask = torch.tensor([[True, False], [False, False]])
    assert best_values(q, None).tolist() == [5.0, 3.0]
    assert best_values(q, mask).tolist() == [1.0, 0.0]


def test_epsilon_and_learning_rate_fall_in_a_straight_line_with_the_budget():
    worlds = make_worlds("gym/CartPole-v1", 4)
    config = PQN(
        network="mlp", num_steps=8, minibatch_size=16, epsilon_start=0.9, epsilon_end=0.1, epsilon_share=0.5
    )
    agent = config.build(worlds.single_observation_space, worlds.single_action_space, seed=0)
    told = [progress.metrics for progress in agent.learn(worlds, Budget(updates=4))]
    assert [m["epsilon"] for m in told] == pytest.approx([0.9, 0.5, 0.1, 0.1])
    assert [m["learning_rate"] / config.learning_rate for m in told] == pytest.approx([1, 0.75, 0.5, 0.25])


def test_every_hidden_layer_is_normalised():
    worlds = make_worlds("gym/CartPole-v1", 1)
    agent = PQN(network="mlp").build(worlds.single_observation_space, worlds.single_action_space, seed=0)
    obs = torch.randn(5, 4)
    with torch.no_grad():
        once, scaled = agent.q_values(obs), None
        for module in agent.network.modules():
            if (
                isinstance(module, torch.nn.Linear)
                and module.in_features in (4, 64)
                and module.out_features == 64
            ):
                module.weight *= 7.0  # a norm forgets the scale of what goes in
        scaled = agent.q_values(obs)
    assert torch.allclose(once, scaled, atol=1e-4)


def balancing(ema):
    worlds = make_worlds("gym/CartPole-v1", 4)
    config = PQN(network="mlp", learning_rate=1e-2, num_steps=8, minibatch_size=16, ema=ema)
    agent = config.build(worlds.single_observation_space, worlds.single_action_space, seed=0)
    return agent, agent.learn(worlds, Budget(updates=4))


def test_the_kept_weights_are_a_decaying_average_of_those_that_learn():
    (plain, learning), (agent, averaging) = balancing(0.0), balancing(0.1)
    expected = None
    for decay in (0, 1 / 11, 0.1, 0.1):  # update / (10 + update), until that is more than ema
        newest = {name: w.copy() for name, w in plain.weights().items()} if next(learning) else {}
        next(averaging)
        for name, weight in agent.newest.state_dict().items():
            np.testing.assert_array_equal(weight.numpy(), newest[name], err_msg="the newest play and learn")
        before = expected or newest
        expected = {name: decay * before[name] + (1 - decay) * newest[name] for name in newest}
        for name, weight in agent.weights().items():
            np.testing.assert_allclose(weight, expected[name], rtol=1e-4, atol=1e-6)
    assert plain.newest is plain.network
    obs = make_worlds("gym/CartPole-v1", 4).reset(seed=1)[0]
    kept = agent.act(obs, {}, greedy=True)[0].q_values
    agent.load_weights(expected)
    np.testing.assert_allclose(agent.act(obs, {}, greedy=True)[0].q_values, kept, rtol=1e-4, atol=1e-5)


def test_a_run_may_begin_or_cease_to_average_when_it_is_resumed():
    (plain, learning), (agent, averaging) = balancing(0.0), balancing(0.5)
    for _ in range(2):
        next(learning), next(averaging)
    begun, ceased = balancing(0.5)[0], balancing(0.0)[0]
    begun.restore(plain.state())
    ceased.restore(agent.state())
    for name, weight in plain.weights().items():
        for network in (begun.network, begun.newest, ceased.network):
            np.testing.assert_array_equal(network.state_dict()[name].numpy(), weight)


@pytest.mark.parametrize("seed", SEEDS)
def test_it_learns_a_masked_world(seed, masked_world):
    worlds = make_worlds(masked_world, 8, seed=seed)
    config = PQN(
        network="mlp", learning_rate=5e-3, num_steps=16, minibatch_size=32, gamma=0.0, epsilon_share=0.5
    )
    agent = config.build(worlds.single_observation_space, worlds.single_action_space, seed=seed)
    progress = list(agent.learn(worlds, Budget(env_steps=4_000)))

    def rate(updates):
        episodes = [episode for update in updates for episode in update.episodes]
        return sum(e.score for e in episodes) / sum(e.length for e in episodes)

    assert rate(progress[:4]) < 0.6  # chance is about 0.4
    assert rate(progress[-4:]) > 0.8  # the best is 1, less ε


@pytest.mark.slow  # a fresh network scores 9, less than chance: it takes 80,000 steps to be sure of more
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_it_learns_to_balance(seed):
    config = PQN(
        network="mlp",
        learning_rate=1e-3,
        num_steps=32,
        minibatch_size=64,
        epsilon_share=0.5,
        clip_reward=False,
    )
    worlds = make_worlds("gym/CartPole-v1", 16, seed=seed)
    agent = config.build(worlds.single_observation_space, worlds.single_action_space, seed=seed)
    torch.set_num_threads(1)
    for _ in agent.learn(worlds, Budget(env_steps=80_000)):
        pass
    scores = evaluate(agent, world_config("gym/CartPole-v1", {}), episodes=10, seed=0, greedy=True)
    # Random play: 22, a fresh network: 9. Processors round differently, and seeds end at 90 … 270.
    assert np.mean(scores.returns) > 44, scores.returns


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("num_steps", 0),
        ("q_lambda", 1.5),
        ("epsilon_share", -0.1),
        ("learning_rate", 0.0),
        ("network", "huge"),
        ("ema", 1.0),
    ],
)
def test_values_out_of_range_are_refused_by_name(field, value):
    with pytest.raises(ValueError, match=field):
        PQN(**{field: value})
