"""SAC: densities, projections and targets by hand, its parts, exact resume, learning, refusals."""

from __future__ import annotations

import math
from dataclasses import replace

import gymnasium
import numpy as np
import pytest
import torch
from gymnasium.spaces import Box, Discrete
from test_dqn import kept, same

from agents.held_noise import HeldNoise
from agents.networks.architectures import NetworkError
from agents.networks.continuous import SIZES, TwinCritics, squash
from agents.networks.normalize import BoundedReturnScale
from agents.replay import Replay, ReplaySamples
from agents.returns import categorical_projection, categorical_td_target, projection_by_distance
from agents.sac import SAC
from sim.catalog import make_worlds
from sim.machine import MemoryRefused
from sim.records import Budget
from sim.vector import EnvWorlds
from supervised.tensors import NonFiniteError

PENDULUM = "gym/Pendulum-v1"
TINY = SAC(
    network="mlp", buffer_size=1000, batch_size=16, learning_starts=60, train_frequency=8, bins=11,
)  # fmt: skip


class Point(gymnasium.Env):
    """A point in [−1, 1]² that moves by its action; reward 1 less its distance from (0.5, −0.5).

    With `ends` an episode terminates after `length` steps, else it is truncated there.
    """

    observation_space = Box(-1, 1, (2,))
    action_space = Box(np.float32([-0.5, -1.0]), np.float32([0.5, 0.0]))

    def __init__(self, length=8, ends=False):
        self.length, self.ends = length, ends

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.at, self.steps = self.np_random.uniform(-1, 1, 2), 0
        return np.float32(self.at), {}

    def step(self, action):
        self.at, self.steps = np.clip(self.at + action - [0, -0.5], -1, 1), self.steps + 1
        reward, over = 1 - float(np.linalg.norm(self.at - [0.5, -0.5])), self.steps == self.length
        return np.float32(self.at), reward, over and self.ends, over and not self.ends, {}


def points(count=4, seed=0, **fields):
    return EnvWorlds([lambda: Point(**fields)] * count, seed=seed)


def learner(config, worlds, seed=0, yield_every=60):
    agent = config.build(worlds.single_observation_space, worlds.single_action_space, seed=seed)
    agent.yield_every = yield_every
    return agent


def run(config, worlds, updates, seed=0, yield_every=60):
    agent = learner(config, worlds, seed, yield_every)
    return agent, list(agent.learn(worlds, Budget(updates=updates)))


def batch(reward, discount, obs=2, actions=2):
    size = len(reward)
    return ReplaySamples(
        obs=torch.zeros(size, obs),
        action=torch.zeros(size, actions),
        n_step_return=torch.tensor(reward),
        discount=torch.tensor(discount),
        next_obs=torch.zeros(size, obs),
        next_mask=None,
        index=torch.arange(size),
        weight=torch.ones(size),
    )


def test_log_densities_are_those_of_a_transformed_normal():
    generator = torch.Generator().manual_seed(0)
    mean, log_std, noise = (torch.randn(50, 3, generator=generator) for _ in range(3))
    action, log_prob = squash(mean, log_std, noise)
    normal = torch.distributions.Normal(mean, log_std.exp())
    tanh = torch.distributions.TransformedDistribution(normal, torch.distributions.TanhTransform())
    raw = mean + log_std.exp() * noise
    inside = (raw.abs() < 4).all(1)  # beyond, their inverse of tanh is not exact
    assert inside.sum() > 30
    torch.testing.assert_close(log_prob[inside], tanh.log_prob(action).sum(1)[inside], atol=1e-3, rtol=1e-3)


def test_densities_integrate_to_one_and_stay_finite_at_the_bounds():
    mean, log_std = torch.tensor([[0.7]], dtype=torch.float64), torch.tensor([[-0.3]], dtype=torch.float64)
    actions = torch.linspace(-1, 1, 20_001, dtype=torch.float64)[1:-1, None]
    noise = (torch.atanh(actions) - mean) / log_std.exp()
    density = squash(mean, log_std, noise)[1].exp()
    assert density.sum().item() * 1e-4 == pytest.approx(1, abs=1e-4)
    action, log_prob = squash(torch.full((1, 1), 20.0), torch.zeros(1, 1), torch.zeros(1, 1))
    assert action.item() == 1 and log_prob.item() == pytest.approx(40 - 2 * math.log(2) - 0.9189, abs=1e-3)


