"""Running normalisation: the moments of everything seen, whatever the batches; scaled rewards by hand."""

import numpy as np
import pytest
import torch

from agents.networks.normalize import PIXEL_CLIP, PixelMoments, ReturnScale, RunningMoments, ValueScale
from agents.ppo import PPO
from sim.catalog import make_worlds
from sim.records import Budget


def test_merged_moments_are_those_of_everything():
    values = torch.randn(1000, 3, generator=torch.Generator().manual_seed(0)) * 5 + 100
    moments = RunningMoments((3,))
    for part in values.split([1, 9, 490, 500]):
        moments.update(part)
    assert torch.allclose(moments.mean, values.double().mean(0))
    assert torch.allclose(moments.variance, values.double().var(0, correction=0))
    normalized = moments.normalize(values)
    assert normalized.mean(0).abs().max() < 1e-5
    assert normalized.std(0).tolist() == pytest.approx([1.0] * 3, abs=1e-3)
    assert moments.normalize(torch.full((1, 3), 1e9)).tolist() == [[10.0] * 3]


def test_rewards_are_divided_by_the_deviation_of_the_discounted_return():
    scale = ReturnScale(gamma=0.5)
    running = torch.zeros(1, dtype=torch.float64)
    reward = torch.tensor([[1.0], [1.0], [4.0]])
    ended = torch.tensor([[False], [True], [False]])
    got = scale.scale(reward, ended, running)
    returns = np.array([1.0, 1.5, 4.0])  # the second episode starts from nothing
    assert got.squeeze().tolist() == pytest.approx(list(reward.squeeze().numpy() / returns.std()), rel=1e-4)
    assert running.item() == 4.0


def test_normalisation_is_kept_in_the_checkpoint_and_resumed_exactly():
    config = PPO(
        network="mlp", num_steps=16, num_epochs=2, minibatch_size=32, clip_reward=False,
        normalize_observations=True, normalize_returns=True,
    )  # fmt: skip

    def fresh(seed):
        worlds = make_worlds("gym/Pendulum-v1", 2, seed=seed)
        return config.build(worlds.single_observation_space, worlds.single_action_space, seed=seed), worlds

    whole, worlds = fresh(1)
    list(whole.learn(worlds, Budget(updates=16)))
    stopped, worlds = fresh(1)
    progress = stopped.learn(worlds, Budget(updates=16))
    for _ in range(14):  # past the end of the first episodes
        next(progress)
    resumed, worlds = fresh(9)
    resumed.restore(stopped.state())
    list(resumed.learn(worlds, Budget(updates=16)))
    wanted, got = whole.weights(), resumed.weights()
    assert wanted["observations.count"] == 16 * 32
    assert all(np.array_equal(wanted[name], got[name]) for name in wanted)


def test_pixels_are_standardised_each_by_its_own_moments():
    generator = torch.Generator().manual_seed(0)
    pictures = torch.randint(0, 256, (300, 8, 5, 6), dtype=torch.uint8, generator=generator)
    pictures[:, :, 0, 0] = 87  # never changes
    pictures = pictures.contiguous(memory_format=torch.channels_last)
    moments = PixelMoments((8, 5, 6))
    for part in pictures.split([1, 99, 200]):
        moments.update(part)
    plain = pictures.double().permute(0, 2, 3, 1)
    assert torch.allclose(moments.mean, plain.mean(0))
    assert torch.allclose(moments.variance, plain.var(0, correction=0))
    got = moments.normalize(pictures)
    assert got.is_contiguous(memory_format=torch.channels_last) and got[:, :, 0, 0].eq(0).all()
    wanted = (plain - plain.mean(0)) / (plain.var(0, correction=0) + 1e-5).sqrt()
    assert torch.allclose(got.permute(0, 2, 3, 1).double(), 255 * wanted, atol=1e-2)
    seldom = pictures.clone()
    seldom[0, :, 0, 0] = 88
    assert moments.normalize(seldom)[0, 0, 0, 0] == 255 * PIXEL_CLIP
    assert torch.equal(moments.normalize(pictures, torch.bfloat16), got.bfloat16())


def test_values_are_standardised_by_the_moments_of_the_returns():
    scale, returns = ValueScale(), torch.randn(1000, generator=torch.Generator().manual_seed(0)) * 3 + 7
    standard = scale.standardize(returns)
    assert standard.mean().abs() < 1e-4 and standard.std() == pytest.approx(1, abs=1e-2)
    assert torch.allclose(scale.to_return(standard), returns, atol=1e-3)


def test_an_agent_with_standardised_pixels_and_values_resumes_exactly():
    config = PPO(
        network="small", num_steps=8, num_epochs=2, minibatch_size=8, learning_rate=3e-4,
        normalize_observations=True, normalize_values=True, desired_kl=0.01, desired_kl_end=0.002,
    )  # fmt: skip

    def fresh(seed):
        worlds = make_worlds("atari/pong", 2, seed=seed)
        return config.build(worlds.single_observation_space, worlds.single_action_space, seed=seed), worlds

    whole, worlds = fresh(1)
    steps = list(whole.learn(worlds, Budget(updates=4)))
    assert steps[-1].metrics["learning_rate"] != 3e-4
    assert [step.metrics["desired_kl"] for step in steps] == pytest.approx([0.01, 0.008, 0.006, 0.004])
    stopped, worlds = fresh(1)
    progress = stopped.learn(worlds, Budget(updates=4))
    next(progress), next(progress)
    resumed, worlds = fresh(9)
    resumed.restore(stopped.state())
    list(resumed.learn(worlds, Budget(updates=4)))
    wanted, got = whole.weights(), resumed.weights()
    assert wanted["observations.mean"].shape == (21, 21, 64)
    assert all(np.array_equal(wanted[name], got[name]) for name in wanted)
