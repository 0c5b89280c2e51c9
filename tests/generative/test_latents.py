"""Latent spaces whose geometry is known."""

from __future__ import annotations

import numpy as np
import pytest

from generative.latents import RIDGE, fact_table, linear, named_axes, principal_axes, spherical
from sim.records import Percept
from supervised.data.columns import ArrayColumn, LabelColumn
from supervised.data.dataset import Dataset


def test_lines_and_arcs_begin_and_end_where_they_should():
    one, other = np.random.default_rng(0).standard_normal((2, 16)).astype(np.float32)
    for between in (linear, spherical):
        path = between(one, other, 7)
        assert path.shape == (7, 16) and path.dtype == np.float32
        assert np.allclose(path[0], one, atol=1e-5) and np.allclose(path[-1], other, atol=1e-5)


def test_an_arc_stays_on_the_sphere_where_a_line_leaves_it():
    generator = np.random.default_rng(0)
    one, other = (v / np.linalg.norm(v) for v in generator.standard_normal((2, 64)))
    assert np.allclose(np.linalg.norm(spherical(one, other, 9), axis=1), 1, atol=1e-5)
    assert np.linalg.norm(linear(one, other, 9)[4]) < 0.9
    angles = np.arccos(np.clip((spherical(one, other, 9)[:-1] * spherical(one, other, 9)[1:]).sum(1), -1, 1))
    assert np.allclose(angles, angles[0], rtol=1e-3), "in equal steps"


@pytest.mark.parametrize("other", [np.zeros(3), np.array([2.0, 0, 0]), np.array([-1.0, 0, 0])])
def test_where_there_is_no_one_arc_it_is_a_line(other):
    path = spherical(np.array([1.0, 0, 0]), other, 5)
    assert np.allclose(path, linear(np.array([1.0, 0, 0]), other, 5)) and np.isfinite(path).all()


def examples(n=400, seed=0):
    """Latents z of which one fact is linear, one is noise and one never changes."""
    generator = np.random.default_rng(seed)
    z = generator.multivariate_normal([0, 0, 0], [[1, 0.8, 0], [0.8, 1, 0], [0, 0, 4]], n)
    place = np.round(100 + 20 * z[:, 0] - 5 * z[:, 2])
    noise = generator.integers(0, 50, n)
    truths = [
        Percept("truth", facts={"place": int(p), "noise": int(q), "lives": 3})
        for p, q in zip(place, noise, strict=True)
    ]
    truths[0] = Percept("truth", facts={"lives": 3})  # nothing else is told of this one
    dataset = Dataset(
        values=ArrayColumn(np.zeros((n, 1), np.float32), ("x",)),
        labels=LabelColumn.one("game", n),
        episodes=np.arange(n) // 10,
        truths=tuple(truths),
    )
    return z.astype(np.float32), dataset


def test_facts_are_a_table_of_the_examples_that_tell_all():
    _, dataset = examples()
    rows, names, values = fact_table(dataset)
    assert rows.tolist() == list(range(1, 400)) and names == ("place", "noise", "lives")
    assert values[0].tolist() == list(dataset.truths[1].facts.values())


def test_an_axis_is_named_by_the_fact_it_moves_and_moves_it_by_as_much_as_it_says():
    z, dataset = examples()
    axes = named_axes(z, dataset)
    assert [axis.name for axis in axes] == ["place", "noise"], "what never changes has no axis"
    place, noise = axes
    assert place.r2 > 0.99 and noise.r2 < 0.1
    for origin in z[:3]:
        path, values = place.walked(origin, 5)
        moved = 100 + 20 * path[:, 0] - 5 * path[:, 2]
        assert np.allclose(moved, values, atol=1.0)
    # Along the data: z₂ goes with z₁ at their covariance, as E[z | place] says.
    wanted = np.array([20, 16, -20]) / (20**2 + 4 * 5**2)
    assert np.allclose(place.direction, wanted, atol=5e-3)


def test_latents_of_more_numbers_than_examples_give_the_axes_of_the_large_system():
    z, dataset = examples(120)
    wide = np.concatenate([z, np.random.default_rng(1).standard_normal((120, 300), np.float32)], 1)
    axes = {axis.name: axis for axis in named_axes(wide, dataset)}
    fact = np.array([truth.facts["place"] for truth in dataset.truths[1:]], float)
    moved = wide[1:].astype(float) - wide[1:].mean(0, dtype=float)
    gram = moved.T @ moved
    gram += RIDGE * np.trace(gram) / len(gram) * np.eye(len(gram))
    weights = np.linalg.solve(gram, moved.T @ (fact - fact.mean()))
    covariance = np.cov(moved.T) + RIDGE * np.trace(np.cov(moved.T)) / len(gram) * np.eye(len(gram))
    np.testing.assert_allclose(axes["place"].weights, weights, atol=1e-3 * np.abs(weights).max())
    along = covariance @ weights / (weights @ covariance @ weights)
    np.testing.assert_allclose(axes["place"].direction, along, atol=1e-3 * np.abs(along).max())


def test_few_examples_name_no_axis():
    z, dataset = examples()
    assert named_axes(z[:20], dataset.take(np.arange(20))) == []


def test_a_latent_space_as_wide_as_a_picture_is_not_probed():
    """Four probes a number would be 50,000 pictures."""
    assert principal_axes(lambda z: pytest.fail(f"drew {len(z)}"), 64 * 64 * 3, 2) == []


def test_principal_axes_find_what_changes_drawings_most():
    mixing = np.array([[0, 3.0, 0], [1.0, 0, 0]])

    def decode(latents):
        return latents @ mixing.T + 7

    first, second = principal_axes(decode, 3, 2)
    for axis, wanted in ((first, [0, 1, 0]), (second, [1, 0, 0])):
        cosine = axis.direction @ np.array(wanted) / np.linalg.norm(axis.direction)
        assert abs(cosine) > 0.99 and axis.r2 > 0.98
    share = int(first.name.split(", ")[1].partition("%")[0])
    assert abs(share - 90) <= 3, "9 of 10 parts of the variance"