def test_a_projection_shares_by_distance_and_keeps_the_mean():
    probability = torch.tensor([[0.2, 0.5, 0.3], [0.0, 1.0, 0.0], [0.1, 0.2, 0.7]])
    position = torch.tensor([[0.25, 1.0, 1.5], [0.0, 2.0, 2.0], [0.0, 0.0, 0.0]])
    expected = [[0.15, 0.05 + 0.5 + 0.15, 0.15], [0.0, 0.0, 1.0], [1.0, 0.0, 0.0]]
    for project in (categorical_projection, projection_by_distance):
        found = project(probability, position)
        torch.testing.assert_close(found, torch.tensor(expected))
        torch.testing.assert_close(found @ torch.arange(3.0), (probability * position).sum(1))


def test_both_projections_agree_on_many_bins():
    generator = torch.Generator().manual_seed(0)
    probability = torch.rand(20, 51, generator=generator).softmax(1)
    position = 50 * torch.rand(20, 51, generator=generator)
    ours = categorical_projection(probability, position)
    torch.testing.assert_close(ours, projection_by_distance(probability, position))


def test_categorical_targets_by_hand():
    support = torch.linspace(-2, 2, 5)
    probability = torch.tensor([[0.0, 0.0, 0.5, 0.5, 0.0]]).repeat(3, 1)
    reward, discount, bonus = torch.tensor([1.0, -1.0, 0.5]), torch.tensor([0.5, 0.0, 1.0]), torch.tensor(1.0)
    target, clipped = categorical_td_target(probability, support, reward, discount, bonus.expand(3))
    expected = [
        [0.0, 0.0, 0.0, 0.25, 0.75],  # 1 + ½ (0 + 1) = 1.5 and 1 + ½ (1 + 1) = 2
        [0.0, 1.0, 0.0, 0.0, 0.0],  # terminated: the reward alone
        [0.0, 0.0, 0.0, 0.25, 0.75],  # 0.5 + 1 = 1.5, and 2.5, which counts as 2
    ]
    torch.testing.assert_close(target, torch.tensor(expected))
    assert clipped.item() == pytest.approx(0.5 / 3)


@pytest.mark.parametrize("bins", [1, 5])
def test_targets_are_of_the_critic_that_expects_less_and_of_entropy(bins):
    config = replace(TINY, bins=bins, normalize_returns=False, ent_coef=0.5, largest_return=2.0)
    agent = learner(config, points())
    # One critic is sure of 1, the other of 0, then the other way round.
    sure = 30 * torch.eye(5)
    following = torch.stack([sure[[3, 2]], sure[[2, 3]]])
    if bins == 1:
        following = torch.tensor([[[1.0], [0.0]], [[0.0], [1.0]]])
    given = batch([0.5, -0.25], [0.5, 0.0])
    target, clipped = agent.td_target(given, following, torch.tensor([-2.0, 7.0]))
    means = target if bins == 1 else target @ agent.target.support
    # ½ + ½ (0 − ½ · −2) = 1, and −¼ where the episode terminated.
    torch.testing.assert_close(means, torch.tensor([1.0, -0.25]))
    assert clipped == 0


@pytest.mark.parametrize("ends", [False, True])
def test_only_a_terminated_episode_has_no_value_afterwards(ends):
    worlds = points(2, length=4, ends=ends)
    agent, _ = run(replace(TINY, gamma=0.9), worlds, 2)
    rows = torch.from_numpy(agent._replay.drawable())
    samples = agent._replay.gather(rows, torch.ones(len(rows)))
    moved = np.clip(samples.obs.numpy() + agent.to_world(samples.action) - [0, -0.5], -1, 1)
    # Final observations, not those of the next episode.
    np.testing.assert_allclose(samples.next_obs, moved, atol=1e-6)
    reward = 1 - np.linalg.norm(moved - [0.5, -0.5], axis=1)
    np.testing.assert_allclose(samples.n_step_return, reward, atol=1e-5)
    last = (samples.discount == 0).double().mean().item()
    assert last == (pytest.approx(0.25, abs=0.02) if ends else 0)
    assert set(samples.discount[samples.discount > 0].tolist()) == {np.float32(0.9)}


def test_a_replay_keeps_continuous_actions_as_they_are():
    replay = Replay(10, 1, Box(-1, 1, (1,)), action_size=2, segment=4)
    no = np.zeros(1, bool)
    for t in range(3):
        replay.add(torch.full((1, 1), float(t)), torch.tensor([[t + 0.25, -t]]), torch.ones(1), no, no, None)
    found = replay.gather(torch.tensor([1, 0]), torch.ones(2))
    assert found.action.tolist() == [[1.25, -1.0], [0.25, 0.0]]
    assert found.next_obs.tolist() == [[2.0], [1.0]]


