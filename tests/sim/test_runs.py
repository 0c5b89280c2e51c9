"""Run folders: locked, resumed from the newest state that loads, and never written as pickle."""

import errno
import json
import os
import subprocess
import sys
import threading
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from sim.errors import RequestError
from sim.records import Segment
from sim.storage import files
from sim.storage.checkpoints import load_checkpoint, make_card, save_checkpoint
from sim.storage.files import SaveError
from sim.storage.runs import Run, RunError, new_folder, seed_folder, seed_runs, step_folders
from sim.storage.states import read_state, write_state


@pytest.fixture
def run(tmp_path):
    run = Run(tmp_path / "run", resume=False)
    yield run
    run.close()


def state(step):
    return {"step": step, "weights": {"w": np.full(3, step, np.float32)}}


def reopened(run):
    run.close()
    return Run(run.folder, resume=True)


def metrics(run):
    return [json.loads(line) for line in (run.folder / "metrics.jsonl").read_bytes().splitlines()]


HOLD = """
import sys
from pathlib import Path
from sim.storage.runs import Run
run = Run(Path(sys.argv[1]), resume=False)
run.log(1, {"loss": 0.5})
print("held", flush=True)
sys.stdin.readline()
"""


def test_a_second_process_is_refused_until_the_first_is_gone(tmp_path):
    folder = tmp_path / "run"
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(folder)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    try:
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(RunError, match=f"{folder} is in use by another process; wait, or choose"):
            Run(folder, resume=True)
        assert (folder / "metrics.jsonl").read_text() == '{"loss": 0.5}\n', "the refused one touched nothing"
    finally:
        holder.kill()
        holder.communicate()
    run = Run(folder, resume=True)  # the lock of a killed process does not stay
    assert run.newest_state() is None
    run.close()


def test_two_runs_in_one_process_exclude_each_other_too(run):
    with pytest.raises(RunError, match="in use"):
        Run(run.folder, resume=True)
    reopened(run).close()


def test_an_existing_run_is_not_overwritten(run):
    run.close()
    with pytest.raises(RunError, match=f"{run.folder} exists: go on with --resume") as caught:
        Run(run.folder, resume=False)
    assert isinstance(caught.value, RequestError)


def test_an_empty_folder_is_taken_and_a_file_is_not(tmp_path):
    (tmp_path / "empty").mkdir()
    Run(tmp_path / "empty", resume=False).close()
    (tmp_path / "file").write_text("mine")
    for resume in (False, True):
        with pytest.raises(RunError, match="file is a file, not a run folder"):
            Run(tmp_path / "file", resume=resume)
        with pytest.raises(SaveError, match="could not make .*inside: "):
            Run(tmp_path / "file" / "inside", resume=resume)
    assert (tmp_path / "file").read_text() == "mine"


def same(a, b):
    assert type(a) is type(b)
    if isinstance(a, dict):
        assert list(a) == list(b)
        for key in a:
            same(a[key], b[key])
    elif isinstance(a, list):
        assert len(a) == len(b)
        for x, y in zip(a, b, strict=True):
            same(x, y)
    elif isinstance(a, np.ndarray):
        assert (a.dtype, a.shape, a.tobytes()) == (b.dtype, b.shape, b.tobytes())
    else:
        assert a == b or (a != a and b != b)


def test_a_nested_state_comes_back_bit_for_bit(tmp_path):
    square = np.random.default_rng(0).standard_normal((4, 6))
    tree = {
        "generator": np.random.default_rng(3).bit_generator.state,  # 128-bit integers
        "optimiser": {
            "0": {"exp_avg": square.T, "step": 7},
            "groups": [{"lr": 2.5e-4, "betas": [0.9, 0.999]}],
        },
        "segments": [square[::2], square[1::2].astype(np.float16), [np.arange(3), "x"]],
        "special": np.array([np.nan, -0.0, np.inf, 5e-324]),
        "scalar": np.array(2.5),
        "empty": np.zeros((0, 2), np.uint8),
        "flags": np.array([True, False]),
        "array": "a key and a value that look like the format's own",
        "lone": {"array": "text"},
        "a/b": np.array([1]),
        "a": {"b": np.array([2])},
        "numbers": [0.1, 1e300, -5, True, None, float("nan"), float("inf")],
        "nothing": {},
        "Wörter": "ja\n",
        "": np.array([3]),
    }
    write_state(tmp_path, tree, tmp_path)
    same(read_state(tmp_path, tmp_path), tree)
    for array in (read_state(tmp_path, tmp_path)["special"], read_state(tmp_path, tmp_path)["segments"][0]):
        array[...] = 0  # what is read can be written to
    assert sorted(path.name for path in tmp_path.iterdir()) == ["arrays.safetensors", "state.json"]


