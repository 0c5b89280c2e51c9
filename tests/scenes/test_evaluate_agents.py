"""`playfield evaluate`: seeds, the human scale, and worlds that break down."""

from __future__ import annotations

import json
from pathlib import Path

import gymnasium
import numpy as np
import pytest
from gymnasium.spaces import Box, Discrete

from scenes.cli.main import main

OWN = 'title = "Own"\n[world]\nuse = "{}"\n[agent]\nuse = "random"\n'


class Dying(gymnasium.Env):
    """Plays three-step games until all worlds together have made `left` steps; then it is out of order."""

    observation_space = Box(0.0, 1.0, (1,), np.float32)
    action_space = Discrete(2)
    left = 0

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.steps = 0
        return np.zeros(1, np.float32), {}

    def step(self, action):
        if Dying.left == 0:
            raise RuntimeError("the emulator died")
        Dying.left -= 1
        self.steps += 1
        return np.zeros(1, np.float32), float(action), self.steps == 3, False, {}


gymnasium.register("tests/DyingScore-v0", entry_point=Dying)


@pytest.fixture(autouse=True)
def own_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def evaluated(capsys, world, *arguments, code=0):
    Path("own.toml").write_text(OWN.format(world))
    assert main(["evaluate", "own.toml", "--json", *arguments]) == code
    captured = capsys.readouterr()
    return json.loads(captured.out.splitlines()[-1]) if code == 0 else captured.err


@pytest.mark.slow
def test_atari_scores_are_on_the_human_scale_beside_the_random_agents(capsys):
    found = evaluated(capsys, "atari/breakout", "--set", "world.max_frames=400", "--episodes", "2")
    for side in ("metrics", "baseline"):
        expected = (found[side]["return_mean"] - 1.7) / (30.5 - 1.7)
        assert found[side]["human_normalized"] == pytest.approx(expected)
    low, high = found["ci95"]["human_normalized"]
    assert low <= found["metrics"]["human_normalized"] <= high
    short = ("--set", "world.max_frames=8", "--episodes", "1")
    assert "human_normalized" not in evaluated(capsys, "atari/tetris", *short)["metrics"]


def test_several_seeds_are_several_evaluations(capsys):
    found = evaluated(capsys, "gym/CartPole-v1", "--episodes", "4", "--seeds", "3", "--seed", "5")
    assert found["n"] == 12 and len(set(found["seeds"])) == 3 and found["seeds"][0] == 5
    parts = [
        evaluated(capsys, "gym/CartPole-v1", "--episodes", "4", "--seed", str(seed))["metrics"]["return_mean"]
        for seed in found["seeds"]
    ]
    assert found["metrics"]["return_mean"] == pytest.approx(np.mean(parts))


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--seeds", "0"], "--seeds must be at least 1, not 0"),
        (["--seeds", "2", "--episodes", "1"], "--seeds 2 needs --episodes 2 or more"),
    ],
)
def test_seeds_that_cannot_be_are_refused(capsys, arguments, words):
    assert words in evaluated(capsys, "gym/CartPole-v1", *arguments, code=2)


def test_a_world_that_dies_ends_the_evaluation_with_how_far_it_came(capsys):
    Dying.left = 31  # a game takes 3 steps; 6 worlds play at once
    said = evaluated(capsys, "gym/tests/DyingScore-v0", "--episodes", "6", code=1)
    assert "scoring the random agent stopped after 0 of 6 games: the emulator died" in said
    assert len(said.splitlines()) == 1
    Dying.left = 3 * 20 + 31  # now 20 at once
    said = evaluated(capsys, "gym/tests/DyingScore-v0", "--episodes", "25", code=1)
    assert "scoring own stopped after 20 of 25 games" in said
