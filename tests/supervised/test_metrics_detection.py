"""Average precision: by hand, against faster-coco-eval, and under weights."""

from __future__ import annotations

import numpy as np
import pytest

from sim.records import Percept
from supervised.metrics.detection import MAX_DETS, BoxTally, match_boxes, overlaps

CLASSES = ("ball", "brick", "player", "ghost")


def percept(rows):
    """Rows of (label, box) or (label, box, score)."""
    boxes = np.array([row[1] for row in rows], np.float32).reshape(-1, 4)
    scores = np.array([row[2] for row in rows]) if rows and len(rows[0]) > 2 else None
    return Percept("model", boxes=boxes, labels=tuple(row[0] for row in rows), scores=scores)


def score(predicted, truth, **options):
    return BoxTally(predicted, truth, **options).score(np.ones(len(truth)))


def test_overlap_by_hand():
    boxes = np.array([[0, 0, 4, 4], [2, 2, 6, 6], [4, 0, 8, 4], [1, 1, 1, 5]])
    assert overlaps(boxes[:1], boxes).tolist() == [[1, 4 / 28, 0, 0]]


def test_a_box_takes_the_best_free_one():
    overlap = np.array([[0.9, 0.6], [0.8, 0.55], [0.7, 0.0]])
    hits = match_boxes(overlap)
    assert hits[0].tolist() == [True, True, False], "the second must do with .55, the third finds all taken"
    assert hits[2].tolist() == [True, False, False], "at .6 the second finds none"
    assert hits[9].tolist() == [False] * 3


def test_precision_by_hand():
    """Right, wrong, right, of two true boxes: precision 1 up to recall ½, and 2/3 from there."""
    here, there, nowhere = (0, 0, 10, 10), (50, 0, 60, 10), (0, 50, 10, 60)
    truth = [percept([("ball", here), ("ball", there)])]
    said = [percept([("ball", here, 0.9), ("ball", nowhere, 0.8), ("ball", there, 0.7)])]
    expected = (51 + 50 * 2 / 3) / 101
    assert score(said, truth) == pytest.approx({"ap": expected, "ap50": expected})


def test_truth_itself_is_perfect_and_nothing_is_worthless():
    rng = np.random.default_rng(0)
    truth, _ = pictures(rng, 5)
    assert score(truth, truth) == pytest.approx({"ap": 1, "ap50": 1})
    assert score([percept([])] * 5, truth) == {"ap": 0, "ap50": 0}
    assert np.isnan(score(truth, [percept([])] * 5)["ap"]), "precision of nothing has no meaning"


def test_all_bricks_of_breakout_count():
    bricks = [
        (8 + 8 * (i % 18), 57 + 6 * (i // 18), 16 + 8 * (i % 18), 63 + 6 * (i // 18)) for i in range(108)
    ]
    truth = [percept([("brick", box) for box in bricks])]
    assert score(truth, truth)["ap"] == pytest.approx(1)
    assert score(truth, truth, max_dets=54)["ap"] == pytest.approx(51 / 101), "half of them is recall ½"


def test_of_equal_overlaps_the_last_is_taken():
    """As the oracle does it: the sure box takes the second true one, and leaves the other box the worse."""
    truth = [percept([("ball", (0, 0, 10, 10)), ("ball", (2, 0, 12, 10))])]
    said = [percept([("ball", (1, 0, 11, 10), 0.9), ("ball", (2, 0, 12, 10), 0.5)])]
    half = 51 / 101  # up to .65 both are right, up to .8 the sure one, and beyond only the other
    expected = {"ap": (4 + 3 * half + 3 * half / 2) / 10, "ap50": 1}
    assert score(said, truth) == pytest.approx(expected)
    assert oracle(said, truth) == pytest.approx(expected)


def test_by_class_knows_the_bad_one():
    box, other = (0, 0, 8, 8), (20, 20, 28, 28)
    truth = [percept([("ball", box), ("brick", other)])]
    tally = BoxTally([percept([("ball", box, 0.5), ("ghost", other, 0.9)])], truth)
    rows = tally.by_class(np.ones(1))
    assert {name: row["ap"] for name, row in rows.items()} == {"ball": 1, "brick": 0}
    assert tally.score(np.ones(1))["ap"] == 0.5, "a class that the truth never shows is left out"


def test_weights_are_repetitions():
    rng = np.random.default_rng(3)
    truth, said = pictures(rng, 8, ties=False)
    weights = rng.integers(0, 4, size=8)
    again = np.repeat(np.arange(8), weights)
    repeated = score([said[i] for i in again], [truth[i] for i in again])
    assert BoxTally(said, truth).score(weights.astype(float)) == pytest.approx(repeated)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (Percept("model", boxes=np.zeros((2, 4)), labels=("ball",)), "picture 1 has 2 boxes, 1 labels"),
        (percept([("ball", (0, 0, 1, np.nan), 0.5)]), "picture 1 has a box or a score that is not finite"),
    ],
)
def test_boxes_that_do_not_fit_are_named(wrong, message):
    with pytest.raises(ValueError, match=message):
        BoxTally([percept([]), wrong], [percept([])] * 2)


