"""`playfield compare`: fresh scores under one protocol, every pair once, refusals in one line."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from command_line import refusal
from PIL import Image

from scenes.cli.main import main
from scenes.evaluation.compare import newest, scene_of
from scenes.evaluation.compare_figure import figure_of, runs_of
from scenes.schema import load_scene
from scenes.training.session import train
from sim.storage.checkpoints import load_card, load_checkpoint, save_checkpoint

CHECKPOINTS = Path(__file__).parents[2] / "scenes" / "checkpoints"
TRAINED = CHECKPOINTS / "cartpole-ppo"
TINY = ["world.num_envs=2", "agent.num_steps=16", "agent.minibatch_size=32", "train.env_steps=64"]


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """Two runs that have learned next to nothing."""
    folder = tmp_path_factory.mktemp("runs")
    for seed, name in enumerate(("one", "other")):
        train(load_scene("cartpole", TINY, seed), folder / name, device="cpu", say=lambda line: None)
    return folder


@pytest.fixture(autouse=True)
def own_copy(runs, tmp_path, monkeypatch):
    shutil.copytree(runs, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)


def rows(capsys, *arguments):
    assert main(["compare", *map(str, arguments), "--json"]) == 0
    captured = capsys.readouterr()
    return json.loads(captured.out.splitlines()[-1])["rows"], captured.out


def test_a_trained_agent_beats_an_untrained_one_surely(capsys):
    found, said = rows(capsys, TRAINED, "one", "--episodes", 10)
    (row,) = found
    assert row["a"]["run"] == str(TRAINED) and row["b"]["run"] == "one"
    assert row["a"]["metrics"]["return_mean"] == 500.0 > row["b"]["metrics"]["return_mean"]
    assert row["metrics"]["probability_of_improvement"] == 1.0
    difference = row["a"]["metrics"]["return_iqm"] - row["b"]["metrics"]["return_iqm"]
    assert row["metrics"]["iqm_difference"] == pytest.approx(difference)
    low, high = row["ci95"]["iqm_difference"]
    assert 300 < low <= difference <= high < 500
    assert row["a"]["n"] == row["b"]["n"] == 10 and row["differs"] == {}
    assert row["b"]["checkpoint"] == "one/checkpoints/64" and row["b"]["trained"]["env_steps"] == 64
    assert row["a"]["protocol"] == row["b"]["protocol"]
    assert "better" in said


def test_every_pair_is_one_row_and_mirrors_its_reverse(capsys):
    three, _ = rows(capsys, "one", "other", TRAINED, "--episodes", 4)
    pairs = [(row["a"]["run"], row["b"]["run"]) for row in three]
    assert pairs == [("one", "other"), ("one", str(TRAINED)), ("other", str(TRAINED))]
    (reverse,), _ = rows(capsys, "other", "one", "--episodes", 4)
    assert reverse["a"] == three[0]["b"] and reverse["b"] == three[0]["a"]
    whole = (
        reverse["metrics"]["probability_of_improvement"] + three[0]["metrics"]["probability_of_improvement"]
    )
    assert whole == pytest.approx(1.0)
    assert reverse["metrics"]["iqm_difference"] == pytest.approx(-three[0]["metrics"]["iqm_difference"])


def test_the_games_do_not_depend_on_the_seeds_that_the_runs_were_trained_from(capsys):
    """The same weights in two runs of different seeds score the same, game by game."""
    card, weights = (
        load_card(Path("other/checkpoints/64")),
        load_checkpoint(Path("one/checkpoints/64")).weights,
    )
    save_checkpoint(Path("other/checkpoints/65"), card, weights)
    (row,), said = rows(capsys, "one", "other", "--episodes", 5)
    assert row["b"]["checkpoint"] == "other/checkpoints/65"
    assert row["a"]["metrics"] == row["b"]["metrics"]
    assert row["metrics"]["probability_of_improvement"] == 0.5 and "1 may be better or worse than 2" in said
    (again,), _ = rows(capsys, "one", "other", "--episodes", 5, "--seed", 4)
    assert again["a"]["metrics"] != row["a"]["metrics"]


def test_other_rules_are_refused_by_key_unless_told_and_then_said(capsys):
    scene = Path("other/scene.toml")
    scene.write_text(scene.read_text().replace("[agent]", "[agent]\ngreedy = true"))
    said = refusal(capsys, "compare", "one", "other")
    assert "different protocols: actions is sampled and greedy" in said and "--across-protocols" in said
    (row,), said = rows(capsys, "one", "other", "--episodes", 2, "--across-protocols")
    assert row["differs"] == {"actions": ["sampled", "greedy"]}
    assert "different in: actions" in " ".join(said.split())
    (row,), _ = rows(capsys, "one", "other", "--episodes", 2, "--set", "agent.greedy=true")
    assert row["differs"] == {} and row["a"]["protocol"]["actions"] == "greedy"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], "needs two runs or more"),
        (["one"], "needs two runs or more"),
        (["one", "one"], "are the same checkpoint"),
        (["one", "one/checkpoints/64"], "are the same checkpoint"),
        (["one", "nowhere"], "there is no folder nowhere"),
        (["one", "one/scene.toml"], "is a file, not a run"),
        (["one", "one/state"], "is neither a run (no scene.toml in it) nor a checkpoint"),
        (["one", "other", "--episodes", "1"], "--episodes must be at least 2, not 1"),
        (["one", CHECKPOINTS / "pong-ppo"], "compare runs of one world"),
        (["one", CHECKPOINTS / "pong-ppo", "--across-protocols"], "compare runs of one world"),
        (["one", "other", "--set", "agent.gama=1"], 'unknown key "gama"'),
    ],
)
def test_wrong_requests_are_refused_in_one_line(capsys, arguments, words):
    assert words in refusal(capsys, "compare", *arguments)


def test_a_run_without_a_checkpoint_or_with_a_cut_one_is_refused(capsys):
    weights = Path("one/checkpoints/64/model.safetensors")
    weights.write_bytes(weights.read_bytes()[:-1])
    assert "cut short or changed" in refusal(capsys, "compare", "one", "other")
    shutil.rmtree("one/checkpoints/64")
    assert "one holds no checkpoint yet" in refusal(capsys, "compare", "one", "other")


@pytest.mark.parametrize("name", ["cartpole", "pong", "walker", "chess-captures"])
def test_a_card_alone_gives_back_the_rules_of_its_scene(name):
    from scenes.build.agents import scene_agent, scene_world

    shipped = load_scene(name)
    folder = shipped.resolve(shipped.agent.checkpoint)
    rebuilt = scene_of(folder, load_card(folder))
    assert scene_world(rebuilt).protocol() == scene_world(shipped).protocol()
    ours, theirs = scene_agent(rebuilt), scene_agent(shipped)
    assert (ours.network, ours.greedy) == (theirs.network, theirs.greedy)


def test_a_card_gives_back_changed_rules_or_says_which_it_cannot():
    card = load_card(CHECKPOINTS / "pong-ppo")
    card["protocol"] |= {"max_frames": 4000, "repeat_action_probability": 0.0}
    world = scene_of(Path("x"), card).world
    assert world.fields == {"max_frames": 4000, "repeat_action_probability": 0.0}
    card["protocol"]["noop_max"] = 30
    with pytest.raises(ValueError, match="does not tell how noop_max came about"):
        scene_of(Path("x"), card)


def test_a_run_may_be_the_name_of_a_scene_that_ships_trained(capsys):
    assert newest(Path("cartpole")).joinpath("card.toml").is_file()
    assert "are the same checkpoint" in refusal(capsys, "compare", "cartpole", "cartpole")
    assert "compare runs of one world" in refusal(capsys, "compare", "cartpole", "pong")
    assert "ships without a checkpoint of an agent" in refusal(capsys, "compare", "walker-sac", "pong")


def test_a_figure_shows_each_run_and_each_pair_and_replaces_nothing_unasked(capsys):
    wish = ["one", "other", TRAINED, "--episodes", 4]
    found, _ = rows(capsys, *wish, "--figure", "runs.png")
    with Image.open("runs.png") as picture:
        assert picture.width > 2 * picture.height > 400
        assert len(picture.convert("RGB").getcolors(2**24)) > 20
    before = Path("runs.png").read_bytes()
    said = refusal(capsys, "compare", *map(str, wish), "--figure", "runs.png")
    assert "runs.png exists" in said and Path("runs.png").read_bytes() == before
    assert "must end in .png" in refusal(capsys, "compare", *map(str, wish), "--figure", "runs.pdf")
    assert "--figure" in refusal(capsys, "compare", *map(str, wish), "--overwrite")
    scores, pairs = figure_of(found).axes
    lines = {tuple(line.get_xdata()) for line in scores.lines}
    for run in runs_of(found):
        assert tuple(run["ci95"]["return_mean"]) in lines and (run["metrics"]["return_mean"],) in lines
    assert [label.get_text() for label in pairs.get_yticklabels()] == [
        "1 against 2",
        "1 against 3",
        "2 against 3",
    ]
    assert [label.get_text()[:3] for label in scores.get_yticklabels()] == ["1  ", "2  ", "3  "]


def test_a_figure_of_games_with_an_outcome_has_a_panel_of_their_shares():
    side = {"run": "a", "checkpoint": "a", "n": 8, "protocol": {"world": "chess"}}
    side["metrics"] = {"return_mean": 3.0, "return_iqm": 2.0, "win": 0.25, "draw": 0.5, "mates": 0.25}
    side["ci95"] = {name: [value - 0.1, value + 0.1] for name, value in side["metrics"].items()}
    other = {**side, "run": "b", "checkpoint": "b"}
    pair = {
        "metrics": {"probability_of_improvement": 0.5},
        "ci95": {"probability_of_improvement": [0.3, 0.7]},
    }
    figure = figure_of([{"a": side, "b": other, **pair}])
    _, shares, _ = figure.axes
    assert [text.get_text() for text in shares.get_legend().get_texts()] == ["wins", "draws", "mates"]
    marks = sorted(float(line.get_xdata()[0]) for line in shares.lines if len(line.get_xdata()) == 1)
    assert marks == [0.25, 0.25, 0.25, 0.25, 0.5, 0.5]
    assert "chess: 8 whole episodes" in figure.get_suptitle()
