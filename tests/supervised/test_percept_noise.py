"""Noisy truth: which kinds of percept it changes, and how much."""

import numpy as np
import pytest

from sim.percept_kinds import PERCEPT_KINDS
from sim.records import Percept
from supervised.observation.percept_noise import NOISE, noisy

ALL = Percept(
    "truth",
    boxes=np.array([[4, 6, 10, 12], [20, 6, 26, 12]], np.float32),
    labels=("ball", "player"),
    mask=np.eye(8, dtype=np.uint8),
    depth=np.full((8, 8), 3.0, np.float32),
    keypoints={"head": (4.0, 6.0, 1.0), "foot": (4.0, 20.0, 1.0)},
    label="pong",
    caption="the ball is left",
    fen="8/8/8/8/8/8/8/8",
    extras={"value": {"height": 3.0}, "std": {"height": 1.0}},
)


@pytest.mark.parametrize("kind", PERCEPT_KINDS)
def test_the_kinds_that_are_said_to_move_do_and_no_others(kind):
    percept = noisy(ALL, np.random.default_rng(0), pixels=2, misses=0)
    before, after = PERCEPT_KINDS[kind].value(ALL), PERCEPT_KINDS[kind].value(percept)
    same = np.array_equal(before, after) if isinstance(before, np.ndarray) else before == after
    assert same == (kind not in NOISE)


def test_points_are_displaced_and_missed_as_much_as_it_says():
    points = {f"p{i}": (50.0, 60.0, 1.0) for i in range(4_000)}
    percept = noisy(Percept("truth", keypoints=points), np.random.default_rng(0), pixels=3, misses=0.25)
    x, y, seen = np.array(list(percept.keypoints.values())).T
    assert ((x - 50).std(), (y - 60).std()) == pytest.approx((3, 3), abs=0.2)
    assert seen.mean() == pytest.approx(0.75, abs=0.03)
