"""Worlds that are models: a family with a checkpoint, given beside the catalogues, through every verb."""

import json
import os
import re
from dataclasses import replace

import numpy as np
import pytest
from linear_world import save

import playfield
from scenes.build.agents import scene_world, world_fields
from scenes.build.worlds import world_catalog, world_names
from scenes.cli import verbs
from scenes.collecting.command import CollectRequest, collect, env_spec, scene_spec
from scenes.schema import SceneError, load_scene, make_scene
from scenes.training.resume import resumed_scene
from sim import catalog
from sim.catalog import CatalogError, world_config
from sim.conformance import check_world
from sim.fields import FieldError
from sim.storage.checkpoints import CheckpointError
from supervised.data.episodes import recorded

LINEAR = {"linear": "linear_world:Linear"}
SCENE = """
title = "Linear"
[world]
use = "linear/slide"
checkpoint = "weights/linear"
num_envs = 2
[agent]
use = "ppo"
num_steps = 8
minibatch_size = 16
num_epochs = 1
network = "mlp"
[train]
env_steps = 16
"""


@pytest.fixture
def file(tmp_path):
    save(tmp_path / "weights" / "linear")
    (tmp_path / "linear.toml").write_text(SCENE)
    return tmp_path / "linear.toml"


@pytest.fixture
def scene(file):
    return playfield.open(file, device="cpu", extra_worlds=LINEAR)


def test_it_is_a_world_like_any_other(scene):
    check_world(scene_world(scene.scene), steps=60)
    assert scene.worlds().reset()[0].shape == (2, 1)


def test_its_names_are_listed_beside_those_of_the_simulators():
    names = world_names(LINEAR)
    assert names == [*world_names(), "linear/slide", "linear/drift"]
    assert set(catalog.world_names()) | {"dream/pong", "twin/pong"} == set(world_names())
    assert not any(name.startswith("linear") for name in world_names())
    assert set(world_catalog()) >= set(catalog.WORLDS)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("linear/slid", 'did you mean "linear/slide"'),
        ("liner/slide", 'no world "liner"; did you mean "linear"'),
    ],
)
def test_a_misspelt_name_is_told_the_nearest(file, name, words):
    scene = playfield.open(file, {"world.use": name}, extra_worlds=LINEAR)
    with pytest.raises(CatalogError, match=words):
        scene.worlds()


def test_without_its_line_in_a_catalogue_there_is_no_such_world(file):
    with pytest.raises(CatalogError, match='there is no world "linear"'):
        playfield.open(file).worlds()


def test_its_checkpoint_starts_from_the_scene_file(file, scene, monkeypatch):
    monkeypatch.chdir(os.sep)
    folder = str(file.parent / "weights" / "linear")
    assert scene_world(scene.scene).checkpoint == folder == world_fields(scene.scene)["checkpoint"]
    kept = make_scene({"title": "kept", "world": {"use": "linear/slide", "decoder_checkpoint": "d"}}, file)
    assert f'decoder_checkpoint = "{file.parent / "d"}"' in kept.toml()
    assert folder in scene.scene.toml()


@pytest.mark.parametrize(
    ("checkpoint", "words"),
    [
        ("weights/lost", "weights/lost does not exist"),
        ("weights/agent", "weights/agent does not fit: its kind is agent, here it is world"),
        ("weights/cut", "model.safetensors is cut short or changed"),
    ],
)
def test_a_checkpoint_that_is_none_of_its_is_refused_before_anything_is_written(file, checkpoint, words):
    save(file.parent / "weights" / "agent", kind="agent")
    weights = save(file.parent / "weights" / "cut") / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1])
    scene = playfield.open(file, {"world.checkpoint": checkpoint}, device="cpu", extra_worlds=LINEAR)
    for ask in (scene.worlds, scene.evaluate, lambda: scene.train(file.parent / "run")):
        with pytest.raises(CheckpointError, match=re.escape(words)):
            ask()
    assert not (file.parent / "run").exists()


