"""DeepCluster: k-means by hand, empty groups, whitening, disturbing, learning in turns, exact resume."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from generative.metrics.clusters import nmi_beside_pixels
from generative.models.deepcluster import (
    ClusterExamples,
    DeepCluster,
    augment,
    k_means,
    packed,
    unpacked,
    without_empty,
)
from sim.records import Budget, Condition, SampleOptions
from supervised.data.columns import LabelColumn
from supervised.data.dataset import Dataset

FREE, OPTIONS = Condition(), SampleOptions()
SMALL = {
    "channels": 8,
    "components": 4,
    "shift": 2,
    "regroup_every": 20,
    "learning_rate": 1e-2,
    "batch_size": 32,
}


def shapes(n, seed, side=16):
    """Stripes that lie, stripes that stand, and chequers, moved and in any colours."""
    generator = np.random.default_rng(seed)
    labels = generator.integers(3, size=n)
    y, x = np.mgrid[:side, :side]
    values = np.empty((n, side, side, 3), np.uint8)
    for i, label in enumerate(labels):
        a, b = (y + generator.integers(4)) // 2 % 2, (x + generator.integers(4)) // 2 % 2
        light = (a, b, a ^ b)[label][..., None]
        one, other = generator.integers(120, 256, 3), generator.integers(0, 80, 3)
        values[i] = np.where(light, one, other)
    return Dataset(
        values=values, labels=LabelColumn(labels, ("lying", "standing", "chequered")), episodes=np.arange(n)
    )


def trained(updates, seed=0, clusters=3, n=240):
    torch.set_num_threads(1)
    data = shapes(n, 0)
    model = DeepCluster(clusters=clusters, **SMALL).build(data.spec(), seed=seed)
    fit = model.fit(data, shapes(60, 1), seed=0)
    told = list(fit.learn(Budget(updates=updates)))
    model.load_weights(fit.weights())
    return model, fit, told


def test_k_means_finds_groups_that_lie_apart():
    generator = np.random.default_rng(0)
    middles = np.array([[0, 0], [10, 0], [0, 10], [10, 10]])
    points = torch.from_numpy((middles[:, None] + generator.uniform(-1, 1, (4, 25, 2))).reshape(100, 2))
    centroids, assigned = k_means(points, 4, np.random.default_rng(1))
    found = assigned.view(4, 25)
    assert (found == found[:, :1]).all() and len(found[:, 0].unique()) == 4
    assert torch.allclose(centroids[found[:, 0]], points.view(4, 25, 2).mean(1))


def test_k_means_leaves_no_group_empty_even_where_points_are_equal():
    _, assigned = k_means(torch.ones(10, 2), 3, np.random.default_rng(0))
    assert sorted(assigned.unique().tolist()) == [0, 1, 2]


def test_k_means_is_the_same_for_the_same_seed_and_no_worse_than_the_plain_algorithm():
    points = torch.from_numpy(np.random.default_rng(0).standard_normal((300, 4)).astype(np.float32))
    (centroids, assigned), again, other = (k_means(points, 6, np.random.default_rng(s)) for s in (0, 0, 1))
    assert torch.equal(centroids, again[0]) and torch.equal(assigned, again[1])
    assert not torch.equal(centroids, other[0])
    assert torch.equal(torch.cdist(points, centroids).argmin(1), assigned), "each is with its nearest"
    for group in range(6):
        assert torch.allclose(points[assigned == group].mean(0), centroids[group], atol=1e-5)


def test_an_empty_group_takes_every_second_member_of_the_largest():
    assert without_empty(torch.tensor([0, 2, 2, 2, 2, 0]), 3).tolist() == [0, 1, 2, 1, 2, 0]


def test_whitened_features_have_no_correlation():
    model = DeepCluster(clusters=2, **SMALL).build(shapes(4, 0).spec(), seed=0)
    mixing = torch.randn(32, 32, generator=torch.Generator().manual_seed(0))
    features = torch.randn(2_000, 32, generator=torch.Generator().manual_seed(1)) @ mixing + 5
    model.network.measure(features)
    scaled = (features - model.network.middle) @ model.network.whitening
    assert torch.allclose(scaled.T @ scaled / 2_000, torch.eye(4), atol=0.01)
    assert torch.allclose(model.network.whitened(features).norm(dim=1), torch.ones(2_000))


def test_small_groups_weigh_as_much_as_large_ones():
    examples = ClusterExamples(np.zeros((6, 4, 4, 3), np.uint8), 0)
    examples.assign(np.array([0, 0, 0, 1, 2, 2]), 3)
    batch = examples.batch(np.arange(6), np.random.default_rng(0))
    totals = np.bincount(batch["group"], weights=batch["weight"])
    assert totals == pytest.approx([2, 2, 2])


def test_disturbing_moves_and_recolours_and_repeats_the_edge():
    values = np.zeros((40, 8, 8, 3), np.uint8)
    values[:, 3, 5] = (200, 100, 50)
    views = augment(values, 2, np.random.default_rng(0))
    places, colours = set(), set()
    for view in views:
        (place,) = np.argwhere(view.any(2))
        places.add(tuple(place))
        colours.add(tuple(np.argsort(view[tuple(place)])))
        assert 120 <= view.max() <= 200
    assert len(places) > 12 and len(colours) == 6
    assert all(1 <= y <= 5 and 3 <= x <= 7 for y, x in places)
    assert np.array_equal(views, augment(values, 2, np.random.default_rng(0)))


def test_it_finds_shapes_that_pixels_do_not_tell():
    model, _, told = trained(160)
    unseen = shapes(200, 2)
    mine, pixels = nmi_beside_pixels(model.assign, unseen.values, unseen.labels, 3, seed=0)
    assert mine > max(0.55, pixels + 0.25), "five seeds ended at 0.60 … 1.0, pixels at 0.24"
    assert told[-1].metrics["nmi"] > 0.45, "the same five at 0.52 … 1.0"
    learned_from = shapes(240, 0)
    for label in np.unique(model.network.names.numpy()):
        made = model.sample(30, Condition(label=unseen.label_names[label]), OPTIONS, 0).values
        rows = [np.flatnonzero((learned_from.values == picture).all((1, 2, 3)))[0] for picture in made]
        assert (learned_from.labels[rows] == label).mean() > 0.4, "chance: a third"


def test_samples_do_not_depend_on_how_many_are_asked_for():
    model, _, _ = trained(20)
    few, many = (model.sample(n, FREE, OPTIONS, 5).values for n in (3, 100))
    assert np.array_equal(few, many[:3])


def test_a_resumed_fit_ends_in_the_same_weights():
    _, whole, _ = trained(60)
    data = shapes(240, 0)
    part, other = (
        DeepCluster(clusters=3, **SMALL).build(data.spec(), seed=seed).fit(data, shapes(60, 1), seed=0)
        for seed in (0, 7)
    )
    next(part.learn(Budget(updates=60)))
    other.restore(part.state())
    list(other.learn(Budget(updates=60)))
    for name, array in whole.weights().items():
        assert array.tobytes() == other.weights()[name].tobytes(), name


def test_what_it_cannot_do_is_refused_by_name():
    data = shapes(10, 0)
    model = DeepCluster(clusters=3, **SMALL).build(data.spec(), seed=0)
    with pytest.raises(ValueError, match='mostly of the label "standing"'):
        model.sample(1, Condition(label="standing"), OPTIONS, 0)
    with pytest.raises(ValueError, match="standng.*standing"):
        model.sample(1, Condition(label="standng"), OPTIONS, 0)
    with pytest.raises(ValueError, match="latent"):
        model.sample(1, Condition(latent=np.zeros(8, np.float32)), OPTIONS, 0)
    with pytest.raises(ValueError, match="cannot fill 12"):
        DeepCluster().build(data.spec(), seed=0).fit(data, data, seed=0)
    for field, value in (("clusters", 1), ("components", 100), ("shift", -1)):
        with pytest.raises(ValueError, match=field):
            DeepCluster(**{**SMALL, field: value})


def test_validation_tells_what_the_last_layer_knew_before_it_began_anew():
    data = shapes(60, 0)
    model = DeepCluster(clusters=3, **SMALL | {"regroup_every": 5}).build(data.spec(), seed=0)
    fit = model.fit(data, shapes(30, 1), seed=0)
    for progress in fit.learn(Budget(updates=10)):
        told = {name: value for name, value in progress.metrics.items() if name.startswith("validation_")}
        assert {f"validation_{name}": value for name, value in fit.validate().items()} == told


def test_stored_images_are_compressed_without_loss():
    images = np.zeros((2, 3, 8, 8, 3), np.uint8)
    images[1, 2, 4:] = 200
    small = packed({"remembered": images, "other": np.ones(3)})
    assert small["remembered"].nbytes < images.nbytes / 10
    again = unpacked(small, images.shape)
    np.testing.assert_array_equal(again["remembered"], images)
    np.testing.assert_array_equal(unpacked({"remembered": images}, images.shape)["remembered"], images)
    with pytest.raises(ValueError, match="remembered cannot be read"):
        unpacked({"remembered": small["remembered"][:9]}, images.shape)
