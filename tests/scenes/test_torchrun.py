"""Two processes of torchrun: killed at any rank and resumed they end in the bits of a run never killed."""

from __future__ import annotations

import hashlib
import os
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path

import pytest

from sim.storage.runs import step_folders

pytestmark = pytest.mark.slow
ROOT = Path(__file__).parents[2]
TORCHRUN = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
SMALL = ["world.num_envs=4", "agent.num_steps=32", "agent.minibatch_size=64", "train.env_steps=3840"]
TRAIN = ["train", "cartpole", *(word for change in SMALL for word in ("--set", change))]
TRAIN += ["--set", "train.checkpoint_every=384"]
SECONDS = 300


@contextmanager
def started(run, *options):
    """A torchrun that is gone afterwards."""
    words = [*TORCHRUN, "-m", "--", "playfield", *TRAIN, "--run", str(run), *options]
    environment = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    output = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
    with subprocess.Popen(words, env=environment, **output) as process:
        try:
            yield process
        finally:
            process.terminate()  # which ends its ranks, too


def finish(run, *options):
    with started(run, *options) as process:
        said, _ = process.communicate(timeout=SECONDS)
    assert process.returncode == 0, said
    return said


def hashes(run):
    files = [
        step_folders(run / "checkpoints")[-1] / "model.safetensors",
        step_folders(run / "state")[-1] / "arrays.safetensors",
    ]
    return [hashlib.sha256(file.read_bytes()).hexdigest() for file in files]


def wait_for_state(run, step):
    end = time.monotonic() + SECONDS
    while not (run / "state" / str(step)).is_dir():
        assert time.monotonic() < end, "no state was saved"
        time.sleep(0.05)


def process_of(torchrun, rank):
    """The number of the process that is this rank."""
    for process in Path(f"/proc/{torchrun.pid}/task/{torchrun.pid}/children").read_text().split():
        environment = Path(f"/proc/{process}/environ").read_text().split("\0")
        if f"RANK={rank}" in environment:
            return int(process)
    raise AssertionError("there is no such rank")


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """The hashes of a run that nobody stopped."""
    run = tmp_path_factory.mktemp("whole") / "run"
    finish(run)
    return hashes(run)


@pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="processes are found in /proc")
@pytest.mark.parametrize("rank", [1, 0])
def test_killed_and_resumed_they_end_in_the_same_bits(rank, whole, tmp_path):
    run = tmp_path / "run"
    with started(run) as process:
        wait_for_state(run, 1152)
        os.kill(process_of(process, rank), signal.SIGKILL)
        before = time.monotonic()
        said, _ = process.communicate(timeout=SECONDS)
    assert process.returncode == 1 and time.monotonic() - before < 30
    told = [line for line in said.splitlines() if line.startswith("playfield: ")]
    assert len(told) == 1 and f"rank {rank} was killed" in told[0] and f"--run {run} --resume" in told[0]
    assert "resuming" in finish(run, "--resume")
    assert hashes(run) == whole


@pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="processes are found in /proc")
@pytest.mark.parametrize("whom", ["torchrun", "rank 1"])
def test_sigterm_stops_all_ranks_after_an_update_and_resumed_they_end_in_the_same_bits(whom, whole, tmp_path):
    run = tmp_path / "run"
    with started(run) as process:
        wait_for_state(run, 1152)
        os.kill(process.pid if whom == "torchrun" else process_of(process, 1), signal.SIGTERM)
        said, _ = process.communicate(timeout=SECONDS)
    assert "stopped: interrupted" in said and "playfield: " not in said
    finish(run, "--resume")
    assert hashes(run) == whole
