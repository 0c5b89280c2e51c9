"""Sweeps: trials are claimed once, go on where they were left, and train as `playfield train` does."""

from __future__ import annotations

import json
import queue
import subprocess
import sys

import numpy as np
import optuna
import pytest
from command_line import answer, refusal
from optuna.trial import TrialState
from sweeps import SEARCH, TINY, begin, joined, made_up, result

import scenes.sweep.process_pool as process_pool
import scenes.sweep.scoring as scoring
from scenes.schema import load_scene
from scenes.sweep.search_space import changes_of
from scenes.sweep.study import PLAIN_TRIALS, PRUNED_AT, RUNGS, ClaimedTrial, RungMedianPruner
from scenes.sweep.trial import TrialWork
from scenes.sweep.worker import work
from scenes.training.session import train
from sim.storage.checkpoints import load_checkpoint
from sim.storage.files import SaveError


@pytest.fixture
def study(tmp_path, few):
    few(scoring, EPISODES=2)
    return begin(tmp_path / "s")


def states(study):
    return [trial.state.name for trial in study.trials()]


def weights(run):
    return {name: array.tobytes() for name, array in load_checkpoint(run).weights.items()}


def test_two_processes_count_each_trial_once(study):
    other = joined(study)
    claimed = [each for _ in range(3) for one in (study, other) if (each := one.claim())]
    assert [trial.number for trial in claimed] == [0, 1, 2, 3]
    assert study.claim() is None and other.claim() is None
    assert len({str(trial.params) for trial in claimed}) == 4


def test_a_trial_whose_process_died_is_taken_on_by_the_next_claim(study):
    first, second = study.claim(), study.claim()
    params = second.params
    second.keep(0, result(7.0))
    second.release()  # as the operating system does when its process dies
    other = joined(study)
    assert other.left() == [1]
    again = other.claim()
    assert (again.number, again.params, again.seed_result(0)) == (1, params, result(7.0))
    first.complete(1.0)
    first.release()
    assert other.claim().number == 2, "what has ended is not trained again"


def test_a_trial_asks_for_the_same_values_whichever_process_asks(tmp_path):
    one, two = begin(tmp_path / "a", trials=8), begin(tmp_path / "b", trials=8)
    for number in range(6):
        trials = one.claim(), (two if number % 2 else joined(two)).claim()
        assert trials[0].params == trials[1].params
        for trial in trials:
            trial.complete(trial.params["agent.num_epochs"])


def test_a_half_written_line_of_the_journal_is_no_record(study):
    study.claim().complete(1.0)
    with study.folder.journal.open("ab") as file:
        file.write(b'{"op_code":5,"work')
    other = joined(study)
    other.claim().complete(2.0)
    assert states(joined(study)) == ["COMPLETE", "COMPLETE"]
    assert all(json.loads(line) for line in study.folder.journal.read_text().splitlines())


def test_the_first_trial_has_the_scenes_own_values(tmp_path):
    study = begin(tmp_path / "own", search=["agent.num_epochs=1..20"])
    study.propose_own()
    joined(study).propose_own()
    first, second = study.claim(), study.claim()
    assert first.params == {"agent.num_epochs": 10} and (first.number, second.number) == (0, 1)
    assert study.trials()[0].user_attrs == {"own": True}


def test_half_of_the_trials_are_pruned_at_a_rung_whatever_became_of_the_others():
    """Of equal trials in a random order; Optuna's MedianPruner stops more and more of them."""
    study = optuna.create_study(direction="maximize", pruner=RungMedianPruner())
    values = np.random.default_rng(0).permutation(65).astype(float)
    at, _ = PRUNED_AT
    for value in values:
        trial = study.ask()
        trial.report(-1.0, at - 1)
        assert not trial.should_prune(), "between two rungs nothing is pruned"
        trial.report(value, at)
        pruned = trial.should_prune()
        study.tell(trial, None if pruned else value, TrialState.PRUNED if pruned else TrialState.COMPLETE)
    found = [trial.state is TrialState.PRUNED for trial in study.trials]
    assert not any(found[:PLAIN_TRIALS]) and not found[int(np.argmax(values))]
    assert 20 <= sum(found[PLAIN_TRIALS:]) <= 40


