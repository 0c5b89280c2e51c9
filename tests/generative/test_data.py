"""Data sets of generative models: contents, splits, cache, refusals."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image

from generative.data import boards, catalog, emoji, stamps
from generative.data.catalog import DATA, load_dataset
from generative.data.data_request import DataError, DataRequest
from generative.data.frames import DownscaledWorlds
from sim.atari.truth import classes
from sim.catalog import make_worlds
from sim.fields import FieldError
from sim.records import Decision
from sim.storage.episodes import new_dataset, record
from supervised.captions.caption_grammars import GRAMMARS
from supervised.data.columns import ArrayColumn, LabelColumn
from supervised.data.dataset import Dataset, Spec
from supervised.data.episodes import recorded

SMALL = {
    "animals": 300,
    "boards": 40,
    "digits": 300,
    "frames/breakout": 6,
    "gameplay/pong": 240,
    "mnist-5k": 300,
    "states/hopper": 200,
    "states/pong": 4,
}


@pytest.fixture(autouse=True)
def own_cache(tmp_path_factory, monkeypatch):
    """Nothing is kept in the user's own cache, and each data set is played once for all tests."""
    monkeypatch.setenv("PLAYFIELD_CACHE", str(tmp_path_factory.getbasetemp() / "cache"))


def examples(n=1_000, episodes=100, classes=2, seed=0):
    generator = np.random.default_rng(seed)
    return Dataset(
        values=ArrayColumn(generator.standard_normal((n, 2)).astype(np.float32), ("x", "y")),
        labels=LabelColumn(np.arange(n) % classes, tuple("abc"[:classes])),
        episodes=np.arange(n) * episodes // n,
    )


@pytest.mark.parametrize("name", SMALL)
def test_a_data_set_is_what_it_says(name):
    found = load_dataset(name, SMALL[name], seed=3)
    assert 0 < len(found) <= SMALL[name]
    spec = found.spec()
    assert found.values.shape == (len(found), *spec.shape)
    assert len(np.unique(found.values, axis=0)) > len(found) // 2, "examples differ"
    assert Spec.of(spec.table()) == spec
    again = load_dataset(name, SMALL[name], seed=3)
    assert np.array_equal(found.values, again.values) and found.captions == again.captions
    assert [truth.facts for truth in found.truths] == [truth.facts for truth in again.truths]


@pytest.mark.parametrize("name", [name for name in SMALL if name != "states/pong"])
def test_another_seed_gives_other_examples(name):
    found, other = (load_dataset(name, SMALL[name], seed=seed) for seed in (3, 4))
    assert not np.array_equal(found.values, other.values)


@pytest.mark.parametrize("name", SMALL)
def test_no_episode_is_on_both_sides_and_every_class_is_on_one(name):
    found = load_dataset(name, SMALL[name], seed=3)
    train, validation = found.parted(0.2, seed=1)
    assert len(train) + len(validation) == len(found)
    assert not set(train.episodes.tolist()) & set(validation.episodes.tolist())
    assert set(train.labels.tolist()) == set(found.labels.tolist())


def test_digits_of_mnist_are_five_hundred_of_each_white_on_black():
    found = load_dataset("mnist-5k", 5_000)
    assert found.values.shape == (5_000, 28, 28, 3) and np.bincount(found.labels).tolist() == [500] * 10
    assert found.captions[0] == "zero" and found.captions[-1] == "nine"
    ink = [found.values[found.labels == digit].mean() for digit in range(10)]
    assert np.argmin(ink) == 1 and np.argmax(ink) == 0, "a stroke is less than a ring"
    assert found.values[:, 8:20, 8:20].mean() > 4 * found.values[:, :4].mean(), "MNIST has a margin"
    assert len(np.unique(found.episodes)) > 4_900, "hardly any are copies of another"


def test_what_is_held_out_is_about_the_share_asked_for_where_classes_share_episodes():
    found = examples()
    _, validation = found.parted(0.1, seed=0)
    assert 100 <= len(validation) <= 130


def test_captions_of_frames_say_what_the_simulator_knows():
    found = load_dataset("frames/breakout", SMALL["frames/breakout"], seed=3)
    grammar = GRAMMARS["breakout"]
    said = [(c, t) for c, t in zip(found.captions, found.truths, strict=True) if c]
    assert len(said) > len(found) // 2
    for caption, truth in said:
        assert grammar.parse(caption) == grammar.discretise(truth.facts)


