"""Scenes in a dreamed world and a twin: through the command line, in the window, by the game's agents."""

from pathlib import Path

import numpy as np
import pygame
import pytest
from command_line import answer, refusal

import scenes
from generative.dream.world_model import DiffusionWorldModel, DiffusionWorldModelConfig
from scenes.build.agents import same_game
from scenes.build.worlds import world_names
from scenes.data.agent_env import agent_env
from scenes.schema import SceneError, load_scene
from scenes.watching.scene_show import SceneShow
from sim.storage.checkpoints import make_card, save_checkpoint
from sim.viewer.app.commands import Commands
from sim.viewer.app.controls import Controls
from sim.viewer.app.viewer import Viewer
from sim.viewer.keymap import Command, help_lines

SHIPPED = Path(scenes.__file__).parent / "checkpoints"
SCENE = f"""
title = "Dreamt"
[world]
use = "dream/pong"
checkpoint = "tiny"
steps = 1
max_steps = 3
[agent]
use = "ppo"
checkpoint = "{SHIPPED / "pong-ppo"}"
network = "small"
num_steps = 2
minibatch_size = 2
num_epochs = 1
[train]
env_steps = 2
"""


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    folder = tmp_path_factory.mktemp("dreams")
    config = DiffusionWorldModelConfig(channels=(8,), layers=1, fold=8)
    DiffusionWorldModel(config, seed=3).save(folder / "tiny")
    (folder / "dreamt.toml").write_text(SCENE)
    return folder / "dreamt.toml"


def test_dreams_and_twins_are_listed_beside_the_simulators():
    assert {"dream/pong", "twin/pong", "atari/pong"} <= set(world_names())


def test_the_games_agent_plays_and_is_scored_in_the_dream(file, capsys):
    found = answer(capsys, "evaluate", file, "--episodes", "1", "--device", "cpu")
    assert found["n"] == 1 and found["protocol"]["world"] == "dream/pong"
    assert abs(found["metrics"]["return_mean"]) <= 3


@pytest.mark.slow
def test_an_agent_trains_in_the_dream_and_plays_in_the_emulator(file, tmp_path, capsys):
    run = tmp_path / "run"
    answer(capsys, "train", file, "--run", run, "--device", "cpu")
    frames = ["--set", "world.max_frames=40", "--episodes", "1"]
    found = answer(capsys, "evaluate", "pong", "--checkpoint", run, "--device", "cpu", *frames)
    assert found["protocol"]["world"] == "atari/pong"


def test_a_twin_is_watched_without_a_window(file, tmp_path, capsys):
    film = tmp_path / "film.mp4"
    options = ["--headless", "--frames", "2", "--record", film, "--set", "world.use=twin/pong"]
    found = answer(capsys, "watch", file, *options, "--device", "cpu")
    assert found["frames"] == 2 and film.stat().st_size > 1000


def test_an_agent_of_another_game_is_refused(file, capsys):
    other = refusal(capsys, "evaluate", file, "--checkpoint", SHIPPED / "breakout")
    assert "its world is atari/breakout, here it is dream/pong" in other
    assert same_game("atari/pong", "twin/pong") and not same_game("gym/pong", "dream/pong")


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        (["world.checkpoint=nowhere"], "dream/pong has no trained world model"),
        (
            ["world.use=twin/pong", "world.checkpoint=nowhere", "world.horizon=9"],
            "has no trained world model",
        ),
        (["world.use=dream/pongg"], 'did you mean "dream/pong"'),
        (["world.stepz=2"], 'unknown key "stepz"; did you mean "steps"'),
        (["world.steps=0"], "steps must be at least 1, not 0"),
    ],
)
def test_what_cannot_be_is_refused_with_its_mend(file, capsys, changes, words):
    options = [part for change in changes for part in ("--set", change)]
    film = ["--headless", "--frames", "1"]
    assert words in refusal(capsys, "watch", file, *film, *options, "--device", "cpu")


def test_weights_of_something_else_are_refused(file, capsys):
    folder = file.parent / "other"
    save_checkpoint(
        folder, make_card("sampler", "vae", {}, seed=0, trained={}), {"a": np.zeros(2, np.float32)}
    )
    said = refusal(capsys, "evaluate", file, "--set", "world.checkpoint=other", "--device", "cpu")
    assert "its name is vae, here it is world-model" in said