def pictures(rng, count, ties=True):
    """Random truth and predictions: jittered, doubled, missed, invented; pictures and classes left empty."""
    truth, said = [], []
    for _ in range(count):
        rows, guesses = [], []
        for _ in range(rng.integers(0, 9)):
            corner, size = rng.integers(0, 100, 2), rng.integers(4, 40, 2)
            label = str(rng.choice(CLASSES[:3]))
            rows.append((label, (*corner, *(corner + size))))
            for _ in range(rng.integers(0, 3)):
                low, high = corner + rng.integers(-3, 4, 2), corner + size + rng.integers(-3, 4, 2)
                guesses.append((label if rng.random() < 0.9 else "ghost", (*low, *np.maximum(high, low + 1))))
        for _ in range(rng.integers(0, 3)):
            corner = rng.integers(0, 100, 2)
            guesses.append((str(rng.choice(CLASSES)), (*corner, *(corner + 10))))
        scores = rng.integers(1, 6, len(guesses)) / 5 if ties else rng.random(len(guesses))
        truth.append(percept(rows))
        said.append(percept([(*row, float(sure)) for row, sure in zip(guesses, scores, strict=True)]))
    return truth, said


def oracle(said, truth):
    """COCO's AP and AP@.5 by faster-coco-eval."""
    coco = pytest.importorskip("faster_coco_eval", reason="the oracle; pip install faster-coco-eval")
    annotations, results = [], []
    for image, (real, told) in enumerate(zip(truth, said, strict=True)):
        for rows, percept_ in ((annotations, real), (results, told)):
            scores = np.ones(len(percept_.labels)) if percept_.scores is None else percept_.scores
            for box, label, sure in zip(percept_.boxes.tolist(), percept_.labels, scores, strict=True):
                x0, y0, x1, y1 = box
                row = {"image_id": image + 1, "category_id": CLASSES.index(label) + 1, "score": float(sure)}
                row |= {"bbox": [x0, y0, x1 - x0, y1 - y0], "area": (x1 - x0) * (y1 - y0)}
                rows.append(row | {"id": len(rows) + 1, "iscrowd": 0})
    true = coco.COCO(
        {
            "images": [{"id": image + 1, "width": 200, "height": 200} for image in range(len(truth))],
            "categories": [{"id": number + 1, "name": name} for number, name in enumerate(CLASSES)],
            "annotations": annotations,
        }
    )
    evaluation = coco.COCOeval_faster(true, true.loadRes(results), iouType="bbox")
    evaluation.params.maxDets = [1, 10, MAX_DETS]
    evaluation.evaluate()
    evaluation.accumulate()
    precision = evaluation.eval["precision"][
        :, :, :, 0, -1
    ]  # (10, 101, classes), −1 for classes without truth
    shown = precision.min(axis=(0, 1)) >= 0
    return {"ap": precision[..., shown].mean(), "ap50": precision[0][:, shown].mean()}


@pytest.mark.parametrize("ties", [True, False])
@pytest.mark.parametrize("seed", range(12))
def test_it_agrees_with_the_oracle(seed, ties):
    truth, said = pictures(np.random.default_rng(seed), 1 + 2 * seed, ties)
    truth[0], said[-1] = (percept([]), percept([])) if seed else (truth[0], said[-1])
    if not any(told.labels for told in said):
        said[0] = percept([("ghost", (0, 0, 5, 5), 0.5)])  # the oracle wants at least one box
    assert score(said, truth) == pytest.approx(oracle(said, truth), abs=1e-9)