@pytest.mark.parametrize(("above", "sign"), [(0.5, -1), (-0.5, 1)])
def test_the_temperature_falls_while_the_entropy_is_above_its_target(above, sign):
    agent = learner(TINY, points())
    obs, noise = torch.zeros(8, 2), torch.zeros(8, 2)
    entropy = agent.actor_loss(obs, noise)[1][1].item()
    object.__setattr__(agent.config, "target_entropy", (entropy - above) / 2)
    before = agent.log_ent_coef.item()
    agent._actor_step(agent.actor_loss(obs, noise)[0])
    assert agent.log_ent_coef.item() - before == pytest.approx(sign * TINY.learning_rate, rel=1e-2)


def test_the_actor_climbs_the_smaller_critic():
    agent = learner(replace(TINY, precision="float32"), points())
    obs, noise = torch.zeros(8, 2), torch.zeros(8, 2)
    before = agent.actor_loss(obs, noise)[1][0].item()
    weights = [w.clone() for w in agent.critics.parameters()]
    for _ in range(20):
        agent._actor_step(agent.actor_loss(obs, noise)[0])
    assert agent.actor_loss(obs, noise)[1][0].item() < before
    assert all(torch.equal(a, b) for a, b in zip(weights, agent.critics.parameters(), strict=True))


@pytest.mark.parametrize("network", ["mlp", "xqc256"])
def test_units_have_norm_one_where_layers_are_normalised(network):
    agent, _ = run(replace(TINY, network=network), points(), 2)
    layers = [m for m in agent.network.modules() if isinstance(m, torch.nn.Linear)]
    norms = torch.cat([layer.weight.norm(dim=1) for layer in layers])
    normal = (norms - 1).abs().max().item() < 1e-5
    assert normal == SIZES[network].normalized


def test_critics_are_normalised_over_both_transitions_ends_as_one_batch():
    critics = TwinCritics(SIZES["xqc256"], 3, 5, 1.0, torch.Generator().manual_seed(0))
    obs = torch.randn(40, 2, generator=torch.Generator().manual_seed(1))
    action = torch.linspace(-1, 1, 40)[:, None]
    whole = critics(obs, action, True)
    torch.testing.assert_close(critics(obs, action, True, slice(10, None)), whole[:, 10:])
    norm = critics.critics[0].input_norm
    expected = 0.01 * 0.99 + 0.01  # of the mean, after two batches
    torch.testing.assert_close(norm.mean[:2], expected * obs.mean(0))
    still = norm.mean.clone()
    assert not torch.allclose(critics(obs, action), whole, atol=0.1)  # the running statistics are others
    assert torch.equal(norm.mean, still)


@pytest.mark.parametrize("network", ["mlp256", "xqc256"])
def test_half_precision_has_nearly_the_gradient_and_exactly_the_rounded_weights(network):
    agents = [learner(replace(TINY, network=network, precision=p), points()) for p in ("float32", "bfloat16")]
    given = batch([0.5] * 64, [0.9] * 64)
    given.obs = given.next_obs = torch.randn(64, 2, generator=torch.Generator().manual_seed(0))
    given.action = torch.linspace(-1, 1, 128).view(64, 2)
    found = []
    for agent in agents:
        step = agent._critic_step
        loss = agent.critic_loss(given, torch.zeros(64, 2))[0]
        weights = list(step.half.network.parameters())
        gradients = torch.autograd.grad(loss, weights, retain_graph=True)
        found.append(torch.cat([g.flatten().float() for g in gradients]))
        step(loss)
    full, half = found
    assert torch.nn.functional.cosine_similarity(full, half, 0) > 0.98
    agent = agents[1]
    for name, weight in agent._critic_step.half.network.named_parameters():
        master = dict(agent.critics.named_parameters())[name]
        assert torch.equal(weight, master.to(weight.dtype))


def test_the_target_follows_slowly_and_loading_weights_sets_it():
    agent, _ = run(replace(TINY, tau=0.5, learning_starts=10), points(), 1)
    before = agent._half_target.weights.clone()
    agent.update()
    torch.testing.assert_close(agent._half_target.weights, (before + agent._critic_step.half.weights) / 2)
    other = learner(TINY, points(), seed=5)
    other.load_weights(agent.weights())
    assert torch.equal(other._half_target.weights, agent._critic_step.half.weights)


