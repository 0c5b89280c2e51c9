"""Evaluation of walkers: gait beside the return, perturbations in turn, a figure of foot contacts."""

import json
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("mujoco")

from scenes.cli.main import main  # noqa: E402
from scenes.evaluation.gait_figure import figure_of, middle, stances  # noqa: E402
from sim.records import Episode  # noqa: E402
from sim.walker.perturbations import CONDITIONS  # noqa: E402

OWN = """title = "Own"
[world]
use = "{}"
{}
[agent]
use = "random"
"""


@pytest.fixture(autouse=True)
def own_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def evaluated(capsys, *arguments, world="walker/halfcheetah", keys="max_steps = 12", code=0):
    Path("own.toml").write_text(OWN.format(world, keys))
    assert main(["evaluate", "own.toml", "--json", "--episodes", "2", *arguments]) == code
    captured = capsys.readouterr()
    return json.loads(captured.out.splitlines()[-1]) if code == 0 else captured.err


def test_the_return_is_broken_down_by_one_perturbation_at_a_time_from_the_same_seeds(capsys):
    """The scene's own perturbations are left out of the breakdown, and are what its score is of."""
    plain = evaluated(capsys)
    found = evaluated(capsys, "--perturb", keys="max_steps = 12\nmass = [1.5, 2.0]\nslope = 3")
    assert list(found["breakdown"]) == list(CONDITIONS)
    assert found["breakdown"]["none"] == plain["metrics"] != found["metrics"]
    assert found["protocol"]["mass"] == "1.5..2" and found["protocol"]["slope"] == 3
    returns = {name: metrics["return_mean"] for name, metrics in found["breakdown"].items()}
    assert returns["slope +5°"] < returns["slope −5°"]
    changed = {name for name, value in returns.items() if value != returns["none"]}
    assert changed == set(CONDITIONS) - {"none", "pushes of 50 N", "pushes of 100 N"}, "0.6 s end before"


def test_gait_stands_beside_the_return_of_agent_and_baseline(capsys):
    found = evaluated(capsys)
    for side in ("metrics", "baseline", "ci95"):
        assert {"speed", "effort", "action_rate", "flight", "duty_factor_rear"} <= set(found[side])
    assert found["metrics"]["effort"] == pytest.approx(1 / 3, abs=0.1), "of uniform controls"
    assert found["metrics"]["action_rate"] == pytest.approx(2 / 3, abs=0.2)
    low, high = found["ci95"]["speed"]
    assert low <= found["metrics"]["speed"] <= high


def test_other_worlds_have_no_gait_and_are_refused(capsys):
    found = evaluated(capsys, world="gym/CartPole-v1", keys="")
    assert "speed" not in found["metrics"]
    for option in (["--perturb"], ["--figure", "gait.png"]):
        words = evaluated(capsys, *option, world="gym/CartPole-v1", keys="", code=2)
        assert "walkers, and own plays gym/CartPole-v1" in words
    assert not Path("gait.png").exists()


def test_the_figure_is_written_once_and_only_as_png(capsys):
    found = evaluated(capsys, "--figure", "gait.png")
    assert found["files"] == ["gait.png"]
    before = Path("gait.png").read_bytes()
    assert before.startswith(b"\x89PNG")
    assert "gait.png exists" in evaluated(capsys, "--figure", "gait.png", code=2)
    assert ".png, not gait.pdf" in evaluated(capsys, "--figure", "gait.pdf", code=2)
    evaluated(capsys, "--figure", "gait.png", "--overwrite", "--seed", "8")
    assert Path("gait.png").read_bytes() != before
    assert "--pgn or --figure" in evaluated(capsys, "--overwrite", code=2)


def test_bars_of_the_figure_are_the_stances():
    """Two feet in turn for a second: from 0.0 to 0.6 s and from 0.5 to 1.0 s, both for 0.1 s."""
    times = 0.1 * np.arange(1, 11)
    feet = {"right": np.arange(10) < 6, "left": np.arange(10) >= 5}
    panel = figure_of(Episode(0.0, 10, traces={"seconds": times, **feet}), "Own").axes[0]
    boxes = [collection.get_paths()[0].get_extents().intervalx.tolist() for collection in panel.collections]
    assert boxes == [pytest.approx([0.0, 0.6]), pytest.approx([0.5, 1.0])]
    (shade,) = panel.patches
    assert (shade.get_x(), shade.get_width()) == pytest.approx((0.5, 0.1))


def test_the_middle_of_a_long_episode_is_drawn():
    times = 0.01 * np.arange(1, 1001)
    kept, feet = middle({"seconds": times, "foot": times > 5.0}, seconds=2.0)
    assert (kept[0], kept[-1]) == pytest.approx((4.01, 6.0))
    assert stances(kept, feet["foot"], 0.01) == [pytest.approx((5.0, 1.0))]