def test_boxes_of_frames_lie_where_the_small_picture_shows_the_things():
    worlds = make_worlds("atari/pong", 1, 0, truth=True)
    small = DownscaledWorlds(worlds)
    worlds.reset()
    for _ in range(60):
        worlds.step(np.array([2]))
    (rgb,), (truth,) = small.pictures([0]), small.truth([0])
    ground = np.median(rgb.reshape(-1, 3), axis=0)
    assert rgb.shape == (64, 64, 3) and set(truth.labels) <= set(classes("pong")) and "player" in truth.labels
    for x0, y0, x1, y1 in truth.boxes:
        part = rgb[int(y0) : int(np.ceil(y1)), int(x0) : int(np.ceil(x1))].astype(float)
        assert np.abs(part - ground).max() > 40, "there is something in every box"
    worlds.close()


def test_a_board_is_read_back_exactly_and_in_spite_of_noise():
    found = load_dataset("boards", SMALL["boards"], seed=3)
    generator = np.random.default_rng(0)
    for rgb, truth in zip(found.values, found.truths, strict=True):
        assert boards.read_board(rgb).fen == truth.fen
        noisy = np.clip(rgb + generator.normal(0, 20, rgb.shape), 0, 255).astype(np.uint8)
        assert boards.read_board(noisy).fen == truth.fen


def test_what_is_read_back_is_what_was_made(monkeypatch, tmp_path):
    monkeypatch.setenv("PLAYFIELD_CACHE", str(tmp_path))
    first = load_dataset("states/pong", 4)
    (file,) = tmp_path.rglob("*.safetensors")
    second = load_dataset("states/pong", 4)
    for name in ("values", "labels", "episodes"):
        assert np.array_equal(getattr(first, name), getattr(second, name))
        assert getattr(first, name).dtype == getattr(second, name).dtype
    for name in ("label_names", "captions", "axes"):
        assert getattr(first, name) == getattr(second, name) != ()
    for one, other in zip(first.truths, second.truths, strict=True):
        assert (one.facts, one.labels, one.label) == (other.facts, other.labels, other.label)
        assert np.array_equal(one.boxes, other.boxes)


class CountsThreads:
    """A player whose torques hang on how many threads torch has, as rounding does."""

    name = "counts threads"

    def policy(self, worlds):
        return self

    def seed(self, seed):
        pass

    def act(self, obs, info, memory=None, *, greedy=False):
        return Decision(np.full((len(obs), 3), torch.get_num_threads() / 4, np.float32)), None


def test_one_thread_and_two_play_the_same_data(monkeypatch, tmp_path):
    before, found = torch.get_num_threads(), []
    try:
        for threads in (1, 2):
            monkeypatch.setenv("PLAYFIELD_CACHE", str(tmp_path / str(threads)))
            torch.set_num_threads(threads)
            found.append(load_dataset("states/hopper", 64, players={"walker/hopper": [CountsThreads()]}))
    finally:
        torch.set_num_threads(before)
    assert np.array_equal(found[0].values, found[1].values)
    assert not np.array_equal(found[0].values, load_dataset("states/hopper", 64).values), "somebody played"


def test_a_data_set_is_told_from_others_by_all_that_it_follows_from():
    class Player:
        def __init__(self, name):
            self.name = name

    def file(name="frames/pong", count=3, seed=0, **who):
        cast = {f"atari/{game}": [Player(player)] for game, player in who.items()}
        family, _, variant = name.partition("/")
        return catalog._request(family, DataRequest(count, seed, variant, cast)).file

    others = [file("frames"), file(count=4), file(seed=1), file(pong="ppo"), file(pong="dqn"), file("boards")]
    assert len({file(), *others}) == 7 and file() == file()
    assert file("boards", pong="ppo") == file("boards"), "who plays another family has no say"


def test_a_cache_that_cannot_be_written_does_no_harm(monkeypatch, tmp_path):
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("PLAYFIELD_CACHE", str(tmp_path / "file"))
    assert len(load_dataset("boards", 3)) == 3


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("digit", 'did you mean "digits"'),
        ("frames/pang", "frames/pong"),
        ("digits/5", "no variants"),
        ("states", "states/ant"),
        ("no/such/folder", "no data set and no folder"),
    ],
)
def test_unknown_data_sets_are_refused_by_name(name, words):
    with pytest.raises(DataError, match=words):
        load_dataset(name, 5)
    assert not issubclass(DataError, FieldError)


def test_what_is_not_installed_is_told_with_the_line_that_installs_it(monkeypatch, tmp_path):
    monkeypatch.setattr(emoji, "PLACES", (str(tmp_path / "none.ttf"),))
    monkeypatch.setattr(stamps, "PLACE", tmp_path)
    for name, package in (("emoji", "fonts-noto-color-emoji"), ("stamps", "tuxpaint-stamps-default")):
        with pytest.raises(DataError, match=f"apt install {package}"):
            load_dataset(name, 5)


@pytest.mark.parametrize("name", ["emoji", "stamps"])
def test_real_pictures_have_names(name):
    try:
        found = load_dataset(name, 60)
    except DataError as error:
        pytest.skip(str(error))
    assert len(found) == 60 and all(found.captions[:5]) and found.values.std() > 30


