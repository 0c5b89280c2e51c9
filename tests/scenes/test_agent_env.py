"""Agents that observe percepts: trained, scored, watched and recorded like any other, and stamped."""

from __future__ import annotations

import sys

import numpy as np
import pytest
from command_line import answer, refusal

from scenes.build.trained import is_trained
from scenes.cli.main import main
from scenes.data.agent_env import agent_env
from scenes.data.perception_data import CHANCE, scene_player
from scenes.schema import load_scene
from scenes.watching.scene_show import SceneShow
from sim.storage.checkpoints import load_card
from sim.viewer.contract.gesture import Gesture

HOPPER = """
title = "Hopper, lived on joints"
[world]
use = "walker/hopper"
max_steps = 30
width = 64
height = 64
num_envs = 2
[agent]
use = "ppo"
network = "mlp"
num_steps = 32
minibatch_size = 16
num_epochs = 1
[[perception]]
use = "pose"
feed = "agent"
origin = "noisy truth"
training_origin = "truth"
[train]
env_steps = 64
"""

PONG = """
title = "Pong, lived on objects"
[world]
use = "atari/pong"
[agent]
use = "ppo"
network = "mlp"
[[perception]]
use = "detector"
feed = "agent"
"""


@pytest.fixture(scope="module")
def hopper(tmp_path_factory):
    file = tmp_path_factory.mktemp("hopper") / "lived.toml"
    file.write_text(HOPPER)
    return str(file)


@pytest.fixture
def pong(tmp_path):
    (tmp_path / "pong.toml").write_text(PONG)
    return str(tmp_path / "pong.toml")


@pytest.fixture(scope="module")
def run(hopper, tmp_path_factory):
    """A trained run, for tests that do not write to it."""
    folder = tmp_path_factory.mktemp("trained") / "run"
    assert main(["train", hopper, "--run", str(folder)]) == 0
    return folder


def newest(run):
    return str(run / "checkpoints" / "64")


def test_it_learns_from_one_origin_and_plays_on_another_and_stamps_say_which(hopper, run, capsys):
    card = load_card(run / "checkpoints" / "64")
    assert (card["protocol"]["feed"], card["protocol"]["origin"]) == ("agent", "truth")
    assert card["observation_space"].endswith("(30,), float32)")
    assert card["preprocessing"].startswith(
        "in this order: head present, head x, head y, head dx, head dy, hip"
    )
    evaluate = ["evaluate", hopper, "--checkpoint", newest(run), "--episodes", "2"]
    stamp = answer(capsys, *evaluate)["protocol"]
    assert (stamp["origin"], stamp["noise_pixels"], stamp["perception"]) == ("noisy truth", 2.0, "pose")
    plain = answer(capsys, *evaluate, "--set", "perception.0.origin=truth")["protocol"]
    assert plain["origin"] == "truth" and "noise_pixels" not in plain


def test_noise_is_as_strong_as_the_scene_says(hopper, run, capsys):
    evaluate = ["evaluate", hopper, "--checkpoint", newest(run), "--episodes", "1"]
    rough = ["--set", "perception.0.noise_pixels=8", "--set", "perception.0.noise_misses=0.5"]
    stamp = answer(capsys, *evaluate, *rough)["protocol"]
    assert (stamp["noise_pixels"], stamp["noise_misses"]) == (8.0, 0.5)
    said = refusal(capsys, *evaluate, "--set", "perception.0.noise_misses=2")
    assert "noise_misses must be in [0, 1]" in said


def test_what_is_seen_is_as_smooth_as_the_scene_says(hopper):
    told = []
    for change in ([], ["perception.0.smoothing=0.9"]):
        world = agent_env(load_scene(hopper, change), "cpu").make(seed=0)
        seen = [world.reset(seed=0)[0]]
        seen += [world.step(np.zeros(3, np.float32))[0] for _ in range(12)]
        told.append(np.stack(seen))
        world.close()
    rough, smooth = (np.abs(np.diff(each[:, 1::5], axis=0)).mean() for each in told)  # x of every joint
    assert smooth < 0.5 * rough, "the same noise, steadied"


def test_runs_that_live_on_different_origins_are_not_compared(hopper, run, tmp_path, capsys):
    change = ["--set", "perception.0.origin=truth"]
    assert main(["train", hopper, "--run", str(tmp_path / "other"), *change]) == 0
    said = refusal(capsys, "compare", str(run), str(tmp_path / "other"), "--episodes", "2")
    assert "origin is noisy truth and truth" in said
    rows = answer(capsys, "compare", str(run), str(tmp_path / "other"), "--episodes", "2", *change)["rows"]
    assert rows[0]["differs"] == {}


def test_the_audience_sees_the_very_things_that_the_agent_lives_on(hopper, run):
    show = SceneShow(load_scene(hopper), device="cpu", run=run, most_worlds=1)
    world = show.worlds.envs[0]
    moment = show.start(3)
    for _ in range(20):
        (seen,) = moment.seen
        assert (seen.percept.origin, seen.percept.keypoints) == ("noisy truth", world.percept.keypoints)
        assert seen.truth is not None and seen.truth.origin == "truth"
        moment = show.step(None)
    show.close()


