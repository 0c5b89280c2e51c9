"""Several seeds of one scene: trained into one folder, resumed, scored and compared as one."""

from __future__ import annotations

import json
import shutil
import tomllib
from pathlib import Path

import numpy as np
import pytest

from agents.evaluation.evaluate import Scores, pool_scores
from agents.evaluation.statistics import bootstrap_interval, compare
from scenes.cli.main import main
from scenes.schema import load_scene
from scenes.training.resume import newest_run
from scenes.training.seeds import grade_seeds, train_seeds
from scenes.training.session import train
from sim.errors import RequestError
from sim.records import Episode
from sim.storage.checkpoints import load_checkpoint
from sim.storage.runs import seed_runs

TINY = ["world.num_envs=2", "agent.num_steps=16", "agent.minibatch_size=32", "train.env_steps=64"]
SETS = [part for change in TINY for part in ("--set", change)]


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """Three seeds that have learned next to nothing, and what was said of them."""
    folder, said = tmp_path_factory.mktemp("seeds") / "r", []
    together, runs = train_seeds(
        load_scene("cartpole", TINY, 5), folder, 3, device="cpu", start_from=None, say=said.append
    )
    assert (together.folder, together.env_steps, together.updates) == (folder, 192, 6)
    assert runs == seed_runs(folder) == [folder / f"seed-{seed}" for seed in (5, 6, 7)]
    return folder


@pytest.fixture
def folder(trained, tmp_path, monkeypatch):
    shutil.copytree(trained, tmp_path / "r")
    monkeypatch.chdir(tmp_path)
    return Path("r")


def answer(capsys, *words, code=0):
    assert main([*map(str, words), "--device", "cpu", "--json"]) == code
    captured = capsys.readouterr()
    return json.loads(captured.out.splitlines()[-1]) if code == 0 else captured.err


def weights(run):
    return {name: array.tobytes() for name, array in load_checkpoint(run).weights.items()}


def test_each_seed_is_the_run_that_it_would_be_alone(folder):
    alone = train(load_scene("cartpole", TINY, 6), Path("alone"), device="cpu", say=lambda line: None)
    assert weights(alone.folder) == weights(folder / "seed-6") != weights(folder / "seed-5")
    assert load_scene(str(folder / "seed-6" / "scene.toml")).seed == 6
    assert load_scene(str(folder / "scene.toml")).seed == 5


def test_what_is_finished_stays_what_was_interrupted_goes_on_and_what_is_missing_is_begun(folder, capsys):
    finished, whole = weights(folder / "seed-5"), weights(folder / "seed-6")
    shutil.rmtree(folder / "seed-7")
    for part in ("checkpoints", "state"):  # seed 6 was stopped before anything of it was saved
        shutil.rmtree(folder / "seed-6" / part)
    command = ["train", "cartpole", "--run", folder, "--resume", "--seeds"]
    found = answer(capsys, *command, 4)
    assert found["run"] == "r" and found["runs"] == [f"r/seed-{seed}" for seed in (5, 6, 7, 8)]
    assert found["env_steps"] == 4 * 64 and found["metrics"]["return_mean"] > 0
    assert weights(folder / "seed-5") == finished and weights(folder / "seed-6") == whole
    longer = answer(capsys, *command, 4, "--steps", 96)
    assert longer["env_steps"] == 4 * 96
    assert load_scene(str(folder / "scene.toml")).train.env_steps == 96


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--run", "r", "--resume"], "r holds the runs of 3 seeds: go on with --resume --seeds 3"),
        (["--run", "r", "--seeds", "3"], "r exists: go on with --resume --seeds 3"),
        (["--run", "r/seed-5", "--resume", "--seeds", "2"], "r/seed-5 is the run of one seed"),
        (["--run", "new", "--seeds", "0"], "--seeds must be at least 1, not 0"),
        (["--run", "new", "--seeds", "3", "--seed", "2147483646"], "go beyond 2,147,483,647"),
        (["--run", "new", "--seeds", "2", "--set", "agent.minibatch_size=4096"], "minibatch_size is 4,096"),
        (["--run", "r", "--resume", "--seeds", "3", "--set", "world.num_envs=4"], "num_envs = 4 (was 2)"),
    ],
)
def test_what_does_not_go_together_is_refused(folder, capsys, words, said):
    assert said in answer(capsys, "train", "cartpole", *words, code=2).splitlines()[-1]
    assert not Path("new").exists()
    assert load_scene("r/scene.toml").world.num_envs == 2