def test_numbers_of_numpy_come_back_as_numbers(tmp_path):
    write_state(
        tmp_path, {"a": np.float32(0.1), "b": np.int64(3), "c": np.bool_(True), "d": (1, 2)}, tmp_path
    )
    back = read_state(tmp_path, tmp_path)
    same(back, {"a": float(np.float32(0.1)), "b": 3, "c": True, "d": [1, 2]})
    assert [type(value) for value in back.values()] == [float, int, bool, list]


def test_only_the_two_newest_states_are_kept(run):
    for step in (5, 10, 100, 20, 200):
        run.save_state(step, state(step))
    assert [path.name for path in step_folders(run.states)] == ["100", "200"]
    again = reopened(run)
    step, newest = again.newest_state()
    same(newest, state(200))
    assert step == 200
    again.close()


def cut(path):
    path.write_bytes(path.read_bytes()[:-3])


def piped(path):
    path.unlink()
    os.mkfifo(path)


DAMAGES = {
    "arrays cut": lambda folder: cut(folder / "arrays.safetensors"),
    "arrays gone": lambda folder: (folder / "arrays.safetensors").unlink(),
    "json cut": lambda folder: cut(folder / "state.json"),
    "json gone": lambda folder: (folder / "state.json").unlink(),
    "json empty": lambda folder: (folder / "state.json").write_text("{}"),
    "json of another kind": lambda folder: (folder / "state.json").write_text("[1]"),
    "json not UTF-8": lambda folder: (folder / "state.json").write_bytes(b"\xff"),
    "arrays a named pipe": lambda folder: piped(folder / "arrays.safetensors"),
    "json a named pipe": lambda folder: piped(folder / "state.json"),
    "empty folder": lambda folder: [path.unlink() for path in folder.iterdir()],
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_the_newest_complete_state_loads_where_the_newest_is_damaged(run, damage):
    run.save_state(10, state(10))
    folder = run.save_state(20, state(20))
    DAMAGES[damage](folder)
    again = reopened(run)
    step, found = again.newest_state()
    assert step == 10
    same(found, state(10))
    again.save_state(12, state(12))
    DAMAGES[damage](again.states / "12")
    with pytest.raises(RunError, match="no state of this run loads: .*20 is damaged"):
        again.newest_state()
    again.close()


def test_metrics_are_cut_back_to_the_state_that_is_resumed(run):
    run.log(1, {"loss": 1.0, "return": float("nan"), "name": "pong"})
    run.save_state(10, state(10))
    run.log(2, {"loss": 2.0})
    run.save_state(20, state(20))
    run.log(3, {"loss": 3.0})
    with (run.folder / "metrics.jsonl").open("ab") as killed:
        killed.write(b'{"loss": 4.')  # a line that a kill cut short
    again = reopened(run)
    assert again.newest_state()[0] == 20
    assert len((again.folder / "metrics.jsonl").read_bytes().splitlines()) == 4, "looking changes nothing"
    again.forget_later()
    again.log(3, {"loss": 3.5})
    assert metrics(again) == [{"loss": 1.0, "name": "pong"}, {"loss": 2.0}, {"loss": 3.5}]
    cut(again.states / "20" / "arrays.safetensors")
    again = reopened(again)
    assert again.newest_state()[0] == 10
    again.forget_later()
    assert metrics(again) == [{"loss": 1.0, "name": "pong"}]
    again.close()


def test_a_run_without_a_state_starts_its_metrics_over(run):
    run.log(1, {"loss": 1.0})
    again = reopened(run)
    assert again.newest_state() is None
    again.forget_later()
    again.log(1, {"loss": 2.0})
    assert metrics(again) == [{"loss": 2.0}]
    again.close()


def test_tensorboard_can_read_the_numbers(run):
    from tensorboard.backend.event_processing.event_file_loader import LegacyEventFileLoader

    run.log(3, {"loss": 0.25, "steps": 7, "name": "pong"})
    run.close()
    (path,) = run.folder.glob("events.out.tfevents.*")
    events = [event for event in LegacyEventFileLoader(str(path)).Load() if event.summary.value]
    assert [event.step for event in events] == [3]
    assert {value.tag: value.simple_value for value in events[0].summary.value} == {"loss": 0.25, "steps": 7}


def test_a_full_disk_leaves_the_older_states(run, monkeypatch, fill_disk):
    run.save_state(10, state(10))
    fill_disk(lambda path: True)
    with pytest.raises(SaveError, match="state/20: the disk is full"):
        run.save_state(20, state(20))
    monkeypatch.undo()
    assert sorted(path.name for path in run.states.iterdir()) == ["10"]
    again = reopened(run)
    same(list(again.newest_state()), [10, state(10)])
    again.close()


@pytest.mark.skipif(not Path("/dev/full").is_char_device(), reason="needs a device that is always full")
def test_a_full_disk_while_logging_is_said(tmp_path):
    folder = tmp_path / "run"
    folder.mkdir()
    (folder / "metrics.jsonl").symlink_to("/dev/full")
    run = Run(folder, resume=True)
    with pytest.raises(SaveError, match="could not write .*metrics.jsonl: the disk is full"):
        run.log(1, {"loss": 1.0})
    with pytest.raises(SaveError, match="could not write .*state/10: the disk is full"):
        run.save_state(10, state(10))
    run.close()
    Run(folder, resume=True).close()  # the lock is free again


KILLED = """
import os, signal, sys
from pathlib import Path
import numpy as np
from sim.storage.checkpoints import make_card, save_checkpoint
from sim.storage.runs import Run

def save(run, step):
    run.log(step, {"step": step})
    card = make_card("agent", "ppo", {}, seed=0, trained={})
    save_checkpoint(run.checkpoints / str(step), card, {"w": np.full(9, step)})
    run.save_state(step, {"step": step, "w": np.full(9, step)})

def killed(folder, calls):
    run = Run(folder, resume=False)
    save(run, 10)
    def counted(real):
        def call(*args, **more):
            nonlocal calls
            result = real(*args, **more)
            calls -= 1
            if calls == 0:
                os.kill(os.getpid(), signal.SIGKILL)
            return result
        return call
    for name in ("rename", "mkdir", "write_bytes", "write_text"):
        setattr(Path, name, counted(getattr(Path, name)))
    save(run, 10)  # over what is there
    save(run, 20)
    os._exit(0)

for calls in range(1, 40):
    child = os.fork()
    if child == 0:
        killed(Path(sys.argv[1]) / str(calls), calls)
    status = os.waitpid(child, 0)[1]
    print(calls, os.waitstatus_to_exitcode(status), flush=True)
    if status == 0:
        break
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="kills forked processes")
def test_killed_at_any_moment_of_a_save_the_newest_complete_state_loads(tmp_path):
    answer = subprocess.run(
        [sys.executable, "-c", KILLED, str(tmp_path)], capture_output=True, text=True, timeout=60
    )
    codes = [int(line.split()[1]) for line in answer.stdout.splitlines()]
    assert len(codes) > 15 and codes == [-9] * (len(codes) - 1) + [0], answer.stderr
    resumed, leftovers = [], 0
    for moment in range(1, len(codes) + 1):
        run_folder = tmp_path / str(moment)
        leftovers += len(list(run_folder.glob("*/.*")))
        run = Run(run_folder, resume=True)
        step, found = run.newest_state()
        same(found, {"step": step, "w": np.full(9, step)})
        run.forget_later()
        assert not list(run_folder.glob("*/.*")), "what was half-written is swept"
        for path in step_folders(run.checkpoints):
            assert load_checkpoint(path).weights["w"].tolist() == [int(path.name)] * 9
        assert (run.checkpoints / "10").exists(), "the older checkpoint is never lost"
        assert metrics(run)[-1]["step"] == step
        run.close()
        resumed.append(step)
    assert resumed == sorted(resumed) and set(resumed) == {10, 20} and leftovers > 5


def test_opening_a_run_sweeps_what_a_killed_save_left(run):
    card = make_card("agent", "ppo", {}, seed=0, trained={})
    save_checkpoint(run.checkpoints / "10", card, {"w": np.ones(2)})
    (run.checkpoints / "10").rename(run.checkpoints / ".10.old-77")
    (run.states / ".30.new-77").mkdir()
    again = reopened(run)
    assert [path.name for path in again.checkpoints.iterdir()] == ["10"]
    assert list(again.states.iterdir()) == []
    again.close()
    assert files.reason(OSError(errno.EACCES, "Permission denied")) == "permission denied"


def test_segments_are_written_once_shared_and_deleted_with_the_last_state_that_holds_them(tmp_path):
    run = Run(tmp_path / "r", resume=False)
    parts = [Segment(f"part-{i}", partial(dict, x=np.arange(5) + i)) for i in range(5)]
    run.save_state(1, {"memory": {"a": parts[0], "b": parts[1]}})
    first = (run.segments / "part-1.safetensors").stat()
    run.save_state(2, {"memory": {"a": parts[1], "b": parts[2]}})
    assert (run.segments / "part-1.safetensors").stat().st_mtime_ns == first.st_mtime_ns
    run.save_state(3, {"memory": {"a": parts[2], "b": parts[3]}})
    assert sorted(path.stem for path in run.segments.iterdir()) == ["part-1", "part-2", "part-3"]
    step, state = run.newest_state()
    assert step == 3
    assert state["memory"]["b"].read()["x"].tolist() == [3, 4, 5, 6, 7]
    (run.segments / "orphan.safetensors").write_bytes(b"of a killed process")
    run.close()
    again = Run(tmp_path / "r", resume=True)
    assert not (again.segments / "orphan.safetensors").exists()
    again.close()


def test_a_state_whose_segment_is_gone_gives_way_to_the_older_one(tmp_path):
    run = Run(tmp_path / "r", resume=False)
    for step in (1, 2):
        run.save_state(step, {"memory": Segment(f"part-{step}", partial(dict, x=np.arange(step)))})
    (run.segments / "part-2.safetensors").unlink()
    assert run.newest_state()[0] == 1
    run.close()


def test_a_training_of_several_seeds_is_its_seeds_runs_in_order(tmp_path):
    for seed in (10, 9, 0):
        Run(seed_folder(tmp_path / "r", seed), resume=False).close()
        (tmp_path / "r" / f"seed-{seed}" / "scene.toml").write_text("")
    for name in ("seed-11", "seed-x", "checkpoints"):  # not begun, not ours, not a seed
        (tmp_path / "r" / name).mkdir()
    (tmp_path / "r" / "seed-x" / "scene.toml").write_text("")
    assert [path.name for path in seed_runs(tmp_path / "r")] == ["seed-0", "seed-9", "seed-10"]
    assert seed_runs(tmp_path / "r" / "seed-9") == [tmp_path / "r" / "seed-9"]
    assert seed_runs(tmp_path / "nowhere") == [tmp_path / "nowhere"]


def test_who_asks_for_the_same_name_at_the_same_time_gets_another_one(tmp_path):
    start, got = threading.Barrier(8), []

    def ask():
        start.wait()
        got.append(new_folder(tmp_path / "runs" / "pong-1"))

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(path.name for path in got) == ["pong-1", *(f"pong-1-{i}" for i in range(2, 9))]
    (tmp_path / "file").write_text("mine")
    with pytest.raises(SaveError, match="could not make .*inside: "):
        new_folder(tmp_path / "file" / "inside")
