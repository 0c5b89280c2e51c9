"""A scene's sampler in the window's gallery: samples, neighbours, and recordings."""

import json
from types import SimpleNamespace

import numpy as np
import pytest

from scenes.cli.main import main
from scenes.data.thumbnails import thumbnails
from scenes.schema import load_scene
from scenes.watching.playlist import playlist, show_of
from scenes.watching.sampler_gallery import ANYTHING, SamplerGallerySource, sample_notes
from sim.records import Condition, Percept, SampleOptions, Samples
from sim.viewer.gallery.show import GalleryShow
from supervised.data.dataset import Dataset

pytestmark = pytest.mark.usefixtures("remembered_features")

SCENE = """
title = "Digits, dreamt"
[[sampler]]
use = "vae"
data = "digits"
examples = 300
latents = 4
channels = 16
[train]
updates = 2
"""


@pytest.fixture(scope="module")
def scene(tmp_path_factory):
    file = tmp_path_factory.mktemp("scenes") / "dreamt.toml"
    file.write_text(SCENE)
    return load_scene(str(file))


@pytest.fixture(scope="module")
def source(scene):
    return SamplerGallerySource(scene, device="cpu")


def test_what_it_makes_is_what_the_sampler_samples(source):
    for condition, label in ((ANYTHING, None), ("7", "7")):
        drawn = list(source.make(10, condition, 5))
        values = np.concatenate([part.values for part in drawn])
        expected = source.model.sample(10, Condition(label=label), SampleOptions(), 5).values
        np.testing.assert_array_equal(values, expected)
        latents = np.concatenate([part.latents for part in drawn])
        np.testing.assert_array_equal(source.decode(latents), expected)


def test_it_samples_by_the_keys_of_its_scene(tmp_path):
    """As `playfield sample` does: with the steps, guidance and solver that were chosen for it."""
    file = tmp_path / "guided.toml"
    keys = 'channels = [16, 16]\nguidance = 3.0\nsteps = 4\nscheduler = "euler"'
    file.write_text(SCENE.replace('"vae"', '"diffusion"').replace("latents = 4\nchannels = 16", keys))
    guided = SamplerGallerySource(load_scene(str(file)), device="cpu")
    options = SampleOptions(steps=4, guidance=3.0)
    expected = guided.model.sample(3, Condition(label="7"), options, 5).values
    (drawn,) = guided.make(3, "7", 5)
    np.testing.assert_array_equal(drawn.values, expected)
    *walk, last = guided.trace(3, "7", 5)
    assert len(walk) == 4, "the noise and three pictures on the way"
    np.testing.assert_array_equal(last.values, expected)
    frame, mask = expected[0], np.arange(64).reshape(8, 8) % 2 == 0
    condition = Condition(frame=frame, mask=mask)
    filled = guided.model.sample(2, condition, options, 1).values
    np.testing.assert_array_equal(guided.fill(frame, mask, 2, 1), filled)


def test_it_says_what_the_sampler_can(source):
    assert source.conditions == (ANYTHING, *"0123456789")
    assert source.decodes and source.encodes and not source.traces
    assert source.size == (8, 8) and source.sampler == "VAE" and source.training == "untrained"


def test_the_nearest_of_a_training_example_is_itself(source):
    train = source.examples().train
    about = source.about(train.values[5])
    np.testing.assert_array_equal(about.neighbours[0].picture, train.values[5])
    assert about.neighbours[0].words == f"{train.label_names[train.labels[5]]} · 0"
    far = [float(near.words.split("· ")[1]) for near in about.neighbours]
    assert far == sorted(far) and far[-1] > 0


def test_a_slider_moves_what_it_shows_and_nothing_else_along_it(source):
    latent = next(source.make(1, ANYTHING, 3)).latents[0]
    axes = source.about(next(source.make(1, ANYTHING, 3)).values[0]).axes
    assert axes
    for axis in axes:
        middle = (axis.low + axis.high) / 2
        assert axis.value(axis.moved(latent, middle)) == pytest.approx(middle, abs=1e-3)
        assert axis.value(axis.moved(latent, axis.high + 99)) == pytest.approx(axis.high, abs=1e-3)


class Regresses:
    """Model whose decoder ignores the second of two latents, of which the encoder keeps a little."""

    encode = staticmethod(lambda values: np.stack([values[:, 0], 1e-3 * values[:, 1]], 1).astype(np.float32))

    def draw_latents(self, n, label, seed):
        return np.random.default_rng(seed).standard_normal((n, 2), np.float32)

    def decode(self, latents):
        return np.stack([latents[:, 0], 0 * latents[:, 1]], 1)


