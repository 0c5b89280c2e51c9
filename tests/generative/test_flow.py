"""The flow on vectors: a density that integrates, an exact inverse, labels, whole numbers, exact resume."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from generative.models.flow import Flow
from sim.records import Budget, Condition, SampleOptions
from supervised.data.columns import ArrayColumn, LabelColumn
from supervised.data.dataset import Dataset

FREE, OPTIONS = Condition(), SampleOptions()
SMALL = {"channels": 24, "transforms": 2, "batch_size": 128, "ema": 0.9}


def collection(values, labels=None, names=("all",)):
    labels = np.zeros(len(values), np.int64) if labels is None else labels
    axes = tuple(f"x{i}" for i in range(values.shape[1]))
    return Dataset(
        values=ArrayColumn(values.astype(np.float32), axes),
        labels=LabelColumn(labels, names),
        episodes=np.arange(len(values)),
    )


def moons(n, seed):
    """Two half circles in units of their own, one of each label."""
    generator = np.random.default_rng(seed)
    labels, angle = generator.integers(2, size=n), generator.uniform(0, np.pi, n)
    x = np.where(labels, 1 - np.cos(angle), np.cos(angle)) + 0.1 * generator.normal(size=n)
    y = np.where(labels, 0.5 - np.sin(angle), np.sin(angle)) + 0.1 * generator.normal(size=n)
    return collection(np.stack([100 * x, 0.1 * y], 1), labels, ("upper", "lower"))


def fitted(config, train, updates, validation=None, seed=0):
    model = config.build(train.spec(), seed=seed)
    fit = model.fit(train, validation or train, seed=seed)
    told = list(fit.learn(Budget(updates=updates)))
    model.load_weights(fit.weights())
    return model, told


@pytest.fixture(scope="module", params=["spline", "affine"])
def of_moons(request):
    torch.set_num_threads(1)
    model, _ = fitted(Flow(kind=request.param, **SMALL), moons(2_000, 0), 100)
    return model


def test_its_density_integrates_to_one(of_moons):
    x, y = np.linspace(-250, 350, 200, dtype=np.float32), np.linspace(-0.25, 0.25, 200, dtype=np.float32)
    grid = np.stack(np.meshgrid(x, y, indexing="ij"), -1).reshape(-1, 2)
    density = np.exp(-of_moons.bits_per_dim(grid) * 2 * math.log(2))
    assert density.sum() * (x[1] - x[0]) * (y[1] - y[0]) == pytest.approx(1, abs=0.01)


def test_the_inverse_undoes_it(of_moons):
    values = moons(500, 1).values
    assert np.allclose(of_moons.decode(of_moons.encode(values)), values, rtol=1e-3, atol=[0.1, 1e-4])


def test_its_jacobian_is_autograds(of_moons):
    network, x = of_moons.network, torch.from_numpy(moons(5, 2).values)
    label = torch.zeros(1, dtype=torch.int64)
    for row in x:
        jacobian = torch.autograd.functional.jacobian(lambda v: network.to_latents(v[None], label)[0], row)
        z = network.to_latents(row[None], label)[0]
        expected = torch.linalg.slogdet(jacobian)[1] - 0.5 * z.square().sum() - math.log(2 * math.pi)
        assert network.log_prob(row[None], label).item() == pytest.approx(expected.item(), abs=1e-3)


def test_of_a_gaussian_it_learns_the_entropy():
    mixing = np.array([[2.0, 0.0], [1.5, 0.5]])
    draws = [np.random.default_rng(seed).normal(size=(5_000, 2)) @ mixing.T for seed in (0, 1)]
    model, _ = fitted(Flow(kind="affine", **SMALL), collection(draws[0]), 200)
    entropy = math.log(2 * math.pi * math.e) + math.log(abs(np.linalg.det(mixing)))
    told = model.bits_per_dim(draws[1].astype(np.float32)).mean()
    assert told == pytest.approx(entropy / (2 * math.log(2)), abs=0.03)
    made = model.sample(5_000, FREE, OPTIONS, 3).values
    assert np.allclose(np.cov(made.T), mixing @ mixing.T, atol=0.3)


def test_a_conditional_flow_samples_and_encodes_by_label():
    data = moons(2_000, 0)
    model, _ = fitted(Flow(conditional=True, **SMALL), data, 100)
    upper = model.sample(300, Condition(label="upper"), OPTIONS, 0).values
    lower = model.sample(300, Condition(label="lower"), OPTIONS, 0).values
    assert (upper[:, 1] > -0.03).mean() > 0.95 and (lower[:, 1] < 0.08).mean() > 0.9
    values = moons(200, 1).values
    assert np.allclose(model.decode(model.encode(values)), values, rtol=1e-3, atol=[0.1, 1e-4])
    each = [model.sample(1, Condition(label=name), OPTIONS, 0).values for name in ("upper", "lower")]
    assert not np.allclose(*each)
    x, y = np.linspace(-250, 350, 200, dtype=np.float32), np.linspace(-0.25, 0.25, 200, dtype=np.float32)
    grid = np.stack(np.meshgrid(x, y, indexing="ij"), -1).reshape(-1, 2)
    density = np.exp(-model.bits_per_dim(grid) * 2 * math.log(2))
    assert density.sum() * (x[1] - x[0]) * (y[1] - y[0]) == pytest.approx(1, abs=0.01)


def test_whole_numbers_stay_whole_and_cost_no_less_than_their_entropy():
    dice = np.random.default_rng(0).integers(1, 7, (4_000, 2)).astype(np.float32)
    model, _ = fitted(Flow(whole=True, **SMALL), collection(dice), 150)
    made = model.sample(1_000, FREE, OPTIONS, 0).values
    assert np.array_equal(made, made.round()) and ((made >= 1) & (made <= 6)).mean() > 0.9
    told = model.bits_per_dim(dice).mean()
    assert math.log2(6) - 0.01 < told < math.log2(6) + 0.2


def test_samples_do_not_depend_on_how_many_are_asked_for():
    data = moons(500, 0)
    model, _ = fitted(Flow(conditional=True, **SMALL), data, 20)
    few, many = (model.sample(n, FREE, OPTIONS, 5).values for n in (3, 5_000))
    assert np.allclose(few, many[:3], rtol=1e-4, atol=1e-5)


def test_a_resumed_fit_ends_in_the_same_weights(monkeypatch):
    monkeypatch.setattr("generative.models.flow.VALIDATE_EVERY", 4)
    config, data = Flow(kind="affine", **SMALL | {"batch_size": 16}), moons(100, 0)
    whole = config.build(data.spec(), seed=0).fit(data, data, seed=0)
    list(whole.learn(Budget(updates=6)))
    part = config.build(data.spec(), seed=0).fit(data, data, seed=0)
    next(part.learn(Budget(updates=6)))
    other = config.build(data.spec(), seed=7).fit(data, data, seed=0)
    other.restore(part.state())
    list(other.learn(Budget(updates=6)))
    for name, array in whole.weights().items():
        assert array.tobytes() == other.weights()[name].tobytes(), name


def test_what_it_cannot_do_is_refused_by_name():
    data = moons(100, 0)
    model = Flow(**SMALL).build(data.spec(), seed=0)
    with pytest.raises(ValueError, match="label"):
        model.sample(1, Condition(label="upper"), OPTIONS, 0)
    with pytest.raises(ValueError, match="latent"):
        model.sample(2, Condition(latent=np.zeros(5, np.float32)), OPTIONS, 0)
    still = collection(np.tile([1.0, 2.0], (10, 1)))
    with pytest.raises(ValueError, match="x0 never changes"):
        model.fit(still, still, seed=0)
    with pytest.raises(ValueError, match="kind"):
        Flow(kind="glow")


def test_one_latent_gives_one_example_as_often_as_asked_for(of_moons):
    model = of_moons
    latent = model.encode(moons(1, 3).values)[0]
    made = model.sample(3, Condition(latent=latent), SampleOptions(), 0).values
    assert made.shape == (3, 2)
    assert (made == made[:1]).all()
