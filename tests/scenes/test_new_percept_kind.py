"""A kind of percept that the tables have not held before: a set of tags, told of the whole picture."""

import json

import numpy as np
import pygame
import pytest

from scenes.perceiving.command import write_percept
from scenes.perceiving.request import as_json, written_name
from sim.conformance import ConformanceError
from sim.model_conformance import check_perception
from sim.percept_kind import PerceptFile, PerceptKind
from sim.percept_kinds import PERCEPT_KINDS, in_words, kinds_in, only
from sim.records import Percept
from sim.viewer.contract.moment import Moment, PerceptView, Readout
from sim.viewer.draw.theme import Ink
from sim.viewer.overlays.kind_overlay import PerceptOverlay
from sim.viewer.overlays.percept_overlay import OVERLAYS, draw_percept_overlay
from sim.viewer.panels.perception_panel import line
from sim.viewer.playback.frame_compression import CompressedMoment, size_of
from supervised.data.percept_arrays import pack_percepts, unpack_percepts
from supervised.metrics.answers import ShareTally
from supervised.metrics.breakdown import by_class
from supervised.metrics.constant_baseline import constant_baseline
from supervised.metrics.grading import accumulate, grade, intervals, live_metrics
from supervised.metrics.kinds import METRICS
from supervised.metrics.percept_metrics import PerceptMetrics
from supervised.observation.percept_noise import NOISE
from supervised.observation.percept_observation import SLOTS

RED = (250, 10, 20)


def tagged(*tags, origin="truth"):
    return Percept(origin, extras={"tags": tags})


def tags_of(percept):
    return set(percept.extras["tags"])


def tag_tally(predicted, truth, parse):
    pairs = [(tags_of(said), tags_of(true)) for said, true in zip(predicted, truth, strict=True)]
    shares = np.array([len(said & true) / len(said | true) for said, true in pairs])
    return ShareTally("all_tags", shares, shares == 1)


def common_tags(truths, parse):
    names = sorted({tag for truth in truths for tag in tags_of(truth)})
    return tagged(*(n for n in names if 2 * sum(n in tags_of(t) for t in truths) >= len(truths)))


def by_tag(counted, predicted, truth, names, parse):
    pairs = list(zip(predicted, truth, strict=True))
    found = {n: [n in tags_of(said) for said, true in pairs if n in tags_of(true)] for n in names}
    return {n: {"found": float(np.mean(some))} for n, some in found.items()}


def draw_tags(surface, ink, corners, seen):
    surface.fill(RED, corners.take((10 * len(tags_of(seen.percept)), 8), "left"))


def tag_rules(percept, shape, names):
    yield tags_of(percept) <= set(names), "a tag is one of its classes"


@pytest.fixture
def tags(monkeypatch):
    """A line in each table."""
    kind = PerceptKind(("tags",), lambda percept, names: " and ".join(percept.extras["tags"]), tag_rules)
    monkeypatch.setitem(PERCEPT_KINDS, "tags", kind)
    metrics = PerceptMetrics(tag_tally, common_tags, by_tag, shown={"accuracy": ("tags", "")})
    monkeypatch.setitem(METRICS, "tags", metrics)
    monkeypatch.setitem(OVERLAYS, "tags", PerceptOverlay(beside=draw_tags))


TRUTH = [tagged("night", "rain"), tagged("night"), tagged("night", "snow"), tagged("rain")]
SAID = [tagged("night", "rain", origin="model"), tagged("rain"), tagged("night"), tagged("rain")]


def test_the_tables_know_the_same_kinds():
    assert set(METRICS) == set(PERCEPT_KINDS)
    for table in (OVERLAYS, NOISE, SLOTS):
        assert set(table) <= set(PERCEPT_KINDS)
    covered = {name for kind in PERCEPT_KINDS.values() for name in kind.covers}
    assert covered <= set(PERCEPT_KINDS)


