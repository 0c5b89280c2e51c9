"""Training runs: killed anywhere and resumed they end in the same weights; nothing saved is ever lost."""

from __future__ import annotations

import errno
import hashlib
import json
import multiprocessing
import os
import random
import re
import shlex
import shutil
import signal
import sys
from pathlib import Path

import gymnasium
import numpy as np
import pytest
from light_worlds import Mortal

import agents.dqn
from agents.evaluation.evaluate import Scores
from scenes.cli.main import main
from scenes.console import duration
from scenes.schema import load_scene
from scenes.training.session import TrainingFailed, train
from scenes.training.trainee import trainee_of
from sim.errors import RequestError
from sim.machine import MemoryRefused
from sim.storage.checkpoints import load_checkpoint
from sim.storage.runs import RunError

#: Processes that start at once, because what is slow to import was imported by the one that they fork from.
PROCESSES = multiprocessing.get_context("forkserver")
PROCESSES.set_forkserver_preload([__name__])
SAFE_EVERY = 64  # env steps between a DQN's safe points, and so its states; 1,000 are too long for a test


def playfield(*words: str) -> None:
    """The command line in a process of its own."""
    agents.dqn.DQNLearner.yield_every = SAFE_EVERY
    with open(os.devnull, "w") as sys.stderr:
        sys.exit(main(list(words)))


CARTPOLE = ["world.num_envs=2", "agent.num_steps=32", "agent.minibatch_size=64", "train.env_steps=3840"]
PONG = [
    "world.num_envs=2", "agent.num_steps=32", "agent.minibatch_size=64", "train.env_steps=1280",
    "agent.num_epochs=1",
]  # fmt: skip
#: Every learner at a small size, by scene. With `max_frames` there are ends in the middle of what is killed.
SMALL = {
    "cartpole": CARTPOLE,
    "pong": PONG,
    "pong-pqn": [*PONG, "world.max_frames=400"],
    "pong-dqn": [
        "world.num_envs=2", "world.max_frames=400", "agent.buffer_size=1000", "agent.batch_size=8",
        "agent.learning_starts=100", "agent.prioritized=true", "agent.target_frequency=200",
        "train.env_steps=1280",
    ],
    "pong-seen": [*PONG, "world.max_frames=400", "perception.0.training_origin=noisy truth"],
    "walker": [*PONG, "agent.num_epochs=2"],
}  # fmt: skip


def quiet(line: str) -> None:
    """Say nothing."""


def small(*changes: str, scene: str = "cartpole"):
    return load_scene(scene, [*SMALL[scene], *changes])


def sets(*changes: str) -> list[str]:
    return [part for change in changes for part in ("--set", change)]


def weights_hash(run: Path) -> str:
    newest = max((run / "checkpoints").iterdir(), key=lambda path: int(path.name))
    return hashlib.sha256((newest / "model.safetensors").read_bytes()).hexdigest()


def metrics(run: Path) -> list[dict]:
    rows = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    return [{key: value for key, value in row.items() if key != "seconds"} for row in rows]


MORTAL = """title = "Mortal"
[world]
use = "gym/tests/Mortal-v0"
num_envs = 2
[agent]
use = "ppo"
network = "mlp"
num_steps = 16
minibatch_size = 32
[train]
env_steps = 320
checkpoint_every = 64
"""


LIGHT_DQN = """title = "Light"
[world]
use = "gym/tests/Mortal-v0"
num_envs = 2
[agent]
use = "dqn"
network = "mlp"
buffer_size = 256
batch_size = 8
learning_starts = 32
prioritized = true
target_frequency = 200
[train]
env_steps = 640
"""


@pytest.fixture(scope="module")
def mortal_file(tmp_path_factory):
    """The file of a scene whose world is told when and how to die by `Mortal.dies`."""
    path = tmp_path_factory.mktemp("mortal") / "mortal.toml"
    path.write_text(MORTAL)
    return str(path)


@pytest.fixture(scope="module")
def whole(mortal_file):
    """The folder of that scene's run from beginning to end, which nothing disturbed; read it only."""
    folder = Path(mortal_file).parent / "whole"
    train(load_scene(mortal_file), folder, device="cpu", say=quiet)
    return folder