def test_the_actor_has_its_turn_every_so_many_steps_of_the_critics():
    agent, _ = run(TINY, points(), 2)
    turns = [len(agent.update()) for _ in range(6)]
    assert sorted(turns) == [1, 1, 1, 1, 2, 2] and turns[:3] == turns[3:]


def test_gradient_steps_do_not_depend_on_the_number_of_worlds():
    for count in (1, 4):
        _, progress = run(replace(TINY, train_frequency=4, gradient_steps=2), points(count), 2)
        assert progress[-1].metrics["gradient_steps"] == 2 * (120 - 60) / 4


def test_held_noise_is_as_long_as_the_zeta_distribution_says():
    generator, noise = np.random.default_rng(0), HeldNoise(500, 1, 4)
    steps = np.stack([noise.step(generator)[:, 0] for _ in range(200)])
    changes = (np.diff(steps, axis=0) != 0).mean()
    weight = np.arange(1.0, 5) ** -2
    assert changes == pytest.approx(1 / (weight @ np.arange(1.0, 5) / weight.sum()), abs=0.01)
    assert steps.std() == pytest.approx(1, abs=0.02)
    other = HeldNoise(500, 1, 4)
    other.restore(noise.state())
    assert np.array_equal(*(n.step(np.random.default_rng(1)) for n in (noise, other)))
    fresh = HeldNoise(3, 2, 1)
    assert not np.isin(fresh.step(generator), fresh.step(generator)).any()


def test_returns_are_scaled_by_their_deviation_or_their_bound():
    scale, running = BoundedReturnScale(0.5, bound=2.0), torch.zeros(2, dtype=torch.float64)
    assert scale.divisor == 1
    scale.update(torch.tensor([[4.0, 0.0]]), torch.tensor([[True, False]]), running)
    assert scale.divisor == 2  # returns 4 and 0: their deviation 2, the bound 4 / 2
    scale.update(torch.tensor([[8.0, 8.0]]), torch.zeros(1, 2, dtype=torch.bool), running)
    scale.update(torch.tensor([[8.0, 8.0]]), torch.zeros(1, 2, dtype=torch.bool), running)
    assert scale.divisor == 6  # ½ · 8 + 8 = 12, over 2; the deviation is 4.5


def test_actions_fill_the_bounds_and_the_value_is_the_smaller_mean_in_rewards():
    worlds = points(3)
    agent, _ = run(TINY, worlds, 3)
    obs, info = worlds.reset()
    ends = agent.to_world(torch.tensor([[-1.0, -1.0], [1.0, 1.0], [0.0, 0.0]]))
    np.testing.assert_allclose(ends, [[-0.5, -1.0], [0.5, 0.0], [0.0, -0.5]])
    decision, _ = agent.act(obs, info, greedy=True)
    again, _ = agent.act(obs, info, greedy=True)
    assert np.array_equal(decision.actions, again.actions)
    seen = agent.observe(obs)
    action = torch.tanh(agent.actor(seen)[0])
    values = agent.critics.mean(agent.critics(seen, action)).amin(0) * agent.scale.divisor
    np.testing.assert_allclose(decision.value, values.detach(), rtol=1e-5)
    np.testing.assert_allclose(decision.actions, agent.to_world(action.detach()), rtol=1e-6)


@pytest.mark.parametrize(
    "fields",
    [
        {"network": "xqc256", "n_step": 3, "precision": "bfloat16"},
        {"bins": 1, "noise_repeat": 1, "cuda_graphs": True},
    ],
)
def test_a_resumed_learner_ends_in_the_same_state(fields):
    config = replace(TINY, buffer_size=400, **fields)
    whole = learner(config, worlds := points(2, seed=3))
    learning = whole.learn(worlds, Budget(updates=4))
    next(learning)
    assert next(learning).metrics["gradient_steps"] > 1
    state = kept(whole.state())
    assert [p.updates for p in learning] == [3, 4]
    resumed = learner(config, worlds := points(2, seed=99), 99)
    resumed.restore(state)
    assert [p.updates for p in resumed.learn(worlds, Budget(updates=4))] == [3, 4]
    assert resumed._resumed is None  # it holds a whole replay
    assert same(whole.state(), resumed.state())


