"""Distributions over actions: masks hold, densities are those of the textbook."""

import math

import gymnasium
import numpy as np
import pytest
import torch

from agents.networks.architectures import NetworkError
from agents.networks.heads import CategoricalHead, GaussianHead, head_for


def test_a_masked_action_has_probability_zero_and_is_never_sampled():
    head = CategoricalHead(4)
    logits = torch.tensor([[9.0, 1.0, 0.0, -1.0]]).repeat(500, 1)
    mask = torch.tensor([[False, True, True, False]]).repeat(500, 1)
    action, log_prob = head.choose(logits, mask, head.noise(500, torch.Generator().manual_seed(0)))
    assert set(action.tolist()) == {1, 2}
    assert head.decide(logits, mask, None)[1][0, [0, 3]].tolist() == [0.0, 0.0]
    e = math.e
    expected = torch.tensor([math.log(e / (e + 1)), math.log(1 / (e + 1))])[action - 1]
    assert torch.allclose(log_prob, expected, atol=1e-6)
    assert head.choose(logits, mask, None)[0].unique().tolist() == [1]


def test_sampling_by_noise_is_what_multinomial_does():
    head, logits = CategoricalHead(5), torch.randn(200, 5, generator=torch.Generator().manual_seed(2))
    mask = torch.rand(200, 5, generator=torch.Generator().manual_seed(3)) < 0.7
    mask[:, 0] = True
    action, _ = head.choose(logits, mask, head.noise(200, torch.Generator().manual_seed(1)))
    drawn = torch.multinomial(
        head.decide(logits, mask, None)[1], 1, generator=torch.Generator().manual_seed(1)
    )
    assert torch.equal(action, drawn[:, 0])


def test_entropy_of_a_masked_uniform_and_its_gradient():
    head = CategoricalHead(3)
    logits = torch.zeros(1, 3, requires_grad=True)
    mask = torch.tensor([[True, True, False]])
    _, entropy = head.evaluate(logits, mask, torch.tensor([0]))
    entropy.sum().backward()
    assert entropy.item() == pytest.approx(math.log(2))
    assert torch.isfinite(logits.grad).all()


def test_gaussian_density_and_entropy_match_torch():
    head = GaussianHead(gymnasium.spaces.Box(-1, 1, (3,)))
    with torch.no_grad():
        head.log_std.copy_(torch.tensor([-1.0, 0.0, 0.5]))
    mean = torch.randn(5, 3, generator=torch.Generator().manual_seed(0))
    action, log_prob = head.choose(mean, None, head.noise(5, torch.Generator().manual_seed(1)))
    normal = torch.distributions.Normal(mean, head.log_std.exp())
    assert torch.allclose(log_prob, normal.log_prob(action).sum(-1), atol=1e-5)
    assert torch.allclose(head.evaluate(mean, None, action)[1], normal.entropy().sum(-1), atol=1e-5)


def test_gaussian_actions_reach_the_world_within_its_bounds():
    head = GaussianHead(gymnasium.spaces.Box(np.float32([-1, -2]), np.float32([1, 2])))
    assert head.to_world(torch.tensor([[-5.0, 5.0]])).tolist() == [[-1.0, 2.0]]


def test_unknown_action_spaces_are_refused_by_name():
    with pytest.raises(NetworkError, match="MultiDiscrete"):
        head_for(gymnasium.spaces.MultiDiscrete([2, 2]))


@pytest.mark.parametrize("sampled", [True, False])
def test_a_decision_has_the_actions_that_are_chosen_and_their_probabilities(sampled):
    head, logits = CategoricalHead(3), torch.tensor([[0.0, math.log(3), 5.0]]).repeat(50, 1)
    mask = torch.tensor([[True, True, False]]).repeat(50, 1)
    noise = head.noise(50, torch.Generator().manual_seed(0)) if sampled else None
    action, probabilities = head.decide(logits, mask, noise)
    assert torch.equal(action, head.choose(logits, mask, noise)[0])
    assert probabilities[0].tolist() == pytest.approx([0.25, 0.75, 0.0])
    continuous = GaussianHead(gymnasium.spaces.Box(-1, 1, (2,)))
    mean, noise = torch.ones(4, 2), continuous.noise(4, torch.Generator().manual_seed(0)) if sampled else None
    action, nothing = continuous.decide(mean, None, noise)
    assert torch.equal(action, continuous.choose(mean, None, noise)[0]) and nothing is None
