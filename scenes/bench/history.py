"""Benchmark history: a line of JSON for each measured row, with date, commit, machine and versions.

The file is ``$XDG_STATE_HOME/playfield/bench.jsonl``, by default below ``~/.local/state``. Lines are only
appended, each by one write under a lock, so that several runs may share a file; a line that a killed process
left unfinished is skipped when reading and ended before the next is written. A line may hold several rows.
"""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from filelock import FileLock

from scenes.bench.paired_timing import Measured
from sim.errors import RequestError
from sim.storage.files import SaveError, reason

#: Facts of a machine that a ratio depends on: figures are compared only where all of them agree.
SAME = ("cpu", "cores", "threads", "device", "gpu")
SHORT = 12  # digits of a commit in messages


class HistoryError(RequestError):
    """A history file that cannot be used, or a commit that it does not hold."""


@dataclass(frozen=True)
class Entry:
    """A line of the history.

    Attributes:
        date: when it was measured, UTC, ISO 8601.
        commit: of the source, ending in ``-dirty`` where files differ from it; None outside a checkout.
        machine: see `scenes.bench.report.machine`.
        rows: the measured rows, as `Measured` has them.
    """

    date: str
    commit: str | None
    machine: Mapping[str, Any]
    rows: Sequence[Mapping[str, Any]]

    @property
    def label(self) -> str:
        """The commit in short, or the installed version."""
        if self.commit is None:
            return f"playfield {self.machine.get('versions', {}).get('playfield')}"
        return self.commit[:SHORT] + "-dirty" * self.commit.endswith("-dirty")

    @property
    def place(self) -> tuple[Any, ...]:
        """The `SAME` facts of its machine."""
        return tuple(self.machine.get(name) for name in SAME)

    def ratios(self) -> dict[str, float]:
        """Ratio of each row that has a peer."""
        return {row["name"]: row["ratio"] for row in self.rows if row["ratio"] is not None}


def default_history() -> Path:
    """The history file of this user.

    Raises:
        HistoryError: if there is no home folder.
    """
    try:
        state = os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state"
    except RuntimeError as error:
        raise HistoryError(f"there is no place for the history ({error}): name one with --history") from error
    return Path(state) / "playfield" / "bench.jsonl"


def new_entry(rows: Sequence[Measured], machine: Mapping[str, Any], commit: str | None) -> Entry:
    """Entry of rows that have just been measured with the source of `commit`; see `source_commit`."""
    date = datetime.now(UTC).isoformat(timespec="seconds")
    return Entry(date, commit, machine, [asdict(row) for row in rows])


def append(path: Path, entry: Entry) -> None:
    """Append rows to the history; the file is made if there is none.

    Raises:
        SaveError: if it cannot be written.
    """
    line = json.dumps(asdict(entry), allow_nan=False).encode() + b"\n"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(f"{path}.lock", timeout=30), path.open("ab+") as file:
            end = file.seek(0, os.SEEK_END)
            if end:
                file.seek(end - 1)
                line = b"\n" * (file.read(1) != b"\n") + line
            file.write(line)
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        message = f"the history {path} could not be written: {reason(error)}; name another with --history"
        raise SaveError(error.errno, message) from error


def check_writable(path: Path) -> None:
    """Check that a history can be written at `path`.

    Raises:
        HistoryError: if it is a folder, or its folder cannot be written.
    """
    if path.is_dir():
        raise HistoryError(f"--history {path} is a folder: name a file in it, such as {path / 'bench.jsonl'}")
    place = next(place for place in (path, *path.absolute().parents) if place.exists())
    if not os.access(place, os.W_OK) or (place != path and not place.is_dir()):
        raise HistoryError(f"--history {path} cannot be written: choose a file outside {place}")


def read(path: Path) -> list[Entry]:
    """Read the entries of a history, oldest first; none if there is no such file. Damaged lines are skipped.

    Raises:
        HistoryError: if the file cannot be read.
    """
    try:
        lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    except FileNotFoundError:
        return []
    except OSError as error:
        raise HistoryError(f"--history {path} cannot be read: {reason(error)}") from error
    entries = []
    for line in lines:
        with suppress(ValueError, KeyError, TypeError):
            entries.append(_entry(json.loads(line)))
    return entries


def _entry(record: Any) -> Entry:
    """Entry of a line.

    Raises:
        KeyError, TypeError: if it is not one.
    """
    rows = [{"name": str(row["name"]), "ratio": row["ratio"], **row} for row in record["rows"]]
    return Entry(str(record["date"]), record["commit"], dict(record["machine"]), rows)


def source_commit() -> str | None:
    """Commit of this source in full, ``-dirty`` behind it where files differ; None if it is no checkout."""
    return _git("describe", "--always", "--dirty", "--abbrev=40", "--exclude=*")


def named_commit(name: str) -> str:
    """Commit that a branch, tag or ``HEAD~2`` stands for; `name` itself where git does not know it."""
    return _git("rev-parse", "--verify", "--quiet", "--end-of-options", f"{name}^{{commit}}") or name


def _git(*arguments: str) -> str | None:
    """Answer of git in the folder of this source; None where there is none."""
    git = ["git", "-C", str(Path(__file__).parent), *arguments]
    try:
        answer = subprocess.run(git, capture_output=True, text=True, timeout=10)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return answer.stdout.strip() or None if answer.returncode == 0 else None