def test_steps_as_graphs_are_the_same_steps():
    config = replace(TINY, network="xqc256", precision="bfloat16")
    plain, _ = run(config, points(2, seed=1), 3)
    graphed, _ = run(replace(config, cuda_graphs=True), points(2, seed=1), 3)
    assert same(plain.state(), graphed.state())


def test_watching_does_not_change_what_is_learned():
    quiet, _ = run(TINY, points(2), 3)
    watched = learner(TINY, worlds := points(2))
    for _ in watched.learn(worlds, Budget(updates=3)):
        watched.seed(5)
        watched.act(np.zeros((5, 2), np.float32), {})
    assert same(quiet.state(), watched.state())


def returns(progress):
    return np.mean([e.score for e in progress.episodes])


@pytest.mark.parametrize("seed", [0, *(pytest.param(s, marks=pytest.mark.slow) for s in (1, 2))])
@pytest.mark.parametrize(
    "fields", [{"network": "xqc256", "bins": 51}, {"network": "mlp", "bins": 1, "learning_rate": 3e-3}]
)
def test_learns_to_move_to_a_point(seed, fields):
    config = SAC(
        buffer_size=10_000, batch_size=64, learning_starts=200, train_frequency=8, policy_delay=1,
        gamma=0.9, tau=0.02, **{"learning_rate": 1e-3, "learning_rate_end": 1e-4} | fields,
    )  # fmt: skip
    _, progress = run(config, points(8, seed), 4, seed, yield_every=480)
    assert returns(progress[0]) < 3  # of 8; at random about 0.4
    assert returns(progress[-1]) > 4


@pytest.mark.slow
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_learns_to_swing_a_pendulum_up(seed):
    config = SAC(network="xqc256", learning_starts=500, train_frequency=4, learning_rate=1e-3, policy_delay=1)
    _, progress = run(config, make_worlds(PENDULUM, 8, seed), 10, seed, yield_every=1600)
    assert returns(progress[0]) < -900
    assert np.mean([returns(p) for p in progress[-3:]]) > -500  # seed 0: −270


@pytest.mark.parametrize(
    ("policy_delay", "words"), [(3, "actions .*update 3"), (9, "critic_loss.* update 8")]
)
def test_a_number_that_is_not_finite_stops_learning(policy_delay, words):
    agent = learner(replace(TINY, policy_delay=policy_delay), worlds := points())
    agent._critic_step.half.weights.fill_(math.nan)
    agent._critic_step.half.refresh()
    with pytest.raises(NonFiniteError, match=words):
        list(agent.learn(worlds, Budget(updates=2)))


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"gamma": 1.5}, "gamma"),
        ({"network": "nature"}, "network must be one of mlp, .*xqc"),
        ({"bins": 0}, "bins"),
        ({"noise_repeat": 0}, "noise_repeat"),
        ({"buffer_size": 100}, "buffer_size must be at least batch_size, 256"),
        ({"batch_size": 1}, 'batch_size must be at least 2 with network = "xqc"'),
    ],
)
def test_values_out_of_range_are_refused_by_name(changes, words):
    with pytest.raises(ValueError, match=words):
        SAC(**changes)


@pytest.mark.parametrize(
    ("obs", "actions", "words"),
    [
        (Box(-1, 1, (2,)), Discrete(3), r"sac needs actions in a flat Box with finite bounds.*Discrete"),
        (Box(-1, 1, (2,)), Box(-np.inf, np.inf, (2,)), "finite bounds"),
        (Box(0, 255, (4, 84, 84), np.uint8), Box(-1, 1, (2,)), "sac reads .*floating-point"),
        (Discrete(4), Box(-1, 1, (2,)), "sac reads .*floating-point"),
    ],
)
def test_spaces_that_it_cannot_play_are_refused_by_name(obs, actions, words):
    with pytest.raises(NetworkError, match=words):
        TINY.build(obs, actions, seed=0)


@pytest.mark.parametrize(
    ("field", "value", "words"),
    [
        ("buffer_size", 10**9, r"a replay of .* smaller agent\.buffer_size"),
        ("batch_size", 1000, r"a batch of 1,000 .* smaller agent\.batch_size"),
    ],
)
def test_what_no_memory_holds_is_refused_by_its_key(monkeypatch, field, value, words):
    agent = learner(replace(TINY, **{field: value}), worlds := points())
    monkeypatch.setattr("sim.machine.free_memory", lambda: 15_999)  # a thousand times two of two float32
    with pytest.raises(MemoryRefused, match=words):
        next(agent.learn(worlds, Budget(updates=1)))
