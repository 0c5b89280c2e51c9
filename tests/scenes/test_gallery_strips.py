"""Strips, clips and facts of a gallery's samples: traversals of latent numbers, and who has read what."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from scenes.data.sampler_data import DataSplit
from scenes.evaluation.sample_scoring import SampleScorer, Verdict
from scenes.sampling.gallery_export import GalleryExport
from sim.records import Condition, SampleOptions
from supervised.data.columns import LabelColumn
from supervised.data.dataset import Dataset


class Painter:
    """Paints all pixels alike: as bright as its first latent number, which is 100 for "b" and 0 for "a"."""

    spec = Dataset(
        values=np.zeros((2, 2, 2, 3), np.uint8),
        labels=LabelColumn(np.arange(2), ("a", "b")),
        episodes=np.arange(2),
    ).spec()
    config = SimpleNamespace()  # as a flow's, whose latent numbers are no key

    def draw_latents(self, n, label, seed):
        return np.array([[100.0 if label == "b" else 0.0, 0.0]], np.float32).repeat(n, 0)

    def decode(self, latents):
        return np.clip(latents[:, :1, None, None] * np.ones((2, 2, 3)), 0, 255).astype(np.uint8)


def test_a_traversal_passes_through_the_class_that_is_asked_for():
    data = Dataset(
        values=np.zeros((4, 2, 2, 3), np.uint8),
        labels=LabelColumn(np.arange(4) % 2, ("a", "b")),
        episodes=np.arange(4),
    )
    scorer = SampleScorer("paint", DataSplit(data, data, data.spec()), "cpu")
    export = GalleryExport(Painter(), scorer, 0, Condition(label="b"))
    (strip,) = export.strips()
    assert np.abs(strip.pictures[0, 4].astype(int) - 100).max() <= 1, (
        "the middle of a row is that of its class"
    )
    assert strip.rows[0].startswith("b: component 1, 100% of the variance, -2 to 2 standard deviations")
    (clip,) = export.clips(4, SampleOptions())
    assert np.abs(clip.frames.astype(int) - 100).max() <= 1
    (strip,) = GalleryExport(Painter(), scorer, 0, Condition()).strips()
    assert strip.pictures[0, 4].max() <= 1, "and, where none is asked for, through the middle of all"


@pytest.mark.parametrize(
    ("data", "readers", "words"),
    [
        ("boards", {}, "decoded truth"),
        ("states/walker2d", {}, "decoded truth"),
        ("frames/pong", {"reader": "any"}, "read by the captioner narrator"),
        ("frames", {"reader": None}, "read by the encoder"),
        ("paint", {"reader": None, "encoder": None}, "by nearest neighbours"),
    ],
)
def test_what_a_model_reads_is_told_as_its_reading(data, readers, words):
    shape = (64, 64, 3) if data == "boards" else (2, 2, 3)
    examples = Dataset(
        values=np.zeros((4, *shape), np.uint8),
        labels=LabelColumn(np.arange(4) % 2, ("a", "b")),
        episodes=np.arange(4),
    )
    scorer = SampleScorer(data, DataSplit(examples, examples, examples.spec()), "cpu")
    scorer.__dict__.update(readers)
    scorer.__dict__["neighbours"] = lambda values: (values, ["near"] * len(values))
    (shown,) = GalleryExport(Painter(), scorer, 0, Condition()).samples(
        np.zeros((1, *shape), np.uint8), [Verdict("x")]
    )
    assert (words, "x") in shown.facts(1)
