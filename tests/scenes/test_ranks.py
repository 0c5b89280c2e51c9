"""Training by several ranks, here threads: shares, the run folder of rank 0, exact resume, refusals."""

from __future__ import annotations

import hashlib
import json
import signal
import threading
from contextlib import contextmanager

import numpy as np
import pytest
from light_worlds import Mortal
from process_groups import ThreadGroup, in_ranks

from agents.catalog import AGENTS
from scenes.cli.main import main
from scenes.schema import SceneError, load_scene
from scenes.training import session
from scenes.training.agents import DATA_PARALLEL, AgentTrainee
from scenes.training.ranks import LeadingTrainee, faults_told, speaks
from scenes.training.session import TrainingFailed, start_training, train
from scenes.training.trainee import trainee_of
from sim.atari.world import seeding_interval
from sim.catalog import load
from sim.ranks import ENVIRONMENT
from sim.storage.checkpoints import load_checkpoint
from sim.storage.runs import step_folders
from supervised.distributed import ALONE, RankLostError, ShareError

SMALL = [
    "world.num_envs=4", "agent.num_steps=16", "agent.minibatch_size=24", "agent.num_epochs=1",
    "train.env_steps=256", "train.checkpoint_every=128",
]  # fmt: skip
FIT = ["train.updates=40", "perception.0.batch_size=8"]


@pytest.fixture(autouse=True)
def one_network_at_a_time(monkeypatch):
    """Torch's generator, from which networks are drawn, is one for all threads."""
    lock, trainee_of = threading.Lock(), session.trainee_of

    def alone(*given):
        with lock:
            return trainee_of(*given)

    monkeypatch.setattr(session, "trainee_of", alone)


def quiet(line):
    """Say nothing."""


def small(*changes, scene="cartpole", sizes=SMALL):
    return load_scene(scene, [*sizes, *changes])


def trained(scene, run, ranks=2, **options):
    """The results of all ranks."""
    return in_ranks(ranks, lambda group: train(scene, run, device="cpu", say=quiet, **options))


def saved(run):
    return [int(path.name) for path in step_folders(run / "checkpoints")]


def weights(run):
    return load_checkpoint(step_folders(run / "checkpoints")[-1]).weights


def hashes(run):
    """Of the newest weights and of the newest state but its times."""
    newest = step_folders(run / "state")[-1]
    told = json.loads((newest / "state.json").read_text()) | {"seconds": 0, "metrics_bytes": 0}
    files = [step_folders(run / "checkpoints")[-1] / "model.safetensors", newest / "arrays.safetensors"]
    return [hashlib.sha256(file.read_bytes()).hexdigest() for file in files], told


def metrics(run):
    rows = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    return [{key: value for key, value in row.items() if key != "seconds"} for row in rows]


@pytest.mark.parametrize("scene", [small(), small(scene="growth", sizes=FIT)], ids=["agent", "fit"])
def test_ranks_write_one_run_which_is_that_of_one_process_but_for_rounding(scene, tmp_path):
    train(scene, tmp_path / "one", device="cpu", say=quiet)
    results = trained(scene, tmp_path / "two")
    assert saved(tmp_path / "one") == saved(tmp_path / "two")
    assert {(result.env_steps, result.updates) for result in results} == {
        (results[0].env_steps, results[0].updates)
    }
    for one, two in zip(metrics(tmp_path / "one"), metrics(tmp_path / "two"), strict=True):
        assert two == pytest.approx(one, rel=1e-3, abs=1e-5)
    for name, array in weights(tmp_path / "one").items():
        np.testing.assert_allclose(weights(tmp_path / "two")[name], array, rtol=1e-3, atol=1e-5)


def stop_after(updates):
    """Train that many updates in all ranks."""

    def stop(scene, run, **options):
        def work(group):
            options_now = {"resume": False, "start_from": None} | options
            with start_training(scene, run, device="cpu", say=quiet, **options_now) as training:
                for _ in range(updates):
                    next(training)

        in_ranks(2, work)

    return stop


@pytest.mark.parametrize(
    "scene",
    [
        small("agent.normalize_observations=true", "agent.normalize_returns=true"),
        small("agent.network=gru"),
        small(scene="growth", sizes=FIT),
    ],
    ids=["ppo", "recurrent", "fit"],
)
def test_stopped_and_resumed_they_end_in_the_same_bits(scene, tmp_path):
    trained(scene, tmp_path / "whole")
    stop_after(1)(scene, tmp_path / "parts")
    trained(scene, tmp_path / "parts", resume=True)
    assert hashes(tmp_path / "parts") == hashes(tmp_path / "whole")
    assert metrics(tmp_path / "parts") == metrics(tmp_path / "whole")