@pytest.mark.parametrize(("scene", "better"), [("cartpole", 1.0), ("backprop", -1.0)])
def test_what_is_pruned_is_on_the_worse_side_of_the_median(scene, better, tmp_path):
    searched = {"cartpole": SEARCH[:1], "backprop": ["perception.0.learning_rate=log:0.01..1"]}[scene]
    study = begin(tmp_path / "s", searched, scene=scene, changes=(), trials=PLAIN_TRIALS + 2)
    for value in range(PLAIN_TRIALS):
        trial = study.claim()
        trial.report(PRUNED_AT[1], float(value))
        trial.complete(float(value))
    good, bad = study.claim(), study.claim()
    good.report(PRUNED_AT[1], 2.0 + 0.5 * better)
    bad.report(PRUNED_AT[1], 2.0 - 0.5 * better)
    assert bad.hopeless() and not good.hopeless()
    bad.prune(3.0)
    assert states(study)[-2:] == ["RUNNING", "PRUNED"]


def test_a_stopped_trial_goes_on_and_ends_in_the_weights_of_train(study, tmp_path):
    asked = iter([False, False, True, True, True])
    with study.claim() as trial:
        params = trial.params
        stopping = TrialWork(study.folder, study.definition, device="cpu", stop=lambda: next(asked))
        assert stopping.run(trial) == "stopped" or stopping.run(trial) == "stopped"
    assert states(study) == ["RUNNING"]
    again = joined(study)
    with again.claim() as trial:
        assert trial.number == 0
        assert TrialWork(again.folder, again.definition, device="cpu").run(trial) == "done"
    scene = load_scene("cartpole", [*TINY, *changes_of(params), "train.env_steps=64"])
    alone = train(scene, tmp_path / "alone", device="cpu", say=lambda line: None)
    run = study.folder.run(0, 0)
    assert weights(run) == weights(alone.folder)
    (ended,) = again.trials()
    assert ended.value == scoring.score_seed(scene, run, "return_mean", "cpu")["score"]
    assert again.trials()[0].intermediate_values.keys() <= set(range(1, RUNGS + 1))


def test_a_trial_that_is_trained_to_its_end_is_scored_and_not_pruned(study, monkeypatch):
    monkeypatch.setattr(ClaimedTrial, "hopeless", lambda trial: True)
    asked = []
    monkeypatch.setattr(ClaimedTrial, "report", lambda trial, rung, value: asked.append(rung))
    outcomes = []
    for _ in range(2):
        with study.claim() as trial:
            outcomes.append(TrialWork(study.folder, study.definition, device="cpu").run(trial))
        monkeypatch.setattr("scenes.sweep.trial.RUNGS", 1)  # the first report is then the last
    assert outcomes == ["pruned", "done"] and study.trials()[1].value is not None


def test_a_trial_is_saved_often_whatever_the_scenes_own_rhythm_is(study):
    scene = study.folder.scene(study.definition)
    assert scene.train.checkpoint_every == 64 // 20 < load_scene("cartpole").train.checkpoint_every


def test_a_trial_of_several_seeds_has_their_mean(tmp_path, few):
    few(scoring, EPISODES=2)
    study = begin(tmp_path / "s", seeds=2, trials=1)
    told = []
    work(study.folder, device="cpu", stop=lambda: False, tell=told.append)
    assert told == [{"begun": 0}, {"ended": 0, "outcome": "done"}]
    (trial,) = joined(study).trials()
    scores = [trial.user_attrs[f"seed-{seed}"]["score"] for seed in (0, 1)]
    assert trial.value == sum(scores) / 2 and weights(study.folder.run(0, 0)) != weights(
        study.folder.run(0, 1)
    )


