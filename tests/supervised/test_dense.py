"""Segmenter, depth and pose: exact scaling, losses worked out by hand, and learning on drawn squares."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from sim.records import Budget, Percept
from supervised.data.dataset import Dataset
from supervised.metrics.grading import grade
from supervised.vision import dense
from supervised.vision.dense import DenseExamples, Grid, inputs_of
from supervised.vision.depth import MIDDLE, Depth, depth_loss, metres
from supervised.vision.pose import Pose, joints, peaks, pose_loss
from supervised.vision.segmenter import Segmenter, parts, segmentation_loss
from supervised.vision.unet import UNet, pixel_shuffle

SIDE = 32
PLAIN = Grid((SIDE, SIDE), (SIDE, SIDE))


class Said(torch.nn.Module):
    """A network that says what it was given."""

    def __init__(self, maps):
        super().__init__()
        self.maps = maps

    def forward(self, x):
        return self.maps


def folded(maps):
    """The inverse of `pixel_shuffle`."""
    return torch.nn.functional.pixel_unshuffle(maps, 2)


def black(count, side=SIDE):
    return torch.zeros(count, side, side, 3, dtype=torch.uint8)


def squares(count, seed):
    """Pictures of a bright square on dark ground: its pixels, how far it is (small is far), its two ends."""
    generator = np.random.default_rng(seed)
    rgb, truths = np.zeros((count, SIDE, SIDE, 3), np.uint8), []
    for picture in rgb:
        side = int(generator.integers(6, 16))
        x, y = generator.integers(0, SIDE - side, 2)
        picture[:] = generator.integers(0, 60)
        picture[y : y + side, x : x + side] = generator.integers(150, 256, 3)
        mask = np.zeros((SIDE, SIDE), np.uint8)
        mask[y : y + side, x : x + side] = 1
        depth = np.where(mask, np.float32(40 / side), np.float32(10))
        depth[:4] = np.nan
        ends = {"top": (x + side / 2, float(y), 1.0), "foot": (x + side / 2, float(y + side), 1.0)}
        truths.append(Percept("truth", mask=mask, depth=depth.astype(np.float32), keypoints=ends))
    return Dataset(values=rgb, truths=tuple(truths), episodes=np.arange(count))


def test_a_cells_channels_become_its_four_pixels():
    maps = torch.arange(2 * 2 * 6 * 4.0).view(1, 2, 12, 4)
    assert torch.equal(pixel_shuffle(folded(maps)), maps)


def test_every_pixel_of_a_u_net_sees_all_of_a_picture():
    torch.manual_seed(0)  # of weights and pictures: by chance the far end can round to nothing
    net = UNet(3, 4, 2, levels=5)
    x = torch.randn(1, 3, 64, 64, requires_grad=True)
    net(x)[0, 0, 0, 0].backward()
    assert x.grad[0, :, -4:, -4:].abs().max() > 0 and net.divisor == 32
    shallow = UNet(3, 4, 2, levels=2)
    x = torch.randn(1, 3, 64, 64)
    moved = x.clone()
    moved[..., -8:, -8:] = 5
    near, far = (shallow(both)[0, 0, 0, 0] for both in (x, moved))
    assert shallow(x).shape == (1, 2, 32, 32)
    assert not torch.equal(near, far), "normalisation alone carries something that far"


def test_height_is_one_above_and_minus_one_below():
    x = inputs_of(black(1, 40))
    assert x.shape == (1, 4, 64, 64)
    assert x[0, 3, 0, 0] == 1 and x[0, 3, 39, 5] == -1 and not x[0, 3, 40:].any()


def test_a_picture_twice_as_large_is_seen_alike():
    seer = dense.Dense(dense.DenseConfig(channels=4), 3, seed=0, device="cpu")
    rgb = np.random.default_rng(0).integers(0, 256, (128, 96, 3), dtype=np.uint8)
    small, scaled = seer.maps(rgb[None])
    large, same = seer.maps(rgb.repeat(2, 0).repeat(2, 1)[None])
    assert torch.equal(small, large) and scaled == same == (128, 96)


def test_a_coarser_look_has_truths_to_match():
    views, rows = squares(8, 0), np.arange(8)
    half = SIDE // 2
    drawn = DenseExamples(views, parts, half, mirror=False).batch(rows, np.random.default_rng(0))
    assert drawn["rgb"].shape == (8, half, half, 3)
    assert np.array_equal(drawn["rgb"].max(3) >= 150, drawn["mask"] == 1)
    ends = DenseExamples(views, joints, half, mirror=False).batch(rows, np.random.default_rng(0))["points"]
    true = np.array([list(truth.keypoints.values()) for truth in views.truths])
    assert np.allclose(ends[..., :2] * 2, true[..., :2]) and np.array_equal(ends[..., 2], true[..., 2])


def test_joints_are_told_in_the_pictures_own_pixels():
    model = Pose(channels=4).build(("hip", "knee"), seed=0)
    rgb = np.random.default_rng(0).integers(0, 256, (128, 96, 3), dtype=np.uint8)
    one, two = model.perceive([rgb, rgb.repeat(3, 0).repeat(3, 1)])
    for name, (x, y, visible) in one.keypoints.items():
        assert two.keypoints[name] == pytest.approx((3 * x, 3 * y, visible), abs=1e-3)


def test_every_second_picture_is_mirrored_with_its_truth():
    views = squares(64, 0)
    rows = np.arange(64)
    drawn = DenseExamples(views, parts, SIDE, mirror=True).batch(rows, np.random.default_rng(0))
    turned = [not np.array_equal(a, b) for a, b in zip(drawn["rgb"], views.values, strict=True)]
    assert 16 < sum(turned) < 48
    bright = drawn["rgb"].max(3) >= 150
    assert np.array_equal(bright, drawn["mask"] == 1), "pictures and masks are turned together"
    plain = DenseExamples(views, parts, SIDE, mirror=False).batch(rows, np.random.default_rng(0))
    assert np.array_equal(plain["rgb"], views.values)


def test_segmentation_loss_by_hand():
    mask = torch.zeros(1, SIDE, SIDE, dtype=torch.int64)
    mask[:, :, : SIDE // 2] = 1
    batch = {"rgb": black(1), "mask": mask}
    sure = 50 * torch.nn.functional.one_hot(mask, 3).permute(0, 3, 1, 2).float()
    loss, _ = segmentation_loss(Said(folded(sure)), batch)
    assert loss == pytest.approx(0, abs=1e-5)
    loss, figures = segmentation_loss(Said(folded(torch.zeros(1, 3, SIDE, SIDE))), batch)
    assert figures["pixels"] == pytest.approx(math.log(3))
    # A third of each pixel for each class: 2 · (1/3 · 1/2) / (1/3 + 1/2) of the picture is common to both.
    assert figures["overlap"] == pytest.approx(1 - (2 / 6) / (5 / 6))


def test_depth_loss_is_the_relative_error_where_there_is_a_depth():
    depth = torch.full((1, SIDE, SIDE), 4.0)
    depth[:, :8] = torch.nan
    said = torch.full((1, 2, SIDE, SIDE), math.log(4.4) - MIDDLE)
    said[:, 1] = -50.0
    said[:, 1, :8] = 50.0
    said[:, 0, :8] = 99.0  # in the sky no depth counts
    loss, figures = depth_loss(Said(folded(said)), {"rgb": black(1), "depth": depth})
    assert figures["log_error"] == pytest.approx(math.log(1.1), abs=1e-5)
    assert loss == pytest.approx(math.log(1.1), abs=1e-5)


def test_the_peak_of_a_heat_map_lies_between_cells():
    y, x = np.mgrid[:16, :16] + 0.5
    for place in ((5.2, 9.9), (7.5, 7.5), (12.0, 3.7)):
        heat = np.exp(-((x - place[0]) ** 2 + (y - place[1]) ** 2) / 2)
        found = peaks(torch.tensor(heat / heat.sum())[None])[0]
        assert found.numpy() == pytest.approx(place, abs=0.06)


def test_pose_loss_is_least_at_the_truth_and_knows_mirrored_pictures():
    truth = [Percept("truth", keypoints={"knee": (9.0, 21.0, 1.0)})]
    losses = {}
    for mirrored in (False, True):
        batch = joints(truth, np.array([mirrored]), PLAIN)
        batch = {"rgb": black(1)} | {name: torch.from_numpy(array) for name, array in batch.items()}
        for at in (9, SIDE - 9):
            maps = torch.full((1, 2, SIDE // 2, SIDE // 2), -5.0)
            maps[0, 0, 10, at // 2] = 9.0
            maps[0, 1] = 9.0
            losses[mirrored, at] = float(pose_loss(Said(maps), batch)[0])
    assert losses[False, 9] == pytest.approx(losses[True, SIDE - 9])
    assert losses[False, 9] < losses[False, SIDE - 9] and losses[True, SIDE - 9] < losses[True, 9]


def test_a_joint_out_of_the_picture_is_not_looked_for():
    truth = [Percept("truth", keypoints={"knee": (9.0, 9.0, 1.0), "toe": (-30.0, 500.0, 0.0)})]
    batch = {name: torch.from_numpy(array) for name, array in joints(truth, np.array([False]), PLAIN).items()}
    maps = torch.zeros(1, 4, SIDE // 2, SIDE // 2, requires_grad=True)
    loss, _ = pose_loss(Said(maps), {"rgb": black(1)} | batch)
    loss.backward()
    assert maps.grad[0, 0].abs().max() > 0 and not maps.grad[0, 1].any()


@pytest.fixture(scope="module")
def drawn():
    """Squares to learn from, and others to be graded on."""
    return squares(256, 0), squares(32, 1)


def learned(config, train, validation, updates):
    model = config.build(("ground", "square") if config.tells == "mask" else ("top", "foot"), seed=0)
    fit = model.fit(train, validation, seed=0)
    for _ in fit.learn(Budget(updates=updates)):
        pass
    truths = list(validation.truths)
    return grade(config.tells, model.perceive(list(validation.values)), truths)


def test_parts_are_learned(drawn):
    config = Segmenter(height=SIDE, channels=8, learning_rate=1e-2, batch_size=8)
    assert learned(config, *drawn, updates=60)["miou"] > 0.75  # ground alone: 0.47


def test_depths_are_learned(drawn):
    config = Depth(height=SIDE, channels=8, learning_rate=5e-3, batch_size=8)
    assert learned(config, *drawn, updates=120)["abs_rel"] < 0.12  # one depth for all: 0.4 and more


def test_joints_are_learned(drawn):
    config = Pose(height=SIDE, channels=8, learning_rate=1e-2, batch_size=8)
    assert learned(config, *drawn, updates=60)["pixel_error"] < 1.5


def test_bad_keys_are_refused():
    for keys in ({"channels": 6}, {"views": 0}, {"batch_size": 0}, {"learning_rate": 0.0}, {"height": 8}):
        with pytest.raises(ValueError, match=next(iter(keys))):
            Segmenter(**keys)


def test_depths_are_mirrored_with_their_pictures():
    views = squares(2, 3)
    both = metres(views.truths, np.array([False, True]), PLAIN)["depth"]
    assert np.array_equal(both[1], views.truths[1].depth[:, ::-1], equal_nan=True)
    assert np.array_equal(both[0], views.truths[0].depth, equal_nan=True)