def test_an_axis_has_a_name_only_where_samples_keep_to_it(source, monkeypatch):
    """A latent that the decoder ignores is noise in samples, however well the encoder's mean fits a fact."""
    values = np.random.default_rng(0).standard_normal((400, 2)).astype(np.float32)
    facts = [Percept("truth", facts={"ball y": 9 + float(a), "ball x": float(b)}) for a, b in values]
    own = Dataset(values=values, episodes=np.arange(400), truths=facts)
    monkeypatch.setattr(source, "model", Regresses())
    monkeypatch.setattr(source, "pictures", lambda values: np.zeros((len(values), 2, 2, 3), np.uint8))
    latents = source._known_latents(own, "pong")
    np.testing.assert_array_equal(latents[:, 0], values[:, 0])
    assert latents[:, 1].std() == pytest.approx(1, abs=0.1)
    (axis,) = source._named(latents, own)
    assert axis.name == "ball y" and axis.ends is None
    low, high = np.quantile(9 + values[:, 0], (0.01, 0.99))
    assert (axis.low, axis.high) == pytest.approx((low, high), abs=1e-4)
    drawn = [axis.value(latent) for latent in source.model.draw_latents(200, None, 1)]
    assert np.mean([low <= value <= high for value in drawn]) > 0.95
    first = source._principal(latents)[0]
    assert first.name == "PC 1" and first.ends.low.shape == (2, 2, 3)
    assert -4 < first.low < -1 < 1 < first.high < 4


def test_the_way_between_two_samples_begins_and_ends_at_them(source):
    first, second = next(source.make(2, ANYTHING, 1)).latents
    way = source.between(first, second, 5)
    np.testing.assert_allclose(way[[0, -1]], [first, second], atol=1e-5)


def test_real_ones_are_of_the_kind_that_is_asked_for_and_were_not_learned_from(source):
    drawn = next(source.real(6, "3", 0))
    held_out = source.examples().validation
    threes = held_out.values[held_out.labels == held_out.label_names.index("3")]
    assert len(drawn.values) == min(6, len(threes))
    assert all((threes == value).all((1, 2, 3)).any() for value in drawn.values)


def test_what_is_painted_over_is_what_the_sampler_is_asked_to_fill_in(source, monkeypatch):
    asked = []

    def sample(n, condition, options, seed):
        asked.append(condition)
        return Samples(
            np.where(condition.mask[None, ..., None], 99, condition.frame)[[0] * n], seed, condition
        )

    monkeypatch.setattr(source.model, "sample", sample)
    frame = source.examples().validation.values[0]
    mask = np.zeros((8, 8), bool)
    mask[2:5, 2:6] = True
    filled = source.fill(frame, mask, 3, 0)
    assert (filled[:, mask] == 99).all() and len(asked) == 1
    np.testing.assert_array_equal(filled[:, ~mask], np.repeat(frame[None, ~mask], 3, 0))


def test_boards_and_poses_are_judged_by_the_simulator():
    import chess

    from generative.data.boards import draw_position

    boards = np.stack([draw_position(chess.Board()), draw_position(chess.Board("8/8/8/8/8/8/8/8 w - - 0 1"))])
    assert sample_notes(boards, "boards") == ("legal", "not legal")
    upright = np.array([[1.25, 0, 0, 0, 0, 0, 0, 0]], np.float32)
    sunk = upright - np.eye(1, 8, dtype=np.float32)
    stands, lies = sample_notes(np.concatenate([upright, sunk]), "states/walker2d")
    assert stands == "possible" and "inside the ground" in lies
    assert sample_notes(boards, "digits") == ()


def test_boards_are_drawn_large_and_what_is_not_exactly_one_is_enlarged_as_it_is():
    import chess

    from generative.data.boards import STYLE, draw_position
    from sim.chess.diagrams.draw import draw_board

    board = chess.Board()
    exact = draw_position(board)
    blurred = exact // 2 + 60
    spec = SimpleNamespace(pictures=True)
    large, coarse = thumbnails(np.stack([exact, blurred]), spec, "boards")
    assert np.array_equal(large, draw_board(board, 256, check=False, style=STYLE))
    assert np.array_equal(coarse[::4, ::4], blurred) and np.array_equal(coarse[3::4, 3::4], blurred)
    assert np.array_equal(thumbnails(exact[None], spec, "digits")[0], exact)


def test_a_mask_painted_on_large_thumbnails_is_the_samples_own(source, monkeypatch):
    asked = []
    monkeypatch.setattr(
        source.model,
        "sample",
        lambda n, condition, options, seed: asked.append(condition) or Samples(np.zeros(0), seed, condition),
    )
    painted = np.zeros((32, 32), bool)
    painted[4:9, 31] = True
    source.fill(source.examples().validation.values[0], painted, 1, 0)
    assert np.argwhere(asked[0].mask).tolist() == [[1, 7], [2, 7]]


def test_a_scene_with_a_sampler_and_no_world_is_a_gallery(scene):
    show = show_of(scene, device="cpu")
    assert isinstance(show, GalleryShow) and show.title == "Digits, dreamt"
    show.close()
    listing = playlist(scene, device="cpu")
    assert listing.scenes[listing.scene].label == "Digits, dreamt"


def test_watch_without_a_display_records_it(scene, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SDL_VIDEODRIVER", "dummy")
    record = tmp_path / "a.mp4"
    options = ["--headless", "--frames", "40", "--record", str(record), "--json"]
    assert main(["watch", str(scene.source), *options]) == 0
    said = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert said["frames"] == 40 and said["file"] == str(record) and record.stat().st_size > 0
    assert said["episodes"] == 0 and said["returns"] == [] and said["fps"] > 0
