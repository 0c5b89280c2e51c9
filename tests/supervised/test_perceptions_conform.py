"""Conformance of every perception of the catalogue."""

from __future__ import annotations

import numpy as np
import pytest

from sim.catalog import load
from sim.conformance import ConformanceError
from sim.model_conformance import check_perception
from sim.percept_kinds import PERCEPT_KINDS
from sim.records import Percept
from supervised.captions.caption_grammars import STILLS
from supervised.catalog import PERCEPTIONS
from supervised.task import is_task
from supervised.vision.detector import Detector

#: Kind → names to build a model for.
NAMES = {
    "boxes": ("ball", "player", "enemy"),
    "mask": ("background", "floor", "torso", "thigh"),
    "depth": (),
    "keypoints": ("head", "hip", "right knee", "left knee"),
    "label": ("pong", "tennis", "skiing"),
    "fen": (),
    "caption": STILLS["pong"].vocabulary,
}
#: Those that look at a world; tasks have data of their own, and tests of their own (`task_checks`).
LOOKING = [name for name in PERCEPTIONS if not is_task(load(PERCEPTIONS, name, "perception"))]
SIZES = ((210, 160), (31, 47), (8, 8))


def built(name, seed):
    config = load(PERCEPTIONS, name, "perception")()
    assert config.tells in PERCEPT_KINDS and config.views > 0
    return config.build(NAMES[config.tells], seed=seed, device="cpu"), config.tells


@pytest.mark.parametrize("name", LOOKING)
def test_perceptions_keep_every_promise(name):
    generator = np.random.default_rng(0)
    pictures = [generator.integers(0, 256, (*size, 3), dtype=np.uint8) for size in SIZES]
    for seed in (0, 1):
        model, tells = built(name, seed)
        check_perception(model, pictures, tells, NAMES[tells])


class Reader:
    """Names the language of a sentence by its length; `flaw` says what else it does."""

    reads = "text"

    def __init__(self, flaw=""):
        self.flaw = flaw
        if flaw == "smells":
            self.reads = "smell"

    def perceive(self, inputs):
        if self.flaw == "writes":
            inputs[0] += "!"
        sure = np.array([0.5]) if self.flaw != "unsure" else None
        return [Percept("model", label=("long", "short")[len(text) < 9], scores=sure) for text in inputs]

    def weights(self):
        return {}

    def load_weights(self, weights):
        pass


FLAWS = {
    "smells": "it reads one of rgb, text, sound, graph, table",
    "writes": "leaves its inputs alone",
    "unsure": "a label comes with its confidence",
}


def test_a_perception_of_text_keeps_the_same_promises():
    check_perception(Reader(), ["a sentence", "a word"], "label", ("long", "short"))
    for flaw, words in FLAWS.items():
        with pytest.raises(ConformanceError, match=f"Reader breaks a promise: .*{words}"):
            check_perception(Reader(flaw), ["a sentence", "a word"], "label", ("long", "short"))


@pytest.mark.parametrize("name", LOOKING)
def test_the_same_seed_builds_the_same_model(name):
    one, same, other = (built(name, seed)[0].weights() for seed in (0, 0, 1))
    assert all(np.array_equal(one[key], same[key]) for key in one)
    assert any(not np.array_equal(one[key], other[key]) for key in one)


@pytest.mark.parametrize("name", ["detector", "pose"])
def test_what_an_agent_can_live_on_is_the_same_of_many_pictures_as_of_each(name):
    generator = np.random.default_rng(0)
    pictures = [
        generator.integers(0, 256, (*size, 3), dtype=np.uint8) for size in (SIZES[1],) * 3 + SIZES[:1] * 2
    ]
    model, _ = built(name, 0)
    for together, picture in zip(model.perceive(pictures), pictures, strict=True):
        (alone,) = model.perceive([picture])
        assert together.labels == alone.labels and together.keypoints.keys() == alone.keypoints.keys()
        for one, other in zip(together.keypoints.values(), alone.keypoints.values(), strict=True):
            assert one == pytest.approx(other, abs=1e-2)
        if alone.boxes is not None:
            np.testing.assert_allclose(together.boxes, alone.boxes, atol=1e-2)


def test_a_detector_finds_the_same_boxes_in_many_pictures_as_in_each():
    generator = np.random.default_rng(0)
    pictures = [generator.integers(0, 256, (40, 48, 3), np.uint8) for _ in range(3)]
    model = Detector(channels=4, threshold=1e-3, most=20).build(("ball", "brick"), seed=0)
    for together, picture in zip(model.perceive(pictures), pictures, strict=True):
        (alone,) = model.perceive([picture])
        assert len(alone.boxes) > 0 and together.labels == alone.labels
        np.testing.assert_allclose(together.boxes, alone.boxes, atol=1e-3)
        np.testing.assert_allclose(together.scores, alone.scores, atol=1e-5)
