"""The GAN: losses by hand, penalties of a quadratic, constants, modes, classes, exact resume."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import nn

from generative.models.gan import (
    GAN,
    FeatureMapPlan,
    GANNetwork,
    gan_loss,
    relativistic_loss,
    scores_and_penalties,
)
from sim.records import Budget, Condition, SampleOptions
from supervised.data.columns import ArrayColumn, LabelColumn
from supervised.data.dataset import Dataset

FREE, OPTIONS = Condition(), SampleOptions()
TINY = {"latents": 8, "channels": 8, "widest": 16, "batch_size": 8, "ema": 0.9}


def vectors(values, labels=None, names=("all",)):
    labels = np.zeros(len(values), np.int64) if labels is None else labels
    axes = tuple(f"x{i}" for i in range(values.shape[1]))
    return Dataset(
        values=ArrayColumn(values.astype(np.float32), axes),
        labels=LabelColumn(labels, names),
        episodes=np.arange(len(values)),
    )


def pictures(n, seed, size=8):
    """Dark ones with a light square, and light ones with a dark square."""
    generator = np.random.default_rng(seed)
    labels = generator.integers(2, size=n)
    rgb = np.where(labels, 200, 40)[:, None, None, None] * np.ones((n, size, size, 3))
    for picture, label, (y, x) in zip(rgb, labels, generator.integers(0, size - 3, (n, 2)), strict=True):
        picture[y : y + 3, x : x + 3] = 40 if label else 200
    return Dataset(
        values=rgb.astype(np.uint8), labels=LabelColumn(labels, ("dark", "light")), episodes=np.arange(n)
    )


def test_the_pairing_by_hand():
    above, below = torch.tensor([2.0, -1.0]), torch.tensor([0.0, 1.0])
    expected = (math.log(1 + math.exp(-2)) + math.log(1 + math.exp(2))) / 2
    assert relativistic_loss(above, below).item() == pytest.approx(expected)
    assert relativistic_loss(above + 5, below + 5).item() == pytest.approx(expected), "only differences count"


class Quadratic(nn.Module):
    """score = ½ a ‖x‖², whose slope is a x."""

    def __init__(self, a=3.0):
        super().__init__()
        self.a = nn.Parameter(torch.tensor(a))

    def forward(self, x, label):
        return self.a / 2 * x.square().flatten(1).sum(1)


@pytest.mark.parametrize("few", [1, 3, 4])
def test_penalties_of_a_quadratic_and_their_gradient_are_known(few):
    critic, generator = Quadratic(), torch.Generator().manual_seed(0)
    examples = torch.randn(2, 4, 3, 2, 2, generator=generator)
    scores, penalties = scores_and_penalties(critic, examples, torch.zeros(4, dtype=torch.int64), few)
    squares = examples.square().flatten(2).sum(2)
    assert torch.allclose(scores, 1.5 * squares)
    assert torch.allclose(penalties, 9 * squares[:, :few].mean(1))
    (slope,) = torch.autograd.grad(penalties.sum(), [critic.a])
    assert slope.item() == pytest.approx(6 * squares[:, :few].mean(1).sum().item(), rel=1e-5)


def test_each_network_takes_the_other_as_a_constant():
    config = GAN(**TINY, gamma=0.0)
    data = vectors(np.random.default_rng(0).normal(size=(8, 2)))
    torch.manual_seed(0)
    network = GANNetwork(config, data.spec())
    batch = {
        "real": torch.from_numpy(data.values),
        "label": torch.zeros(8, dtype=torch.int64),
        "z": torch.randn(8, 8),
    }
    loss, _ = gan_loss(0.0, 1.0)(network, batch)
    loss.backward()
    together = [p.grad.clone() for p in network.parameters()]
    real, label = network.scaled(batch["real"]), batch["label"]
    made = network(batch["z"])
    above, below = network.critic(real, label), network.critic(made, label)
    of_critic = torch.autograd.grad(
        relativistic_loss(above, below), list(network.critic.parameters()), retain_graph=True
    )
    of_generator = torch.autograd.grad(relativistic_loss(below, above), list(network.generator.parameters()))
    for found, expected in zip(together, (*of_generator, *of_critic), strict=True):
        assert torch.allclose(found, expected, atol=1e-6)


@pytest.mark.slow
def test_it_finds_all_eight_gaussians_of_a_ring():
    torch.set_num_threads(1)
    generator = np.random.default_rng(0)
    angles = np.arange(8) * np.pi / 4
    centres = 2 * np.stack([np.cos(angles), np.sin(angles)], 1)
    data = vectors(centres[generator.integers(8, size=4_000)] + 0.1 * generator.normal(size=(4_000, 2)))
    config = GAN(latents=2, channels=96, widest=96, gamma=0.01, learning_rate=5e-3, batch_size=64, ema=0.98)
    model = config.build(data.spec(), seed=0)
    fit = model.fit(data, data.take(np.arange(64)), seed=0)
    for _ in fit.learn(Budget(updates=350)):
        pass
    model.load_weights(fit.weights())
    made = model.sample(2_000, FREE, OPTIONS, 1).values
    distance = np.linalg.norm(made[:, None] - centres, axis=2)
    near = distance.min(1) < 0.5
    shares = np.bincount(distance.argmin(1)[near], minlength=8) / len(made)
    assert near.mean() > 0.5, "a Gaussian of the same covariance: a quarter"
    assert shares.min() > 0.04, "an eighth is 0.125"


def test_pictures_of_a_class_can_be_asked_for():
    data = pictures(200, 0)
    model = GAN(**TINY | {"learning_rate": 5e-3, "gamma": 0.05, "latents": 4, "batch_size": 16}).build(
        data.spec(), seed=0
    )
    fit = model.fit(data, data.take(np.arange(8)), seed=0)
    for _ in fit.learn(Budget(updates=70)):
        pass
    model.load_weights(fit.weights())
    dark, light = (model.sample(50, Condition(label=name), OPTIONS, 0).values for name in ("dark", "light"))
    assert light.mean() - dark.mean() > 30  # without the label: 0, give or take 12
    walk = np.linspace(*model.network.centres.numpy(), 5).astype(np.float32)
    brightness = model.decode(walk).mean((1, 2, 3))
    assert abs(brightness[-1] - brightness[0]) > 40, "the classes are places in the latent space"


def test_samples_do_not_depend_on_how_many_are_asked_for():
    model = GAN(**TINY).build(pictures(4, 0).spec(), seed=0)
    few, many = (model.sample(n, FREE, OPTIONS, 5).values.astype(int) for n in (3, 200))
    assert np.abs(few - many[:3]).max() <= 1
    assert np.ptp(many[:, 0, 0, 0]) > 0


def test_weights_without_the_critic_sample_the_same():
    config, data = GAN(**TINY), pictures(4, 0)
    model, other = (config.build(data.spec(), seed=seed) for seed in (0, 1))
    weights = {name: array for name, array in model.weights().items() if not name.startswith("critic.")}
    other.load_weights(weights)
    made = [each.sample(4, FREE, OPTIONS, 0).values for each in (model, other)]
    assert np.array_equal(*made)
    with pytest.raises(ValueError, match="generator"):
        other.load_weights({name: a for name, a in weights.items() if name != "generator.head.bias"})


def test_a_resumed_fit_ends_in_the_same_weights(monkeypatch):
    monkeypatch.setattr("generative.models.gan.VALIDATE_EVERY", 4)
    config, data = GAN(**TINY), vectors(np.random.default_rng(0).normal(size=(50, 2)))

    def fresh(seed):
        return config.build(data.spec(), seed=seed).fit(data, data.take(np.arange(4)), seed=0)

    whole, part = fresh(0), fresh(0)
    list(whole.learn(Budget(updates=6)))
    next(part.learn(Budget(updates=6)))
    other = fresh(0)
    other.restore(part.state())
    list(other.learn(Budget(updates=6)))
    for name, array in whole.weights().items():
        assert array.tobytes() == other.weights()[name].tobytes(), name


def test_what_it_cannot_do_is_refused_by_name():
    model = GAN(**TINY).build(pictures(4, 0).spec(), seed=0)
    for condition, culprit in (
        (Condition(label="drak"), "drak.*dark"),
        (Condition(text="a dark one"), "text"),
        (Condition(latent=np.zeros(3, np.float32)), "latent"),
    ):
        with pytest.raises(ValueError, match=culprit):
            model.sample(1, condition, OPTIONS, 0)
    for field, value in (("gamma", -1.0), ("penalised", 0.0), ("widest", 4), ("latents", 0)):
        with pytest.raises(ValueError, match=field):
            GAN(**TINY | {field: value})


def test_a_checkpoint_draws_the_same_wherever_its_tensors_lie_and_whatever_the_seed():
    """On its way to a GPU each tensor is copied by itself, also two that were one."""
    one, other = (GAN(**TINY).build(pictures(8, 0).spec(), seed=seed) for seed in (0, 5))
    other.network._apply(torch.clone)
    other.load_weights(one.weights())
    made = [model.sample(6, Condition(), SampleOptions(), 1).values for model in (one, other)]
    np.testing.assert_array_equal(*made)


def test_sides_that_eight_does_not_divide_are_halved_to_seven():
    """As MNIST's and the silhouettes' 28 pixels."""
    plan = FeatureMapPlan((28, 28, 3), 8, 16)
    assert (plan.coarsest, plan.finest, plan.widths) == ((7, 7), (28, 28), [8, 16, 16])
    model = GAN(**TINY).build(pictures(4, 0, size=28).spec(), seed=0)
    assert model.sample(2, FREE, OPTIONS, 0).values.shape == (2, 28, 28, 3)
    with pytest.raises(ValueError, match="sides that 4 divides"):
        FeatureMapPlan((30, 30, 3), 8, 16)
