"""Metrics by class, on cases small enough to work out by hand."""

from __future__ import annotations

import numpy as np
import pytest

from sim.records import Percept
from supervised.captions.caption_grammars import parse
from supervised.metrics.breakdown import by_class
from supervised.metrics.grading import accumulate


def rows(kind, said, true, names=()):
    predicted, truth = ([Percept("model", **{kind: v}) for v in values] for values in (said, true))
    counted = accumulate(kind, predicted, truth, parse=parse)
    return by_class(kind, counted, predicted, truth, names, parse)


def test_masks_by_part():
    said, true = np.array([[0, 1, 1, 1]], np.uint8), np.array([[0, 0, 1, 1]], np.uint8)
    found = rows("mask", [said], [true], ("ground", "torso", "head"))
    assert found == {"ground": {"miou": 0.5}, "torso": {"miou": pytest.approx(2 / 3)}}


def test_depths_by_distance():
    found = rows("depth", [np.array([[1.0, 5.0, 22.0]])], [np.array([[2.0, 5.0, 20.0]])])
    assert {name: row["abs_rel"] for name, row in found.items()} == {
        "0 to 3 m": 0.5,
        "3 to 10 m": 0.0,
        "beyond 10 m": pytest.approx(0.1),
    }


def test_poses_by_joint():
    true = {"hip": (0.0, 0.0, 1.0), "knee": (0.0, 10.0, 1.0), "toe": (0.0, 99.0, 0.0)}
    said = {"hip": (0.0, 1.0, 1.0), "knee": (3.0, 10.0, 1.0), "toe": (0.0, 0.0, 1.0)}
    found = rows("keypoints", [said], [true], tuple(true))
    assert found == {
        "hip": {"pck_0.1": 1.0, "pixel_error": 1.0},
        "knee": {"pck_0.1": 0.0, "pixel_error": 3.0},
    }


def test_labels_by_the_true_one():
    found = rows(
        "label", ["pong", "pong", "tennis"], ["pong", "tennis", "tennis"], ("pong", "tennis", "boxing")
    )
    assert found == {"pong": {"top1": 1.0}, "tennis": {"top1": 0.5}}


def test_boards_by_what_stands_on_a_square():
    found = rows("fen", ["8/8/8/8/8/8/8/K6Q", "no board"], ["8/8/8/8/8/8/8/K6k", "8/8/8/8/8/8/8/K7"])
    assert found["white king"] == {"accuracy": 0.5} and found["black king"] == {"accuracy": 0.0}
    assert found["empty"]["accuracy"] == pytest.approx(62 / 125) and "white queen" not in found


def test_captions_by_fact():
    true = "Ms pacman is low in the middle; 3 lives and 120 points."
    found = rows("caption", ["Ms pacman is low on the left; 3 lives and 120 points.", "what?"], [true, true])
    assert found["side"] == {"accuracy": 0.0} and found["height"] == {"accuracy": 0.5}