def test_what_it_lives_on_lies_over_the_audiences_picture_until_that_is_turned(hopper, run):
    show = SceneShow(load_scene(hopper, ["perception.0.origin=truth"]), device="cpu", run=run, most_worlds=1)
    world = show.worlds.envs[0]
    show.start(0)
    show.touch(Gesture("resize", 300, 200))
    moment = show.look()
    assert moment.pictures[0].shape[:2] == (200, 300)
    theirs = world.unwrapped.truth(("keypoints",)).keypoints
    for name, place in moment.seen[0].percept.keypoints.items():
        assert place == pytest.approx(theirs[name], abs=1e-6)
    before = dict(world.percept.keypoints)
    show.touch(Gesture("orbit", 0.2, 0.0))
    assert show.look().seen[0].percept.keypoints == {}, "there is no such place in a turned picture"
    assert world.current_percept().keypoints == before, "and the agent sees as before"
    show.close()


def test_watching_and_recording_need_nothing_special(hopper, run, tmp_path, capsys):
    film = tmp_path / "film.mp4"
    filming = ["--headless", "--frames", "12", "--record", str(film)]
    found = answer(capsys, "watch", hopper, "--run", str(run), *filming)
    assert found["frames"] == 12 and film.is_file()
    where = ["--episodes", "1", "--out", str(tmp_path / "lived-v0")]
    found = answer(capsys, "collect", hopper, "--checkpoint", newest(run), *where)
    assert found["episodes"] == 1 and 0 < found["steps"] <= 30
    fed = load_scene(hopper, [f"agent.checkpoint={newest(run)}"])
    assert scene_player(fed) is CHANCE, "worlds that are photographed show it nothing to live on"


def test_a_models_word_is_the_models_word(pong):
    shipped = load_scene("pong-detector").resolve("checkpoints/pong-detector")
    told = {}
    for origin in ("truth", "model"):
        scene = load_scene(pong, [f"perception.0.checkpoint={shipped}", f"perception.0.origin={origin}"])
        worlds = agent_env(scene, "cpu").make_batch(2, seed=0)
        worlds.reset()
        for _ in range(20):
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
        (["perception.0.origin=model"], '"pose" is untrained, and an agent cannot live on it'),
        (["perception.0.slots.toe=1"], 'there is no class "toe"'),
        (["perception.0.use=segmenter"], '"segmenter" tells mask, and an agent lives on boxes or keypoints'),
        (["perception.0.use=detector"], 'walker/hopper does not know the truth about "boxes"'),
        (["perception.0.noise_pixels=-1"], "noise_pixels must not be below 0"),
    ],
)
def test_what_a_walker_cannot_live_on_is_refused_by_name(hopper, changes, words, capsys):
    assert words in refusal(capsys, "evaluate", hopper, *[part for c in changes for part in ("--set", c)])


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        (["perception.0.slots.bal=1"], 'no class "bal"; there are ball, player, enemy'),
        (["world.use=atari/tetris"], 'the objects in "tetris" are not known'),
        (["world.use=gym/CartPole-v1"], "gym/CartPole-v1 does not know the truth about its pictures"),
        (["perception.0.origin=truth", "agent.checkpoint={pixels}"], "observation"),
    ],
)
def test_what_a_player_cannot_live_on_is_refused_by_name(pong, changes, words, capsys):
    pixels = load_scene("pong").resolve("checkpoints/pong-ppo")
    sets = [part for change in changes for part in ("--set", change.format(pixels=pixels))]
    assert words in refusal(capsys, "evaluate", pong, *sets)


def test_two_perceptions_cannot_feed_one_agent(pong, capsys):
    with open(pong, "a") as file:
        file.write('[[perception]]\nuse = "detector"\nfeed = "agent"\n')
    assert "one perception can feed the agent, not 2" in refusal(capsys, "evaluate", pong)


def test_a_scene_about_an_agent_is_trained_only_when_the_agent_is(pong):
    shipped = load_scene("pong-detector").resolve("checkpoints/pong-detector")
    pixels = load_scene("pong").resolve("checkpoints/pong-ppo")
    eyes = f"perception.0.checkpoint={shipped}"
    assert not is_trained(load_scene(pong, [eyes]))
    assert is_trained(load_scene(pong, [eyes, f"agent.checkpoint={pixels}"]))


@pytest.fixture
def no_generative(monkeypatch):
    """`scenes` imported anew, where samplers and what they need cannot be imported."""
    for name in [name for name in sys.modules if name.partition(".")[0] in ("scenes", "generative")]:
        monkeypatch.delitem(sys.modules, name)
    rooms = ("models", "diffusion", "data", "metrics", "latents", "conditions")  # all but the catalogue
    for name in (*(f"generative.{room}" for room in rooms), "diffusers", "zuko"):
        monkeypatch.setitem(sys.modules, name, None)
    yield
    for name in [name for name in sys.modules if name.partition(".")[0] == "scenes"]:
        monkeypatch.delitem(sys.modules, name)


def test_an_agent_on_its_world_alone_imports_no_sampler(no_generative):
    """It is trained, scored and watched."""
    from scenes.build.agents import build_policy
    from scenes.data.agent_env import agent_env
    from scenes.evaluation import agents as _evaluation  # noqa: F401
    from scenes.schema import load_scene
    from scenes.training import session as _session  # noqa: F401
    from scenes.training.trainee import trainee_of
    from scenes.watching.playlist import show_of

    with pytest.raises(ImportError):
        import scenes.evaluation.samplers  # noqa: F401
    scene = load_scene("cartpole", ["agent.network=mlp"])
    config = agent_env(scene, "cpu")
    worlds = config.make_batch(1, 0)
    build_policy(scene, worlds, config, "cpu")
    trainee_of(scene, "cpu", None).close()
    show = show_of(scene, device="cpu", attended=False)
    assert show.start(0).pictures[0].shape == (400, 600, 3)
    show.close()
