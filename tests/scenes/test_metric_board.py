"""Evaluation of samplers: same protocol for all, beside floor and Gaussian; other data refused."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from generative.diffusion.image_diffusion import Diffusion
from scenes.build.samplers import own_options, sampler_config
from scenes.cli.main import main
from scenes.data.sampler_data import DataRecipe, DataSplit, fetch_examples
from scenes.evaluation import samplers
from scenes.evaluation.sample_scoring import SampleScorer, Verdict, share_correct
from scenes.evaluation.samplers import (
    FIGURES,
    GAUSSIAN,
    REAL,
    cluster_agreement,
    grade_samplers,
    metrics_by_class,
    sample_count,
)
from scenes.schema import load_scene
from sim.records import Condition, SampleOptions, Samples
from supervised.data.columns import ArrayColumn, LabelColumn
from supervised.data.dataset import Dataset

pytestmark = pytest.mark.usefixtures("remembered_features")

SCENE = """
title = "Digits"
[[sampler]]
use = "vae"
data = "digits"
examples = 600
latents = 4
channels = 16
[[sampler]]
use = "vae"
data = "digits"
examples = 600
latents = 2
channels = 16
[train]
updates = 20
"""


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    path = tmp_path_factory.mktemp("board") / "digits.toml"
    path.write_text(SCENE)
    return path


@pytest.fixture(scope="module")
def scorer(file):
    scene = load_scene(str(file))
    recipe = DataRecipe.of_scene(scene, sampler_config(scene))
    return SampleScorer("digits", fetch_examples(scene, recipe), "cpu")


def numbers(values):
    """A data set of vectors of one number (N, 1)."""
    labels = LabelColumn(np.zeros(len(values), int), ("x",))
    return Dataset(values=ArrayColumn(values, ("x",)), labels=labels, episodes=np.arange(len(values)))


def test_a_neighbours_percentile_is_the_share_of_held_out_examples_that_are_nearer():
    vectors = np.array([[0.0], [2.0]], np.float32)  # of standard deviation 1
    train = numbers(vectors)
    farther = np.array([[3.0], [4.0], [5.0], [6.0]], np.float32)
    held_out = numbers(farther)
    scorer = SampleScorer("states/x", DataSplit(train, held_out, train.spec()), "cpu")
    nearest, words = scorer.neighbours(np.array([[2.0], [4.5], [9.0], [-3.0]], np.float32))
    assert nearest.ravel().tolist() == [2.0, 2.0, 2.0, 0.0]
    assert words == [
        "distance 0.00 (percentile 0)",
        "distance 2.50 (percentile 50)",
        "distance 7.00 (percentile 100)",
        "distance 3.00 (percentile 50)",
    ]


def test_every_sampler_is_graded_beside_the_floor_and_the_gaussian(file, capsys):
    lines = []
    report = grade_samplers(load_scene(str(file)), device="cpu", checkpoint=None, say=lines.append, n=60)
    told = report.answer
    assert told["n"] == 60 and told["protocol"]["references"] > 30
    assert told["breakdown"][REAL]["frechet"] == told["metrics"]["frechet_floor"] < told["metrics"]["frechet"]
    assert told["breakdown"][REAL]["memorising"] == 1.0
    assert {"frechet", "kernel_distance", "density", "coverage", "sliced_wasserstein"} <= set(
        told["baseline"]
    )
    assert set(told["metrics"]) >= {"bits_per_dim", "images_per_second", "steps", "truth"}
    assert "sha256" in told["protocol"]["encoder"]
    assert any("untrained" in line for line in lines)
    assert capsys.readouterr().out == "", "who asked prints"
    report.show()
    board = capsys.readouterr().out
    assert board.count("of the Gaussian's") == 2
    assert all(
        name in " ".join(board.split())
        for name in (REAL, "vae", GAUSSIAN, "Fréchet distance ↓", "correct samples ↑")
    )
    kinds = ("", ", beside training data", ", random encoder", *(f", {digit}" for digit in range(10)))
    assert set(told["breakdown"]) == {REAL, *(name + kind for name in ("vae", "vae 2") for kind in kinds)}
    low, high = told["ci95"]["frechet"]
    assert low < told["metrics"]["frechet"] < high


class Copier:
    """Hands out unseen real examples of the class that it is asked for; of a 3 those of a 5."""

    def __init__(self, unseen):
        self.unseen = unseen

    def sample(self, n, condition, options, seed):
        label = 5 if condition.label == "3" else int(condition.label)
        return Samples(self.unseen.values[self.unseen.labels == label][:n], seed, condition)


def test_each_class_is_set_beside_real_ones_of_its_own(scorer):
    found = metrics_by_class(Copier(scorer.examples.validation), scorer, SampleOptions(), 0, 20)
    wrong = found.pop("3")
    assert len(found) == 9 and max(f["kernel_distance"] for f in found.values()) < wrong["kernel_distance"]
    assert wrong["truth"] < 0.3 < 0.5 < min(f["truth"] for f in found.values())
    assert metrics_by_class(Copier(None), one_class(scorer), SampleOptions(), 0, 20) == {}


def one_class(scorer):
    """The same scorer of zeros alone."""
    zeros = scorer.examples.train.take(np.flatnonzero(scorer.examples.train.labels == 0))
    zeros = zeros.assign(labels=LabelColumn(np.zeros(len(zeros), np.int64), ("0",)))
    return SampleScorer("digits", DataSplit(zeros, zeros, zeros.spec()), "cpu")


def test_the_verb_says_the_same_as_json(file, capsys, few):
    few(samplers, GRADED=40)
    assert main(["evaluate", str(file), "--json"]) == 0
    told = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert set(told) == {"metrics", "baseline", "breakdown", "n", "ci95", "protocol"}
    assert set(told["metrics"]) <= {*FIGURES, "frechet_floor"}


def test_real_digits_of_a_class_are_told_as_that_class(scorer):
    held_out = scorer.examples.validation
    names = held_out.label_names
    right = [
        scorer.verdicts(held_out.take(np.array([row])).values, Condition(label=names[held_out.labels[row]]))[
            0
        ]
        for row in range(len(held_out))
    ]
    assert share_correct(right) > 0.8
    assert scorer.verdicts(held_out.values[:1], Condition())[0].holds is None


def test_training_examples_are_their_own_neighbours(scorer):
    train = scorer.examples.train.values[:10]
    found, words = scorer.neighbours(train)
    np.testing.assert_array_equal(found, train)
    assert all(word == "distance 0.00 (percentile 0)" for word in words)


def test_shares_count_only_those_of_which_somebody_knows():
    assert share_correct([Verdict("", True), Verdict("", None), Verdict("", False)]) == 0.5
    assert share_correct([Verdict()]) is None


def test_boards_and_poses_are_judged_whatever_was_asked_for():
    from generative.data.catalog import load_dataset

    for name in ("boards", "states/hopper"):
        whole = load_dataset(name, 60)
        train, held_out = whole.parted(0.3)
        scorer = SampleScorer(name, DataSplit(train, held_out, whole.spec()), "cpu")
        assert share_correct(scorer.verdicts(held_out.values, Condition())) > 0.95
        generator = np.random.default_rng(0)
        if name == "boards":  # whole squares change places
            squares = held_out.values.reshape(-1, 8, 8, 8, 8, 3).swapaxes(2, 3).reshape(-1, 64, 8, 8, 3)
            moved = generator.permuted(squares.reshape(len(squares), 64, -1), axis=1).reshape(
                -1, 8, 8, 8, 8, 3
            )
            spoilt = moved.swapaxes(2, 3).reshape(-1, 64, 64, 3)
        else:
            spoilt = held_out.values + 2 * generator.standard_normal(held_out.values.shape)
        assert share_correct(scorer.verdicts(spoilt, Condition())) < 0.5


def test_groups_are_set_beside_classes_and_k_means_on_pixels(scorer):
    class Teller:
        """Knows the classes by heart."""

        def assign(self, values):
            held_out = scorer.examples.validation
            same = (held_out.values[None] == values[:, None]).all((2, 3, 4))
            return held_out.labels[same.argmax(1)]

    mine, theirs = cluster_agreement(Teller(), Digits(), scorer, 0)
    assert mine == pytest.approx(1.0) and 0.4 < theirs < 0.95


@dataclass(frozen=True)
class Digits:
    """Keys of a clustering."""

    clusters: int = 10


def test_the_encoder_is_made_by_one_command(tmp_path, monkeypatch):
    from generative.data.catalog import load_dataset
    from generative.metrics.encoder import load_encoder
    from scenes.training import metric_encoder

    monkeypatch.setattr(metric_encoder, "encoder_examples", lambda: load_dataset("boards", 60))
    lines = []
    metric_encoder.train_encoder(tmp_path / "encoder", updates=2, say=lines.append)
    made = load_encoder(tmp_path / "encoder")
    assert made.encode(load_dataset("boards", 3).values).shape == (3, 64)
    assert made.questions.labels == ("board",) and "board: white pawn, how many" in made.questions.numbers
    assert "2 of 2" in lines[-1]


def test_groups_are_set_beside_k_means_on_pixels(tmp_path):
    path = tmp_path / "groups.toml"
    path.write_text(
        'title = "Groups"\n[[sampler]]\nuse = "deepcluster"\ndata = "digits"\nexamples = 600\nclusters = 10\n'
    )
    scene = load_scene(str(path))
    told = grade_samplers(scene, device="cpu", checkpoint=None, say=lambda line: None, n=60).answer
    assert 0 < told["metrics"]["nmi"] < told["baseline"]["nmi"] < 1, "untrained, it is worse than pixels"


def test_how_a_sampler_samples_is_its_keys_but_its_scheduler_it_knows_itself():
    own = own_options(Diffusion(steps=7, guidance=1.5, scheduler="unipc"))
    assert own == SampleOptions(steps=7, guidance=1.5), "with a scheduler by name nothing could be filled in"


def test_the_board_shows_each_family_as_its_own_scene_builds_it_and_draws_from_it():
    board = load_scene("metric-board")
    for number, table in enumerate(board.sampler):
        own = load_scene(Path(table.checkpoint).name)
        shown, wanted = vars(sampler_config(board, number)), vars(sampler_config(own))
        learning = {"learning_rate", "batch_size", "ema", "free_bits", "gamma"}  # nothing is learned here
        assert {k: v for k, v in shown.items() if k not in learning} == {
            k: v for k, v in wanted.items() if k not in learning
        }


def test_slow_samplers_are_graded_by_fewer_samples():
    scene = load_scene("frames-from-text", ["sampler.0.steps=60", "sampler.0.guidance=2"])
    config = sampler_config(scene)
    model = SimpleNamespace(trace=print)
    assert sample_count(model, config) == 100
    assert sample_count(model, replace(config, steps=100_000)) == 1
    assert sample_count(model, replace(config, steps=10)) == 500
    assert sample_count(SimpleNamespace(), config) == 500, "what takes one step whatever it is told"
