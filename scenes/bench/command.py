"""The command `playfield bench`: measures row after row, prints, keeps a history, checks against it."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from rich.console import Console

from scenes.bench import history, regression, report
from scenes.bench.benchmarks import Benchmark, missing, select_benchmarks
from scenes.bench.paired_timing import Measured, measure
from scenes.bench.regression import Baseline
from scenes.bench.worker import Settings
from scenes.build.devices import chosen_device
from scenes.console import stderr_console, stdout_console
from scenes.interruption import progress_bar
from sim.catalog import MissingPackageError, install_hint
from sim.errors import RequestError
from sim.machine import processors
from sim.storage.files import SaveError


@dataclass(frozen=True)
class Record:
    """Where a run is kept, and what it is checked against.

    Attributes:
        history: file that the run is appended to; None: `history.default_history`.
        keep: whether to append it; always if `history` is given.
        check: commit to check against, "" for the newest other one; None: no check.
    """

    history: Path | None = None
    keep: bool = False
    check: str | None = None

    @property
    def file(self) -> Path:
        """The history file."""
        return self.history or history.default_history()


def bench(
    names: Sequence[str],
    *,
    seed: int,
    device: str,
    rounds: int,
    seconds: float | None,
    threads: int | None,
    record: Record = Record(),
) -> dict[str, Any]:
    """Measure the rows `names`; none: the quick ones that can run here.

    Raises:
        RequestError: for an unknown row, a missing package, a GPU that is not there, a number out of range, a
            history that cannot be used, nothing in it to check against.
        WorkError: if our side of a row fails.
    """
    rows = select_benchmarks(names)
    if rounds < 1:
        raise RequestError(f"--rounds must be at least 1, not {rounds}")
    if seconds is not None and not 0 < seconds < float("inf"):
        raise RequestError(f"--seconds must be above 0, not {seconds}")
    if threads is not None and threads < 1:
        raise RequestError(f"--threads must be at least 1, not {threads}")
    if seed < 0:
        raise RequestError(f"--seed must not be below 0, not {seed}")
    console = stderr_console()
    rows = runnable(rows, asked=bool(names), console=console)
    place = "cpu"
    if device == "cuda" or any(row.networks for row in rows.values()):
        place = chosen_device(device)
    threads = threads or int(os.environ.get("OMP_NUM_THREADS") or 0) or processors()
    load_before = report.load()
    machine = report.machine(threads, place, load_before)
    baseline = prepare(record, list(rows), machine)
    if report.busy(load_before):
        console.print(
            f"This machine is busy (load {load_before:.1f} on {processors()} cores): rates and ratios "
            "will be wrong. Wait until it is quiet.",
            style="yellow",
            soft_wrap=True,
        )
    measured = measured_rows(rows, Settings(seed, place, threads, threads), rounds, seconds)
    report.show(measured, stdout_console())
    answer: dict[str, Any] = {"rows": [asdict(row) for row in measured], "machine": machine}
    if record.keep or record.history is not None:
        answer["history"] = keep(record.file, history.new_entry(measured, machine), console)
    if baseline is not None:
        checked = baseline.check({row.name: row.ratio for row in measured})
        regression.show(checked, stdout_console())
        answer["check"] = [asdict(row) for row in checked]
    return answer


def prepare(record: Record, names: Sequence[str], machine: dict[str, Any]) -> Baseline | None:
    """Before measuring: what to check against, if anything.

    Raises:
        HistoryError: if the history cannot be used, or has nothing to check against.
    """
    if record.history is not None:
        history.check_writable(record.history)
    if record.check is None:
        return None
    here = history.new_entry([], machine)
    return Baseline(history.read(record.file), record.check, names, here)


def keep(path: Path, entry: history.Entry, console: Console) -> str | None:
    """Append a run to the history; a figure that was measured is not lost because the disk is full."""
    try:
        history.append(path, entry)
    except SaveError as error:
        console.print(str(error), style="yellow", highlight=False, soft_wrap=True)
        return None
    return str(path)


def runnable(rows: dict[str, Benchmark], *, asked: bool, console: Console) -> dict[str, Benchmark]:
    """The rows whose own packages are installed.

    Raises:
        MissingPackageError: if one that was asked for by name lacks one.
    """
    kept = {}
    for name, row in rows.items():
        lacking = missing(row.needs)
        if lacking is None:
            kept[name] = row
        elif asked:
            raise MissingPackageError(f'bench "{name}" needs {install_hint(lacking)}')
        else:
            console.print(
                f"{name} is left out: it needs {install_hint(lacking)}", highlight=False, soft_wrap=True
            )
    return kept


def measured_rows(
    rows: dict[str, Benchmark], settings: Settings, rounds: int, seconds: float | None
) -> list[Measured]:
    """Measure the rows in turn, with a progress bar."""
    found: list[Measured] = []
    with progress_bar("measuring") as draw:
        for name, row in rows.items():

            def told(done: int, name: str = name) -> None:
                draw((len(found) * rounds + done, len(rows) * rounds, f"{name} · round {done} of {rounds}"))

            draw((len(found) * rounds, len(rows) * rounds, f"{name} · starting both sides"))
            own = Settings(
                settings.seed, settings.device, settings.threads, row.torch_threads or settings.torch_threads
            )
            found.append(measure(name, row, own, rounds=rounds, seconds=seconds, told=told))
    return found
