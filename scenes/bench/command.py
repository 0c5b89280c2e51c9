"""The command `playfield bench`: measures row after row, prints, keeps a history, checks against it.

Each row is appended to the history as soon as it is measured: a run that is stopped, killed included, keeps
those that it has.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from rich.console import Console

from scenes.bench import history, regression, report
from scenes.bench.benchmarks import Benchmark, missing, select_benchmarks
from scenes.bench.paired_timing import Measured, SideError, measure
from scenes.bench.regression import Baseline
from scenes.bench.worker import Settings
from scenes.build.devices import chosen_device
from scenes.console import stderr_console, stdout_console
from scenes.interruption import progress_bar
from sim.catalog import MissingPackageError, install_hint
from sim.errors import RequestError
from sim.machine import processors
from sim.plurals import number_of
from sim.storage.files import SaveError


@dataclass(frozen=True)
class Record:
    """Where a run is kept, and what it is checked against.

    Attributes:
        history: file that the rows are appended to; None: `history.default_history`.
        keep: whether to append them; always if `history` is given.
        check: commit to check against, "" for the newest other one; None: no check.
    """

    history: Path | None = None
    keep: bool = False
    check: str | None = None

    @property
    def kept(self) -> bool:
        """Whether rows are appended."""
        return self.keep or self.history is not None

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
) -> tuple[dict[str, Any], bool]:
    """Measure the rows `names`; none: the quick ones that can run here.

    Returns:
        The answer, and whether Ctrl-C stopped it after the rows that it has.

    Raises:
        RequestError: for an unknown row, a missing package, a GPU that is not there, a number out of range, a
            history that cannot be used, nothing in it to check against.
        WorkError: if our side of a row fails; it says which rows were measured before.
        KeyboardInterrupt: at Ctrl-C before the first row is measured.
    """
    rows = select_benchmarks(names)
    check_amounts(rounds, seconds, threads, seed)
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
    run = MeasuredRun(record, machine, console)
    interrupted = run.take(measured_rows(rows, Settings(seed, place, threads, threads), rounds, seconds))
    if interrupted and not run.rows:
        raise KeyboardInterrupt
    if interrupted:
        told = f"stopped: {len(run.rows)} of {number_of(len(rows), 'row')} measured"
        console.print(told, style="yellow", highlight=False)
    report.show(run.rows, stdout_console())
    answer = run.answer()
    if baseline is not None:
        checked = baseline.check({row.name: row.ratio for row in run.rows})
        regression.show(checked, stdout_console())
        answer["check"] = [asdict(row) for row in checked]
    return answer, interrupted


def check_amounts(rounds: int, seconds: float | None, threads: int | None, seed: int) -> None:
    """Check the amounts that a request names.

    Raises:
        RequestError: naming the option.
    """
    if rounds < 1:
        raise RequestError(f"--rounds must be at least 1, not {rounds}")
    if seconds is not None and not 0 < seconds < float("inf"):
        raise RequestError(f"--seconds must be above 0, not {seconds}")
    if threads is not None and threads < 1:
        raise RequestError(f"--threads must be at least 1, not {threads}")
    if seed < 0:
        raise RequestError(f"--seed must not be below 0, not {seed}")


class MeasuredRun:
    """A run's rows, each of which is in the history as soon as it is measured.

    Attributes:
        rows: measured so far.
    """

    def __init__(self, record: Record, machine: Mapping[str, Any], console: Console) -> None:
        """Begin without rows; the commit is that of the source now, whatever is changed while measuring."""
        self.rows: list[Measured] = []
        self._record, self._machine, self._console = record, machine, console
        self._commit = history.source_commit() if record.kept else None
        self._written = 0

    def take(self, rows: Iterable[Measured]) -> bool:
        """Take rows as they are measured; returns whether Ctrl-C ended that.

        Raises:
            WorkError: if our side of a row fails, with what is kept of the others.
        """
        try:
            for row in rows:
                self.rows.append(row)
                if self._record.kept:
                    self._keep(row)
        except KeyboardInterrupt:
            return True
        except SideError as error:
            report.show(self.rows, stdout_console())
            raise SideError(f"{error}{self._before()}") from error
        return False

    def answer(self) -> dict[str, Any]:
        """Rows, machine and the history's file, for ``--json``; None for that where a row is not in it."""
        answer: dict[str, Any] = {"rows": [asdict(row) for row in self.rows], "machine": self._machine}
        if self._record.kept:
            whole = self._written == len(self.rows)
            answer["history"] = str(self._record.file) if whole else None
        return answer

    def _keep(self, row: Measured) -> None:
        """Append a row to the history; what was measured is not lost because the disk is full."""
        try:
            history.append(self._record.file, history.new_entry([row], self._machine, self._commit))
            self._written += 1
        except (SaveError, history.HistoryError) as error:
            self._console.print(str(error), style="yellow", highlight=False, soft_wrap=True)

    def _before(self) -> str:
        """What was measured before a row that failed, and where it is."""
        if not self.rows:
            return ""
        where = f", now in {self._record.file}" if self._written else ""
        return f"; measured before it: {', '.join(row.name for row in self.rows)}{where}"


def prepare(record: Record, names: Sequence[str], machine: dict[str, Any]) -> Baseline | None:
    """Before measuring: what to check against, if anything.

    Raises:
        HistoryError: if the history cannot be used, or has nothing to check against.
    """
    if record.history is not None:
        history.check_writable(record.history)
    if record.check is None:
        return None
    here = history.new_entry([], machine, history.source_commit())
    return Baseline(history.read(record.file), record.check, names, here)


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
) -> Iterator[Measured]:
    """Measure the rows in turn, with a progress bar; yields each when it is measured."""
    total = len(rows) * rounds
    with progress_bar("measuring") as draw:
        for i, (name, row) in enumerate(rows.items()):

            def told(done: int, name: str = name, before: int = i * rounds) -> None:
                draw((before + done, total, f"{name} · round {done} of {rounds}"))

            draw((i * rounds, total, f"{name} · starting both sides"))
            own = Settings(
                settings.seed, settings.device, settings.threads, row.torch_threads or settings.torch_threads
            )
            yield measure(name, row, own, rounds=rounds, seconds=seconds, told=told)
