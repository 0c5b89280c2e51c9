"""DQN: its targets and losses by hand, its schedule, exact resume, learning, masks."""

from __future__ import annotations

import copy
import math
from dataclasses import replace
from functools import partial

import gymnasium
import numpy as np
import pytest
import torch

from agents.dqn import DQN, quantile_huber_loss
from agents.evaluation.evaluate import evaluate
from agents.networks.architectures import NetworkError, QNetwork
from agents.q_policy import best_actions
from agents.replay import ReplaySamples
from sim.catalog import make_worlds, world_config
from sim.machine import MemoryRefused
from sim.records import Budget, Segment
from supervised.tensors import NonFiniteError

#: Of learning: one by default, all with ``-m slow``.
SEEDS = [0, *(pytest.param(seed, marks=pytest.mark.slow) for seed in (1, 2))]
TINY = DQN(
    network="mlp", buffer_size=1000, batch_size=16, learning_starts=100, train_frequency=16,
    target_frequency=200, epsilon_steps=2000, clip_reward=False,
)  # fmt: skip
RAINBOW = {"double": True, "dueling": True, "n_step": 3, "prioritized": True, "quantiles": 4}


def learner(config, worlds, seed=0, yield_every=1000):
    agent = config.build(worlds.single_observation_space, worlds.single_action_space, seed=seed)
    agent.yield_every = yield_every
    return agent


def run(config, worlds, updates, seed=0, yield_every=1000):
    agent = learner(config, worlds, seed, yield_every)
    return agent, list(agent.learn(worlds, Budget(updates=updates)))


def same(first, second):
    """Whether two states are equal, bit for bit."""
    if isinstance(first, dict):
        return first.keys() == second.keys() and all(same(first[k], second[k]) for k in first)
    if isinstance(first, list | tuple):
        return len(first) == len(second) and all(map(same, first, second))
    if isinstance(first, Segment):
        return first.name == second.name and same(first.read(), second.read())
    if isinstance(first, np.ndarray):
        return first.dtype == second.dtype and np.array_equal(first, second)
    return first == second


def kept(state):
    """A state as it is now, though the learner goes on."""
    if isinstance(state, dict):
        return {key: kept(value) for key, value in state.items()}
    if isinstance(state, Segment):
        return Segment(state.name, partial(dict, kept(state.read())))
    return copy.deepcopy(state)


class Table(torch.nn.Module):
    """Q-values by state: (states, actions) or (states, actions, quantiles)."""

    def __init__(self, values):
        super().__init__()
        values = torch.tensor(values)
        self.values = values if values.dim() == 3 else values[:, :, None]

    def forward(self, obs):
        return self.values[obs.long()]


def tabular(online, target, **fields):
    """A learner whose networks are tables over three states and three actions."""
    config = DQN(network="mlp", **fields)
    agent = config.build(gymnasium.spaces.Discrete(3), gymnasium.spaces.Discrete(3), seed=0)
    agent.network, agent.target = Table(online), Table(target)
    return agent


def batch(next_obs, returns, discounts, next_mask=None):
    size = len(next_obs)
    return ReplaySamples(
        obs=torch.zeros(size, dtype=torch.long),
        action=torch.zeros(size, dtype=torch.long),
        n_step_return=torch.tensor(returns),
        discount=torch.tensor(discounts),
        next_obs=torch.tensor(next_obs),
        next_mask=None if next_mask is None else torch.tensor(next_mask),
        index=torch.arange(size),
        weight=torch.ones(size),
    )


ONLINE = [[0.0, 9.0, 1.0], [5.0, 0.0, 0.0], [1.0, 2.0, 3.0]]
TARGET = [[4.0, 1.0, 2.0], [1.0, 3.0, 2.0], [7.0, 8.0, 6.0]]