def test_another_number_of_ranks_cannot_go_on(tmp_path):
    stop_after(1)(small(), tmp_path / "two")
    before = hashes(tmp_path / "two")
    torchrun = "torchrun --nproc-per-node 2 -m -- playfield train … --run .*two --resume"
    with pytest.raises(SceneError, match=f"saved by 2 ranks and cannot go on with 1: {torchrun}"):
        train(small(), tmp_path / "two", device="cpu", say=quiet, resume=True)
    with pytest.raises(SceneError, match="saved by 2 ranks and cannot go on with 4"):
        trained(small(), tmp_path / "two", 4, resume=True)
    assert hashes(tmp_path / "two") == before
    train(small(), tmp_path / "one", device="cpu", say=quiet)
    with pytest.raises(SceneError, match="saved by 1 rank and cannot go on with 2: playfield train"):
        trained(small(), tmp_path / "one", resume=True)


def test_a_finished_run_lets_all_ranks_go(tmp_path):
    trained(small(), tmp_path / "r")
    results = trained(small(), tmp_path / "r", resume=True)
    assert [result.env_steps for result in results] == [256, 256]


def test_a_rank_that_is_asked_to_stop_stops_all_after_the_update(tmp_path):
    def work(group):
        training = start_training(
            small(), tmp_path / "r", device="cpu", say=quiet, resume=False, start_from=None
        )
        if group.rank == 1:
            training._watch = lambda: True
        return training.finish()

    leading, _ = in_ranks(2, work)
    assert leading.stopped == "interrupted" and leading.env_steps == 64 and saved(tmp_path / "r") == [64]


def test_a_rank_that_breaks_down_ends_all_and_what_was_saved_is_safe(tmp_path):
    scene = small("world.use=gym/tests/Mortal-v0", "agent.network=mlp")
    errors = {}

    def work(group):
        try:
            train(scene, tmp_path / "r", device="cpu", say=quiet)
        except BaseException as error:
            errors[group.rank] = error
            raise

    Mortal.dies(RuntimeError("the motor burnt out"), after=150)
    with pytest.raises((TrainingFailed, RankLostError)):
        in_ranks(2, work)
    Mortal.dies(None, after=0)
    assert saved(tmp_path / "r") == [128]
    assert all(isinstance(error, TrainingFailed | RankLostError) for error in errors.values()), "no traceback"
    assert isinstance(errors[0], TrainingFailed) and "the state of step 128 is safe" in str(errors[0])
    trained(scene, tmp_path / "r", resume=True)
    trained(scene, tmp_path / "whole")
    assert hashes(tmp_path / "r") == hashes(tmp_path / "whole")


def test_rank_0_that_cannot_save_lets_the_others_go(tmp_path, monkeypatch):
    def full(*given, **options):
        raise OSError(28, "the disk is full")

    monkeypatch.setattr("scenes.training.loop.save_checkpoint", full)
    followed = threading.Event()

    def work(group):
        train(small(), tmp_path / "r", device="cpu", say=quiet)
        followed.set()

    with pytest.raises(TrainingFailed, match="the disk is full"):
        in_ranks(2, work)
    assert followed.is_set()


@pytest.mark.parametrize("scene", ["pong-dqn", "cartpole-reinforce", "chess-kqk", "pong-sb3"])
def test_agents_that_learn_in_one_process_are_refused_by_name(scene, tmp_path):
    use = load_scene(scene).agent.use
    with pytest.raises(ShareError, match=f'agent "{use}" learns in one process.* ppo and pqn'):
        trained(load_scene(scene), tmp_path / "r")
    assert not (tmp_path / "r").exists()


def test_the_agents_that_are_named_are_those_that_can():
    own = [name for name, module in AGENTS.items() if "sb3" not in module]
    assert (
        tuple(n for n in sorted(own) if getattr(load(AGENTS, n, "agent"), "data_parallel", False))
        == DATA_PARALLEL
    )


@pytest.mark.parametrize(
    ("scene", "words"),
    [
        (
            small("world.num_envs=5"),
            "world.num_envs is 5, which 2 ranks cannot share evenly: set it to 4 or 6",
        ),
        (small(scene="growth", sizes=["perception.0.batch_size=7"]), "batch_size is 7, which 2 ranks"),
        (load_scene("perceptron"), '"perceptron" learns by a rule of its own'),
    ],
    ids=["worlds", "batch", "rule"],
)
def test_what_cannot_be_shared_is_refused_before_anything_is_written(scene, words, tmp_path):
    with pytest.raises(ShareError, match=words):
        trained(scene, tmp_path / "r")
    assert not (tmp_path / "r").exists()


