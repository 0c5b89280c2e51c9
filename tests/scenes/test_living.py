"""Agents that live on percepts: trained, scored, watched and recorded like any other, and stamped."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from scenes.cli import main
from scenes.living import lived_world
from scenes.schema import load_scene
from scenes.stage import SceneShow
from sim.checkpoints import load_card

SCENE = """
title = "Pong, lived on objects"
[world]
use = "atari/pong"
max_frames = 200
num_envs = 2
[agent]
use = "ppo"
network = "mlp"
num_steps = 16
minibatch_size = 16
num_epochs = 1
[[perception]]
use = "detector"
channels = 4
feed = "agent"
origin = "noisy truth"
training_origin = "truth"
[train]
env_steps = 64
"""


@pytest.fixture
def scene(tmp_path):
    file = tmp_path / "lived.toml"
    file.write_text(SCENE)
    return str(file)


@pytest.fixture
def run(scene, tmp_path):
    assert main(["train", scene, "--run", str(tmp_path / "run")]) == 0
    return tmp_path / "run"


def answer(capsys, *arguments):
    assert main([*arguments, "--json"]) == 0
    return json.loads(capsys.readouterr().out.splitlines()[-1])


def refusal(capsys, *arguments):
    assert main([*arguments]) == 2
    said = capsys.readouterr().err
    assert "Traceback" not in said
    return said


def test_it_learns_from_one_origin_and_plays_on_another_and_stamps_say_which(scene, run, capsys):
    card = load_card(run / "checkpoints" / "64")
    assert (card["protocol"]["feed"], card["protocol"]["origin"]) == ("agent", "truth")
    assert card["observation_space"].endswith("(21,), float32)")
    evaluate = ["evaluate", scene, "--checkpoint", str(run / "checkpoints" / "64"), "--episodes", "2"]
    stamp = answer(capsys, *evaluate)["protocol"]
    assert (stamp["origin"], stamp["noise_pixels"], stamp["perception"]) == ("noisy truth", 2.0, "detector")
    found = answer(capsys, *evaluate, "--set", "perception.0.origin=truth")
    assert found["protocol"]["origin"] == "truth" and "noise_pixels" not in found["protocol"]
    assert found["baseline"]["length"] == found["metrics"]["length"] == 50


def test_noise_is_as_strong_as_the_scene_says(scene, run, capsys):
    evaluate = ["evaluate", scene, "--checkpoint", str(run / "checkpoints" / "64"), "--episodes", "1"]
    rough = ["--set", "perception.0.noise_pixels=8", "--set", "perception.0.noise_misses=0.5"]
    stamp = answer(capsys, *evaluate, *rough)["protocol"]
    assert (stamp["noise_pixels"], stamp["noise_misses"]) == (8.0, 0.5)
    said = refusal(capsys, *evaluate, "--set", "perception.0.noise_misses=2")
    assert "noise_misses must be in [0, 1]" in said


def test_runs_that_live_on_different_origins_are_not_compared(scene, run, tmp_path, capsys):
    change = ["--set", "perception.0.origin=truth"]
    assert main(["train", scene, "--run", str(tmp_path / "other"), *change]) == 0
    said = refusal(capsys, "compare", str(run), str(tmp_path / "other"), "--episodes", "2")
    assert "origin is noisy truth and truth" in said
    rows = answer(capsys, "compare", str(run), str(tmp_path / "other"), "--episodes", "2", *change)["rows"]
    assert rows[0]["differs"] == {}


def test_the_audience_sees_the_picture_and_the_very_things_that_the_agent_lives_on(scene, run):
    show = SceneShow(load_scene(scene), device="cpu", run=run, most_worlds=1)
    moment = show.start(3)
    for _ in range(20):
        (seen,) = moment.seen
        world = show._worlds.envs[0]
        assert seen.percept.boxes is world.percept.boxes
        assert (seen.percept.origin, seen.percept.labels) == ("noisy truth", world.percept.labels)
        assert seen.truth is not None and seen.truth.origin == "truth"
        assert moment.pictures[0].shape == (210, 160, 3)
        moment = show.step(None)
    show.close()


def test_watching_and_recording_need_nothing_special(scene, run, tmp_path, capsys):
    film = tmp_path / "film.mp4"
    found = answer(
        capsys, "watch", scene, "--run", str(run), "--headless", "--frames", "12", "--record", str(film)
    )
    assert found["frames"] == 12 and film.is_file()
    found = answer(
        capsys, "collect", scene, "--checkpoint", str(run / "checkpoints" / "64"), "--episodes", "1",
        "--out", str(tmp_path / "lived-v0"),
    )  # fmt: skip
    assert (found["episodes"], found["steps"]) == (1, 50)


def test_a_models_word_is_the_models_word(scene, tmp_path):
    shipped = [
        "perception.0.checkpoint=" + str(load_scene("pong-detector").resolve("checkpoints/pong-detector"))
    ]
    told = {}
    for origin in ("truth", "model"):
        wide = ["perception.0.channels=24", f"perception.0.origin={origin}"]
        worlds = lived_world(load_scene(scene, [*shipped, *wide]), "cpu").make_batch(2, seed=0)
        worlds.reset()
        for _ in range(25):
            obs, *_ = worlds.step(np.array([2, 5]))
        told[origin] = obs
        worlds.close()
    present = np.arange(0, 21, 7)
    np.testing.assert_array_equal(told["model"][:, present], told["truth"][:, present])
    np.testing.assert_allclose(told["model"][:, 1:3], told["truth"][:, 1:3], atol=0.02)
    assert not np.array_equal(told["model"], told["truth"])


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        (["perception.0.origin=model"], '"detector" is untrained, and an agent cannot live on it'),
        (["perception.0.slots.bal=1"], 'no class "bal"; there are ball, player, enemy'),
        (["world.use=atari/tetris"], 'the objects in "tetris" are not known'),
        (["world.use=gym/CartPole-v1"], "gym/CartPole-v1 does not know the truth about its pictures"),
        (["perception.0.noise_pixels=-1"], "noise_pixels must not be below 0"),
    ],
)
def test_what_an_agent_cannot_live_on_is_refused_by_name(scene, changes, words, capsys):
    if "CartPole" in changes[0]:
        Path(scene).write_text(SCENE.replace("max_frames = 200", ""))
    assert words in refusal(capsys, "evaluate", scene, *[part for c in changes for part in ("--set", c)])


def test_two_perceptions_cannot_feed_one_agent(scene, capsys):
    table = '\n[[perception]]\nuse = "detector"\nfeed = "agent"\n'
    with open(scene, "a") as file:
        file.write(table)
    assert "one perception can feed the agent, not 2" in refusal(capsys, "train", scene)


def test_an_agent_of_pixels_is_refused(scene, capsys):
    pixels = str(load_scene("pong").resolve("checkpoints/pong-ppo"))
    assert "observation" in refusal(capsys, "evaluate", scene, "--checkpoint", pixels)
