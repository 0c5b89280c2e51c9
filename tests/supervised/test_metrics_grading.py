"""Metrics of whole-image predictions, grading of all kinds, and bootstrap intervals by episode."""

from __future__ import annotations

import numpy as np
import pytest

from sim.records import Percept
from supervised.metrics import accumulate, grade, intervals
from supervised.metrics.answers import calibration_error, reliability, squares

START = "rnbqkbnr/pppppppp/8/8/8/8/PPPPPPPP/RNBQKBNR"


def labels(words, confidence=None):
    sure = [None] * len(words) if confidence is None else [np.array([c]) for c in confidence]
    return [Percept("model", label=word, scores=c) for word, c in zip(words, sure, strict=True)]


def captions(*words):
    return [Percept("model", caption=word) for word in words]


def boards(*fens):
    return [Percept("model", fen=fen) for fen in fens]


def parse(caption):
    """``"ball left, lives 3"`` as facts."""
    return dict(part.split() for part in caption.split(", "))


def test_reliability_by_hand():
    confidence = np.array([0.0, 0.2, 0.21, 0.95, 1.0])
    right = np.array([False, True, False, True, True])
    rows = reliability(confidence, right, bins=5)
    assert [(round(row.low, 1), round(row.high, 1)) for row in rows] == [(0, 0.2), (0.2, 0.4), (0.8, 1)]
    assert [row.share for row in rows] == pytest.approx([0.4, 0.2, 0.4])
    assert [row.confidence for row in rows] == pytest.approx([0.1, 0.21, 0.975])
    assert [row.accuracy for row in rows] == pytest.approx([0.5, 0, 1])
    assert calibration_error(rows) == pytest.approx(0.4 * 0.4 + 0.2 * 0.21 + 0.4 * 0.025)


def test_honest_confidence_is_calibrated():
    rng = np.random.default_rng(0)
    confidence = rng.random(40_000)
    right = rng.random(40_000) < confidence
    assert calibration_error(reliability(confidence, right)) < 0.02
    assert calibration_error(reliability(confidence, rng.random(40_000) < confidence**3)) > 0.2


def test_labels():
    truth = labels(["pong", "pong", "tennis", "boxing"])
    assert grade("label", labels(["pong", "tennis", "tennis", "boxing"]), truth) == {"top1": 0.75}
    sure = labels(["pong", "pong", "tennis", "pong"], [0.8, 0.8, 0.8, 0.8])
    assert grade("label", sure, truth) == pytest.approx({"top1": 0.75, "ece": 0.05})


def test_boards_are_compared_by_squares():
    assert squares(START)[:9] == "rnbqkbnrp" and squares(START)[16:48] == "." * 32
    truth = boards(f"{START} w KQkq - 0 1", START)
    assert grade("fen", boards(START, f"{START} b - - 3 9"), truth) == {"exact": 1, "accuracy": 1}
    queenless = START.replace("Q", "1")
    assert grade("fen", boards(queenless, "8/8"), truth) == {"exact": 0, "accuracy": 63 / 128}


@pytest.mark.parametrize(
    "fen", ["", "8/8", f"{START}/8", START.replace("8", "9", 1), START.replace("q", "x")]
)
def test_what_is_no_board_is_refused_in_truth(fen):
    with pytest.raises(ValueError, match="is no board"):
        grade("fen", boards(START), boards(fen))


def test_captions_are_right_when_they_say_the_same():
    truth = captions("ball left, lives 3", "ball right, lives 2", "ball left, lives 1")
    said = captions("lives 3, ball left", "ball right, lives 1", "no sentence at all")
    assert grade("caption", said, truth, parse=parse) == pytest.approx(
        {"state_exact": 1 / 3, "accuracy": 0.5}
    )
    more = captions("ball left, lives 3, bricks 9", *("ball left",) * 2)
    assert grade("caption", more, truth, parse=parse)["state_exact"] == 0, "an invented fact is an error"
    with pytest.raises(ValueError):
        grade("caption", truth, said, parse=parse)


PERFECT = {
    "boxes": (Percept("truth", boxes=np.array([[0, 0, 4, 4]]), labels=("ball",)), {"ap": 1, "ap50": 1}),
    "mask": (Percept("truth", mask=np.array([[0, 1]])), {"miou": 1}),
    "depth": (Percept("truth", depth=np.array([[2.0]])), {"abs_rel": 0, "rmse": 0, "delta1": 1}),
    "keypoints": (
        Percept("truth", keypoints={"head": (0, 0, 1), "foot": (0, 9, 1)}),
        {"pck_0.1": 1, "pixel_error": 0},
    ),
    "label": (Percept("truth", label="pong"), {"top1": 1}),
    "fen": (Percept("truth", fen=START), {"exact": 1, "accuracy": 1}),
    "caption": (Percept("truth", caption="lives 3"), {"state_exact": 1, "accuracy": 1}),
}


