"""Actors on Ray, two nodes of one machine: an actor, a node, the learner killed, nothing counted twice."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

import pytest

from agents.actors.feed import ShardFeed
from agents.actors.shards import decode
from scenes.schema import load_scene
from scenes.training.actors import ActorOptions
from scenes.training.session import start_training
from sim.storage.runs import step_folders

pytestmark = pytest.mark.slow

SMALL = [
    "world.num_envs=4", "world.max_plies=8", "agent.num_simulations=2", "agent.num_considered=2",
    "agent.cut_after=4", "agent.num_steps=4", "agent.minibatch_size=16", "agent.num_epochs=1",
    "agent.buffer_size=256",
]  # fmt: skip
PATIENCE = 600  # seconds


@pytest.fixture
def temporary(monkeypatch):
    """A folder for Ray with a short path: names of sockets have 107 bytes at most."""
    folder = tempfile.mkdtemp(prefix="r", dir="/tmp")
    monkeypatch.setenv("RAY_TMPDIR", folder)
    monkeypatch.setenv("RAY_USAGE_STATS_ENABLED", "0")
    monkeypatch.setenv("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    monkeypatch.setenv("RAY_worker_niceness", "0")  # 15 by default: on a busy machine they would starve
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def nodes(temporary):
    """A cluster of two nodes, the first with room for one actor more."""
    pytest.importorskip("ray")
    from ray.cluster_utils import Cluster

    small = {"object_store_memory": 80_000_000, "include_dashboard": False}
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 2} | small)
    second = cluster.add_node(num_cpus=1, object_store_memory=80_000_000)
    yield cluster, second
    cluster.shutdown()


def until(training, condition):
    """Learn until the newest metrics are as wanted."""
    end = time.monotonic() + PATIENCE
    for progress in training:
        if condition(progress.metrics):
            return progress
        assert time.monotonic() < end, progress.metrics
    raise AssertionError("the budget is spent")


def consumed(monkeypatch):
    """The names of all shards that are taken from now on."""
    names = []
    take = ShardFeed.take

    def listed(self, *arguments):
        shards = take(self, *arguments)
        names.extend(shard.name for shard in shards)
        return shards

    monkeypatch.setattr(ShardFeed, "take", listed)
    return names


@pytest.mark.filterwarnings("ignore::ResourceWarning")
def test_an_actor_and_a_node_are_killed_and_replaced_and_every_game_counts_once(
    tmp_path, nodes, monkeypatch, capsys
):
    import ray

    cluster, second = nodes
    names = consumed(monkeypatch)
    scene = load_scene("chess-kqk", [*SMALL, "train.env_steps=10_000_000"])
    before = signal.getsignal(signal.SIGTERM)
    training = start_training(
        scene,
        tmp_path / "r",
        device="cpu",
        resume=False,
        start_from=None,
        say=print,
        actors=ActorOptions(2, cluster.address),
    )
    assert signal.getsignal(signal.SIGTERM) is before, "Ray's handler would end the process at once"
    with training:
        until(training, lambda metrics: metrics["actors_alive"] == 2)
        backend = training._loop.trainee._actors._backend
        homes = {ray.get(handle.home.remote()) for handle in backend._handles.values()}
        assert len(homes) == 2, "an actor on each node"
        ray.kill(next(iter(backend._handles.values())))
        until(training, lambda metrics: metrics["actors_replaced"] == 1 and metrics["actors_alive"] == 2)
        cluster.remove_node(second, allow_graceful=False)
        until(training, lambda metrics: metrics["actors_replaced"] == 2 and metrics["actors_alive"] == 2)
        last = until(
            training, lambda metrics: backend._handles.keys() <= {name.partition(".")[0] for name in names}
        )
    assert not ray.is_initialized()
    assert set(Counter(names).values()) == {1} and len(names) == last.metrics["shards"]
    rows = [json.loads(line) for line in (tmp_path / "r" / "metrics.jsonl").read_text().splitlines()]
    assert sum(row["episodes"] for row in rows) == last.metrics["games"]
    assert last.metrics["shards_duplicated"] == 0
    assert "raylet" not in capsys.readouterr().out, "stdout is ours"


def begin(run, *words):
    command = [sys.executable, "-m", "playfield", "train", "chess-kqk", "--run", str(run), "--actors", "2"]
    return subprocess.Popen(
        [*command, *words, "--json"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ,
    )


def test_a_learner_that_is_killed_goes_on_from_its_ledger_and_consumes_what_was_delivered(
    tmp_path, temporary
):
    pytest.importorskip("ray")
    run, changes = tmp_path / "r", [*SMALL, "train.env_steps=2000", "train.checkpoint_every=400"]
    first = begin(run, *(part for change in changes for part in ("--set", change)))
    end = time.monotonic() + PATIENCE
    while len(step_folders(run / "state")) < 2:
        assert first.poll() is None and time.monotonic() < end, first.communicate()[1]
        time.sleep(0.05)
    first.kill()
    first.communicate()
    newest = step_folders(run / "state")[-1]
    ledger = json.loads((newest / "state.json").read_text())["learner"]["shards"]
    waiting = [decode(path.read_bytes()) for path in (run / "shards").glob("*.npz")]
    undigested = [shard for shard in waiting if shard.number > ledger["last"].get(shard.actor, 0)]
    again = begin(run, "--resume")
    out, err = again.communicate(timeout=PATIENCE)
    assert again.returncode == 0, err
    assert f"resuming {run} at step {newest.name}" in err.replace(",", "") and "not bit for bit" in err
    rows = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    told = json.loads(out.splitlines()[-1])
    assert told["env_steps"] == rows[-1]["env_steps"] >= 2000
    assert sum(row["episodes"] for row in rows) == rows[-1]["games"]
    final = json.loads((step_folders(run / "state")[-1] / "state.json").read_text())["learner"]["shards"]
    assert final["positions"] == told["env_steps"] and final["duplicates"] == 0
    for shard in undigested:
        assert final["last"][shard.actor] >= shard.number, "delivered before the kill, and learned from after"
    assert {actor[0] for actor in final["last"]} == {"1", "2"}


def test_a_small_run_on_a_ray_of_its_own(tmp_path, temporary):
    pytest.importorskip("ray")
    whole = begin(tmp_path / "r", *(part for change in SMALL for part in ("--set", change)), "--steps", "100")
    out, err = whole.communicate(timeout=PATIENCE)
    told = json.loads(out.splitlines()[-1])
    assert told["env_steps"] >= 100 and told["metrics"]["actors_alive"] >= 1, err
    assert len(out.splitlines()) == 2, "nothing of Ray's on stdout"
    sessions = [path for path in Path(temporary).rglob("session_2*") if path.is_dir()]
    assert sessions, "Ray was here, and its processes are gone"
    left = subprocess.run(["pgrep", "-f", temporary], capture_output=True, text=True).stdout
    assert left == ""
