"""Data-parallel learning: several ranks with their shares of the worlds learn what one process learns."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from process_groups import ThreadGroup, in_ranks
from torch import nn

from agents.data_parallel import shares
from agents.networks.normalize import RunningMoments
from agents.optim.train_step import CompileError, GradientStep, minibatches
from agents.ppo import PPO, standardise_advantages
from agents.pqn import PQN
from sim.catalog import make_worlds
from sim.records import Budget
from supervised.distributed import ALONE

NUM_ENVS = 6
SIZES = {"num_steps": 8, "minibatch_size": 20, "num_epochs": 2, "learning_rate": 0.01}
PPO_CONFIG = PPO(network="mlp", clip_reward=False, **SIZES)
CONFIGS = {
    "ppo": PPO_CONFIG,
    "ppo normalised": PPO(network="mlp", normalize_observations=True, normalize_returns=True, **SIZES),
    "ppo recurrent": PPO(network="gru", **SIZES),
    "ppo values": PPO(network="mlp", normalize_values=True, desired_kl=0.01, **SIZES),
    "pqn": PQN(network="mlp", ema=0.9, **SIZES),
}


def learned(config, world, updates=3, group=ALONE, seed=3):
    """Learner, progress by update, and state after some updates in a rank's share of the worlds."""
    worlds = make_worlds(world, NUM_ENVS // group.size, seed=seed)
    worlds.first_index = group.rank * worlds.num_envs
    agent = config.build(worlds.single_observation_space, worlds.single_action_space, seed=seed)
    progress = list(agent.learn(worlds, Budget(updates=updates)))
    return agent, progress, agent.state()


@pytest.mark.parametrize(
    ("name", "size"), [*((name, 2) for name in CONFIGS), ("ppo normalised", 3), ("pqn", 3)]
)
def test_ranks_learn_what_one_process_learns_but_for_rounding(name, size, masked_world):
    config, world = CONFIGS[name], masked_world
    _, alone, whole = learned(config, world)
    ranks = in_ranks(size, lambda group: learned(config, world, group=group))
    for agent, progress, state in ranks:
        for one, other in zip(alone, progress, strict=True):
            assert (one.env_steps, one.updates, one.episodes) == (
                other.env_steps,
                other.updates,
                other.episodes,
            )
            assert other.metrics == pytest.approx(one.metrics, rel=1e-3, abs=1e-5)
        for key, array in whole["network"].items():
            np.testing.assert_allclose(state["network"][key], array, rtol=1e-3, atol=1e-5, err_msg=key)
            np.testing.assert_array_equal(state["network"][key], ranks[0][2]["network"][key])
        own = {key: state[key] for key in state if key not in agent.state_by_rank}
        assert np.array_equal(own["generator"], whole["generator"]) or own["generator"] == whole["generator"]
    seeds = [rank[2]["worlds"]["episode_seed"] for rank in ranks]
    np.testing.assert_array_equal(np.concatenate(seeds), whole["worlds"]["episode_seed"])


def test_continuous_actions_too():
    config = PPO(network="mlp", normalize_observations=True, normalize_returns=True, **SIZES)
    _, alone, _ = learned(config, "gym/Pendulum-v1", updates=2)
    for _, progress, _ in in_ranks(2, lambda group: learned(config, "gym/Pendulum-v1", 2, group)):
        assert progress[-1].metrics == pytest.approx(alone[-1].metrics, rel=1e-3, abs=1e-5)


def test_shares_of_a_minibatch_are_its_rows_once_each_in_its_order():
    order = torch.randperm(5 * 6, generator=torch.Generator().manual_seed(0))
    observed = torch.arange(30).view(5, 6)  # (T, N)
    own = [observed[:, 2 * rank : 2 * rank + 2].flatten() for rank in range(3)]
    split = [list(shares(order, 7, 2, ThreadGroup(rank, 3))) for rank in range(3)]
    for minibatch, *parts in zip(minibatches(order, 7), *split, strict=True):
        rows = [mine[part.rows] for mine, part in zip(own, parts, strict=True) if part.weight]
        assert sorted(torch.cat(rows).tolist()) == sorted(minibatch.tolist())
        for found, part in zip(rows, parts, strict=True):
            assert found.tolist() == [row for row in minibatch.tolist() if row in found]
            assert part.whole is not None and part.whole.tolist() == minibatch.tolist()
        assert sum(part.weight for part in parts) == pytest.approx(1)


def test_a_rank_without_a_row_of_a_minibatch_takes_part_with_weight_0():
    first, second = shares(torch.tensor([0, 2, 1, 3]), 2, 1, ThreadGroup(1, 2))  # worlds 0 and 1, two steps
    assert (first.weight, first.rows.tolist()) == (0.0, [0])
    assert (second.weight, second.rows.tolist()) == (1.0, [0, 1])


def test_gradients_are_the_mean_over_all_rows_however_they_are_shared():
    def step(group):
        weight = nn.Parameter(torch.zeros(()))
        unused = nn.Parameter(torch.zeros(()))
        loss = lambda rows: ((weight - rows).square().mean(), rows.mean()[None])  # noqa: E731
        optimizer = torch.optim.SGD([weight, unused], torch.tensor(0.5))
        rows = [torch.tensor([1.0, 2.0, 3.0]), torch.tensor([10.0])][group.rank]
        figures = GradientStep(loss, optimizer, 100.0)(rows, weight=len(rows) / 4)[0]
        return weight.item(), figures.tolist(), unused.grad

    assert in_ranks(2, step) == [(4.0, [4.0, 8.0], None)] * 2  # the mean of 1, 2, 3 and 10; gradient −8


def test_running_moments_are_those_of_all_rows():
    rows = torch.randn(12, 3, generator=torch.Generator().manual_seed(1))
    whole = RunningMoments((3,))

    def update(group):
        running = RunningMoments((3,))
        for part in rows.split(6):
            running.update(part[group.share(3)])
        return running

    for part in rows.split(6):
        whole.update(part)
    for running in in_ranks(2, update):
        for found, told in zip(running.buffers(), whole.buffers(), strict=True):
            torch.testing.assert_close(found, told)


def test_an_advantage_is_standardised_by_the_whole_minibatch():
    whole = torch.tensor([1.0, 2.0, 3.0])
    got = standardise_advantages(whole[:1], whole)
    assert got.tolist() == pytest.approx([-1.0], abs=1e-6)


def test_compiled_losses_are_refused_for_several_ranks():
    def prepare(group):
        weight = nn.Parameter(torch.zeros(()))
        GradientStep(lambda: (weight, weight[None]), torch.optim.SGD([weight]), 1.0, compile=True).prepare()

    with pytest.raises(CompileError, match=r"agent\.compile cannot be with 2 ranks"):
        in_ranks(2, prepare)
