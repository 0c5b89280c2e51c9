"""`playfield collect`: its answer, the agent's metadata, and what is kept after an interruption."""

from __future__ import annotations

import errno
import json
import signal
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import minari
import numpy as np
import pytest
from light_worlds import Mortal, Pressed

from scenes.cli.main import main
from scenes.collecting.command import MOST_WORLDS
from sim.catalog import make_world
from sim.storage.checkpoints import load_card
from sim.storage.episodes import EpisodeWriter

POLE = 'title = "Own"\n[world]\nuse = "gym/CartPole-v1"\nnum_envs = 2\n[agent]\nuse = "random"\n'
SHORT = ("--set", "world.max_frames=400")


KILLED = """
import os, signal
from scenes.cli.main import main
from sim.storage.episodes import EpisodeWriter
add = EpisodeWriter.add
def killed(dataset, take):
    add(dataset, take)
    if dataset.episodes == 4:
        os.kill(os.getpid(), signal.SIGKILL)
EpisodeWriter.add = killed
main(["collect", "own.toml", "--episodes", "9", "--out", "x"])
"""


@pytest.fixture(autouse=True)
def own_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("DISPLAY", "WAYLAND_DISPLAY", "SDL_VIDEODRIVER"):
        monkeypatch.delenv(name, raising=False)
    Path("own.toml").write_text(POLE)


def collect(capsys, *arguments, code=0):
    assert main(["collect", *arguments, "--json"]) == code
    captured = capsys.readouterr()
    return json.loads(captured.out.splitlines()[-1]), captured.out + captured.err


def test_a_trained_agents_episodes_name_their_checkpoint_and_rules(capsys):
    found, said = collect(capsys, "pong", "--episodes", "1", "--out", "deep/pong-v1", "--frames", *SHORT)
    assert (found["episodes"], found["steps"], found["path"]) == (1, 100, "deep/pong-v1")
    assert "untrained" not in said and "100 steps in deep/pong-v1" in said
    dataset = minari.MinariDataset("deep/pong-v1")
    episode, metadata = dataset[0], dataset.storage.metadata
    assert (metadata["dataset_id"], metadata["algorithm_name"]) == ("pong-v1", "ppo")
    facts = metadata["playfield"]
    card = load_card(Path(__file__).parents[2] / "scenes" / "checkpoints" / "pong-ppo")
    assert facts["agent"]["checkpoint"]["sha256"] == card["weights"]["sha256"]
    assert facts["agent"]["checkpoint"]["commit"] == card["commit"]
    assert facts["world"] == "atari/pong" and facts["protocol"]["max_frames"] == 400
    assert not metadata["jpeg_encoding"]
    (seed,) = (row["seed"] for row in dataset.storage.get_episode_metadata([0]))
    world = dataset.recover_environment()
    obs, _ = world.reset(seed=seed)
    for t, action in enumerate(episode.actions):
        np.testing.assert_array_equal(episode.observations[t], obs)
        np.testing.assert_array_equal(episode.infos["rgb"][t], world.render())
        obs, reward, _, truncated, info = world.step(action)
        assert reward == episode.rewards[t] and truncated == episode.truncations[t]
        assert info["lives"] == episode.infos["lives"][t + 1]


def test_an_untrained_agent_is_called_so(capsys):
    _, said = collect(capsys, "walker-sac", "--set", "world.max_steps=50", "--episodes", "1", "--out", "x")
    assert "has no checkpoint: this records an untrained agent" in said
    assert minari.MinariDataset("x").storage.metadata["playfield"]["agent"] == {
        "name": "sac",
        "checkpoint": None,
    }


def test_the_same_seed_records_the_same_episodes_in_as_many_worlds_as_the_scene(capsys):
    for out in ("a", "b"):
        collect(capsys, "own.toml", "--episodes", "5", "--out", out, "--seed", "3")
    one, other = minari.MinariDataset("a"), minari.MinariDataset("b")
    assert one.storage.metadata["playfield"]["num_envs"] == 2 <= MOST_WORLDS
    assert [e.actions.tolist() for e in one] == [e.actions.tolist() for e in other]
    collect(capsys, "own.toml", "--episodes", "17", "--out", "c", "--set", "world.num_envs=64")
    assert minari.MinariDataset("c").storage.metadata["playfield"]["num_envs"] == MOST_WORLDS


def test_steps_alone_record_as_many_episodes_as_it_takes(capsys):
    found, _ = collect(capsys, "own.toml", "--steps", "300", "--out", "x")
    assert found["steps"] >= 300 and found["episodes"] > 5
    assert minari.MinariDataset("x").total_steps == found["steps"]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_ctrl_c_keeps_the_whole_episodes_so_far(capsys, monkeypatch, number):
    add = EpisodeWriter.add

    def interrupted_at_the_third(dataset, take):
        add(dataset, take)
        if dataset.episodes == 3:
            signal.raise_signal(number)

    monkeypatch.setattr(EpisodeWriter, "add", interrupted_at_the_third)
    found, said = collect(capsys, "own.toml", "--episodes", "50", "--out", "x", code=130)
    assert 3 <= found["episodes"] <= 4  # two worlds may end at one step
    assert f"interrupted; {found['episodes']} whole episodes" in said
    assert "stopping: whole episodes are kept, those in progress are given up; press Ctrl-C again" in said
    assert minari.MinariDataset("x").total_episodes == found["episodes"]
    assert {path.name for path in Path().iterdir()} == {"own.toml", "x"}


