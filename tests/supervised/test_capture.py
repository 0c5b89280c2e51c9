"""Labelled images from play: pictures and truths of one instant, of seeds of their own."""

from __future__ import annotations

import numpy as np

from sim.catalog import make_worlds
from supervised.data.capture import StickyRandomPolicy, labelled_play


def pong(seed):
    return make_worlds("atari/pong", 2, seed=seed, truth=True)


def test_pictures_and_truths_are_of_one_instant():
    views = labelled_play(pong(0), 10, seed=0)
    assert len(views) == len(views.truths) == 10 and views.values.dtype == np.uint8
    seen = 0
    for rgb, truth in zip(views.values, views.truths, strict=True):
        for name, (x0, y0, x1, y1) in zip(truth.labels, truth.boxes.astype(int), strict=True):
            inside = rgb[y0:y1, x0:x1].reshape(-1, 3)
            assert (inside == inside[0]).all(), f"{name} is of one colour"
            seen += 1
    assert seen >= 10


def test_the_same_seed_gives_the_same_views_and_another_one_others():
    one, again, other = (labelled_play(pong(seed), 6, seed=seed) for seed in (0, 0, 1))
    assert np.array_equal(one.values, again.values)
    assert not np.array_equal(one.values, other.values)


def test_staying_power_differs_from_world_to_world():
    fidgety = StickyRandomPolicy(6, 4, seed=0)
    actions = np.stack([fidgety.act().copy() for _ in range(2_000)])
    held = (actions[1:] == actions[:-1]).mean(0)
    stay = np.linspace(0, 0.95, 4)
    assert np.allclose(held, stay + (1 - stay) / 6, atol=0.03)