@pytest.mark.parametrize(
    ("double", "next_mask", "expected"),
    [
        # The target's own best: 4, 3, 8; the second terminated, the third came three steps on (0.5³).
        (False, None, [1 + 0.5 * 4, -2.0, 3 + 0.125 * 8]),
        # The online network chooses 1, 0, 2, which the target values at 1, 1, 6.
        (True, None, [1 + 0.5 * 1, -2.0, 3 + 0.125 * 6]),
        # With the first two masked in state 0 and the last in state 2.
        (False, [[False, False, True], [False] * 3, [True, True, False]], [1 + 0.5 * 2, -2.0, 3 + 0.125 * 8]),
        (True, [[False, False, True], [False] * 3, [True, True, False]], [1 + 0.5 * 2, -2.0, 3 + 0.125 * 8]),
    ],
)
def test_td_targets_by_hand(double, next_mask, expected):
    agent = tabular(ONLINE, TARGET, double=double, gamma=0.5)
    given = batch([0, 1, 2], [1.0, -2.0, 3.0], [0.5, 0.0, 0.125], next_mask)
    assert agent.td_target(given)[:, 0].tolist() == expected


def test_double_with_masks_values_the_best_legal_choice_of_the_online_network():
    agent = tabular(ONLINE, TARGET, double=True, gamma=0.5)
    given = batch([2], [0.0], [0.5], [[True, True, False]])  # online prefers 2, then 1, worth 8
    assert agent.td_target(given).item() == 4.0


def test_quantile_targets_are_those_of_the_action_that_is_best_on_average():
    target = [[[0.0, 6.0], [4.0, 4.0], [1.0, 1.0]]] * 3
    agent = tabular(target, target, quantiles=2)
    assert agent.td_target(batch([0], [1.0], [0.5])).tolist() == [[3.0, 3.0]]


def test_the_quantile_loss_by_hand():
    # Dabney et al. 2018, eq. 10: tau = 1/4, 3/4; errors u = target − quantile, κ = 1.
    quantile, target = torch.tensor([[0.0, 1.0]]), torch.tensor([[0.5, 3.0]])
    huber = {0.5: 0.125, 3.0: 2.5, -0.5: 0.125, 2.0: 1.5}
    first = (0.25 * huber[0.5] + 0.25 * huber[3.0]) / 2
    second = (0.25 * huber[-0.5] + 0.75 * huber[2.0]) / 2  # |3/4 − 1| = 1/4 where u < 0
    assert quantile_huber_loss(quantile, target).item() == pytest.approx(first + second)


def test_one_quantile_is_half_the_huber_loss():
    error = torch.tensor([-3.0, -0.4, 0.0, 0.4, 3.0])
    loss = quantile_huber_loss(torch.zeros(5, 1), error[:, None])
    huber = torch.nn.functional.huber_loss(torch.zeros(5), error, reduction="none")
    assert torch.allclose(loss, 0.5 * huber)


def test_the_quantile_loss_finds_the_quantiles():
    samples = torch.linspace(0, 100, 101)[None]
    quantile = torch.full((1, 4), 50.0, requires_grad=True)
    optimizer = torch.optim.SGD([quantile], lr=30.0)
    for _ in range(400):
        optimizer.zero_grad()
        quantile_huber_loss(quantile, samples).sum().backward()
        optimizer.step()
    assert quantile[0].tolist() == pytest.approx([12.5, 37.5, 62.5, 87.5], abs=1.0)


@pytest.mark.parametrize("quantiles", [1, 5])
def test_dueling_advantages_average_to_nothing(quantiles):
    space = gymnasium.spaces.Box(-1, 1, (3,))
    net = QNetwork("mlp", space, 4, quantiles, True, False, torch.Generator().manual_seed(0))
    with torch.no_grad():
        net.value.bias.fill_(2.5)
    obs = torch.randn(6, 3, generator=torch.Generator().manual_seed(1))
    q, value = net(obs), net.value(net.trunk(obs))
    assert q.std(1).min() > 0
    assert torch.allclose(q.mean(1), value, atol=1e-6)


