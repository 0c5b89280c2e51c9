"""Training data of samplers: requests, cards and held-out splits, whatever the seed of sampling."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
import torch

from generative.data.catalog import load_dataset
from scenes.build.samplers import sampler_config
from scenes.cli.main import main
from scenes.data import sampler_data
from scenes.data.sampler_data import (
    DataRecipe,
    check_recipe,
    differences,
    fetch_examples,
    players,
    requested_data,
    some_examples,
)
from scenes.evaluation import samplers
from scenes.evaluation.samplers import REAL
from scenes.schema import SceneError, load_scene, shipped_scenes
from scenes.training.samplers import SamplerTrainee
from sim.storage.checkpoints import CheckpointError, load_card, load_checkpoint, save_checkpoint
from supervised.data.split import HASHED, SHUFFLED

pytestmark = pytest.mark.usefixtures("remembered_features")

SCENE = """
title = "Digits"
[[sampler]]
use = "vae"
data = "digits"
examples = 600
latents = 4
channels = 16
batch_size = 16
[train]
updates = 2
"""


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    path = tmp_path_factory.mktemp("digits") / "digits.toml"
    path.write_text(SCENE)
    return str(path)


@pytest.fixture(scope="module")
def trained(file, tmp_path_factory):
    """A checkpoint that learned with seed 5, for tests that do not write to it."""
    run = tmp_path_factory.mktemp("run") / "a"
    assert main(["train", file, "--run", str(run), "--seed", "5"]) == 0
    return run / "checkpoints" / "2"


@pytest.fixture(autouse=True)
def few_samples(few):
    few(samplers, GRADED=20, A_LABEL=4)


def changed(checkpoint, folder, **protocol):
    """A copy whose card tells something else of its data; None leaves it out."""
    loaded = load_checkpoint(checkpoint)
    told = {k: v for k, v in (loaded.card["protocol"] | protocol).items() if v is not None}
    save_checkpoint(folder, loaded.card | {"protocol": told}, loaded.weights)
    return folder


def evaluated(capsys, file, checkpoint, *more):
    assert main(["evaluate", file, "--checkpoint", str(checkpoint), *more, "--json"]) == 0
    told = capsys.readouterr()
    return json.loads(told.out.splitlines()[-1]), told.err


def test_a_card_tells_what_was_asked_for(trained):
    told = load_card(trained)["protocol"]
    assert told == {
        "data": "digits",
        "examples": 600,
        "data_seed": 5,
        "held_out_share": 0.1,
        "split": HASHED,
        "learned_from": told["learned_from"],
    }
    assert 480 <= told["learned_from"] < 600


def test_another_seed_draws_other_samples_and_judges_them_beside_the_same_data(file, trained, capsys):
    (one, _), (other, _) = (evaluated(capsys, file, trained, "--seed", seed) for seed in ("0", "7"))
    assert one["protocol"] == other["protocol"] and one["protocol"]["data_seed"] == 5
    assert one["breakdown"][REAL] == other["breakdown"][REAL], "the same real examples are held out"
    assert one["metrics"]["frechet"] != other["metrics"]["frechet"]


def test_how_many_examples_there_were_refuses_nothing(file, trained, tmp_path, capsys):
    """17,994 on one machine are 17,997 on the next; by the older rule that moves episodes, and is told."""
    old = changed(trained, tmp_path / "old", learned_from=3, split=SHUFFLED)
    _, said = evaluated(capsys, file, old)
    assert "it learned from 3 examples and here there are" in " ".join(said.split())
    card = load_card(trained)
    recipe = DataRecipe("digits", 600, 5)
    assert list(differences(card, recipe, card["protocol"]["learned_from"] + 3)) == []


def test_an_older_card_is_followed_by_the_rule_of_its_time(file, trained, tmp_path):
    """It names the number that was had, where newer ones name the number asked for."""
    old = changed(trained, tmp_path / "old", examples=537, data_seed=None, split=None, learned_from=None)
    scene, card = load_scene(file), load_card(old)
    recipe = DataRecipe.of_scene(scene, sampler_config(scene), card)
    assert recipe == DataRecipe("digits", 600, 5, 0.1, SHUFFLED)
    assert requested_data(card) == {"data": "digits", "examples": 600}
    train, _ = load_dataset("digits", 600, seed=5).parted(0.1, 5, SHUFFLED)
    assert np.array_equal(fetch_examples(scene, recipe).train.values, train.values)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ("examples=500", "its examples is 600, this scene's is 500"),
        ("data=emoji", "its data is digits, this scene's is emoji"),
    ],
)
def test_other_data_than_it_learned_from_are_refused_before_they_are_fetched(
    file, trained, capsys, monkeypatch, change, words
):
    monkeypatch.setattr(sampler_data, "load_dataset", lambda *_, **__: pytest.fail("fetched"))
    assert main(["evaluate", file, "--checkpoint", str(trained), "--set", f"sampler.0.{change}"]) == 2
    said = " ".join(capsys.readouterr().err.split())
    assert "learned from other examples" in said and words in said and "set sampler.0." in said


def test_a_folder_is_the_same_by_its_whole_path(file):
    """As a resumed run names it."""
    scene = load_scene(file)
    folder = scene.source.parent / "mine"
    folder.mkdir(exist_ok=True)
    for learned in ("mine", str(folder)):
        card = {"protocol": {"data": learned, "examples": 5, "split": HASHED}}
        check_recipe(scene, "a", 0, card, DataRecipe("mine", 5, 0))
        with pytest.raises(SceneError, match=r"set sampler\.1\.data="):
            check_recipe(scene, "a", 1, card, DataRecipe("yours", 5, 0))


def test_a_rule_that_there_is_not_is_refused(file, trained, tmp_path, capsys):
    newer = changed(trained, tmp_path / "newer", split="by author")
    assert main(["evaluate", file, "--checkpoint", str(newer)]) == 2
    assert 'no split rule "by author"' in " ".join(capsys.readouterr().err.split())


def test_what_may_make_other_data_is_told():
    recipe = DataRecipe("frames", 10, 0)
    protocol = recipe.protocol()
    assert protocol["players"].startswith("pong ") and len(protocol["players"].split()) == 4
    card = {"protocol": protocol, "versions": {"ale-py": "0.1", "torch": torch.__version__, "chess": "0.2"}}
    (said,) = differences(card, recipe, 9)
    assert said.startswith("its examples were made with ale-py 0.1, here with ")
    card = {"protocol": protocol | {"players": "pong 123", "learned_from": 5}, "versions": {}}
    assert list(differences(card, recipe, 9)) == [
        f"its examples were played by pong 123, here by {protocol['players']}"
    ]
    assert list(differences({}, recipe, 9)) == []
    walker, board = (DataRecipe(data, 10, 0).protocol() for data in ("states/walker2d", "boards"))
    assert walker["players"].startswith("walker ") and "players" not in board


def test_what_a_beginning_has_not_seen_stays_held_out(file, trained, tmp_path):
    old = changed(trained, tmp_path / "old", split=SHUFFLED)
    for seed, rule in ((5, SHUFFLED), (6, HASHED)):
        scene = load_scene(file, [], seed)
        trainee = SamplerTrainee(scene, "cpu", old)
        assert trainee.recipe == DataRecipe("digits", 600, seed, 0.1, rule)
        assert trainee.card({}, {})["protocol"]["split"] == rule
    with pytest.raises(CheckpointError, match="nowhere"):
        SamplerTrainee(load_scene(file), "cpu", tmp_path / "nowhere")


def test_a_run_from_before_goes_on_with_what_it_held_out(file):
    trainee = SamplerTrainee(load_scene(file), "cpu", None)
    state = trainee.state()
    assert state["split"] == HASHED
    again = SamplerTrainee(load_scene(file), "cpu", None)
    again.restore(state)
    assert again.recipe == trainee.recipe
    del state["split"]
    again.restore(state)
    assert again.recipe == replace(trainee.recipe, split=SHUFFLED)


def test_one_episode_is_named_with_its_scene(file, monkeypatch):
    whole = load_dataset("digits", 40)
    monkeypatch.setattr(
        sampler_data, "load_dataset", lambda *_, **__: whole.assign(episodes=np.zeros(len(whole), np.int64))
    )
    scene = load_scene(file)
    with pytest.raises(SceneError, match=r'digits\.toml, data = "digits": there is but one episode'):
        fetch_examples(scene, DataRecipe.of_scene(scene, sampler_config(scene)))


def test_a_gallery_says_that_it_plays_only_where_it_does(file, monkeypatch):
    at_home, said = {600}, []
    monkeypatch.setattr(sampler_data, "is_available", lambda data, count, **_: count in at_home)
    monkeypatch.setattr(sampler_data, "fetch_examples", lambda scene, recipe: recipe.examples)
    scene, recipe = load_scene(file), DataRecipe("digits", 12_000, 0)
    assert some_examples(scene, recipe, said.append) == 600 and said == []
    at_home.clear()
    assert some_examples(scene, recipe, said.append) == 600
    assert "playing 600 examples" in said[0]


def test_agents_that_ship_play_the_same_on_one_thread_and_on_two(tmp_path, monkeypatch):
    before, found = torch.get_num_threads(), []
    try:
        for threads in (1, 2):
            monkeypatch.setenv("PLAYFIELD_CACHE", str(tmp_path / str(threads)))
            torch.set_num_threads(threads)
            found.append(load_dataset("states/walker2d", 64, players=players()).values)
    finally:
        torch.set_num_threads(before)
    assert np.array_equal(*found)


@pytest.mark.parametrize("name", [name for name in shipped_scenes() if load_scene(name).sampler])
def test_the_scenes_that_ship_ask_for_what_their_checkpoints_learned_from(name):
    scene = load_scene(name)
    for number, table in enumerate(scene.sampler):
        if table.checkpoint:
            card, config = load_card(scene.resolve(table.checkpoint)), sampler_config(scene, number)
            recipe = DataRecipe.of_scene(scene, config, card)
            assert requested_data(card) == {"data": recipe.data, "examples": recipe.examples}
            told = recipe.protocol()
            assert told.items() <= card["protocol"].items(), "and its players are those that ship"
            assert told.items() <= card["scores"]["protocol"].items()