@pytest.mark.usefixtures("tags")
def test_it_is_graded_beside_a_baseline_by_class_and_with_intervals():
    assert grade("tags", SAID, TRUTH) == {"all_tags": 0.5, "accuracy": (1 + 0 + 0.5 + 1) / 4}
    blind = constant_baseline("tags", TRUTH)
    assert tags_of(blind) == {"night", "rain"}, "each is in half of the pictures"
    assert grade("tags", [blind] * 4, TRUTH)["all_tags"] == 0.25
    counted = accumulate("tags", SAID, TRUTH)
    rows = by_class("tags", counted, SAID, TRUTH, ("night", "rain"))
    assert rows == {"night": {"found": pytest.approx(2 / 3)}, "rain": {"found": 1.0}}
    low, high = intervals(counted, range(4), resamples=50)["all_tags"]
    assert 0 <= low <= 0.5 <= high <= 1
    assert live_metrics("tags", SAID[2], TRUTH[2]) == (Readout("tags", 0.5, ""),)
    assert live_metrics("tags", SAID[2], Percept("truth")) == (), (
        "without a truth there is nothing to compare"
    )
    with pytest.raises(ValueError, match="the true percept of picture 1 has no tags"):
        grade("tags", SAID[:2], [TRUTH[0], Percept("truth", label="pong")])


@pytest.mark.usefixtures("tags")
def test_it_is_told_in_words_in_json_and_on_disk():
    percept = SAID[0]
    assert kinds_in(percept) == ["tags"] and in_words(percept) == "night and rain"
    assert line(PerceptView("weather", percept)).words == "night and rain"
    told = json.loads(json.dumps(as_json("a.png", percept)))
    assert told == {"source": "a.png", "origin": "model", "tags": ["night", "rain"]}
    assert unpack_percepts(pack_percepts(SAID)) == tuple(SAID)
    both = Percept("truth", label="pong", facts={"lives": 3}, extras=percept.extras)
    assert only(both, "tags") == Percept("truth", facts={"lives": 3}, extras=percept.extras)
    assert only(both, "label").extras == {}


@pytest.mark.usefixtures("tags")
def test_it_is_drawn_over_the_picture():
    surface = pygame.Surface((80, 40))
    picture = pygame.Rect(20, 0, 60, 40)
    draw_percept_overlay(surface, Ink(), surface.get_rect(), picture, 1, [PerceptView("weather", SAID[0])])
    red = (pygame.surfarray.array3d(surface) == RED).all(axis=-1)
    assert red.sum() == 2 * 10 * 8


class Weather:
    """Says the same of every picture, in the words it was built with."""

    reads = "rgb"

    def __init__(self, *tags):
        self._tags = tags

    def perceive(self, pictures):
        return [tagged(*self._tags, origin="model") for _ in pictures]

    def weights(self):
        return {}

    def load_weights(self, weights):
        pass


@pytest.mark.usefixtures("tags")
def test_its_models_are_held_to_its_rules():
    pictures = [np.zeros((4, 6, 3), np.uint8)]
    check_perception(Weather("night"), pictures, "tags", ("night", "rain"))
    with pytest.raises(ConformanceError, match="a tag is one of its classes"):
        check_perception(Weather("day"), pictures, "tags", ("night", "rain"))
    with pytest.raises(ConformanceError, match="it tells label"):
        check_perception(Weather("night"), pictures, "label", ("night", "rain"))


def test_a_kind_too_large_for_json_is_a_file_and_is_compressed(monkeypatch, tmp_path):
    def write(file, percept):
        np.save(file, percept.extras["spectrum"])

    kind = PerceptKind(("spectrum",), file=PerceptFile("spectrum.npy", write), large=("spectrum",))
    monkeypatch.setitem(PERCEPT_KINDS, "spectrum", kind)
    array = np.zeros((64, 64), np.float32)
    array[3, 5] = 2.5
    percept = Percept("model", extras={"spectrum": array})
    assert as_json("a.wav", percept) == {"source": "a.wav", "origin": "model"}
    kept = write_percept(percept, tmp_path / "a.wav")
    assert np.array_equal(np.load(kept["spectrum"]), array)
    assert written_name("a.wav.spectrum.npy")[1] == "a.wav" and written_name("a.wav.depth.npy")
    assert written_name("a.wav.other.npy") is None
    truth, none = Percept("truth", extras={"spectrum": 2 * array}), np.zeros(1)
    moment = Moment((), none, none, none, seen=(PerceptView("ear", percept, truth),))
    packed = CompressedMoment.of(moment)
    assert size_of(packed) < 2 * array.nbytes / 10 and size_of(moment) == 2 * array.nbytes
    (back,) = packed.unpacked().seen
    assert np.array_equal(back.percept.extras["spectrum"], array)
    assert np.array_equal(back.truth.extras["spectrum"], 2 * array)