def test_the_best_legal_action():
    q = torch.tensor([[1.0, 3.0, 2.0], [-1.0, -2.0, -3.0]])
    assert best_actions(q, None).tolist() == [1, 0]
    assert best_actions(q, torch.tensor([[True, False, True], [False, False, True]])).tolist() == [2, 2]


def test_epsilon_falls_in_a_straight_line_and_stays():
    agent = tabular(ONLINE, TARGET, epsilon_start=1.0, epsilon_end=0.2, epsilon_steps=1000)
    found = []
    for agent._env_steps in (0, 250, 1000, 5000):
        found.append(agent.epsilon)
    assert found == pytest.approx([1.0, 0.8, 0.2, 0.2])


def test_exploration_is_as_frequent_as_epsilon_says_and_legal():
    agent = tabular(ONLINE, TARGET)
    mask = torch.tensor([[True, False, True]] * 20_000)
    actions = agent.explore(np.zeros(20_000, np.int64), mask, 0.3, np.random.default_rng(0))
    assert set(actions.tolist()) == {0, 2}
    assert (actions == 2).mean() == pytest.approx(0.15, abs=0.01)


def test_env_steps_per_gradient_step_do_not_depend_on_the_number_of_worlds():
    for n in (1, 3):
        _, progress = run(TINY, make_worlds("gym/CartPole-v1", n), 1, yield_every=300)
        steps = progress[0].env_steps
        assert progress[0].metrics["gradient_steps"] == steps // 16 - 100 // 16


@pytest.mark.parametrize(
    ("world", "fields"),
    [
        ("gym/CartPole-v1", {}),
        pytest.param("gym/CartPole-v1", RAINBOW, marks=pytest.mark.slow),
        ("gym/tests/Masked-v0", RAINBOW),
        pytest.param("atari/pong", {"network": "small", "batch_size": 4}, marks=pytest.mark.slow),
        ("atari/pong", {"network": "small", "batch_size": 4, "prioritized": True, "n_step": 3}),
    ],
)
def test_a_resumed_learner_ends_in_the_same_state(world, fields):
    settings, every, num_envs = {}, 150, 2
    if world == "atari/pong":  # episodes of 40 steps
        every, num_envs, settings = 30, 1, {"max_frames": 160}
        fields = fields | {"learning_starts": 25, "train_frequency": 8}
    config = DQN(**{**TINY.__dict__, "buffer_size": 400, **fields})
    whole = learner(config, worlds := make_worlds(world, num_envs, seed=3, **settings), 0, every)
    learning = whole.learn(worlds, Budget(updates=3))
    next(learning)
    assert next(learning).metrics["gradient_steps"] > 1
    state = kept(whole.state())
    assert [p.updates for p in learning] == [3]
    resumed = learner(config, worlds := make_worlds(world, num_envs, seed=99, **settings), 99, every)
    resumed.restore(state)
    assert [p.updates for p in resumed.learn(worlds, Budget(updates=3))] == [3]
    assert same(whole.state(), resumed.state())


def test_a_restored_state_is_not_kept_for_the_rest_of_the_run():
    stopped, _ = run(TINY, make_worlds("gym/CartPole-v1", 2), 1, yield_every=150)
    resumed = learner(TINY, worlds := make_worlds("gym/CartPole-v1", 2), yield_every=150)
    resumed.restore(stopped.state())
    next(resumed.learn(worlds, Budget(updates=2)))
    assert resumed._resumed is None  # it holds a whole replay


def test_watching_does_not_change_what_is_learned():
    quiet, _ = run(TINY, make_worlds("gym/CartPole-v1", 2), 2, yield_every=200)
    watched = learner(TINY, worlds := make_worlds("gym/CartPole-v1", 2), yield_every=200)
    for _ in watched.learn(worlds, Budget(updates=2)):
        watched.seed(5)
        watched.act(np.zeros((5, 4), np.float32), {})
    assert same(quiet.state(), watched.state())