@pytest.mark.slow
def test_worlds_of_a_rank_are_seeded_as_seldom_as_those_of_one_process(tmp_path):
    def work(group):
        scene = small("world.num_envs=34", "agent.minibatch_size=64", scene="pong")
        trainee = trainee_of(scene, "cpu", None)
        worlds = trainee._worlds
        trainee.close()
        return worlds.num_envs, worlds.first_index, worlds.seed_every

    assert in_ranks(2, work) == [(17, 0, seeding_interval(34)), (17, 17, seeding_interval(34))]


def test_rank_0_alone_evaluates_while_the_others_wait(tmp_path, monkeypatch):
    asked = []
    monkeypatch.setattr(AgentTrainee, "evaluate", lambda trainee: asked.append(trainee) or {"iqm": 1.0})
    in_ranks(
        2, lambda group: train(small("train.evaluate_every=64"), tmp_path / "r", device="cpu", say=quiet)
    )
    rows = metrics(tmp_path / "r")
    assert len(asked) == len(rows) == 4 and len(set(asked)) == 1
    assert all(row["evaluation_iqm"] == 1.0 for row in rows)


def test_ranks_that_begin_with_other_weights_are_found(tmp_path):
    def work(group):
        scene = small(f"seed={group.rank}")
        train(scene, tmp_path / "r", device="cpu", say=quiet)

    with pytest.raises(RankLostError, match="rank 1 begins with other weights than rank 0"):
        in_ranks(2, work)


@pytest.fixture
def launched(monkeypatch):
    """Sets torchrun's environment for a rank of two, whose process group is that of one."""
    for module in ("supervised.distributed", "scenes.training.session"):
        monkeypatch.setattr(f"{module}.join", lambda device: ALONE)

    def launch(rank):
        for name in ENVIRONMENT:
            monkeypatch.setenv(name, str(rank))
        monkeypatch.setenv("WORLD_SIZE", "2")

    return launch


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (["train", "nosuch"], 'no scene "nosuch"'),
        (["train", "cartpole", "--seeds", "2"], "start torchrun once"),
    ],
)
def test_only_rank_0_says_what_is_wrong(words, line, launched, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    launched(1)
    assert main([*words, "--json"]) == 2
    captured = capsys.readouterr()
    assert captured.out == captured.err == ""
    launched(0)
    assert main([*words, "--json"]) == 2
    captured = capsys.readouterr()
    assert line in captured.err and line in json.loads(captured.out)["error"]


def test_only_rank_0_prints_what_was_trained(launched, capsys, tmp_path):
    for rank in (1, 0):
        launched(rank)
        words = [
            "--run",
            str(tmp_path / str(rank)),
            "--json",
            *(w for change in SMALL for w in ("--set", change)),
        ]
        assert main(["train", "cartpole", *words]) == 0
        captured = capsys.readouterr()
        if rank:
            assert captured.out == ""
        else:
            assert json.loads(captured.out.splitlines()[-1])["env_steps"] == 256


@pytest.mark.parametrize(
    ("killed", "rank", "said"), [((0,), 1, True), ((0, 1), 2, True), ((0,), 2, False), ((2,), 1, False)]
)
def test_the_lowest_rank_that_is_left_says_that_rank_0_was_killed(killed, rank, said):
    assert speaks(ThreadGroup(rank, 3), RankLostError("lost", killed)) is said


def test_a_rank_that_fails_tells_the_others_but_not_that_another_one_did():
    for error, rank, told in [
        (RuntimeError("burnt out"), 1, ["burnt out"]),
        (RankLostError("rank 2 was killed", (2,)), 0, ["rank 2 was killed"]),
        (RankLostError("rank 2 was killed", (2,)), 1, []),
    ]:
        group = ThreadGroup(rank, 3)
        with pytest.raises(type(error)), unchanged_signals(), faults_told(group):
            raise error
        assert group.faults == told


@contextmanager
def unchanged_signals():
    before = signal.getsignal(signal.SIGTERM)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def test_only_rank_0_has_a_leading_trainee_and_a_run_folder(tmp_path):
    def work(group):
        training = start_training(
            small(), tmp_path / "r", device="cpu", say=quiet, resume=False, start_from=None
        )
        with training:
            return isinstance(training._loop.trainee, LeadingTrainee), training.result.folder

    assert in_ranks(2, work) == [(True, tmp_path / "r"), (False, tmp_path / "r")]