def test_a_trial_that_cannot_be_trained_has_failed_and_says_why(tmp_path):
    study = begin(tmp_path / "s", trials=1)
    with study.claim() as trial:
        study.folder.run(0, 0).parent.joinpath("0-seed0").write_text("a file where the run should be")
        assert TrialWork(study.folder, study.definition, device="cpu").run(trial) == "failed"
    assert "is a file" in study.trials()[0].user_attrs["error"] and states(study) == ["FAIL"]


def test_a_full_disk_fails_no_trial(study, monkeypatch):
    def full(*args, **kwargs):
        raise SaveError(28, "the disk is full")

    monkeypatch.setattr("scenes.sweep.trial.start_training", full)
    with study.claim() as trial, pytest.raises(SaveError):
        TrialWork(study.folder, study.definition, device="cpu").run(trial)
    assert states(study) == ["RUNNING"]


class FakeWorker:
    """A worker that trains in this process, or dies after it has claimed a trial, as `fates` has it."""

    fates: list[int] = []

    def __init__(self, folder, device, threads, number, events):
        self.trial, self.log = None, folder.log("fake")
        fate = FakeWorker.fates.pop(0) if FakeWorker.fates else 0
        study = process_pool.SweepStudy(folder, folder.read())
        while claimed := study.claim():
            with claimed:
                events.put((self, {"begun": claimed.number}))
                if fate:
                    break
                claimed.keep(0, result(1.0))
                claimed.complete(1.0)
            events.put((self, {"ended": claimed.number, "outcome": "done"}))
        events.put((self, {"exit": fate}))

    def stop(self):
        pass

    kill = stop


@pytest.fixture
def pool(study, monkeypatch):
    monkeypatch.setattr(process_pool, "WorkerProcess", FakeWorker)
    monkeypatch.setattr(process_pool, "POLL", 0.01)
    said = []
    return process_pool.ProcessPool(study, parallel=1, device="cpu", threads=1, say=said.append), said


def test_a_killed_process_is_replaced_and_its_trial_goes_on(pool, study):
    FakeWorker.fates = [-9]
    assert pool[0].run() is None
    assert states(study) == ["COMPLETE"] * 4
    assert "process of trial 0 ended by signal 9" in pool[1][0]


def test_a_trial_that_kills_every_process_has_failed(pool, study):
    FakeWorker.fates = [-9, -9, -9]
    pool[0].run()
    assert states(study) == ["FAIL", "COMPLETE", "COMPLETE", "COMPLETE"]
    assert study.trials()[0].user_attrs["error"] == "3 processes that trained it ended by signal 9"


def test_no_trial_starts_after_the_time_is_over(study, monkeypatch):
    events: queue.Queue = queue.Queue()
    stopped = []

    class Endless(FakeWorker):
        def __init__(self, folder, device, threads, number, its_events):
            self.trial, self.log, self.events = None, None, its_events

        def stop(self):
            stopped.append(self)
            self.events.put((self, {"exit": 0}))

    monkeypatch.setattr(process_pool, "WorkerProcess", Endless)
    monkeypatch.setattr(process_pool, "POLL", 0.01)
    pool = process_pool.ProcessPool(study, parallel=3, device="cpu", threads=1, say=lambda line: None)
    assert pool.run(minutes=0.001) == "the 0.001 minutes are over"
    assert len(stopped) == 3 and events.empty()


