"""Masks, depth and keypoints: metrics worked by hand, and what each leaves out."""

from __future__ import annotations

import numpy as np
import pytest

from supervised.metrics.pixels import DepthTally, MaskTally, confusion
from supervised.metrics.pose import PoseTally

ONE = np.ones(1)
SKY = np.nan


def test_mean_iou_by_hand():
    truth = np.array([[0, 0, 1, 1], [0, 0, 4, 4]], np.uint8)
    said = np.array([[0, 0, 1, 0], [0, 0, 4, 4]], np.uint8)
    tally = MaskTally([said], [truth])
    assert tally.by_class(ONE)[[0, 1, 4]] == pytest.approx([4 / 5, 1 / 2, 1])
    assert np.isnan(tally.by_class(ONE)[2:4]).all(), "classes 2 and 3 are nowhere"
    assert tally.score(ONE)["miou"] == pytest.approx((4 / 5 + 1 / 2 + 1) / 3), "the background counts"


def test_a_class_only_invented_counts_as_nought():
    assert MaskTally([np.array([[0, 2]])], [np.array([[0, 0]])]).score(ONE)["miou"] == pytest.approx(0.25)


def test_pictures_add_up_before_the_mean():
    """One confusion matrix over all pictures, not the mean of each picture's mIoU."""
    truth = [np.array([[1, 1, 1, 1]]), np.array([[1, 0, 0, 0]])]
    said = [np.array([[1, 1, 1, 1]]), np.array([[0, 0, 0, 0]])]
    assert MaskTally(said, truth).score(np.ones(2))["miou"] == pytest.approx((4 / 5 + 3 / 4) / 2)
    assert MaskTally(said, truth).score(np.array([0.0, 1.0]))["miou"] == pytest.approx((0 + 3 / 4) / 2)


def test_confusion_counts_every_pixel_once():
    rng = np.random.default_rng(0)
    said, truth = rng.integers(0, 5, (2, 30, 20))
    counts = confusion(said, truth, 5)
    expected = [[np.sum((truth == row) & (said == column)) for column in range(5)] for row in range(5)]
    assert counts.tolist() == expected


def test_depth_by_hand():
    truth = np.array([[2.0, 4.0, SKY, 10.0]])
    said = np.array([[2.0, 5.0, 77.0, 7.0]])
    figures = DepthTally([said], [truth]).score(ONE)
    assert figures["abs_rel"] == pytest.approx((0 + 0.25 + 0.3) / 3), "the sky is left out"
    assert figures["rmse"] == pytest.approx(np.sqrt((0 + 1 + 9) / 3))
    assert figures["delta1"] == pytest.approx(1 / 3), "5/4 is not below 1.25, and 10/7 is above"


def test_depth_is_metric():
    truth = np.random.default_rng(0).uniform(1, 9, (1, 8, 8))
    figures = DepthTally(1.1 * truth, truth).score(ONE)
    assert figures["abs_rel"] == pytest.approx(0.1), "a wrong scale is an error"
    assert figures["delta1"] == 1


def test_depth_that_was_not_told_is_none_at_all():
    truth = np.full((1, 2, 2), 4.0)
    assert DepthTally([np.full((2, 2), np.nan)], truth).score(ONE) == {"abs_rel": 1, "rmse": 4, "delta1": 0}


def test_every_picture_counts_alike_and_empty_skies_not_at_all():
    truth = [np.array([[2.0]]), np.array([[4.0, 4.0, 4.0]]), np.array([[SKY]])]
    said = [np.array([[3.0]]), np.array([[4.0, 4.0, 4.0]]), np.array([[1.0]])]
    assert DepthTally(said, truth).score(np.ones(3))["abs_rel"] == pytest.approx(0.25)
    assert np.isnan(DepthTally(said[2:], truth[2:]).score(ONE)["rmse"])


def test_keypoints_by_hand():
    """The visible ones span 40 × 20 pixels: right means at most 4 away."""
    truth = {"head": (10, 10, 1), "hip": (30, 20, 1), "foot": (50, 30, 1), "hidden": (200, 200, 0)}
    said = {"head": (10, 14, 0), "hip": (33, 24, 1), "foot": (50, 30, 1), "hidden": (0, 0, 1)}
    figures = PoseTally([said], [truth]).score(ONE)
    assert figures == pytest.approx({"pck_0.1": 2 / 3, "pixel_error": (4 + 5 + 0) / 3})


def test_a_single_keypoint_shows_no_size():
    lone = {"head": (10, 10, 1), "foot": (0, 0, 0)}
    figures = PoseTally([{"head": (13, 14, 1)}], [lone]).score(ONE)
    assert np.isnan(figures["pck_0.1"]) and figures["pixel_error"] == 5
    assert np.isnan(PoseTally([{}], [{"foot": (0, 0, 0)}]).score(ONE)["pixel_error"])


def test_keypoints_of_all_pictures_are_pooled():
    whole = {str(i): (10.0 * i, 0.0, 1.0) for i in range(4)}
    pair = {"0": (0.0, 0.0, 1.0), "1": (10.0, 0.0, 1.0)}
    off = {name: (x + 2, y, 1.0) for name, (x, y, _) in pair.items()}  # limits: 3 pixels, and 1
    assert PoseTally([whole, off], [whole, pair]).score(np.ones(2))["pck_0.1"] == pytest.approx(4 / 6)


@pytest.mark.parametrize(
    ("counting", "said", "truth", "message"),
    [
        (MaskTally, np.zeros((2, 2), int), np.zeros((2, 3), int), r"masks of picture 0 are \(2, 2\)"),
        (MaskTally, np.full((2, 2), -1), np.zeros((2, 2), int), "mask of picture 0"),
        (MaskTally, np.zeros((2, 2)), np.zeros((2, 2), int), "mask of picture 0"),
        (DepthTally, np.ones((2, 2)), np.ones((2, 3)), "depths of picture 0"),
        (DepthTally, np.full((1, 1), np.inf), np.ones((1, 1)), "picture 0 is no length"),
        (DepthTally, np.ones((1, 1)), np.zeros((1, 1)), "picture 0 is no length"),
        (PoseTally, {}, {"hip": (1, 1, 1)}, '"hip" of picture 0'),
        (PoseTally, {"hip": (np.nan, 1, 1)}, {"hip": (1, 1, 1)}, '"hip" of picture 0'),
    ],
)
def test_what_cannot_be_compared_is_named(counting, said, truth, message):
    with pytest.raises(ValueError, match=message):
        counting([said], [truth])