@pytest.fixture
def mortal(mortal_file):
    """`mortal(change, …)` is the scene with those keys set; its worlds live on after the test."""
    yield lambda *changes: load_scene(mortal_file, list(changes))
    Mortal.dies(None, 0)


def states(run: Path) -> set[str]:
    return {name for name in entries(run) if name.isdecimal()}


def entries(run: Path) -> set[str]:
    folder = run / "state"
    return set(os.listdir(folder)) if folder.is_dir() else set()


@pytest.mark.parametrize(
    ("scene", "every", "kills"),
    [
        ("light-dqn", 64, 1),
        *(pytest.param(scene, 100, 6, marks=pytest.mark.slow) for scene in SMALL),  # six starts of torch each
    ],
)
def test_killed_anywhere_and_resumed_it_ends_in_the_same_weights(tmp_path, scene, every, kills, monkeypatch):
    monkeypatch.setattr("agents.dqn.DQNLearner.yield_every", SAFE_EVERY)
    source, changes = scene, SMALL.get(scene, [])
    if scene == "light-dqn":
        source = str(tmp_path / "light.toml")
        Path(source).write_text(LIGHT_DQN)
    whole, often = load_scene(source, changes), f"train.checkpoint_every={every}"
    train(whole, tmp_path / "whole", device="cpu", say=quiet)
    run, said = tmp_path / "killed", []
    command = ["train", source, "--run", str(run), "--device", "cpu", *sets(*changes, often)]
    chance = random.Random(os.urandom(8))
    for kill in range(kills):
        process = PROCESSES.Process(target=playfield, args=[*command, *(["--resume"] if kill else [])])
        process.start()
        look = states if kill == 0 else entries  # later kills may hit a state that is half written
        before = look(run)
        while process.is_alive() and look(run) <= before:
            process.join(0.005)
        process.join(chance.choice([0.0, 0.3 * chance.random()]))  # as it is written, or later on
        process.kill()
        process.join()
        assert process.exitcode in (0, -signal.SIGKILL)
    train(load_scene(source, [*changes, often]), run, device="cpu", resume=True, say=said.append)
    assert f"resuming {run}" in said[0]
    assert weights_hash(run) == weights_hash(tmp_path / "whole")
    assert metrics(run) == metrics(tmp_path / "whole")


def test_checkpoints_come_when_asked_for_and_at_the_end(tmp_path, mortal):
    train(
        mortal("train.checkpoint_every=100", "train.env_steps=352"), tmp_path / "r", device="cpu", say=quiet
    )
    steps = sorted(int(path.name) for path in (tmp_path / "r" / "checkpoints").iterdir())
    assert steps == [128, 224, 320, 352], "after the first update of 32 from 100, 200, 300 on"
    assert states(tmp_path / "r") == {"320", "352"}
    card = load_checkpoint(tmp_path / "r" / "checkpoints" / "352").card
    assert card["trained"]["env_steps"] == 352
    assert card["config"]["num_steps"] == 16


def test_a_target_return_ends_training_early(tmp_path, mortal):
    changes = ["train.target_return=0.5", "train.env_steps=3200", "world.num_envs=16"]
    result = train(mortal(*changes), tmp_path / "r", device="cpu", say=quiet)
    assert result.stopped == "the last 100 episodes reached target_return 0.5"
    assert 300 < result.env_steps < 2000, "none ends before its third step, and a hundred count"
    assert (tmp_path / "r" / "checkpoints" / str(result.env_steps)).is_dir()
    said = []
    again = train(mortal(*changes), tmp_path / "r", device="cpu", resume=True, say=said.append)
    assert again.env_steps == result.env_steps
    assert "finished: the last 100 episodes reached target_return 0.5" in said[-1]
    changes[0] = "train.target_return=150"
    further = train(mortal(*changes), tmp_path / "r", device="cpu", resume=True, say=quiet)
    assert further.env_steps > result.env_steps, "with another target it goes on"