SWEEP = ["sweep", "cartpole", "--search", SEARCH[0]]


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (["sweep", "cartpol", "--search", SEARCH[0]], 'did you mean "cartpole"'),
        (["sweep", "cartpole"], "--search KEY=RANGE"),
        ([*SWEEP, "--seeds", "0"], "--seeds must be at least 1, not 0"),
        ([*SWEEP, "--trials", "0"], "--trials must be at least 1"),
        ([*SWEEP, "--parallel", "0"], "--parallel must be at least 1"),
        ([*SWEEP, "--steps", "0"], "--steps must be at least 1"),
        ([*SWEEP, "--minutes", "0"], "--minutes must be above 0"),
        ([*SWEEP, "--cluster", "nowhere"], "--cluster is local, auto or host:port, such as head:6379"),
        ([*SWEEP, "--resume"], "--resume needs --run DIR"),
        ([*SWEEP, "--run", "none", "--resume"], "none is not a sweep's folder"),
        ([*SWEEP, "--seed", "2147483647", "--seeds", "2"], "go beyond"),
        (["sweep", "cartpole", "--search", "agent.gama=0.9..0.99"], 'did you mean "gamma"'),
        (["sweep", "cartpole", "--search", SEARCH[0], "--set", "agent={use = 'random'}"], "does not learn"),
    ],
)
def test_a_wrong_request_is_refused_and_writes_nothing(words, complaint, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert complaint in refusal(capsys, *words)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        ([*SWEEP], "exists: go on with --resume"),
        (["sweep", "pong", "--resume"], 'is a sweep of "CartPole"'),
        ([*SWEEP, "--resume"], "agent.num_epochs"),
        (["sweep", "cartpole", "--search", "agent.num_epochs=1..3", "--resume"], "agent.learning_rate"),
        (["sweep", "cartpole", "--resume", "--steps", "65"], "steps = 65 (was 64)"),
        (["sweep", "cartpole", "--resume", "--seeds", "2"], "seeds = 2 (was 1)"),
        (["sweep", "cartpole", "--resume", "--seed", "2"], "seed = 2 (was 0)"),
        (["sweep", "cartpole", "--resume", "--set", "agent.gamma=0.5"], "agent.gamma = 0.5 (was 0.98)"),
        (["sweep", "cartpole", "--resume", "--trials", "1"], "below the 2 that"),
        ([*SWEEP, "--overwrite"], "is in use: trial 0 trains now"),
    ],
)
def test_another_search_in_a_sweeps_folder_is_refused(words, complaint, study, capsys):
    held = study.claim(), study.claim()
    before = {file: file.read_bytes() for file in study.folder.path.rglob("*") if file.is_file()}
    assert complaint in refusal(capsys, *words, "--run", study.folder.path)
    assert {file: file.read_bytes() for file in study.folder.path.rglob("*") if file.is_file()} == before
    assert [trial.number for trial in held] == [0, 1]


def test_a_folder_of_something_else_is_left_alone(tmp_path, capsys):
    (tmp_path / "thesis.txt").write_text("years of work")
    assert "something else" in refusal(capsys, *SWEEP, "--run", tmp_path, "--overwrite")
    assert (tmp_path / "thesis.txt").read_text() == "years of work"


@pytest.mark.parametrize(
    ("package", "what", "words"), [("optuna", "a sweep", []), ("ray", "a cluster", ["--cluster", "auto"])]
)
def test_without_a_package_the_line_that_installs_it(package, what, words, capsys, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, package, None)
    monkeypatch.chdir(tmp_path)
    told = refusal(capsys, *SWEEP, *words)
    assert f"{what} needs the package {package}: python -m pip install" in told
    assert list(tmp_path.iterdir()) == []


def test_the_command_line_imports_neither_optuna_nor_ray():
    code = "import sys, scenes.cli.main; sys.exit(bool({'optuna', 'ray', 'torch'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


def test_a_sweep_resumed_with_more_trials_trains_only_those(study, capsys, monkeypatch):
    monkeypatch.setattr(process_pool, "WorkerProcess", FakeWorker)
    FakeWorker.fates, run = [], study.folder.path
    made_up(study, lambda params: 2.0 + params["agent.num_epochs"], lambda number: 1.0)
    told = answer(capsys, "sweep", "cartpole", "--run", run, "--resume", "--trials", "6")
    assert told["sweep"] == str(run) and sorted(row["trial"] for row in told["rows"]) == list(range(6))
    assert [row["score"] for row in told["rows"]][-2:] == [1.0, 1.0], "those that the fake has trained"
    assert told["best"]["score"] == max(row["score"] for row in told["rows"])
    assert {"report.html", "report.json", "report.png"} <= {file.name for file in run.iterdir()}