def test_a_key_that_it_needs_or_does_not_know_is_named(file):
    with pytest.raises(FieldError, match='linear.toml, .world.: unknown key "chekpoint"; did you mean'):
        playfield.open(file, {"world.chekpoint": "w"}, extra_worlds=LINEAR).worlds()
    with pytest.raises(FieldError, match='the key "checkpoint" is missing'):
        world_config("linear/slide", {}, worlds=world_catalog(LINEAR))


def test_it_is_watched_without_a_window(scene):
    answer, interrupted = verbs.watch(
        scene.scene,
        device="cpu",
        person=False,
        run=None,
        headless=True,
        frames=20,
        record=None,
        overwrite=False,
    )
    assert answer["frames"] == 20 and answer["episodes"] >= 1 and not interrupted


def test_an_agent_trains_in_it_resumes_and_is_scored(scene, tmp_path):
    run = tmp_path / "run"
    assert [progress.env_steps for progress in scene.train(run)] == [16]
    more = scene.train(run, steps=32, resume=True)
    assert [progress.env_steps for progress in more] == [32]
    found = scene.evaluate(episodes=3, checkpoint=run)
    assert found["n"] == 3 and -24 < found["metrics"]["return_mean"] < 0
    assert found["protocol"]["weights"] == scene_world(scene.scene).protocol()["weights"]
    assert resumed_scene(scene.scene, run, (), None).extra_worlds == LINEAR


def test_a_run_does_not_go_on_in_a_world_that_has_learned_meanwhile(scene, file, tmp_path):
    list(scene.train(tmp_path / "run"))
    before = (tmp_path / "run" / "metrics.jsonl").read_bytes()
    folder = file.parent / "weights" / "linear"
    save(folder, {"a": np.float32([0.8]), "b": np.float32([-0.5, 0.5])})
    with pytest.raises(SceneError, match="run cannot go on: the weights of linear/slide are not those"):
        scene.train(tmp_path / "run", steps=32, resume=True)
    assert (tmp_path / "run" / "metrics.jsonl").read_bytes() == before
    save(folder)
    assert [progress.env_steps for progress in scene.train(tmp_path / "run", steps=32, resume=True)] == [32]


def test_other_weights_are_another_world(file, scene):
    other = {"a": np.float32([0.0]), "b": np.float32([1.0, 1.0])}
    save(file.parent / "other", other)
    changed = playfield.open(file, {"world.checkpoint": "other"}, extra_worlds=LINEAR)
    assert scene_world(changed.scene).protocol() != scene_world(scene.scene).protocol()
    world = changed.world(seed=1)
    world.reset()
    assert world.step(0)[0] == 1


def test_its_episodes_are_recorded_and_read_back_by_its_own_law(scene, tmp_path):
    wish = CollectRequest(tmp_path / "kept", episodes=3)
    assert len(collect(scene.scene, wish, device="cpu", say=lambda line: None).returns) == 3
    data = recorded(tmp_path / "kept")
    here, there = data.windows(2).T
    weights = scene_world(scene.scene).loaded().weights
    x = weights["a"] * data.values[here, 0] + weights["b"][data["actions"][here]]
    np.testing.assert_allclose(data.values[there, 0], x, rtol=1e-6)
    assert len(here) == (~data["last"]).sum() and set(data.episodes.tolist()) == {0, 1, 2}


def test_recordings_name_a_world_by_what_makes_it_elsewhere(scene):
    config = scene_world(scene.scene)
    assert scene_spec(scene.scene, config) is None, "no catalogue has it"
    spec = env_spec("linear/slide", world_fields(scene.scene))
    assert spec.entry_point == "scenes.build.worlds:make_world"
    assert json.loads(spec.to_json())["kwargs"]["checkpoint"] == config.checkpoint
    assert env_spec("chess", {}).entry_point == "sim.catalog:make_world"
    cartpole = replace(load_scene("cartpole"), extra_worlds=LINEAR)
    assert scene_spec(cartpole, scene_world(cartpole)).id == "CartPole-v1"
