"""The scene of Pong's world model: trained, resumed, evaluated; what it is not for is refused by name."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from generative.dream import grading, world_model
from generative.twin.renderer import DREAM_ONLY, EMULATOR_ONLY
from scenes.cli.main import main
from scenes.data import sampler_data
from scenes.evaluation import reality_gap
from scenes.evaluation.reality_gap import NoOpStarts, returns_of_both
from scenes.sampling import dreamed_episodes
from scenes.schema import SceneError, load_scene
from sim.records import Decision
from sim.storage.checkpoints import load_checkpoint

SMALL = [
    "--set",
    "sampler.0.examples=600",
    "--set",
    "sampler.0.channels=[8, 8]",
    "--set",
    "sampler.0.batch_size=8",
]


@pytest.fixture(autouse=True)
def little(tmp_path_factory, monkeypatch):
    """Little play, by chance alone."""
    monkeypatch.setenv("PLAYFIELD_CACHE", str(tmp_path_factory.getbasetemp() / "dreams"))
    monkeypatch.setattr(sampler_data, "CAST", {})
    monkeypatch.setattr(world_model, "VALIDATE_EVERY", 2)
    monkeypatch.setattr(world_model, "VALIDATE_ON", 8)
    for name, number in {
        "STRETCHES": 2,
        "PLAIN": 8,
        "LONG": 20,
        "LONG_STRETCHES": 1,
        "RESAMPLES": 20,
    }.items():
        monkeypatch.setattr(grading, name, number)
    monkeypatch.setattr(grading, "HORIZONS", (1, 5, 15))


def run(*words):
    """A command's exit code."""
    try:
        return main(list(words)) or 0
    except SystemExit as end:
        return end.code or 0


@pytest.mark.slow
def test_a_world_model_is_trained_resumed_and_evaluated(tmp_path, capsys):
    whole, halted = tmp_path / "whole", tmp_path / "halted"
    every = ["--set", "train.checkpoint_every=2", *SMALL]
    for folder in (whole, halted):
        assert run("train", "dream-pong-model", "--run", str(folder), "--steps", "4", *every) == 0
    for folder in ("checkpoints", "state"):
        shutil.rmtree(halted / folder / "4")
    assert run("train", "dream-pong-model", "--run", str(halted), "--resume") == 0
    one, two = (load_checkpoint(each).weights for each in (whole, halted))
    assert all(np.array_equal(one[name], two[name]) for name in one)
    assert load_checkpoint(whole).card["config"]["action_names"][0] == "NOOP"
    capsys.readouterr()
    evaluated = run("evaluate", "dream-pong-model", "--checkpoint", str(whole), "--json", *SMALL)
    told = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert evaluated == 0
    assert told["n"] and {"return_dream", "return_emulator"} <= set(told["ci95"])
    metrics = {"ball_error_1", "ball_error_15", "objects_right", "psnr", "frames_until_divergence"}
    assert metrics <= set(told["metrics"]) and metrics - {"objects_right"} <= set(told["baseline"])
    assert set(told["ci95"]) <= set(told["metrics"]) and told["protocol"]["split"]
    others = [*SMALL, "--set", "sampler.0.examples=700"]
    assert run("evaluate", "dream-pong-model", "--checkpoint", str(whole), *others) == 2
    assert "learned from other examples" in capsys.readouterr().err


def test_an_agents_returns_in_dream_and_emulator_are_of_games_that_differ(monkeypatch):
    monkeypatch.setattr(reality_gap, "STEPS", 90)
    monkeypatch.setattr(reality_gap, "GAMES", 3)
    scene = load_scene("dream-pong-model", ["seed=3"])
    both = returns_of_both(scene, scene.resolve("checkpoints/dream-pong"), "pong", 1)
    assert list(both) == ["return_dream", "return_emulator"]
    assert all(returns.shape == (3,) and (np.abs(returns) <= 3).all() for returns in both.values())
    assert any(returns.any() for returns in both.values()), "somebody scores within 90 steps"


def test_games_begin_with_no_ops_whose_number_is_drawn():
    class Up:
        def seed(self, seed):
            pass

        def act(self, obs, info, memory=None, *, greedy=False):
            return Decision(actions=np.full(len(obs), 2)), memory

    policy = NoOpStarts(Up())
    policy.seed(1)
    acted = np.stack([policy.act(np.zeros((5, 1)), {})[0].actions for _ in range(40)])  # (T, N)
    first = (acted == 2).argmax(0)
    assert len(set(first)) > 2 and first.max() <= reality_gap.NO_OPS
    assert all((acted[:k, i] == 0).all() and (acted[k:, i] == 2).all() for i, k in enumerate(first))


def test_only_a_world_model_is_graded_by_an_agent():
    with pytest.raises(SceneError, match='graded_by is for a "world-model"'):
        load_scene("digits-gan", ["sampler.0.graded_by=checkpoints/pong-hour"])


def test_what_a_world_model_is_not_for_is_refused_by_name(capsys):
    assert run("watch", "dream-pong-model", "--headless", "--frames", "2") == 2
    assert "playfield play dream-pong" in capsys.readouterr().err
    for given in (["--condition", "label=pong"], ["--guidance", "2"], ["--scheduler", "ddim"]):
        assert run("sample", "dream-pong-model", *given) == 2
        assert f"{given[0]}: a world model dreams on" in capsys.readouterr().err


def test_a_gallery_shows_dreams_beside_the_emulator(tmp_path, monkeypatch, capsys):
    out = tmp_path / "dreams"
    monkeypatch.setattr(dreamed_episodes, "HORIZONS", (1, 5, 15))
    monkeypatch.setattr(grading, "HORIZONS", (1, 5, 15))
    asked = ["sample", "dream-pong-model", "--n", "2", "--steps", "1", "--out", str(out), "--json"]
    assert run(*asked, "--set", "sampler.0.examples=600") == 0
    told = json.loads(capsys.readouterr().out.splitlines()[-1])
    names = {Path(name).name for name in told["files"]}
    assert names >= {"index.html", "dream-01.mp4", "dream-02.gif"} and "dream-03.mp4" not in names
    assert 1 <= told["metrics"]["frames_until_divergence"] <= 15 and told["metrics"]["steps"] == 1
    page = (out / "index.html").read_text()
    assert "Episode 2." in page and 'src="dream-01.mp4"' in page and "clips wide" in page
    assert run(*asked, "--set", "sampler.0.examples=600") == 2, "nothing is overwritten unasked"
    again = [*asked, "--overwrite", "--set", "sampler.0.examples=600"]
    again[again.index("2")] = "1"
    assert run(*again) == 0 and not (out / "dream-02.mp4").exists()


def test_panels_are_dream_emulator_and_difference():
    dreamed, real = np.zeros((2, 10, 10, 3), np.uint8)
    dreamed[2, 3], real[5, 6] = 200, 100
    shown = dreamed_episodes.panels(dreamed, real)
    third = 10 + dreamed_episodes.GUTTER
    assert np.array_equal(shown[:, :10], dreamed) and np.array_equal(shown[:, third : third + 10], real)
    assert tuple(shown[2, 2 * third + 3]) == DREAM_ONLY and tuple(shown[5, 2 * third + 6]) == EMULATOR_ONLY
