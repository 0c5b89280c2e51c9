"""Objects of samples counted in the evaluation: the share, its interval, real examples beside it."""

from types import SimpleNamespace

import numpy as np
import pytest

from generative.metrics import Grade
from generative.metrics.pong_objects import COURT, OBJECTS
from scenes.data.sampler_data import DataSplit
from scenes.evaluation.sample_scoring import SampleScorer
from scenes.evaluation.samplers import COUNTED, grade_beside_objects, objects_line
from sim.records import SampleOptions, Samples
from supervised.data.columns import LabelColumn
from supervised.data.dataset import Dataset

OPTIONS, NOTHING = SampleOptions(10, None, 1.0), Grade({}, {}, {})


def frames(n, complete):
    """`n` frames of Pong of which the first `complete` have a ball."""
    values = np.full((n, 64, 64, 3), COURT, np.uint8)
    values[:, 20:25, 56], values[:, 40:45, 7] = OBJECTS["player"], OBJECTS["enemy"]
    values[:complete, 30, 30] = OBJECTS["ball"]
    return values


def scorer_of(data, *names):
    """A scorer of ten real frames, half of each class; of eight a ball is seen."""
    real = Dataset(values=frames(10, 8), labels=LabelColumn(np.arange(10) * len(names) // 10, names))
    parts = DataSplit(real.take(np.arange(5, 10)), real.take(np.arange(5)), real.spec())
    return SampleScorer(data, parts, "cpu")


@pytest.mark.parametrize(
    ("data", "names", "asked", "real"),
    [("frames/pong", ("pong",), None, 0.8), ("frames", ("freeway", "pong"), "pong", 0.6)],
)
def test_the_share_with_all_objects_stands_beside_that_of_real_frames(data, names, asked, real):
    def sample(n, condition, options, seed):
        assert (n, condition.label, options) == (COUNTED, asked, OPTIONS)
        return Samples(frames(n, 75), seed, condition)

    scorer = scorer_of(data, *names)
    graded = grade_beside_objects(NOTHING, SimpleNamespace(sample=sample), scorer, OPTIONS, 0)
    assert graded.metrics == {"objects": 0.75} and graded.copies == {"objects": pytest.approx(real)}
    low, high = graded.ci95["objects"]
    assert 0.65 < low < 0.67 and 0.82 < high < 0.83, "Wilson's interval of 75 of 100"
    row = SimpleNamespace(name="mine", metrics=graded.metrics, grade=graded)
    told = objects_line(row)
    assert told.startswith("mine: 0.75 of 100 samples show one ball and two paddles (0.66 … 0.82)")
    assert told.endswith(f"of real frames {real:.2f}")


def test_without_pong_or_classes_nothing_is_counted():
    def refuse(n, condition, options, seed):
        raise ValueError("no classes")

    for scorer in (scorer_of("digits", "pong"), scorer_of("frames", "freeway", "breakout")):
        assert grade_beside_objects(NOTHING, SimpleNamespace(), scorer, OPTIONS, 0) is NOTHING
    classless, two = SimpleNamespace(sample=refuse), scorer_of("frames", "freeway", "pong")
    assert grade_beside_objects(NOTHING, classless, two, OPTIONS, 0) is NOTHING