def test_what_a_killed_recording_left_can_be_had(capsys):
    """No handler sees a SIGKILL: the temporary folder stays, closed after each episode."""
    assert subprocess.run([sys.executable, "-c", KILLED], capture_output=True).returncode == -signal.SIGKILL
    assert not Path("x").exists()
    (left,) = Path().glob(".x.new-*/data")
    assert minari.MinariDataset(left).total_episodes == 4
    _, said = collect(capsys, "own.toml", "--episodes", "1", "--out", "x")
    assert f"minari.MinariDataset('{left}') opens its whole episodes" in said


def test_ctrl_c_before_an_episode_has_ended_leaves_nothing(capsys):
    Pressed.at = 3
    world = ["--set", "world.use=gym/tests/Pressed-v0"]
    found, said = collect(capsys, "own.toml", *world, "--episodes", "5", "--out", "x", code=130)
    assert (found["episodes"], found["path"]) == (0, None)
    assert "nothing was recorded" in said and not Path("x").exists()


def test_a_world_that_breaks_down_costs_no_whole_episode(capsys):
    Mortal.dies(RuntimeError("the simulation exploded"), 100)
    world = ["--set", "world.use=gym/tests/Mortal-v0"]
    try:
        assert main(["collect", "own.toml", *world, "--episodes", "90", "--out", "x"]) == 1
    finally:
        Mortal.dies(None, 0)
    said = capsys.readouterr().err
    kept = minari.MinariDataset("x").total_episodes
    assert kept > 1 and f"the simulation exploded; {kept} whole episodes" in said


def test_a_full_disk_fails_cleanly(capsys, monkeypatch):
    def full(*args):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("sim.storage.episodes._reserve", full)
    assert main(["collect", "own.toml", "--episodes", "2", "--out", "x"]) == 1
    assert "could not write x: the disk is full; nothing was kept" in capsys.readouterr().err
    assert not Path("x").exists() and len(list(Path().iterdir())) == 1


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["cartpole", "--out", "taken"], "taken exists: choose another --out, or add --overwrite"),
        (["cartpole", "--out", "taken", "--overwrite"], "taken holds thesis.tex, which is no part of a data"),
        (["cartpole", "--out", "own.toml", "--overwrite"], "own.toml exists and is no folder"),
        (["cartpole", "--out", "x", "--episodes", "0"], "--episodes must be at least 1, not 0"),
        (["cartpole", "--out", "x", "--steps", "-3"], "--steps must be at least 1, not -3"),
        (["cartpole", "--out", "x", "--checkpoint", "y"], "y does not exist"),
        (["cartpole", "--out", "x", "--play"], "--play needs a display"),
        (["own.toml", "--out", "x", "--set", "world.use=gym/Blackjack-v1"], "are a Tuple, not an array"),
    ],
)
def test_wrong_requests_are_refused_in_one_line(capsys, arguments, words):
    Path("taken").mkdir()
    Path("taken", "thesis.tex").touch()
    assert main(["collect", *arguments]) == 2
    captured = capsys.readouterr()
    assert words in captured.err and captured.out == ""
    assert len([line for line in captured.err.splitlines() if "untrained" not in line]) == 1
    assert not Path("x").exists() and list(Path("taken").iterdir()) == [Path("taken", "thesis.tex")]


def test_a_data_set_is_replaced_where_that_is_asked_for(capsys):
    Path("x").mkdir()  # as a job script may have made it
    collect(capsys, "own.toml", "--episodes", "2", "--out", "x")
    assert main(["collect", "own.toml", "--episodes", "1", "--out", "x"]) == 2
    assert "x exists: choose another --out, or add --overwrite" in capsys.readouterr().err
    assert minari.MinariDataset("x").total_episodes == 2
    collect(capsys, "own.toml", "--episodes", "1", "--out", "x", "--overwrite")
    assert minari.MinariDataset("x").total_episodes == 1
    assert {path.name for path in Path().iterdir()} == {"own.toml", "x"}


def test_a_persons_episodes_are_recorded(capsys, monkeypatch):
    """The window is a loop that steps: here one that pushes right, and closes in an episode."""
    pytest.importorskip("pygame")

    def window(show, *, fps, person, seed):
        assert person
        show.start(seed)
        for _ in range(25):
            show.step(1)
        show.close()
        return SimpleNamespace(interrupted=False)

    monkeypatch.setenv("DISPLAY", ":0")
    monkeypatch.setattr("sim.viewer.app.window.watch", window)
    found, said = collect(capsys, "own.toml", "--play", "--frames", "--out", "x", "--seed", "6")
    dataset = minari.MinariDataset("x")
    assert found["episodes"] == len(dataset) == 2 and "2 whole episodes" in said
    world = make_world("gym/CartPole-v1")
    episode, facts = dataset[0], dataset.storage.metadata["playfield"]
    assert facts["person"] and dataset.storage.metadata["algorithm_name"] == "person"
    obs, _ = world.reset(seed=6)
    for t, action in enumerate(episode.actions):
        assert action == 1 and episode.infos["person"][t + 1]
        np.testing.assert_array_equal(episode.observations[t], obs)
        np.testing.assert_array_equal(episode.infos["rgb"][t], world.render())
        obs, *_ = world.step(action)