@pytest.mark.parametrize("kind", PERFECT)
def test_truth_grades_itself_perfect(kind):
    percept, figures = PERFECT[kind]
    assert grade(kind, [percept] * 3, [percept] * 3, parse=parse) == pytest.approx(figures)
    blind = Percept("model")
    for pair in (([percept, blind], [percept] * 2), ([percept] * 2, [percept, blind])):
        with pytest.raises(ValueError, match="picture 1"):
            grade(kind, *pair, parse=parse)


def test_figures_without_a_meaning_are_left_out():
    empty = [Percept("truth", boxes=np.zeros((0, 4)))]
    assert grade("boxes", empty, empty) == {}


@pytest.mark.parametrize(
    ("kind", "predicted", "message"),
    [
        ("smell", labels(["pong"]), 'no "smell" to grade; they have boxes, mask'),
        ("label", [], "0 percepts cannot be graded by 1"),
        ("caption", captions("lives 3"), "give a parser"),
    ],
)
def test_wrong_requests_are_named(kind, predicted, message):
    with pytest.raises(ValueError, match=message):
        grade(kind, predicted, [Percept("truth", label="pong", caption="lives 3")])


def test_neighbours_of_one_episode_are_one_piece_of_evidence():
    """50 copies of 8 answers leave the interval where 8 answers have it."""
    right = [True] * 5 + [False] * 3
    few = labels(["pong" if hit else "tennis" for hit in right])
    truth = [Percept("truth", label="pong")]
    alone = intervals(accumulate("label", few, truth * 8), range(8))["top1"]
    many = [answer for answer in few for _ in range(50)]
    counted = accumulate("label", many, truth * 400)
    together = intervals(counted, np.repeat(np.arange(8), 50).tolist())["top1"]
    apart = intervals(counted, range(400))["top1"]
    assert together == alone
    assert together[0] < 0.625 < together[1]
    assert apart[1] - apart[0] < 0.3 * (together[1] - together[0])


def test_intervals_have_the_width_of_theory():
    """Of n independent answers with share p: ±1.96 √(p (1 − p) / n)."""
    words = labels(["pong"] * 120 + ["tennis"] * 80)
    low, high = intervals(accumulate("label", words, labels(["pong"] * 200)), range(200), 4_000)["top1"]
    width = 1.96 * np.sqrt(0.6 * 0.4 / 200)
    assert (low, high) == pytest.approx((0.6 - width, 0.6 + width), abs=0.01)


def test_every_figure_has_an_interval_around_it():
    rng = np.random.default_rng(1)
    box = np.array([[0.0, 0.0, 20.0, 20.0]])
    truth = [Percept("truth", boxes=box, labels=("ball",)) for _ in range(30)]
    said = [
        Percept("model", boxes=box + rng.normal(0, 2, (1, 4)), labels=("ball",), scores=rng.random(1))
        for _ in range(30)
    ]
    figures = grade("boxes", said, truth)
    ends = intervals(accumulate("boxes", said, truth), [i // 3 for i in range(30)], 200)
    assert set(ends) == set(figures) == {"ap", "ap50"}
    assert all(ends[name][0] <= figures[name] <= ends[name][1] for name in figures)
    assert ends["ap"][0] < ends["ap"][1]


def test_resamples_without_a_meaning_are_left_out():
    """One of two episodes shows no ball: drawn twice it has no precision."""
    ball = Percept("truth", boxes=np.array([[0, 0, 4, 4]]), labels=("ball",))
    empty = Percept("truth", boxes=np.zeros((0, 4)))
    assert intervals(accumulate("boxes", [ball, empty], [ball, empty]), "ab", 50) == {
        "ap": (1, 1),
        "ap50": (1, 1),
    }
    assert intervals(accumulate("boxes", [empty] * 2, [empty] * 2), "ab", 50) == {}


def test_one_episode_tells_nothing_about_others():
    counted = accumulate("label", labels(["pong"]), labels(["pong"]))
    assert intervals(counted, ["only"]) == {}
    with pytest.raises(ValueError, match="2 groups are not one for each of 1"):
        intervals(counted, ["one", "two"])