def test_stamps_stand_on_white_with_their_masks(monkeypatch, tmp_path):
    monkeypatch.setattr(stamps, "PLACE", tmp_path)
    (tmp_path / "animals" / "fish").mkdir(parents=True)
    rgba = np.zeros((20, 40, 4), np.uint8)
    rgba[5:15, 10:30] = (200, 0, 0, 255)
    Image.fromarray(rgba).save(tmp_path / "animals" / "fish" / "carp.png")
    (tmp_path / "animals" / "fish" / "carp.txt").write_text("A carp.\nde=Ein Karpfen.\n")
    found = load_dataset("stamps", 5)
    assert found.captions == ("A carp.",) and found.label_names == ("animals",)
    mask = found.truths[0].mask
    assert mask.shape == (64, 64) and mask[32, 32] == 1 and mask[2, 32] == 0
    assert mask.mean() == pytest.approx(10 * 20 / 40**2, abs=0.01)
    assert found.values[0, 0, 0].tolist() == [255] * 3 and found.values[0, 32, 32].tolist() == [200, 0, 0]


def test_a_folder_of_pictures_is_learned_with_its_folders_as_labels(tmp_path):
    for i, label in enumerate(("cats", "dogs", "dogs")):
        (tmp_path / label).mkdir(exist_ok=True)
        Image.new("RGB", (100, 80), (i * 50, 0, 0)).save(tmp_path / label / f"{i}.png")
    found = load_dataset(str(tmp_path), 10)
    assert found.label_names == ("cats", "dogs") and found.labels.tolist() == [0, 1, 1]
    assert found.values.shape == (3, 64, 64, 3) and found.values[2, 0, 0].tolist() == [100, 0, 0]


def test_bad_folders_are_refused_by_name(tmp_path):
    with pytest.raises(DataError, match="neither pictures nor"):
        load_dataset(str(tmp_path), 5)
    Image.new("RGB", (100, 80)).save(tmp_path / "a.png")
    Image.new("RGB", (90, 80)).save(tmp_path / "b.png")
    with pytest.raises(DataError, match=r"b\.png has 90×80 pixels and a\.png 100×80"):
        load_dataset(str(tmp_path), 5)
    (tmp_path / "b.png").write_text("no picture")
    with pytest.raises(DataError, match=r"b\.png is no picture"):
        load_dataset(str(tmp_path), 5)


class Chance:
    """Plays at random."""

    def seed(self, seed):
        self.generator = np.random.default_rng(seed)

    def act(self, obs, info, memory=None, *, greedy=False):
        return Decision(self.generator.integers(0, 3, len(obs))), None


def test_recorded_episodes_are_learned_from(tmp_path):
    worlds = make_worlds("atari/pong", 2, 0, max_frames=160)
    spaces = worlds.single_observation_space, worlds.single_action_space
    with new_dataset(tmp_path / "mine", *spaces, facts={"world": "atari/pong"}) as dataset:
        list(record(Chance(), worlds, dataset, seed=0, greedy=False, episodes=3))
    worlds.close()
    found = load_dataset(str(tmp_path / "mine"), 20)
    assert len(found) == 20 and found.label_names == ("pong",) and len(set(found.episodes.tolist())) == 3
    assert found.values.shape[1:] == (64, 64, 3) and found.values.std() > 10
    whole = recorded(tmp_path / "mine")
    for name in ("actions", "rewards", "truncated", "last"):
        there = {(e, t): row for e, t, row in zip(whole.episodes, whole["order"], whole[name], strict=True)}
        rows = zip(found.episodes, found["order"], strict=True)
        assert [there[place] for place in rows] == found[name].tolist()
    (tmp_path / "mine" / "data" / "main_data.hdf5").write_bytes(b"not HDF5")
    with pytest.raises(DataError, match="damaged"):
        load_dataset(str(tmp_path / "mine"), 20)


def test_recorded_vectors_are_no_pictures(tmp_path):
    worlds = make_worlds("gym/CartPole-v1", 1, 0)
    spaces = worlds.single_observation_space, worlds.single_action_space
    with new_dataset(tmp_path / "mine", *spaces) as dataset:
        list(record(Lazy(), worlds, dataset, seed=0, greedy=False, episodes=1))
    worlds.close()
    with pytest.raises(DataError, match="--frames"):
        load_dataset(str(tmp_path / "mine"), 20)


class Lazy(Chance):
    """Does the first thing."""

    def act(self, obs, info, memory=None, *, greedy=False):
        decision, _ = super().act(obs, info)
        return type(decision)(decision.actions * 0), None


def test_every_data_set_is_tried_here():
    assert {name.partition("/")[0] for name in SMALL} | {"emoji", "stamps"} == set(DATA)
