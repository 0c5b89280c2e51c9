"""Generalised advantage estimation, by hand and beside Stable-Baselines3's."""

import numpy as np
import pytest
import torch
from gymnasium.spaces import Box, Discrete
from stable_baselines3.common.buffers import RolloutBuffer

from agents.returns import generalized_advantage


def column(*values: float) -> torch.Tensor:
    return torch.tensor(values, dtype=torch.float64)[:, None]


def flags(*values: int) -> torch.Tensor:
    return torch.tensor(values, dtype=torch.bool)[:, None]


def test_three_steps_by_hand():
    # delta = [1 + .5*2 - 1, 0 + .5*4 - 2, 2 + .5*8 - 4] = [1, 0, 2]; lambda*gamma = .25
    # A2 = 2, A1 = 0 + .25*2 = .5, A0 = 1 + .25*.5 = 1.125
    got = generalized_advantage(
        column(1, 0, 2), column(1, 2, 4), column(2, 4, 8), flags(0, 0, 0), flags(0, 0, 0), 0.5, 0.5
    )
    assert got.squeeze().tolist() == [1.125, 0.5, 2.0]


def test_termination_drops_the_next_value_and_cuts_the_trace():
    # delta = [1 - 1, 5 - 2] = [0, 3] where step 0 terminates
    got = generalized_advantage(
        column(1, 5), column(1, 2), column(100, 0), flags(1, 1), flags(0, 0), 0.9, 0.9
    )
    assert got.squeeze().tolist() == [0.0, 3.0]


def test_truncation_keeps_the_next_value_and_cuts_the_trace():
    # delta0 = 1 + .9*100 - 1 = 90 although step 1 belongs to another episode
    got = generalized_advantage(
        column(1, 5), column(1, 2), column(100, 0), flags(0, 1), flags(1, 0), 0.9, 0.9
    )
    assert got.squeeze().tolist() == pytest.approx([90.0, 3.0])


def test_lambda_one_is_the_monte_carlo_return_less_the_value():
    generator = torch.Generator().manual_seed(0)
    reward = torch.randn(6, 3, generator=generator, dtype=torch.float64)
    value = torch.randn(6, 3, generator=generator, dtype=torch.float64)
    last = torch.randn(1, 3, generator=generator, dtype=torch.float64)
    never = torch.zeros(6, 3, dtype=torch.bool)
    got = generalized_advantage(reward, value, torch.cat([value[1:], last]), never, never, 0.9, 1.0)
    total = last[0]
    for t in reversed(range(6)):
        total = reward[t] + 0.9 * total
        assert torch.allclose(got[t], total - value[t])


def test_lambda_zero_is_the_td_error():
    got = generalized_advantage(column(1, 2), column(3, 4), column(4, 5), flags(0, 0), flags(0, 0), 0.5, 0.0)
    assert got.squeeze().tolist() == [1 + 2 - 3, 2 + 2.5 - 4]


def test_advantages_are_those_of_stable_baselines3():
    steps, worlds, gamma, gae_lambda = 40, 3, 0.97, 0.9
    generator = np.random.default_rng(0)
    reward, value, final = generator.normal(size=(3, steps, worlds)).astype(np.float32)
    ended = generator.integers(0, 8, (steps, worlds))  # one step in eight terminates, one is cut
    terminated, truncated = ended == 0, ended == 1
    last = generator.normal(size=worlds).astype(np.float32)

    buffer = RolloutBuffer(steps, Box(0, 1, (1,)), Discrete(2), "cpu", gae_lambda, gamma, worlds)
    starts = np.vstack([np.ones((1, worlds)), (terminated | truncated)[:-1]])
    for t in range(steps):
        # Stable-Baselines3 adds what a truncated episode was still worth to its last reward.
        told = reward[t] + gamma * final[t] * truncated[t]
        of_values = torch.from_numpy(value[t])
        buffer.add(np.zeros((worlds, 1)), np.zeros(worlds), told, starts[t], of_values, torch.zeros(worlds))
    buffer.compute_returns_and_advantage(torch.from_numpy(last), (terminated | truncated)[-1])

    next_value = np.where(truncated, final, np.vstack([value[1:], last[None]]))
    numbers = (torch.from_numpy(each) for each in (reward, value, next_value, terminated, truncated))
    found = generalized_advantage(*numbers, gamma, gae_lambda)
    np.testing.assert_allclose(found.numpy(), buffer.advantages, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(found.numpy() + value, buffer.returns, rtol=1e-4, atol=1e-5)
