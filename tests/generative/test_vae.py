"""The autoencoder: its likelihood is one, its bound is a bound, and it learns what it should."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import nn

from generative.conditions import ConditionError
from generative.models.vae import (
    VAE,
    VAEExamples,
    VAEModel,
    discretized_logistic,
    gaussian_divergence,
    gaussian_log,
    mixture_log,
    vae_loss,
)
from sim.records import Budget, Condition, SampleOptions
from supervised.data.columns import LabelColumn
from supervised.data.dataset import Dataset, Spec
from supervised.tensors import to_arrays

SPEC = Spec((8, 8, 3), ("left", "right"))


def halves(n=160, seed=0):
    """A bright bar somewhere in the left or in the right half, in one colour."""
    generator = np.random.default_rng(seed)
    labels = np.arange(n) % 2
    values = np.full((n, 8, 8, 3), 30, np.uint8)
    for i, at in enumerate(generator.integers(0, 3, n)):
        column = at + 4 * labels[i]
        values[i, 1:7, column : column + 2] = (200, 180, 40)
    return Dataset(values=values, labels=LabelColumn(labels, SPEC.label_names), episodes=np.arange(n) // 4)


def fitted(updates=80):
    config = VAE(latents=4, channels=16, batch_size=32, learning_rate=1e-2, ema=0.9)
    model = config.build(SPEC, seed=0)
    train, validation = halves().parted(0.2)
    fit = model.fit(train, validation, seed=0)
    *_, last = fit.learn(Budget(updates=updates))
    model.load_weights(fit.weights())
    return model, last


@pytest.fixture(scope="module")
def trained():
    return fitted()


@pytest.mark.parametrize("scale", [-7.0, -3.0, 0.0, 1.5])
def test_the_256_probabilities_of_a_pixel_sum_to_one(scale):
    levels = torch.arange(256, dtype=torch.float64) / 127.5 - 1
    for mean in (-1.2, -0.3, 0.0021, 0.99):
        log_p = discretized_logistic(levels, torch.tensor(mean).double(), torch.tensor(scale).double())
        assert log_p.exp().sum().item() == pytest.approx(1, abs=1e-6)
        assert torch.isfinite(log_p).all()


def test_the_logistic_is_the_mass_between_neighbours():
    x, mean, scale = 0.2, 0.1, 0.3
    level = round((x + 1) * 127.5) / 127.5 - 1

    def cdf(value):
        return 1 / (1 + math.exp(-(value - mean) / scale))

    wanted = math.log(cdf(level + 1 / 255) - cdf(level - 1 / 255))
    found = discretized_logistic(torch.tensor(level), torch.tensor(mean), torch.tensor(math.log(scale)))
    assert found.item() == pytest.approx(wanted, abs=1e-4)


def test_the_divergence_of_gaussians_is_what_sampling_finds():
    generator = torch.Generator().manual_seed(0)
    mean, log_scale = torch.tensor([0.3, -1.0]), torch.tensor([-0.5, 0.2])
    to_mean, to_log_scale = torch.tensor([0.0, 0.5]), torch.tensor([0.1, -0.3])
    z = mean + log_scale.exp() * torch.randn(200_000, 2, generator=generator)
    sampled = (gaussian_log(z, mean, log_scale) - gaussian_log(z, to_mean, to_log_scale)).mean()
    exact = gaussian_divergence(mean, log_scale, to_mean, to_log_scale).sum()
    assert exact.item() == pytest.approx(sampled.item(), abs=0.03)
    assert gaussian_divergence(mean, log_scale, mean, log_scale).abs().max() < 1e-6


class LinearGaussian(nn.Module):
    """x = Wz + b + noise of deviation s, z standard normal in 2 dimensions: p(x) is known exactly."""

    def __init__(self, seed=0):
        super().__init__()
        generator = torch.Generator().manual_seed(seed)
        self.weight = torch.randn(5, 2, generator=generator, dtype=torch.float64)
        self.offset = torch.randn(5, generator=generator, dtype=torch.float64)
        self.scale = 0.7

    def log_p(self, x):
        covariance = self.weight @ self.weight.T + self.scale**2 * torch.eye(5, dtype=torch.float64)
        return torch.distributions.MultivariateNormal(self.offset, covariance).log_prob(x)

    def posterior(self, x):
        """Mean and covariance of p(z|x)."""
        precision = torch.eye(2, dtype=torch.float64) + self.weight.T @ self.weight / self.scale**2
        covariance = torch.linalg.inv(precision)
        return (x - self.offset) @ self.weight @ covariance / self.scale**2, covariance

    def elbo(self, x, mean, log_scale):
        """The bound for a diagonal q(z|x), by our own pieces; the expectation over z is exact."""
        noise = torch.full((5,), math.log(self.scale), dtype=torch.float64)
        expected = gaussian_log(x, mean @ self.weight.T + self.offset, noise)
        spread = (self.weight.square() @ (2 * log_scale).exp().T).T.sum(1) / (2 * self.scale**2)
        zeros = torch.zeros(2, dtype=torch.float64)
        return expected - spread - gaussian_divergence(mean, log_scale, zeros, zeros).sum(-1)


def test_the_bound_lies_below_the_exact_likelihood_of_a_linear_gaussian_model():
    model, generator = LinearGaussian(), torch.Generator().manual_seed(1)
    z = torch.randn(64, 2, generator=generator, dtype=torch.float64)
    x = z @ model.weight.T + model.offset
    x = x + model.scale * torch.randn(64, 5, generator=generator, dtype=torch.float64)
    mean, covariance = model.posterior(x)
    exact = model.log_p(x)
    for shift, factor in ((0.0, 1.0), (0.5, 1.0), (0.0, 0.3), (-0.2, 2.0)):
        log_scale = (covariance.diagonal().sqrt() * factor).log().expand(64, 2)
        assert (model.elbo(x, mean + shift, log_scale) <= exact + 1e-9).all()


def test_the_bound_is_tight_where_the_diagonal_posterior_is_the_true_one():
    model = LinearGaussian()
    # Columns made orthogonal: then the true posterior is diagonal.
    orthogonal, _ = torch.linalg.qr(model.weight)
    model.weight = orthogonal * torch.tensor([2.0, 0.5], dtype=torch.float64)
    x = torch.randn(16, 5, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    mean, covariance = model.posterior(x)
    found = model.elbo(x, mean, covariance.diagonal().sqrt().log().expand(16, 2))
    assert torch.allclose(found, model.log_p(x), atol=1e-9)


def test_the_prior_is_a_density():
    network = VAE(latents=2, channels=16).build(SPEC, seed=3).network
    side = torch.linspace(-12, 12, 401)
    grid = torch.cartesian_prod(side, side)
    total = mixture_log(network, grid).exp().sum() * (side[1] - side[0]) ** 2
    assert total.item() == pytest.approx(1, abs=1e-3)


def test_it_learns_to_draw_and_to_tell_classes_apart(trained):
    model, last = trained
    untrained = VAEModel(model.config, SPEC, 0, "cpu")
    values = halves(seed=5).values[:40]
    assert model.bits_per_dim(values).mean() < 0.6 * untrained.bits_per_dim(values).mean()
    there = model.decode(model.encode(values)).astype(float)
    assert np.abs(there - values).mean() < 0.3 * np.abs(values - values.mean((0, 1, 2))).mean()
    shares = []
    for label in ("left", "right"):
        drawn = model.sample(64, Condition(label=label), SampleOptions(), 0).values[..., 0].astype(float)
        shares.append((drawn[:, :, :4].sum((1, 2)) / drawn.sum((1, 2))).mean())
    assert shares[0] > shares[1] + 0.1, "bars lie in the half that was asked for"
    assert last.metrics["validation_loss"] == pytest.approx(
        last.metrics["validation_pixels"] + last.metrics["validation_code"], rel=1e-5
    )


def test_more_draws_make_the_bound_tighter(trained):
    model, _ = trained
    values = halves(seed=6).values[:40]
    assert model.bits_per_dim(values, draws=16).mean() < model.bits_per_dim(values).mean()


def test_what_is_kept_is_the_average_of_the_weights():
    config = VAE(latents=4, channels=16, batch_size=16, ema=0.9)
    model = config.build(SPEC, seed=0)
    train, validation = halves(64).parted(0.2)
    fit = model.fit(train, validation, seed=0)
    before, average = to_arrays(model.network.state_dict()), None
    for _ in range(3):
        fit._update(10)
        now = to_arrays(model.network.state_dict())
        average = {k: now[k] if average is None else 0.9 * average[k] + 0.1 * now[k] for k in now}
    for name, array in fit.weights().items():
        assert np.allclose(array, average[name], atol=1e-6), name
    assert any(not np.allclose(fit.weights()[name], now[name], atol=1e-6) for name in before)


def test_free_bits_are_the_least_that_each_latent_costs_while_it_learns():
    model, batch = VAE(latents=4, channels=16).build(SPEC, seed=0), {}
    data = VAEExamples(halves(8), 4).batch(np.arange(8), np.random.default_rng(0))
    batch = {name: torch.from_numpy(array) for name, array in data.items()}
    plain, figures = vae_loss(model.network, batch)
    low, free = vae_loss(model.network, batch, free_bits=9.0)[0], 1 / (np.log(2) * 8 * 8 * 3)
    assert plain.item() == pytest.approx((figures["pixels"] + figures["code"]).item(), rel=1e-6)
    # All four cost less than 9 nats by themselves, and the class its log 2 on top.
    assert low.item() == pytest.approx((figures["pixels"] + (4 * 9 + np.log(2)) * free).item(), rel=1e-6)
    assert vae_loss(model.network, batch, free_bits=1e-9)[0].item() == pytest.approx(plain.item(), rel=1e-6)


def test_what_is_masked_is_filled_in_and_the_rest_stays(trained):
    model, _ = trained
    frame, mask = halves(seed=7).values[1], np.zeros((8, 8), bool)
    mask[4:] = True
    filled = model.sample(8, Condition(frame=frame, mask=mask), SampleOptions(steps=8), 0).values
    assert np.array_equal(filled[:, :4], np.repeat(frame[None, :4], 8, 0))
    error = np.abs(filled[:, 4:].astype(float) - frame[4:]).mean()
    blank = np.abs(frame[:4].mean((0, 1)) - frame[4:].astype(float)).mean()
    assert error < 0.5 * blank, "the lower half of a bar goes on below its upper half"
    assert len(np.unique(filled, axis=0)) > 1


@pytest.mark.parametrize(
    ("condition", "words"),
    [
        (Condition(text="a bar"), "text"),
        (Condition(label="middle"), "there is no label"),
        (Condition(latent=np.zeros(3, np.float32)), r"shape \(4,\) or \(2, 4\)"),
        (Condition(mask=np.ones((8, 8), bool)), "needs a frame"),
        (Condition(frame=np.zeros((4, 8, 3), np.uint8)), "4 × 8 × 3, it must be 8 × 8 × 3"),
        (Condition(frame=np.zeros((8, 8, 3), np.uint8), mask=np.zeros((8, 8), bool)), "empty"),
        (Condition(frame=np.zeros((8, 8, 3), np.uint8), mask=np.ones((4, 8), bool)), "4 × 8"),
    ],
)
def test_what_it_cannot_honour_is_refused_by_name(trained, condition, words):
    with pytest.raises(ConditionError, match=words):
        trained[0].sample(2, condition, SampleOptions(), 0)


def test_vectors_and_uneven_pictures_are_refused():
    with pytest.raises(ValueError, match="vectors"):
        VAE().build(Spec((3,), ("a",), ("x", "y", "z")), seed=0)
    with pytest.raises(ValueError, match="30 × 32"):
        VAE().build(Spec((30, 32, 3), ("a",)), seed=0)


@pytest.mark.parametrize("fields", [{"latents": 0}, {"channels": 12}, {"beta": 0.0}, {"learning_rate": 0.0}])
def test_keys_out_of_range_are_refused(fields):
    with pytest.raises(ValueError, match=next(iter(fields))):
        VAE(**fields)


def test_where_all_is_masked_what_fills_it_in_are_samples(trained):
    model, _ = trained
    wish = Condition(frame=halves(1).values[0], mask=np.ones((8, 8), bool))
    filled = model.sample(5, wish, SampleOptions(), 3).values
    np.testing.assert_array_equal(filled, model.sample(5, Condition(), SampleOptions(), 3).values)
