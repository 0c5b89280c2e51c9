"""Training runs: killed anywhere and resumed they end in the same weights; nothing saved is ever lost."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from scenes.schema import load_scene
from scenes.train import TrainingFailed, duration, train
from sim.checkpoints import load_checkpoint
from sim.errors import RequestError
from sim.runs import RunError

PLAYFIELD = [sys.executable, "-c", "import sys; from scenes.cli import main; sys.exit(main())"]
CARTPOLE = ["world.num_envs=2", "agent.num_steps=32", "agent.minibatch_size=64", "train.env_steps=3840"]
PONG = [
    "world.num_envs=2", "agent.num_steps=32", "agent.minibatch_size=64", "train.env_steps=1280",
    "agent.num_epochs=1",
]  # fmt: skip


def quiet(line: str) -> None:
    """Say nothing."""


def small(*changes: str, scene: str = "cartpole"):
    return load_scene(scene, [*(CARTPOLE if scene == "cartpole" else PONG), *changes])


def weights_hash(run: Path) -> str:
    newest = max((run / "checkpoints").iterdir(), key=lambda path: int(path.name))
    return hashlib.sha256((newest / "model.safetensors").read_bytes()).hexdigest()


def metrics(run: Path) -> list[dict]:
    rows = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    return [{key: value for key, value in row.items() if key != "seconds"} for row in rows]


@pytest.mark.parametrize(("scene", "every", "kills"), [("cartpole", 300, 3), ("pong", 100, 2)])
def test_killed_anywhere_and_resumed_it_ends_in_the_same_weights(tmp_path, scene, every, kills):
    train(small(f"train.checkpoint_every={10**9}", scene=scene), tmp_path / "whole", device="cpu", say=quiet)
    changes = [*(CARTPOLE if scene == "cartpole" else PONG), f"train.checkpoint_every={every}"]
    command = [*PLAYFIELD, "train", scene, "--run", str(tmp_path / "killed"), "--device", "cpu"]
    command += [part for change in changes for part in ("--set", change)]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    for kill in range(kills):
        again = ["--resume"] if kill else []
        process = subprocess.Popen([*command, *again], stderr=subprocess.DEVNULL, env=environment)
        look = states if kill == 0 else entries  # later kills may hit a state that is half written
        before = look(tmp_path / "killed")
        while process.poll() is None and look(tmp_path / "killed") <= before:
            time.sleep(0.002)
        process.send_signal(signal.SIGKILL)
        process.wait()
    finished = subprocess.run([*command, "--resume"], stderr=subprocess.PIPE, env=environment, text=True)
    assert finished.returncode == 0, finished.stderr
    assert "resuming" in finished.stderr
    assert weights_hash(tmp_path / "killed") == weights_hash(tmp_path / "whole")
    assert metrics(tmp_path / "killed") == metrics(tmp_path / "whole")


def states(run: Path) -> set[str]:
    return {name for name in entries(run) if name.isdecimal()}


def entries(run: Path) -> set[str]:
    folder = run / "state"
    return set(os.listdir(folder)) if folder.is_dir() else set()


def test_checkpoints_come_when_asked_for_and_at_the_end(tmp_path):
    train(small("train.checkpoint_every=1000"), tmp_path / "r", device="cpu", say=quiet)
    steps = sorted(int(path.name) for path in (tmp_path / "r" / "checkpoints").iterdir())
    assert steps == [1024, 2048, 3008, 3840]
    assert sorted(states(tmp_path / "r"), key=int) == ["3008", "3840"]
    card = load_checkpoint(tmp_path / "r" / "checkpoints" / "3840").card
    assert card["trained"]["env_steps"] == 3840
    assert card["config"]["num_steps"] == 32


def test_a_target_return_ends_training_early(tmp_path):
    changes = ["train.target_return=5", "train.env_steps=50_000"]
    result = train(small(*changes), tmp_path / "r", device="cpu", say=quiet)
    assert result.stopped == "the last 100 episodes reached target_return 5"
    assert result.env_steps < 25_000
    assert (tmp_path / "r" / "checkpoints" / str(result.env_steps)).is_dir()


def test_scores_on_the_way_are_logged_and_change_nothing(tmp_path):
    train(small(), tmp_path / "quiet", device="cpu", say=quiet)
    train(small("train.evaluate_every=1920"), tmp_path / "scored", device="cpu", say=quiet)
    scored = [row["env_steps"] for row in metrics(tmp_path / "scored") if "evaluation_return_mean" in row]
    assert scored == [1920, 3840]
    assert weights_hash(tmp_path / "scored") == weights_hash(tmp_path / "quiet")


def test_starting_from_a_checkpoint_uses_its_weights(tmp_path):
    train(small(), tmp_path / "first", device="cpu", say=quiet)
    start = tmp_path / "first" / "checkpoints" / "3840"
    result = train(
        small("train.env_steps=64", "agent.learning_rate=1e-12"),
        tmp_path / "second", device="cpu", start_from=start, say=quiet,
    )  # fmt: skip
    old = load_checkpoint(start).weights
    new = load_checkpoint(tmp_path / "second" / "checkpoints" / str(result.env_steps)).weights
    assert all(abs(old[name] - new[name]).max() < 1e-9 for name in old)


def test_a_full_disk_keeps_the_older_state_and_says_how_to_go_on(tmp_path, monkeypatch):
    import sim.runs

    write, calls = sim.runs.write_state, []

    def full(folder, state, segments):
        calls.append(folder)
        if len(calls) == 2:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        write(folder, state, segments)

    monkeypatch.setattr(sim.runs, "write_state", full)
    with pytest.raises(TrainingFailed, match="the disk is full; the state of step 1,024 is safe.*--resume"):
        train(small("train.checkpoint_every=1000"), tmp_path / "r", device="cpu", say=quiet)
    assert states(tmp_path / "r") == {"1024"}
    monkeypatch.undo()
    train(small("train.checkpoint_every=1000"), tmp_path / "r", device="cpu", resume=True, say=quiet)
    train(small(), tmp_path / "whole", device="cpu", say=quiet)
    assert weights_hash(tmp_path / "r") == weights_hash(tmp_path / "whole")


def test_a_number_that_is_not_finite_stops_and_keeps_what_was_good(tmp_path, monkeypatch):
    from agents.ppo import PPOLearner

    monkeypatch.setattr(PPOLearner, "_learning_rate", lambda self, _: 1e-3 if self._updates < 3 else 1e38)
    with pytest.raises(TrainingFailed, match="not finite in update [45]; the state of step .* is safe"):
        train(small("train.checkpoint_every=64"), tmp_path / "r", device="cpu", say=quiet)
    newest = max(int(name) for name in states(tmp_path / "r"))
    weights = load_checkpoint(tmp_path / "r" / "checkpoints" / str(newest)).weights
    assert newest >= 192 and all(np.isfinite(array).all() for array in weights.values())


def test_a_run_in_use_is_refused(tmp_path):
    from sim.runs import Run

    first = Run(tmp_path / "r", resume=False)
    with pytest.raises(RunError, match="in use by another process"):
        Run(tmp_path / "r", resume=True)
    first.close()


def test_the_estimate_comes_before_the_first_step(tmp_path, monkeypatch):
    monkeypatch.setattr("scenes.train.PROBE_PAYS", 1)
    said: list[str] = []
    train(small(), tmp_path / "r", device="cpu", say=said.append)
    assert "3,840 env steps" in said[0] and "steps/s" in said[0]


def test_durations_for_people():
    assert [duration(s) for s in (1, 99, 101, 5999, 6001)] == [
        "1 s",
        "99 s",
        "2 min",
        "1 h 40 min",
        "1 h 40 min",
    ]


def test_a_learner_that_finds_its_worlds_unfit_leaves_no_run_behind(tmp_path):
    own = tmp_path / "own.toml"
    own.write_text(
        'title = "Own"\n[world]\nuse = "gym/tests/Masked-v0"\n'
        '[agent]\nuse = "sb3/dqn"\n[train]\nenv_steps = 64\n'
    )
    with pytest.raises(RequestError, match="maskableppo"):
        train(load_scene(str(own)), tmp_path / "r", device="cpu", say=quiet)
    assert not (tmp_path / "r").exists()