def test_weights_of_another_action_set_are_refused(file, capsys):
    card = file.parent / "tiny" / "card.toml"
    kept = card.read_text()
    try:
        card.write_text(kept.replace('"RIGHTFIRE"', '"UPFIRE"'))
        said = refusal(capsys, "evaluate", file, "--device", "cpu")
    finally:
        card.write_text(kept)
    assert "action_names are NOOP, FIRE, RIGHT, LEFT, UPFIRE" in said


def press(viewer, controls, key, mod=0):
    controls.handle(pygame.Event(pygame.KEYDOWN, key=key, mod=mod))
    controls.handle(pygame.Event(pygame.KEYUP, key=key, mod=mod))
    viewer.simulation.wait_until_idle(10.0)


def test_a_person_plays_the_twin_with_the_games_keys_and_its_own(file):
    scene = load_scene(str(file), ["world.use=twin/pong", "world.max_steps=500", "world.horizon=60"])
    show = SceneShow(scene, device="cpu", most_worlds=1)
    viewer = Viewer(show, size=(640, 480), person=True)
    controls = Controls(viewer)
    world = show.worlds.envs[0]
    viewer.transport.set_paused(True)
    viewer.open()
    try:
        assert viewer.simulation.wait_for(0, 20.0)
        press(viewer, controls, pygame.K_k)
        assert world.denoising_steps == 2
        press(viewer, controls, pygame.K_k, pygame.KMOD_SHIFT)
        assert world.denoising_steps == 1
        press(viewer, controls, pygame.K_l)
        assert world.horizon == 120
        for _ in range(2):
            viewer.simulation.step_once()
        assert viewer.simulation.wait_for(2, 20.0)
        before = np.asarray(viewer.view.moment.pictures[0])
        press(viewer, controls, pygame.K_b)
        after = viewer.view.moment
        assert not np.array_equal(after.pictures[0], before)
        assert any(label.text == "DOWNFIRE" for label in after.labels)
        press(viewer, controls, pygame.K_y)
        assert world.divergence.frames == 0
        helped = help_lines(viewer.keys, viewer.facts.abilities, playing=True, asks=viewer.session.asks)
        keys = {(line.does.split()[0], line.keys) for line in helped}
        assert {("Synchronise", "Y"), ("Branch:", "B"), ("Denoising", "K"), ("Frames", "L")} <= keys
        Commands(viewer).do(Command.BACK)
        assert viewer.view.number == 1 and viewer.session.asks == ()
        viewer.draw()
        picture = pygame.surfarray.array3d(viewer.draw())
        assert len(np.unique(picture.reshape(-1, 3), axis=0)) > 20
    finally:
        viewer.close()


FED = """
title = "Pong, dreamt"
[world]
use = "atari/pong"
[agent]
use = "random"
[[sampler]]
use = "world-model"
checkpoint = "tiny"
feed = "world"
data = "gameplay/pong"
steps = 1
"""


def fed(file, *changes):
    (file.parent / "fed.toml").write_text(FED)
    return load_scene(str(file.parent / "fed.toml"), changes)


def test_a_sampler_that_feeds_the_world_dreams_it(file):
    config = agent_env(fed(file))
    assert config.name == "dream/pong" and config.steps == 1
    assert config.checkpoint == str(file.parent / "tiny")
    show = SceneShow(fed(file), device="cpu", most_worlds=1)
    assert show.start(0).pictures[0].shape == (210, 160, 3) and show.step(None).length[0] == 1
    show.close()


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        (["sampler.0.use=vae"], 'takes a "world-model", not a "vae"'),
        (["world.use=atari/breakout"], "it dreams atari/pong, the scene's world is atari/breakout"),
        (['sampler.0.checkpoint=""'], "is untrained, and nobody can act in its dream"),
    ],
)
def test_what_cannot_dream_the_world_is_refused(file, changes, words):
    with pytest.raises(SceneError, match=words):
        agent_env(fed(file, *changes))