def test_a_number_that_is_not_finite_stops_learning():
    agent = learner(TINY, worlds := make_worlds("gym/CartPole-v1", 2))
    with torch.no_grad():
        agent.network.advantage.weight.fill_(math.nan)
    with pytest.raises(NonFiniteError, match="loss"):
        next(agent.learn(worlds, Budget(updates=1)))


@pytest.mark.parametrize(
    ("field", "value"), [("gamma", 1.5), ("n_step", 0), ("learning_rate", -1.0), ("network", "huge")]
)
def test_values_out_of_range_are_refused_by_name(field, value):
    with pytest.raises(ValueError, match=field):
        DQN(**{field: value})


def test_continuous_actions_are_refused_by_name():
    with pytest.raises(NetworkError, match="Discrete.*Box"):
        learner(TINY, make_worlds("gym/Pendulum-v1", 1))


QUICK = DQN(
    network="mlp", learning_rate=2e-3, buffer_size=20_000, batch_size=32, learning_starts=500,
    train_frequency=4, target_frequency=100, epsilon_steps=2000, epsilon_end=0.1, gamma=0.98, n_step=8,
    double=True, dueling=True, clip_reward=False,
)  # fmt: skip


@pytest.mark.parametrize("seed", SEEDS)
def test_learns_a_masked_world(seed, masked_world):
    config = DQN(**{**QUICK.__dict__, "gamma": 0.0, "n_step": 1, "train_frequency": 10})
    _, progress = run(config, make_worlds(masked_world, 8, seed), 3, seed)
    rate = [sum(e.score for e in p.episodes) / sum(e.length for e in p.episodes) for p in progress]
    assert rate[0] < 0.65  # chance is about 0.4
    assert rate[-1] > 0.8  # the best is 1, less ε


def returns(progress):
    return [np.mean([e.score for e in p.episodes]) for p in progress]


@pytest.mark.parametrize("seed", SEEDS)
def test_learns_cartpole(seed):
    config = replace(QUICK, train_frequency=8, learning_rate=3e-3)
    agent, progress = run(config, make_worlds("gym/CartPole-v1", 8, seed), 4, seed)
    assert returns(progress)[0] < 40  # chance is about 22
    trained = evaluate(agent, world_config("gym/CartPole-v1", {}), episodes=5, seed=seed, greedy=True)
    assert trained.metrics()["return_mean"] > 50  # by seed 78 … 199


@pytest.mark.slow
@pytest.mark.parametrize("seed", [0, 1, 2])
@pytest.mark.parametrize("fields", [{}, {"prioritized": True, "quantiles": 8}])
def test_learns_cartpole_well(seed, fields):
    config = DQN(**{**QUICK.__dict__, "target_frequency": 400, "learning_rate": 1e-3, **fields})
    agent, progress = run(config, make_worlds("gym/CartPole-v1", 8, seed), 40, seed)
    assert np.mean([e.score for p in progress[-10:] for e in p.episodes]) > 150
    world = world_config("gym/CartPole-v1", {})
    trained = evaluate(agent, world, episodes=10, seed=seed, greedy=True)
    assert trained.metrics()["return_mean"] > 150


def test_a_batch_that_no_memory_holds_is_refused_by_its_key(monkeypatch):
    worlds = make_worlds("gym/CartPole-v1", 2)
    config = DQN(buffer_size=1000, batch_size=1000, learning_starts=0)
    agent = config.build(worlds.single_observation_space, worlds.single_action_space, seed=0)
    monkeypatch.setattr("sim.machine.free_memory", lambda: 31_999)  # a thousand times two of four float32
    with pytest.raises(MemoryRefused, match=r"1,000 transitions needs .* smaller agent\.batch_size"):
        next(agent.learn(worlds, Budget(updates=1)))
