"""Samples read by an independent classifier: top1 as asked, its interval, ceiling and baseline."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from generative.data.catalog import load_dataset
from scenes.data.sampler_data import DataSplit
from scenes.evaluation.sample_scoring import SampleScorer, Verdict
from scenes.evaluation.samplers import score_sampler
from sim.records import Condition, Percept, Samples
from supervised.data.columns import LabelColumn
from supervised.data.dataset import Dataset

pytestmark = pytest.mark.usefixtures("remembered_features")


class Reader:
    """Classifier that knows held-out pictures by heart, and calls all others a bear."""

    reads = "rgb"

    def __init__(self, known):
        self.labels = {
            values.tobytes(): known.label_names[label]
            for values, label in zip(known.values, known.labels, strict=True)
        }

    def perceive(self, inputs):
        labels = (self.labels.get(np.asarray(rgb).tobytes(), "bear") for rgb in inputs)
        return [Percept("model", label=label, scores=np.array([0.9])) for label in labels]


class AnimalCopier:
    """Hands out held-out animals of the class that is asked for; of a cat those of a dog."""

    config = None

    def __init__(self, known):
        self.known = known

    def sample(self, n, condition, options, seed):
        rows = np.arange(len(self.known))
        if condition.label is not None:
            name = "dog" if condition.label == "cat" else condition.label
            rows = np.flatnonzero(self.known.labels == self.known.label_names.index(name))
        return Samples(self.known.values[np.resize(rows, n)], seed, condition)


@pytest.fixture(scope="module")
def animals():
    """A scorer of 400 silhouettes whose classifier is told."""
    whole = load_dataset("animals", 400)
    train, held_out = whole.parted(0.1)
    scorer = SampleScorer("animals", DataSplit(train, held_out, whole.spec()), "cpu")
    scorer.classifier = Reader(held_out)
    return scorer


def test_an_independent_classifier_reads_what_was_asked_for(animals):
    assert animals.reading == "read by the classifier alexnet"
    of_a_cat = AnimalCopier(animals.examples.validation).sample(3, Condition(label="dog"), None, 0).values
    verdicts = animals.verdicts(of_a_cat, Condition(label="dog"))
    assert verdicts == [Verdict("dog (90%)", True, label="dog")] * 3
    assert not any(each.holds for each in animals.verdicts(of_a_cat, Condition(label="cat")))
    assert animals.verdicts(of_a_cat, Condition())[0].holds is None


def test_top1_is_the_share_read_as_asked_beside_real_ones_and_a_gaussian(animals, monkeypatch):
    monkeypatch.setattr(
        "scenes.evaluation.sample_scoring.task_splits", lambda *_: SimpleNamespace(test=unread)
    )
    monkeypatch.setattr("scenes.evaluation.samplers.A_LABEL", 2)
    held_out = animals.examples.validation
    unread = held_out.assign(
        truths=tuple(Percept("truth", label=held_out.label_names[i]) for i in held_out.labels)
    )
    model = AnimalCopier(held_out)
    row = score_sampler("copier", model, None, None, animals, 0, 40)
    assert row.metrics["top1"] == 0.9 and "truth" not in row.metrics, "nine animals of ten"
    assert row.classes["cat"]["top1"] == 0.0 and row.classes["dog"]["top1"] == 1.0
    assert row.grade.copies["top1"] == 1.0 and row.baseline["top1"] == 0.1, "all of the Gaussian's are bears"
    assert row.grade.ci95["top1"] == pytest.approx([0.7695, 0.9604], abs=1e-3), "Wilson, 36 of 40"
    assert row.protocol["reader"] == "alexnet"


def test_without_a_trained_classifier_neighbours_vote(animals, monkeypatch):
    monkeypatch.setattr("scenes.evaluation.sample_scoring.CLASSIFIERS", {})
    other = SampleScorer("animals", animals.examples, "cpu")
    assert (other.correctness, other.reading) == ("truth", "by nearest neighbours")


@pytest.mark.parametrize(("side", "searched"), [(64, "2,000 training examples"), (28, "2,500 training ")])
def test_neighbours_of_small_pictures_are_searched_among_more_examples(side, searched):
    values = np.zeros((2_500, side, side, 3), np.uint8)
    labels = LabelColumn.one("all", len(values))
    data = Dataset(values=values, labels=labels, episodes=np.arange(len(values)))
    assert SampleScorer("mine", DataSplit(data, data, data.spec()), "cpu").searched.startswith(searched)


def test_neighbours_of_small_pictures_are_those_by_pixels(animals):
    """The metric encoder, which learned from games, finds a giraffe for a cat."""
    train = animals.examples.train
    faded = (train.values[:5] * 0.9).astype(np.uint8)
    found, words = animals.neighbours(faded)
    np.testing.assert_array_equal(found, train.values[:5])
    apart = [np.sqrt(np.square(a.astype(float) - b).mean()) for a, b in zip(faded, found, strict=True)]
    assert [word.split(" (")[0] for word in words] == [f"distance {each:.2f}" for each in apart]
    assert "by root mean square of pixels" in animals.searched
