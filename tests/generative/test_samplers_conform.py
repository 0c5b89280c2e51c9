"""Conformance of every sampler of the catalogue, fresh and after a few updates."""

from __future__ import annotations

import numpy as np
import pytest

from generative.catalog import SAMPLERS
from generative.dream import world_model
from sim.catalog import load
from sim.model_conformance import check_sampler
from sim.protocols import Distillable
from sim.records import Budget
from supervised.data.columns import ArrayColumn, LabelColumn
from supervised.data.dataset import Dataset


def pictures(n=24, side=16, seed=0):
    """Two classes that are told apart by colour, with a bright square somewhere."""
    generator = np.random.default_rng(seed)
    values = np.full((n, side, side, 3), 40, np.uint8)
    labels = np.arange(n) % 2
    for i, (row, column) in enumerate(generator.integers(0, side - 4, (n, 2))):
        values[i, row : row + 4, column : column + 4, labels[i]] = 220
    names = ("red", "green")
    captions = tuple(f"a {names[label]} square" for label in labels)
    return Dataset(
        values=values, labels=LabelColumn(labels, names), episodes=np.arange(n) // 2, captions=captions
    )


def vectors(n=64, seed=0):
    """Points near a line in three dimensions."""
    generator = np.random.default_rng(seed)
    along, noise = generator.standard_normal((n, 1)), generator.standard_normal((n, 3))
    values = (along * [1, -2, 30] + 0.1 * noise + [0, 5, 0]).astype(np.float32)
    return Dataset(
        values=ArrayColumn(values, ("x", "y", "z")),
        labels=LabelColumn.one("all", n),
        episodes=np.arange(n) // 4,
    )


def gameplay(n=48, seed=0):
    """Pong's field with a ball that flies right, and actions without any effect."""
    generator = np.random.default_rng(seed)
    values = np.zeros((n, 80, 80), np.uint8)
    for i in range(n):
        values[i, 40:42, i % 80] = 3
    return Dataset(
        values=values,
        labels=LabelColumn.one("pong", n),
        episodes=np.arange(n) // 12,
        order=np.arange(n) % 12,
        actions=generator.integers(0, 6, n),
        rewards=np.zeros(n),
        terminated=np.zeros(n, bool),
    )


def fresh(name, seed=0):
    """A sampler of the catalogue for the first kind of data that it learns."""
    config = load(SAMPLERS, name, "sampler")(**SMALLER.get(name, {}))
    for dataset in (pictures(), vectors(), gameplay()):
        try:
            return config.build(dataset.spec(), seed=seed, device="cpu"), dataset
        except ValueError:
            continue
    raise AssertionError(f"{name} learns neither pictures nor vectors nor gameplay")


#: Keys of samplers whose own would take long.
SMALLER = {"world-model": {"channels": (8, 8), "batch_size": 8}}


#: Samplers that need all of their data at once: the others read a batch at a time.
WHOLE = ("flow", "deepcluster")


def large(whole, part):
    """`part` of `whole` as it is where data are large: rows of the same array, not a copy."""
    rows = np.flatnonzero(np.isin(whole.episodes, part.episodes))
    return part.assign(values=ArrayColumn(whole.values, whole.axes, rows))


@pytest.mark.parametrize("name", SAMPLERS)
def test_samplers_keep_every_promise(name, monkeypatch):
    monkeypatch.setattr(world_model, "LEAD_IN", 2)  # frames before the one that is its sample
    model, dataset = fresh(name)
    check_sampler(model, dataset.values)
    train, validation = (large(dataset, part) for part in dataset.parted(0.2))
    if isinstance(model, Distillable):
        model.learn_from(model.weights())
    fit = model.fit(train, validation, seed=0)
    *_, last = fit.learn(Budget(updates=2))
    assert last.updates == 2 and np.isfinite(last.metrics["train_loss"])
    if name not in WHOLE:
        assert not any("content" in vars(part.column("values")) for part in (train, validation))
    model.load_weights(fit.weights())
    check_sampler(model, dataset.values)


@pytest.mark.parametrize("name", SAMPLERS)
def test_the_same_seed_builds_the_same_sampler(name):
    one, same, other = (fresh(name, seed)[0].weights() for seed in (0, 0, 1))
    assert all(np.array_equal(one[key], same[key]) for key in one)
    assert any(not np.array_equal(one[key], other[key]) for key in one)
