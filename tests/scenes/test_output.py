"""Console output: results on stdout, uncut; remarks on stderr; counts of long work."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from generative.data.catalog import load_dataset
from scenes.build.perceptions import perception_config
from scenes.cli.main import main
from scenes.console import stdout_console
from scenes.data.perception_data import CHANCE, scene_label_data
from scenes.schema import load_scene
from sim.progress import reporting
from supervised.data.capture import CaptureSpec

TITLE = "A pole on a cart [bold] :smile:" + " and so on" * 20
SCENE = f'title = "{TITLE}"\n[world]\nuse = "gym/CartPole-v1"\n[agent]\nuse = "random"\n'
PONG = 'title = "Seen"\n[world]\nuse = "atari/pong"\n[[perception]]\nuse = "detector"\n'
CHEAP = ["--set", "world.num_envs=2", "--set", "agent.num_steps=16", "--set", "agent.minibatch_size=32"]


@pytest.fixture(autouse=True)
def own_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("COLUMNS", "DISPLAY", "WAYLAND_DISPLAY"):
        monkeypatch.delenv(name, raising=False)
    Path("own.toml").write_text(SCENE)


def said(capsys, *words):
    """(stdout, stderr) of a command that succeeds."""
    assert main(list(words)) == 0
    captured = capsys.readouterr()
    return captured.out, captured.err


def test_scores_are_on_stdout_whole_and_nothing_else_is(capsys):
    out, err = said(capsys, "evaluate", "own.toml", "--episodes", "1")
    assert err == ""
    assert f"{TITLE}: 1 whole episode, seed 0" in " ".join(out.split())
    assert re.search(r"return mean .*│ +– │ +\d+\.\d\d", out), "one game has no interval, and a baseline"
    with_json, _ = said(capsys, "evaluate", "own.toml", "--episodes", "1", "--json")
    *text, line = with_json.splitlines()
    assert "\n".join(text) + "\n" == out and json.loads(line)["n"] == 1


def test_nothing_is_cut_where_no_terminal_sets_a_width(capsys):
    from rich.table import Table

    table = Table("a", "b")
    table.add_row("x" * 300, "y" * 300)
    stdout_console().print(table)
    assert f"{'x' * 300} │ {'y' * 300}" in capsys.readouterr().out


def test_what_is_drawn_unseen_is_told_to_be_lost(capsys):
    out, err = said(capsys, "watch", "own.toml", "--headless", "--frames", "1")
    assert "not kept; to keep it: --record FILE.mp4" in err
    assert re.match(r"1 frame at [\d,]+ a second; 0 episodes ended\n", out)
    out, err = said(capsys, "watch", "own.toml", "--headless", "--frames", "60", "--record", "x.mp4")
    assert err == "" and re.match(r"60 frames in \S*x\.mp4 at .* ended, returns \d+, ", out)


@pytest.fixture
def run(capsys):
    said(
        capsys,
        "train",
        "cartpole",
        "--run",
        "r",
        "--steps",
        "64",
        "--set",
        "train.checkpoint_every=32",
        *CHEAP,
    )
    return Path("r")


def test_watch_shows_a_checkpoint_or_the_newest_of_a_run(capsys, run, monkeypatch):
    shown = []
    monkeypatch.setattr(
        "scenes.watching.playlist.show_of",
        lambda scene, **options: shown.append((options["run"], options["checkpoint"])) or 1 / 0,
    )
    first, last = run / "checkpoints" / "32", run / "checkpoints" / "64"
    for words in (["--run", run], ["--run", first], ["--checkpoint", run], ["--checkpoint", first]):
        with pytest.raises(ZeroDivisionError):
            main(["watch", "cartpole", "--headless", "--frames", "1", *map(str, words)])
    assert shown == [(run, None), (None, first), (None, last), (None, first)]
    assert f"{first} is a checkpoint, not a run" in capsys.readouterr().err


def test_watch_plays_a_checkpoint_and_refuses_two(capsys, run):
    checkpoint = str(run / "checkpoints" / "32")
    out, _ = said(capsys, "watch", "cartpole", "--checkpoint", checkpoint, "--headless", "--frames", "3")
    assert out.startswith("3 frames at ")
    assert main(["watch", "cartpole", "--run", "r", "--checkpoint", "r", "--headless", "--frames", "3"]) == 2
    assert "give one of them" in capsys.readouterr().err
    assert main(["watch", "cartpole", "--checkpoint", "x", "--headless", "--frames", "3"]) == 2
    assert "x does not exist" in capsys.readouterr().err


def test_compare_keeps_the_names_of_runs_whole(capsys, run, monkeypatch):
    monkeypatch.setenv("COLUMNS", "40")
    long = Path("runs-of-a-long-name") / ("x" * 100)
    long.parent.mkdir()
    run.rename(long)
    trained = load_scene("cartpole")
    shipped = trained.resolve(trained.agent.checkpoint)
    out, err = said(capsys, "compare", str(long), str(shipped), "--episodes", "2")
    assert f"1 is {long}\n2 is {shipped}\n" in out and "…\n" not in out and err == ""


class Ends:
    """What long work had counted when it ended."""

    def __init__(self):
        self.told = []

    def begin(self, wait, *, announced):
        pass

    def end(self, wait):
        self.told.append((wait.what, wait.done, wait.total))


@pytest.mark.parametrize("name", ["boards", "frames/pong"])
def test_playing_for_data_counts_the_examples(name):
    ends = Ends()
    with reporting(ends):
        load_dataset(name, 32, seed=77)
        load_dataset(name, 32, seed=77)
    assert ends.told[-1] == (f"playing 32 examples of {name}", 32, 32), "and what is at hand takes no time"
    assert [told for told in ends.told if told[0].startswith("playing")] == ends.told[-1:]


@pytest.mark.parametrize(("world", "perception"), [("atari/pong", "detector"), ("chess", "board_reader")])
def test_taking_pictures_counts_them(world, perception):
    Path("seen.toml").write_text(PONG.replace("atari/pong", world).replace("detector", perception))
    scene, ends = load_scene("seen.toml"), Ends()
    config = perception_config(scene)
    with reporting(ends):
        scene_label_data(scene, config, CaptureSpec(config.tells, 3, 78), CHANCE)
    ((what, done, total),) = ends.told
    assert what == f"taking 3 pictures of {world}" and done >= 3 == total
