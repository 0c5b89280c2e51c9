"""Training as an iterator: progress by update, and nothing lost wherever the caller stops."""

from __future__ import annotations

import signal

import numpy as np
import pytest
from light_worlds import Pressed

from scenes.schema import load_scene
from scenes.training.session import TrainingFailed, start_training, train
from sim.storage.checkpoints import load_checkpoint
from sim.storage.runs import Run, RunError, step_folders

SMALL = [
    "world.num_envs=2", "agent.num_steps=16", "agent.minibatch_size=32", "agent.num_epochs=1",
    "train.env_steps=160", "train.checkpoint_every=96",
]  # fmt: skip


def quiet(line: str) -> None:
    """Say nothing."""


def small(*changes):
    return load_scene("cartpole", [*SMALL, *changes])


def start(scene, run, **options):
    options = {"resume": False, "start_from": None} | options
    return start_training(scene, run, device="cpu", say=quiet, **options)


def saved(run):
    return [int(path.name) for path in step_folders(run / "checkpoints")]


def weights(run):
    return load_checkpoint(step_folders(run / "checkpoints")[-1]).weights


def same(one, other):
    return one.keys() == other.keys() and all(np.array_equal(one[name], other[name]) for name in one)


def test_every_update_is_one_record_and_the_end_is_saved(tmp_path):
    training = start(small(), tmp_path / "r")
    steps = [progress.env_steps for progress in training]
    assert steps == [32, 64, 96, 128, 160] and saved(tmp_path / "r") == [96, 160]
    assert training.result.env_steps == 160 and training.result.stopped is None
    assert list(training) == [], "and it stays at its end"
    Run(tmp_path / "r", resume=True).close()  # which is refused while another one writes there


def leave_at_once(scene, run):
    for _ in start(scene, run):
        break


def leave_the_block(scene, run):
    with start(scene, run) as training:
        next(training)
    assert training.result.stopped == "by its caller"
    training.close()


def break_down(scene, run):
    with pytest.raises(ZeroDivisionError), start(scene, run) as training:
        next(training)
        raise ZeroDivisionError


@pytest.mark.parametrize("stop", [leave_at_once, leave_the_block, break_down])
def test_stopped_by_its_caller_it_is_saved_there_and_goes_on_exactly(stop, tmp_path):
    train(small(), tmp_path / "whole", device="cpu", say=quiet)
    stop(small(), tmp_path / "r")
    assert saved(tmp_path / "r") == [32]
    assert [p.env_steps for p in start(small(), tmp_path / "r", resume=True)] == [64, 96, 128, 160]
    assert same(weights(tmp_path / "r"), weights(tmp_path / "whole"))


def test_ctrl_c_during_an_update_ends_the_iteration_after_it(tmp_path, capsys):
    Pressed.at = 40
    before = signal.getsignal(signal.SIGINT)
    training = start(small("world.use=gym/tests/Pressed-v0"), tmp_path / "r")
    assert [progress.env_steps for progress in training] == [32, 64]
    assert training.result.stopped == "interrupted" and saved(tmp_path / "r") == [64]
    assert "stopping after this update" in capsys.readouterr().err
    assert signal.getsignal(signal.SIGINT) is before


def test_ctrl_c_between_two_updates_is_the_callers(tmp_path):
    with pytest.raises(KeyboardInterrupt), start(small(), tmp_path / "r") as training:
        for _ in training:
            signal.raise_signal(signal.SIGINT)
    assert saved(tmp_path / "r") == [32]


def test_closed_before_it_began_it_has_learned_nothing(tmp_path):
    start(small(), tmp_path / "r").close()
    assert saved(tmp_path / "r") == []
    with pytest.raises(RunError, match="exists"):
        start(small(), tmp_path / "r")
    assert len(list(start(small(), tmp_path / "r", resume=True))) == 5
    assert list(start(small(), tmp_path / "r", resume=True)) == [], "and finished it is not begun anew"


def test_what_cannot_be_saved_at_the_stop_is_told(tmp_path, monkeypatch):
    from scenes.training import loop
    from sim.storage.files import SaveError

    def full(*_, **__):
        raise SaveError(28, "could not write: no space left")

    training = start(small(), tmp_path / "r")
    next(training)
    monkeypatch.setattr(loop, "save_checkpoint", full)
    with pytest.raises(TrainingFailed, match="no space left; nothing had been saved yet"):
        training.close()
