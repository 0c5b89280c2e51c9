"""The detector: its targets and losses by hand, its decoding as their inverse, learning."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from sim.records import Budget, Percept
from supervised.data.dataset import Dataset
from supervised.vision.detector import (
    Detector,
    DetectorExamples,
    detection_loss,
    from_rgb,
    generalized_iou,
    position_encoding,
)

CLASSES = ("red", "green")
COLOURS = {"red": (230, 40, 40), "green": (40, 200, 60)}


def views(truths, size=(32, 40), rgb=None):
    rgb = np.zeros((len(truths), *size, 3), np.uint8) if rgb is None else rgb
    return Dataset(values=rgb, truths=tuple(truths), episodes=np.arange(len(truths)))


def truth(*things):
    boxes = np.array([box for _, box in things], np.float32).reshape(-1, 4)
    return Percept(origin="truth", boxes=boxes, labels=tuple(name for name, _ in things))


def squares(n, seed):
    """Pictures with up to three coloured rectangles that do not touch, on noise."""
    generator = np.random.default_rng(seed)
    rgb = generator.integers(0, 60, (n, 32, 40, 3), dtype=np.uint8)
    truths = []
    for picture in rgb:
        things = []
        for place in generator.permutation(4)[: generator.integers(1, 4)]:
            x, y = 20 * (place % 2) + generator.integers(1, 8), 16 * (place // 2) + generator.integers(1, 6)
            w, h = generator.integers(4, 11), generator.integers(4, 9)
            name = CLASSES[generator.integers(2)]
            picture[y : y + h, x : x + w] = COLOURS[name]
            things.append((name, (x, y, x + w, y + h)))
        truths.append(truth(*things))
    return views(truths, rgb=rgb)


def test_targets_by_hand():
    batch = DetectorExamples(views([truth(("green", (4, 10, 10, 14)))]), CLASSES).batch(np.array([0]), None)
    centre, reach = batch["centre"][0], batch["reach"][0]
    assert centre.shape == (2, 16, 20) and not centre[0].any()
    assert np.argwhere(centre[1] == 1).tolist() == [[6, 3]]  # the middle (7, 12) lies in cell (3, 6)
    assert (centre[1] == 2).sum() == 8
    assert reach[:, 6, 3].tolist() == [3.0, 3.0, 3.0, 1.0]  # from the cell's middle (7, 13)
    assert reach[:, 6, 4].tolist() == [5.0, 3.0, 1.0, 1.0], "the cell to the right knows the same box"
    assert np.count_nonzero(reach.any(0)) == 9


def test_of_two_close_things_each_cell_knows_the_nearer():
    """Centres (7, 9) and (11, 9) lie two cells apart."""
    left, right = (5, 6, 9, 12), (9, 6, 13, 12)
    for things in ((left, right), (right, left)):
        batch = DetectorExamples(views([truth(*(("red", box) for box in things))]), CLASSES).batch(
            np.array([0]), None
        )
        centre, reach = batch["centre"][0, 0], batch["reach"][0]
        assert np.argwhere(centre == 1).tolist() == [[4, 3], [4, 5]], (
            "a neighbour does not take a centre's cell"
        )
        for column, (x0, y0, x1, y1) in ((3, left), (5, right), (2, left), (6, right)):
            x, y = 2 * column + 1, 9
            assert reach[:, 4, column].tolist() == [x - x0, y - y0, x1 - x, y1 - y]
    near = truth(("red", (5, 6, 9, 12)), ("red", (8, 6, 12, 12)))  # the second one's centre is (10, 9)
    reach = DetectorExamples(views([near]), CLASSES).batch(np.array([0]), None)["reach"][0]
    assert reach[:, 4, 4].tolist() == [1.0, 3.0, 3.0, 3.0], "the cell (9, 9) is nearer to the second"


def test_waves_tell_pixels_apart():
    told = position_encoding(torch.zeros(1, 3, 40, 48))[0]  # (24, 40, 48)
    each = told.flatten(1).T
    assert torch.cdist(each, each).add(torch.eye(len(each))).min() > 0.1
    assert told[:, 0, 0].tolist() == [0.0] * 6 + [1.0] * 6 + [0.0] * 6 + [1.0] * 6
    assert torch.allclose(told[12, 0, ::8], torch.zeros(6), atol=1e-5), "a wave of 8 pixels"


def test_in_the_middle_of_one_colour_only_positions_tell_cells_apart():
    plain = torch.full((1, 256, 256, 3), 90, dtype=torch.uint8)
    for positions, differ in ((False, False), (True, True)):
        network = Detector(channels=4, positions=positions).build(CLASSES, seed=0).network
        with torch.no_grad():
            middle = network(from_rgb(plain))[0, :, 60:68, 60:68]
        assert (middle.std((1, 2)).max().item() > 1e-4) == differ


def test_a_picture_without_things_has_no_centres():
    batch = DetectorExamples(views([truth()]), CLASSES).batch(np.array([0]), None)
    assert not batch["centre"].any() and not batch["reach"].any()


def test_a_lone_thing_counts_as_much_as_all_of_a_crowd():
    """With one red thing or eight of the same, the green one's share of the gradient is the same."""
    shares = []
    for crowd in (1, 8):
        red = [
            ("red", (10 * (i % 4), 8 * (i // 4), 10 * (i % 4) + 4, 8 * (i // 4) + 4)) for i in range(crowd)
        ]
        batch = DetectorExamples(views([truth(*red, ("green", (20, 24, 26, 30)))]), CLASSES).batch(
            np.array([0]), None
        )
        out = torch.zeros(1, 6, 16, 20, requires_grad=True)
        tensors = {name: torch.from_numpy(value) for name, value in batch.items()}
        loss, _ = detection_loss(lambda x, out=out: out, tensors)
        (gradient,) = torch.autograd.grad(loss, out)
        shares.append(gradient[0, 1, 13, 11].item())
    assert shares[0] == pytest.approx(shares[1]) and shares[0] < 0


def test_generalized_iou_by_hand():
    two_by_two = torch.tensor([[1.0, 1.0, 1.0, 1.0]])
    right_half = torch.tensor([[0.0, 1.0, 1.0, 1.0]])
    assert generalized_iou(two_by_two, two_by_two).item() == 1.0
    assert generalized_iou(right_half, two_by_two).item() == 0.5
    apart = torch.tensor(
        [[-2.0, 1.0, 4.0, 1.0]]
    )  # from 2 to 4, beside −1 to 1: one fifth of the hull is empty
    assert generalized_iou(apart, two_by_two).item() == pytest.approx(-0.2)


def test_what_decodes_ideal_answers_gives_the_truth_back():
    things = (("red", (3, 5, 6, 11)), ("green", (20, 8, 36, 26)), ("red", (12, 0, 14, 2)))
    batch = DetectorExamples(views([truth(*things)]), CLASSES).batch(np.array([0]), None)
    model = Detector().build(CLASSES, seed=0)
    logits = torch.full((1, 6, 16, 20), -9.0)
    logits[:, :2][torch.from_numpy(batch["centre"]) == 1] = 9.0
    left, up, right, down = torch.from_numpy(batch["reach"][0])
    sizes = torch.stack([left + right, up + down]).clamp(min=1e-3)
    logits[0, 2:] = torch.cat([torch.stack([right - left, down - up]) / 2, sizes.log()])
    model.network = lambda x: logits
    percept = model.perceive([np.zeros((32, 40, 3), np.uint8)])[0]
    found = sorted(zip(percept.labels, percept.boxes.round(3).tolist(), strict=True))
    assert found == sorted((name, [float(v) for v in box]) for name, box in things)
    assert (percept.scores > 0.99).all()


@pytest.mark.parametrize("seed", [0, pytest.param(1, marks=pytest.mark.slow)])
def test_it_learns_to_find_coloured_rectangles(seed):
    model = Detector(channels=8, learning_rate=1e-2, batch_size=16).build(CLASSES, seed=seed)
    fit = model.fit(squares(256, 1), squares(32, 2), seed=seed)
    for _ in fit.learn(Budget(updates=200)):
        pass
    held_out = squares(40, 3)
    hits = wrong = things = 0
    for percept, wanted in zip(model.perceive(list(held_out.values)), held_out.truths, strict=True):
        things += len(wanted.labels)
        for label, box in zip(percept.labels, percept.boxes, strict=True):
            near = np.abs(wanted.boxes - box).max(1) < 1.5
            right = near & (np.array(wanted.labels) == label)
            hits, wrong = hits + right.sum(), wrong + (not right.any())
    assert hits / things > 0.9 and wrong / things < 0.1


def test_pictures_of_any_size_are_looked_at():
    model = Detector(channels=4).build(CLASSES, seed=0)
    for size in ((1, 1), (7, 13), (210, 160)):
        percept = model.perceive([np.full((*size, 3), 128, np.uint8)])[0]
        assert (percept.boxes <= np.tile(size[::-1], 2)).all() and percept.origin == "model"


def test_weights_are_given_and_taken():
    one, other = Detector().build(CLASSES, seed=0), Detector().build(CLASSES, seed=1)
    picture = squares(1, 0).values[0][None].astype(np.uint8)
    other.load_weights(one.weights())
    with torch.no_grad():
        x = from_rgb(torch.from_numpy(picture))
        assert torch.equal(one.network(x), other.network(x))
    with pytest.raises(ValueError, match="shape"):
        Detector(channels=8).build(CLASSES, seed=0).load_weights(one.weights())


@pytest.mark.parametrize(("field", "value"), [("channels", 0), ("threshold", 1.0), ("learning_rate", 0.0)])
def test_values_out_of_range_are_refused_by_name(field, value):
    with pytest.raises(ValueError, match=field):
        Detector(**{field: value})