def test_scores_on_the_way_are_logged_and_change_nothing(tmp_path, mortal, whole):
    train(mortal("train.evaluate_every=160"), tmp_path / "scored", device="cpu", say=quiet)
    scored = [row["env_steps"] for row in metrics(tmp_path / "scored") if "evaluation_return_mean" in row]
    assert scored == [160, 320]
    assert weights_hash(tmp_path / "scored") == weights_hash(whole)


def test_starting_from_a_checkpoint_uses_its_weights(begun, tmp_path):
    start = begun / "checkpoints" / "384"
    result = train(
        small("train.env_steps=64", "agent.learning_rate=1e-12"),
        tmp_path / "second", device="cpu", start_from=start, say=quiet,
    )  # fmt: skip
    old = load_checkpoint(start).weights
    new = load_checkpoint(tmp_path / "second" / "checkpoints" / str(result.env_steps)).weights
    assert all(abs(old[name] - new[name]).max() < 1e-9 for name in old)


def test_a_full_disk_keeps_the_older_state_and_says_how_to_go_on(tmp_path, mortal, whole, monkeypatch):
    import sim.storage.runs

    write, calls = sim.storage.runs.write_state, []

    def full(folder, state, segments):
        calls.append(folder)
        if len(calls) == 2:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        write(folder, state, segments)

    monkeypatch.setattr(sim.storage.runs, "write_state", full)
    with pytest.raises(TrainingFailed, match="the disk is full; the state of step 64 is safe.*--resume"):
        train(mortal(), tmp_path / "r", device="cpu", say=quiet)
    assert states(tmp_path / "r") == {"64"}
    monkeypatch.undo()
    train(mortal(), tmp_path / "r", device="cpu", resume=True, say=quiet)
    assert weights_hash(tmp_path / "r") == weights_hash(whole)


def test_a_number_that_is_not_finite_stops_keeps_what_was_good_and_says_how_to_avoid_it(
    tmp_path, mortal, mortal_file, capsys
):
    run = tmp_path / "r"
    Mortal.dies(RuntimeError("the emulator died"), 180)
    with pytest.raises(TrainingFailed):
        train(mortal(), run, device="cpu", say=quiet)
    Mortal.dies(None, 0)
    command = ["train", mortal_file, "--run", str(run), "--resume", "--device", "cpu"]
    assert main([*command, "--set", "agent.learning_rate=1e38"]) == 1
    said = capsys.readouterr().err.splitlines()[-1]
    assert re.search("not finite in update [56]; the state of step 128 is safe", said)
    assert states(run) == {"64", "128"}
    weights = load_checkpoint(run / "checkpoints" / "128").weights
    assert all(np.isfinite(array).all() for array in weights.values())
    *words, last = shlex.split(said.partition("go on with playfield ")[2])
    assert last == "agent.learning_rate=5e+37", "half of what was too much"
    assert main([*words, "agent.learning_rate=1e-3"]) == 0
    assert metrics(run)[-1]["env_steps"] == 320


@pytest.mark.parametrize(
    "fault",
    [
        RuntimeError("the emulator died"),
        OSError("broken pipe"),
        KeyError("ball"),
        ValueError("nan in the physics"),
        gymnasium.error.ResetNeeded("call reset"),
        RequestError("the opponent left"),
    ],
    ids=lambda fault: type(fault).__name__,
)
def test_a_world_that_dies_stops_the_run_which_goes_on_exactly_once_it_is_mended(
    tmp_path, mortal, whole, fault
):
    Mortal.dies(fault, 180)
    with pytest.raises(
        TrainingFailed, match="the state of step 128 is safe: go on with playfield train"
    ) as told:
        train(mortal(), tmp_path / "r", device="cpu", say=quiet)
    assert str(fault).strip("'") in str(told.value)
    Mortal.dies(None, 0)
    train(mortal(), tmp_path / "r", device="cpu", resume=True, say=quiet)
    assert weights_hash(tmp_path / "r") == weights_hash(whole)


