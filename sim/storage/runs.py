"""Run folders: what a training run writes, so that it can be watched, resumed and compared.

    runs/<name>/scene.toml          the scene as it was resolved
                metrics.jsonl       one line an update
                events.out.tfevents.*   the same for TensorBoard
                checkpoints/<step>/ weights and card, for acting
                state/<step>/       everything else, for an exact resume
                segments/           parts of states that never change, such as a full stretch of replay memory
                lock                held while a process writes here

A training of several seeds is a folder of run folders, ``runs/<name>/seed-<n>/``, beside the scene.toml that
they have in common; `seed_runs` lists them.

States are plain arrays and JSON, never pickle (`sim.storage.states`). The two newest are kept; killed at
any instant, the newest complete one loads.
"""

from __future__ import annotations

import json
import math
import shutil
from collections.abc import Mapping
from contextlib import suppress
from itertools import count
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout
from tensorboard.compat.proto.event_pb2 import Event
from tensorboard.compat.proto.summary_pb2 import Summary
from tensorboard.summary.writer.event_file_writer import EventFileWriter

from sim.errors import RequestError
from sim.records import State
from sim.storage.files import SaveError, fresh_folder, reason, remove_leftovers
from sim.storage.states import StateError, prune_segments, read_state, write_state

STATES_KEPT = 2
SEED = "seed-"  # begins the name of a seed's run folder


class RunError(RequestError, ValueError):
    """A run folder that cannot be used as asked."""


class Run:
    """One run folder, locked by this process until `close`."""

    def __init__(self, folder: Path, *, resume: bool) -> None:
        """Make a new run folder, or open one to go on.

        Raises:
            RunError: if it exists and `resume` is False, or another process writes to it.
            SaveError: if it cannot be made.
        """
        self.folder = folder
        if folder.exists() and not folder.is_dir():
            raise RunError(f"{folder} is a file, not a run folder: choose another --run")
        if folder.exists() and not resume and any(folder.iterdir()):
            raise RunError(f"{folder} exists: go on with --resume, or choose another --run")
        try:
            self.checkpoints.mkdir(parents=True, exist_ok=True)
            self.states.mkdir(exist_ok=True)
        except OSError as error:
            raise SaveError(error.errno, f"could not make {folder}: {reason(error)}") from error
        self._lock = FileLock(folder / "lock")
        self._metrics_path = folder / "metrics.jsonl"
        try:
            self._lock.acquire(timeout=0)
            for part in (self.checkpoints, self.states):
                remove_leftovers(part)
            prune_segments(self.segments, step_folders(self.states))  # a killed process may have left others
            self._metrics = self._metrics_path.open("ab")
            self._length = self._metrics.tell()
            self._events = EventFileWriter(str(folder))
        except Timeout as error:
            raise RunError(f"{folder} is in use by another process; wait, or choose another --run") from error
        except OSError as error:
            self._lock.release()
            raise RunError(f"{folder} cannot be written: {reason(error)}; choose another --run") from error

    @property
    def checkpoints(self) -> Path:
        """Where the checkpoints are, a folder a step."""
        return self.folder / "checkpoints"

    @property
    def states(self) -> Path:
        """Where the states are, a folder a step."""
        return self.folder / "state"

    @property
    def segments(self) -> Path:
        """Where the parts of states are that never change."""
        return self.folder / "segments"

    def log(self, step: int, row: Mapping[str, Any]) -> None:
        """Append one line to metrics.jsonl, and its numbers to TensorBoard.

        Raises:
            SaveError: if it cannot be written.
        """
        line = json.dumps({k: v for k, v in row.items() if not (isinstance(v, float) and math.isnan(v))})
        try:
            self._metrics.write(line.encode() + b"\n")
            self._metrics.flush()
        except OSError as error:
            raise SaveError(error.errno, f"could not write {self._metrics_path}: {reason(error)}") from error
        values = [
            Summary.Value(tag=name, simple_value=value)
            for name, value in row.items()
            if isinstance(value, int | float)
        ]
        self._events.add_event(Event(step=step, summary=Summary(value=values)))

    def save_state(self, step: int, state: State) -> Path:
        """Write a state; older ones beyond the newest two are deleted.

        Raises:
            SaveError: if it cannot be written; the older states stay.
        """
        folder = self.states / str(step)
        with fresh_folder(folder) as temporary:
            self._metrics.flush()
            write_state(temporary, state | {"metrics_bytes": self._metrics.tell()}, self.segments)
        self._events.flush()
        for old in step_folders(self.states)[:-STATES_KEPT]:
            shutil.rmtree(old, ignore_errors=True)
        prune_segments(self.segments, step_folders(self.states))
        return folder

    def newest_state(self) -> tuple[int, State] | None:
        """The newest state that loads, with its step; `forget_later` then goes back to it.

        Raises:
            RunError: if there are states but none of them loads.
        """
        folders = step_folders(self.states)
        damaged = []
        for folder in reversed(folders):
            try:
                state = read_state(folder, self.segments)
            except StateError as error:
                damaged.append(str(error))
                continue
            if "metrics_bytes" not in state:
                damaged.append(f"{folder} is damaged: it does not say how long metrics.jsonl was")
                continue
            self._length = int(state.pop("metrics_bytes"))
            return int(folder.name), state
        if damaged:
            raise RunError("no state of this run loads: " + "; ".join(damaged))
        self._length = 0
        return None

    def forget_later(self) -> None:
        """Cut off the metrics that were written after the state that `newest_state` found."""
        self._metrics.truncate(self._length)
        self._metrics.seek(self._length)

    def close(self) -> None:
        """Flush, close and unlock, also when the disk is full."""
        try:
            with suppress(OSError):  # `log` has told of any line that is still unwritten
                self._metrics.close()
            self._events.close()
        finally:
            self._lock.release()


def new_folder(folder: Path) -> Path:
    """Make `folder`, or where there is one the first of ``…-2``, ``…-3`` and so on that is free.

    Two processes that ask for the same name at the same time get two.

    Raises:
        SaveError: if it cannot be made.
    """
    names = (folder.name if number == 1 else f"{folder.name}-{number}" for number in count(1))
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        for free in map(folder.with_name, names):
            with suppress(FileExistsError):
                free.mkdir()
                return free
    except OSError as error:
        raise SaveError(error.errno, f"could not make {folder}: {reason(error)}") from error
    raise AssertionError("there is always a free name")


def seed_folder(folder: Path, seed: int) -> Path:
    """The run folder of one seed in a training of several, ``<folder>/seed-<n>``."""
    return folder / f"{SEED}{seed}"


def seed_of(run: Path) -> int:
    """The seed of a run folder of `seed_runs`."""
    return int(run.name.removeprefix(SEED))


def seed_runs(folder: Path) -> list[Path]:
    """The run folders of a training of several seeds, lowest seed first; of an ordinary run itself alone."""
    found = [
        path.parent
        for path in folder.glob(f"{SEED}*/scene.toml")
        if path.parent.name.removeprefix(SEED).isdecimal()
    ]
    return sorted(found, key=seed_of) or [folder]


def step_folders(folder: Path) -> list[Path]:
    """The sub-folders named by a step, lowest first."""
    found = [path for path in folder.glob("*") if path.is_dir() and path.name.isdecimal()]
    return sorted(found, key=lambda path: int(path.name))
