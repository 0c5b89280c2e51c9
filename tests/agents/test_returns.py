"""Generalised advantage estimation, by hand."""

import pytest
import torch

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
