"""Sweeps in processes of their own: killed, joined, stopped; and on a Ray cluster."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from polling import until
from sweeps import SEARCH, TINY, begin, joined

import scenes.sweep.scoring as scoring
from scenes.sweep.cluster_trials import TrialQueue, train_trial
from scenes.sweep.folder import SweepFolder
from scenes.sweep.study import SweepStudy
from sim.errors import WorkError
from sim.storage.runs import step_folders

COMMAND = [sys.executable, "-c", "from scenes.cli.main import entry; entry()", "sweep", "cartpole"]
PATIENCE = 120  # seconds
TRIALS, STEPS = 4, 4096
NEW = [
    *(word for search in SEARCH for word in ("--search", search)),
    *(word for change in TINY for word in ("--set", change)),
    *("--trials", TRIALS, "--steps", STEPS, "--parallel", 2),
]


def start(folder, *words):
    """The command line in a process of its own, told what to do with one sweep."""
    line = [*COMMAND, *map(str, words), "--run", str(folder), "--device", "cpu", "--json"]
    return subprocess.Popen(line, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def ended(process, code=0):
    out, err = process.communicate(timeout=PATIENCE)
    assert process.returncode == code, err
    return json.loads(out.splitlines()[-1]), err


def children(process):
    listed = Path(f"/proc/{process.pid}/task/{process.pid}/children")
    return [int(pid) for pid in listed.read_text().split()]


def in_progress(folder):
    """Run folders that have a state and are not finished."""
    runs = (folder / "trials").glob("*")
    return [run for run in runs if (steps := step_folders(run / "state")) and int(steps[-1].name) < STEPS]


def finished(folder):
    """Number, parameters and score of the trials that have ended."""
    sweep = SweepFolder(folder)
    study = SweepStudy(sweep, sweep.read())
    return {
        trial.number: (trial.params, trial.value, trial.datetime_complete)
        for trial in study.trials()
        if trial.state.is_finished()
    }


def whole(folder):
    """Check that every trial ended once, and that no update was logged twice; returns the trials."""
    trials = finished(folder)
    assert sorted(trials) == list(range(TRIALS))
    for number in trials:
        log = folder / f"trials/{number}-seed0/metrics.jsonl"
        rows = [json.loads(line) for line in log.read_text().splitlines()]
        assert [row["updates"] for row in rows] == list(range(1, len(rows) + 1))
    return trials


@pytest.mark.slow
def test_killed_twice_and_resumed_no_trial_is_lost_or_trained_again(tmp_path):
    folder = tmp_path / "s"
    first = start(folder, *NEW)
    until(lambda: in_progress(folder), PATIENCE)
    first.kill()
    first.communicate()
    second = start(folder, "--resume", "--parallel", 2)
    until(lambda: folder.joinpath("journal.log").exists() and finished(folder), PATIENCE)
    second.kill()
    second.communicate()
    before = finished(folder)
    answer, _ = ended(start(folder, "--resume", "--parallel", 2))
    after = whole(folder)
    assert {number: after[number] for number in before} == before
    assert [row["state"] for row in answer["rows"]] == ["done"] * TRIALS
    again, said = ended(start(folder, "--resume"))
    assert again == answer and finished(folder) == after


@pytest.mark.slow
def test_the_trial_of_a_killed_process_goes_on_in_another(tmp_path):
    folder = tmp_path / "s"
    process = start(folder, *NEW)
    until(lambda: in_progress(folder), PATIENCE)
    os.kill(children(process)[0], signal.SIGKILL)
    _, said = ended(process)
    assert "ended by signal 9: another one goes on with it" in said
    whole(folder)


@pytest.mark.slow
def test_a_second_shell_joins_and_trials_are_counted_once(tmp_path):
    folder = tmp_path / "s"
    first = start(folder, *NEW)
    until(lambda: in_progress(folder), PATIENCE)
    second = start(folder, "--resume")
    (one, _), (two, _) = ended(first), ended(second)
    whole(folder)
    assert {len(one["rows"]), len(two["rows"])} == {TRIALS}


@pytest.mark.slow
def test_ctrl_c_saves_what_is_trained_and_a_resume_goes_on(tmp_path):
    folder = tmp_path / "s"
    process = start(folder, *NEW)
    until(lambda: in_progress(folder), PATIENCE)
    process.send_signal(signal.SIGINT)
    answer, said = ended(process, 130)
    assert "unfinished" in [row["state"] for row in answer["rows"]] and "--resume" in said
    assert children_are_gone(folder)
    ended(start(folder, "--resume", "--parallel", 2))
    whole(folder)


def children_are_gone(folder):
    """Whether no process holds the lock of a trial."""
    sweep = SweepFolder(folder)
    study = SweepStudy(sweep, sweep.read())
    return len(study.left()) == sum(trial.state.name == "RUNNING" for trial in study.trials())


def test_a_cluster_trains_each_trial_once_and_retries_what_broke_down(tmp_path, few):
    few(scoring, EPISODES=2)
    study, said = begin(tmp_path / "s", trials=3), []
    queue = TrialQueue(study, device="cpu", say=said.append)
    first, second = queue.take("a"), queue.take("b")
    assert (first["trial"], second["trial"]) == (0, 1) and "agent.learning_rate" in first
    queue.give_back("a", train_trial(first)["outcome"])  # on one node
    broken = queue.take("c")
    queue.give_back("c", error=True)
    queue.release_all()  # the driver dies with trial 1 on its way
    assert [trial.state.name for trial in study.trials()] == ["COMPLETE", "RUNNING", "FAIL"]
    assert broken["trial"] == 2 and queue.take("d") == second, "the next driver takes it on"
    assert train_trial(second)["outcome"] == "done"
    assert said[0].startswith("trial 0 done: return_mean") and "broke down" in said[1]


def test_a_node_that_does_not_see_the_folder_says_so(tmp_path):
    with pytest.raises(WorkError, match="put --run on a disk that all nodes share"):
        train_trial({"folder": str(tmp_path / "elsewhere"), "device": "cpu", "trial": 0})


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_a_cluster_that_does_not_start_is_told_in_one_line(monkeypatch):
    ray = pytest.importorskip("ray")
    from agents.actors.backend import ClusterError
    from scenes.sweep.ray_tune import Cluster

    def late(**options):
        raise Exception("The current node timed out\nduring startup.")

    monkeypatch.setattr(ray, "init", late)
    with pytest.raises(ClusterError, match="^--cluster local: The current node timed out during startup.$"):
        Cluster("local", parallel=1)
    with pytest.raises(ClusterError, match="--cluster 127.0.0.1:1 does not answer .*ray start --head"):
        Cluster("127.0.0.1:1", parallel=1)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_ray_tune_trains_the_same_trials(tmp_path):
    ray = pytest.importorskip("ray")
    from scenes.sweep.ray_tune import Cluster

    here, there = begin(tmp_path / "here", trials=3), begin(tmp_path / "there", trials=3)
    from scenes.sweep.worker import work

    work(here.folder, device="cpu", stop=lambda: False, tell=lambda message: None)
    with tempfile.TemporaryDirectory(prefix="r", dir="/tmp") as short:
        size = {"num_cpus": 2, "object_store_memory": 80 * 2**20, "include_dashboard": False}
        ray.init(address="local", _temp_dir=short, log_to_driver=False, **size)
        try:
            with Cluster("auto", parallel=1) as cluster:
                assert cluster.train(there, device="cpu", minutes=None, say=lambda line: None) is None
        finally:
            ray.shutdown()
    told = [
        {trial.number: (trial.params, trial.value) for trial in joined(each).trials()}
        for each in (here, there)
    ]
    assert told[0] == told[1] and len(told[0]) == 3
