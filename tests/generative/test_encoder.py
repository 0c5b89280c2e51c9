"""The image encoder of the metrics: its targets, that it learns, and the shipped weights."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest

from generative.data.catalog import load_dataset
from generative.metrics.distances import frechet_distance
from generative.metrics.encoder import SHIPPED, Encoder, ProbeTargets, RandomEncoder, load_encoder, shipped
from sim.records import Budget, Percept
from sim.storage.checkpoints import CheckpointError
from supervised.data.columns import LabelColumn
from supervised.data.dataset import Dataset


def dots(n, seed):
    """Two games: a bright square somewhere, on black in one and on blue in the other, where it may lack."""
    generator = np.random.default_rng(seed)
    labels, there = generator.integers(2, size=n), generator.random(n) < 0.7
    x, y = generator.integers(0, 56, n), generator.integers(0, 56, n)
    pictures, truths = np.zeros((n, 64, 64, 3), np.uint8), []
    for i in range(n):
        pictures[i, :, :, 2] = 120 * labels[i]
        shown = bool(there[i] or labels[i] == 0)
        if shown:
            pictures[i, y[i] : y[i] + 8, x[i] : x[i] + 8] = 255
        facts = {"always": 3} | ({"x": int(x[i])} if shown else {})
        box = np.array([[x[i], y[i], x[i] + 8, y[i] + 8]], np.float32)[: int(shown)]
        truths.append(Percept("truth", boxes=box, labels=("square",) * int(shown), facts=facts))
    return Dataset(
        values=pictures,
        labels=LabelColumn(labels, ("black", "blue")),
        episodes=np.arange(n),
        truths=tuple(truths),
    )


def test_questions_are_found_in_the_truths():
    dataset = dots(200, 0)
    asked = ProbeTargets.about(dataset)
    assert set(asked.numbers) == {
        *(
            f"{game}: {name}"
            for game in ("black", "blue")
            for name in ("x", "square, across", "square, down")
        ),
        *(f"blue: {name}, there" for name in ("x", "square, across", "square, down", "square, how many")),
    }
    values, known = asked.answers(dataset)
    of_blue = dataset.labels == 1
    there, x = asked.numbers.index("blue: x, there"), asked.numbers.index("blue: x")
    np.testing.assert_array_equal(known[:, there], of_blue)
    shown = np.array(["x" in truth.facts for truth in dataset.truths])
    np.testing.assert_array_equal(known[:, x], of_blue & shown)
    true = np.array([truth.facts.get("x", 0) for truth in dataset.truths])
    back = values[known[:, x], x] * asked.scale[x] + asked.mean[x]
    np.testing.assert_allclose(back, true[known[:, x]], atol=1e-4)


def test_answers_are_read_back_as_whole_numbers_of_things_that_are_there():
    asked = ProbeTargets(("a", "b"), ("a: x", "a: x, there", "b: y"), (10.0, 0.5, 0.0), (2.0, 0.5, 1.0))
    assert asked.read("a", (1.0, 1.0, 7.0)) == {"x": 12}
    assert asked.read("a", (1.0, -1.0, 7.0)) == {}
    assert asked.read("b", (1.0, -1.0, 7.0)) == {"y": 7}


def test_pictures_without_truths_teach_nothing():
    bare = Dataset(
        values=np.zeros((2, 8, 8, 3), np.uint8), labels=LabelColumn.one("all", 2), episodes=np.arange(2)
    )
    with pytest.raises(ValueError, match="truths"):
        ProbeTargets.about(bare)


@pytest.mark.slow
def test_it_learns_what_and_where():
    train, held_out = dots(600, 0), dots(100, 1)
    model = Encoder(channels=8, learning_rate=5e-3, batch_size=32).build(ProbeTargets.about(train), seed=0)
    for _ in model.fit(train, held_out, seed=0).learn(Budget(updates=90)):
        pass
    percepts = model.perceive(list(held_out.values))
    assert (
        np.mean([p.label == held_out.label_names[i] for p, i in zip(percepts, held_out.labels, strict=True)])
        == 1.0
    )
    off = [
        abs(told.facts["x"] - truth.facts["x"])
        for told, truth in zip(percepts, held_out.truths, strict=True)
        if "x" in told.facts and "x" in truth.facts
    ]
    assert len(off) > 60 and np.median(off) < 6, "pixels; guessing the middle is 14 off"
    moved = held_out.values[:20].copy()
    assert np.abs(model.encode(np.roll(moved, 6, 2)) - model.encode(moved)).mean() > 0.05


def test_the_shipped_one_is_small_and_says_its_hash():
    content = (SHIPPED / "model.safetensors").read_bytes()
    assert len(content) < 0.6 * 2**20
    assert hashlib.sha256(content).hexdigest().startswith(shipped().stamp()["encoder"].split()[-1])


def test_the_shipped_one_tells_boards_from_games():
    boards = load_dataset("boards", 20).values
    percepts = shipped().perceive(list(boards))
    assert {percept.label for percept in percepts} == {"board"}
    assert shipped().encode(boards).shape == (20, 64)


@pytest.mark.parametrize("encoder", [shipped(), RandomEncoder()], ids=["trained", "random"])
def test_the_more_a_picture_is_spoilt_the_farther_it_is(encoder):
    generator = np.random.default_rng(0)
    boards, others = generator.permutation(load_dataset("boards", 300).values).reshape(2, 150, 64, 64, 3)
    noise = generator.normal(size=boards.shape)
    levels = (0, 60, 120)  # of 255; the trained one is told nothing by less
    spoilt = [(boards + level * noise).clip(0, 255).astype(np.uint8) for level in levels]
    apart = [frechet_distance(encoder.encode(pictures), encoder.encode(others)) for pictures in spoilt]
    assert apart == sorted(apart) and apart[-1] > 2 * apart[0]


def test_random_filters_are_the_same_for_everybody():
    pictures = np.random.default_rng(0).integers(0, 256, (3, 32, 32, 3), np.uint8)
    first = RandomEncoder().encode(pictures)
    np.testing.assert_array_equal(first, RandomEncoder().encode(pictures))
    assert np.abs(first - RandomEncoder(seed=1).encode(pictures)).max() > 0.01
    assert 0.01 < first.std() < 100
    np.testing.assert_allclose(RandomEncoder().encode(pictures[:1]), first[:1], rtol=1e-4, atol=1e-5)


def test_something_else_is_no_encoder(tmp_path):
    with pytest.raises(CheckpointError):
        load_encoder(tmp_path)