def test_a_world_that_dies_before_anything_was_saved_says_so(tmp_path, mortal):
    Mortal.dies(RuntimeError("the emulator died"), 20)
    with pytest.raises(TrainingFailed, match="died; nothing had been saved yet: begin again with .*--resume"):
        train(mortal(), tmp_path / "r", device="cpu", say=quiet)
    Mortal.dies(None, 0)
    assert train(mortal(), tmp_path / "r", device="cpu", resume=True, say=quiet).env_steps == 320


def test_a_mistake_in_a_program_keeps_its_traceback_and_tells_what_is_safe(tmp_path, mortal):
    said: list[str] = []
    Mortal.dies(TypeError("no such argument"), 180)
    with pytest.raises(TypeError, match="no such argument"):
        train(mortal(), tmp_path / "r", device="cpu", say=said.append)
    assert "training broke down; the state of step 128 is safe" in said[-1]


def test_more_worlds_than_memory_holds_are_refused_before_they_are_made(tmp_path, monkeypatch):
    monkeypatch.setattr("sim.machine.free_memory", lambda: 4 * 300 * 16 - 1)  # CartPole: four float32
    with pytest.raises(MemoryRefused, match="a batch of 300 worlds needs .* smaller world.num_envs"):
        train(small("world.num_envs=300"), tmp_path / "r", device="cpu", say=quiet)
    assert not (tmp_path / "r").exists()


def test_a_run_in_use_is_refused(tmp_path):
    from sim.storage.runs import Run

    first = Run(tmp_path / "r", resume=False)
    with pytest.raises(RunError, match="in use by another process"):
        Run(tmp_path / "r", resume=True)
    first.close()


def test_the_estimate_comes_before_the_first_step(tmp_path):
    class Said(BaseException):
        pass

    def stop(line):
        raise Said(line)

    with pytest.raises(Said, match=r"60,000 env steps.* steps/s"):
        train(small("train.env_steps=60000"), tmp_path / "r", device="cpu", say=stop)
    assert not (tmp_path / "r" / "metrics.jsonl").read_text()


def test_durations_for_people():
    assert [duration(s) for s in (1, 99, 101, 5999, 6001)] == [
        "1 s",
        "99 s",
        "2 min",
        "1 h 40 min",
        "1 h 40 min",
    ]


