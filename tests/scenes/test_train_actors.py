"""`train --actors`: refused where it cannot be, resumed from its ledger; on Ray, actors and nodes killed."""

from __future__ import annotations

import json
import re
import sys
import tomllib
from pathlib import Path

import pytest
from command_line import answer, refusal

import scenes
from agents.actors.in_process import InProcessBackend
from scenes.schema import load_scene
from scenes.training.actors import ActorOptions
from scenes.training.session import start_training, train
from sim.storage.runs import step_folders

SMALL = [
    "world.num_envs=2", "world.max_plies=8", "agent.num_simulations=2", "agent.num_considered=2",
    "agent.cut_after=4", "agent.num_steps=4", "agent.minibatch_size=8", "agent.num_epochs=1",
    "agent.buffer_size=64", "train.env_steps=30",
]  # fmt: skip


def small(*changes):
    return load_scene("chess-kqk", [*SMALL, *changes])


def sets(*changes):
    return [part for change in changes for part in ("--set", change)]


def rows(run):
    return [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]


@pytest.fixture
def in_process(monkeypatch):
    """Actors in this process instead of Ray's; the list holds the backends of all trainings."""
    made = []

    def connect(options):
        made.append(InProcessBackend(die_after={"1-0-0": 2}))
        return made[-1]

    monkeypatch.setattr(ActorOptions, "connect", connect)
    return made


@pytest.mark.parametrize(
    ("scene", "options", "words"),
    [
        ("chess-kqk", ["--actors", "0"], "--actors must be at least 1, not 0"),
        ("chess-kqk", ["--actors", "-2"], "--actors must be at least 1, not -2"),
        (
            "chess-kqk",
            ["--actors", "2", "--max-staleness", "-1"],
            "--max-staleness must be at least 0, not -1",
        ),
        ("chess-kqk", ["--cluster", "auto"], "--cluster is about actors: say how many with --actors N"),
        (
            "chess-kqk",
            ["--max-staleness", "3"],
            "--max-staleness is about actors: say how many with --actors N",
        ),
        ("chess-kqk", ["--actors", "2", "--seeds", "2"], "--actors play for one seed: leave --seeds out"),
        ("chess-kqk", ["--actors", "2", "--cluster", "here"], 'host:port, such as head:6379, not "here"'),
        (
            "cartpole",
            ["--actors", "2"],
            'agent "ppo" learns from what it plays itself: --actors play for "alphazero" or "dqn"',
        ),
        ("board-reader", ["--actors", "2"], "trains a perception: --actors play for agent"),
    ],
)
def test_actors_that_cannot_be_are_refused_before_there_is_a_run(
    tmp_path, monkeypatch, capsys, scene, options, words
):
    monkeypatch.chdir(tmp_path)
    assert words in refusal(capsys, "train", scene, *options)
    assert list(tmp_path.iterdir()) == []


def test_without_ray_the_line_that_installs_it_is_told_and_nothing_is_written(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(sys.modules, "ray", None)
    told = refusal(capsys, "train", "chess-kqk", "--actors", "2", "--run", "r")
    assert 'a cluster needs the package ray: python -m pip install "ray' in told
    assert list(tmp_path.iterdir()) == []


def test_a_run_with_actors_tells_of_them(tmp_path, capsys, in_process):
    run = tmp_path / "r"
    told = answer(capsys, "train", "chess-kqk", "--run", run, "--actors", "2", *sets(*SMALL))
    assert told["env_steps"] == told["metrics"]["positions"] >= 30
    assert told["metrics"]["actors_alive"] == 2 and told["metrics"]["actors_replaced"] == 1
    assert sum(row["episodes"] for row in rows(run)) == rows(run)[-1]["games"]
    newest = step_folders(run / "checkpoints")[-1]
    card = tomllib.loads((newest / "card.toml").read_text())
    assert (card["trained"]["actors"], card["trained"]["max_staleness"]) == (2, 8)
    assert not in_process[-1]._makers, "they are stopped"


def test_the_resume_says_that_it_is_not_exact_and_the_line_that_goes_on_names_the_actors(
    tmp_path, in_process
):
    said = []
    options = ActorOptions(2, "auto", max_staleness=5)
    train(small(), tmp_path / "r", device="cpu", say=said.append, actors=options)
    assert said[0] == (
        "2 actors on Ray (auto); play by weights more than 5 updates old is refused; "
        "a resumed run goes on, but not bit for bit"
    )
    said.clear()
    scene = small("train.env_steps=60")
    with start_training(
        scene, tmp_path / "r", device="cpu", resume=True, start_from=None, say=said.append, actors=options
    ) as training:
        next(training)
        line = training._loop._how_to_go_on()
    assert rows(tmp_path / "r")[-1]["games"] == sum(row["episodes"] for row in rows(tmp_path / "r"))
    assert "it goes on from here, but not bit for bit as if it had never stopped" in said
    assert line.endswith(f"--run {tmp_path / 'r'} --resume --actors 2 --cluster auto --max-staleness 5")
    said.clear()
    train(scene, tmp_path / "r", device="cpu", say=said.append, resume=True)
    assert "it goes on from here, but not bit for bit as if it had never stopped" in said, (
        "nor without actors"
    )


def test_on_one_machine_the_learner_leaves_the_actors_their_processors(tmp_path, monkeypatch, in_process):
    threads = []
    monkeypatch.delenv("OMP_NUM_THREADS")
    monkeypatch.setattr("torch.set_num_threads", threads.append)
    monkeypatch.setattr("scenes.build.devices.processors", lambda: 8)
    for count, cluster, left in ((3, "local", 5), (9, "local", 1), (3, "auto", 8)):
        folder = tmp_path / f"{count}-{cluster}"
        start_training(
            small(),
            folder,
            device="cpu",
            resume=False,
            start_from=None,
            say=list,
            actors=ActorOptions(count, cluster),
        ).close()
        assert threads[-1] == left


def test_ray_is_imported_by_one_module_alone_and_not_before_it_is_needed():
    root = Path(scenes.__file__).parents[1]
    modules = [
        path
        for folder in ("agents", "scenes/training", "scenes/cli")
        for path in (root / folder).rglob("*.py")
    ]
    lines = {
        path.name: found
        for path in modules
        if (found := re.findall(r"^ *(?:import|from) ray\b.*", path.read_text("utf-8"), re.M))
    }
    assert lines == {"ray_cluster.py": ["        import ray"]}


def test_a_failed_request_stops_the_cluster_that_was_joined(tmp_path, in_process):
    (tmp_path / "r").mkdir()
    (tmp_path / "r" / "file").touch()
    closed = []
    InProcessBackend.close, close = (lambda self: closed.append(self)), InProcessBackend.close
    try:
        with pytest.raises(ValueError, match="exists"):
            train(small(), tmp_path / "r", device="cpu", say=print, actors=ActorOptions(2))
    finally:
        InProcessBackend.close = close
    assert closed and set(closed) == set(in_process)