def test_a_failure_says_how_all_of_them_go_on(tmp_path, capsys):
    command = ["train", "cartpole", "--run", str(tmp_path / "r"), "--seeds", "2", "--device", "cpu", *SETS]
    assert main([*command, "--set", "agent.learning_rate=1e38"]) == 1
    assert f"--run {tmp_path / 'r'} --resume --seeds 2" in capsys.readouterr().err.splitlines()[-1]


def test_evaluate_scores_all_seeds_and_breaks_them_down(folder, capsys):
    found = answer(capsys, "evaluate", "cartpole", "--checkpoint", folder, "--episodes", 2)
    assert found["n"] == 6 and set(found["breakdown"]) == {"seed-5", "seed-6", "seed-7"}
    means = [metrics["return_mean"] for metrics in found["breakdown"].values()]
    assert found["metrics"]["return_mean"] == pytest.approx(np.mean(means))
    alone = answer(capsys, "evaluate", "cartpole", "--checkpoint", folder / "seed-6", "--episodes", 2)
    assert alone["metrics"] == found["breakdown"]["seed-6"]
    assert "needs --episodes 2" in answer(
        capsys, "evaluate", "cartpole", "--checkpoint", folder, "--episodes", 1, code=2
    )


def test_compare_takes_all_seeds_as_one_contender(folder, capsys):
    shutil.copytree(folder / "seed-7", "alone")
    shutil.rmtree(folder / "seed-7")
    (row,) = answer(capsys, "compare", folder, "alone", "--episodes", 3)["rows"]
    assert (row["a"]["run"], row["a"]["n"], row["b"]["n"]) == ("r", 6, 3)
    said = answer(capsys, "compare", folder, folder / "seed-6", code=2)
    assert "r and r/seed-6 are the same checkpoint" in said
    assert "name one, such as r/seed-5" in answer(capsys, "watch", "cartpole", "--run", folder, code=2)


def test_seeds_are_strata():
    def scores(*values):
        return Scores(tuple(Episode(value, 1) for value in values), {})

    both = pool_scores([scores(0.0, 0.0, 0.0), scores(9.0, 9.0, 9.0)])
    assert both.seeds == 2 and both.metrics()["return_mean"] == 4.5
    assert both.intervals()["return_mean"] == (4.5, 4.5), "each seed is resampled by itself"
    x, y = both.returns, np.array([4.0, 5.0, 6.0])
    assert compare(x, y, x_strata=2).probability_of_improvement == (0.5, (0.5, 0.5))
    low, high = compare(x, y).probability_of_improvement[1]
    assert low < 0.2 and high > 0.8
    assert bootstrap_interval([x], np.mean) != bootstrap_interval(np.split(x, 2), np.mean)
    with pytest.raises(ValueError, match="at least 2"):
        compare(x, y, y_strata=3)


def test_models_are_graded_by_what_is_held_out_from_their_own_seed():
    asked = []

    def grade(scene, run):
        asked.append((scene.seed, tomllib.loads(scene.toml())["seed"], run.name))
        value = float(scene.seed)
        return {"metrics": {"ap": value}, "baseline": {"ap": 0.0}, "n": 10, "breakdown": {}, "ci95": {}}

    found = grade_seeds(grade, load_scene("pong-detector"), [Path("r/seed-1"), Path("r/seed-3")])
    assert asked == [(1, 1, "seed-1"), (3, 3, "seed-3")]
    assert found["metrics"] == {"ap": 2.0} and found["n"] == 20
    assert found["breakdown"] == {"seed-1": {"ap": 1.0}, "seed-3": {"ap": 3.0}}
    half = 12.706 * 2**0.5 / 2**0.5  # Student's t with one degree of freedom
    assert found["ci95"]["ap"] == pytest.approx([2 - half, 2 + half], abs=1e-3)


def test_the_newest_run_of_a_scene_is_no_other_scenes(folder, monkeypatch):
    shutil.copytree(folder / "seed-5", "runs/cartpole-20250101-000000")
    other = Path("runs/cartpole-reinforce-20250102-000000")
    other.mkdir()
    (other / "scene.toml").write_text(load_scene("cartpole-reinforce").toml())
    assert newest_run(load_scene("cartpole")) == Path("runs/cartpole-20250101-000000")
    assert newest_run(load_scene("cartpole-reinforce")) == other
    shutil.rmtree("runs/cartpole-20250101-000000")
    with pytest.raises(RequestError, match="no run of cartpole"):
        newest_run(load_scene("cartpole"))