def contents(run: Path) -> dict[str, str]:
    """Every file of a run by its hash, but its lock, which is empty."""
    files = (path for path in run.rglob("*") if path.is_file() and path.name != "lock")
    return {str(path): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


@pytest.fixture(scope="module")
def begun(tmp_path_factory):
    """A run of 384 steps, of which tests take copies."""
    folder = tmp_path_factory.mktemp("begun") / "r"
    train(small("train.env_steps=384", "train.checkpoint_every=128"), folder, device="cpu", say=quiet)
    return folder


FIXED = [
    ("world.num_envs=8", "world.num_envs = 8 (was 2)"),
    ("world.kwargs.sutton_barto_reward=true", "world.kwargs = {'sutton_barto_reward': True} (was {})"),
    ("agent.network=mlp256", "agent.network = 'mlp256' (was 'mlp')"),
    ("agent.normalize_returns=true", "agent.normalize_returns = True (was False)"),
    ("agent.use=dqn", "begin another run for that"),
]


@pytest.mark.parametrize(("change", "words"), FIXED)
def test_what_a_resume_cannot_change_is_refused_before_anything_is_written(
    begun, tmp_path, capsys, change, words
):
    run = tmp_path / "r"
    shutil.copytree(begun, run)
    before = contents(run)
    command = ["train", "cartpole", "--run", str(run), "--resume", "--device", "cpu", "--steps", "512"]
    assert main([*command, "--set", change]) == 2
    said = capsys.readouterr().err
    assert words in said and len(said.splitlines()) == 1
    assert contents(run) == before
    assert main(command) == 0, "plainly it goes on"


def test_what_a_resume_can_change_is_taken_and_the_budget_is_met(begun, tmp_path):
    run = tmp_path / "r"
    shutil.copytree(begun, run)
    changes = [
        "agent.num_steps=48",
        "agent.minibatch_size=32",
        "agent.learning_rate=1e-4",
        "agent.network=mlp",
    ]
    command = ["train", "cartpole", "--run", str(run), "--resume", "--device", "cpu", "--steps", "900"]
    assert main([*command, *sets(*changes)]) == 0
    assert [row["env_steps"] for row in metrics(run)][-2:] == [864, 960], "the first whole update from 900 on"
    assert load_scene(str(run / "scene.toml")).agent.fields["num_steps"] == 48


def test_a_runs_scene_stays_until_an_update_by_the_new_one_is_saved(tmp_path, mortal, whole):
    Mortal.dies(RuntimeError("the emulator died"), 180)
    with pytest.raises(TrainingFailed):
        train(mortal(), tmp_path / "r", device="cpu", say=quiet)
    kept = (tmp_path / "r" / "scene.toml").read_text()
    with pytest.raises(TrainingFailed, match="the state of step 128 is safe"):
        train(mortal("agent.learning_rate=0.1"), tmp_path / "r", device="cpu", resume=True, say=quiet)
    assert (tmp_path / "r" / "scene.toml").read_text() == kept
    Mortal.dies(None, 0)
    train(mortal(), tmp_path / "r", device="cpu", resume=True, say=quiet)
    assert weights_hash(tmp_path / "r") == weights_hash(whole)


def test_a_state_that_does_not_fit_is_refused_with_nothing_written(begun, tmp_path, monkeypatch):
    run = tmp_path / "r"
    shutil.copytree(begun, run)
    before = contents(run)
    monkeypatch.setattr("scenes.training.session.check_resume", lambda kept, scene: None)
    with pytest.raises(RunError, match="state of step 384 in .* does not fit this scene.*--from .*384"):
        train(small("agent.network=mlp256"), run, device="cpu", resume=True, say=quiet)
    after = {path: found for path, found in contents(run).items() if "tfevents" not in path}
    assert after.items() <= before.items() and len(after) + 1 == len(before)


def test_two_trainings_of_one_second_get_folders_of_their_own(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(
        "scenes.training.session.default_folder", lambda scene: Path("runs") / f"{scene.name}-now"
    )
    found = [train(small("train.env_steps=64"), None, device="cpu", say=quiet).folder for _ in range(2)]
    assert found == [Path("runs/cartpole-now"), Path("runs/cartpole-now-2")]
    assert weights_hash(found[0]) == weights_hash(found[1])


SILENT = """title = "Silent"
[world]
use = "gym/CartPole-v1"
num_envs = 2
[agent]
use = "ppo"
num_steps = 16
minibatch_size = 32
[train]
env_steps = 64
"""


def test_a_scene_that_names_no_network_trains_and_is_played_by_the_one_that_was_chosen(tmp_path, capsys):
    own, run = tmp_path / "own.toml", str(tmp_path / "r")
    own.write_text(SILENT)
    assert main(["train", str(own), "--run", run, "--device", "cpu"]) == 0
    assert main(["train", str(own), "--run", run, "--device", "cpu", "--resume", "--steps", "128"]) == 0
    assert load_checkpoint(tmp_path / "r").card["config"]["network"] == "mlp"
    assert load_scene(f"{run}/scene.toml").agent.fields["network"] == "mlp"
    assert main(["evaluate", str(own), "--checkpoint", run, "--device", "cpu", "--episodes", "1"]) == 0
    assert "does not fit" not in capsys.readouterr().err


def test_scores_on_the_way_are_of_what_evaluate_plays(tmp_path, monkeypatch):
    played = []
    monkeypatch.setattr(
        "scenes.training.agents.evaluate",
        lambda learner, config, **more: played.append(config) or Scores((), {}),
    )
    monkeypatch.setattr(Scores, "metrics", lambda self: {})
    scene = small("train.evaluate_every=64", "perception.0.training_origin=truth",
        "perception.0.origin=noisy truth", scene="pong-seen",
    )  # fmt: skip
    trainee = trainee_of(scene, "cpu", None)
    trainee.evaluate()
    trainee.close()
    assert [config.witness.origin for config in played] == ["noisy truth"]
    assert trainee._config.witness.origin == "truth"
