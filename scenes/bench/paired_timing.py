"""Side-by-side measurement: two processes run in turn; medians of rates and ratios over the rounds."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable
from contextlib import ExitStack, suppress
from dataclasses import asdict, dataclass
from importlib import metadata
from types import TracebackType
from typing import Any

from scenes.bench.benchmarks import Benchmark, missing
from scenes.bench.worker import Settings
from sim.catalog import install_hint
from sim.errors import WorkError

WARM_UP = 1.0  # seconds at most, and one yield at least: for a learner that is its first update
GRACE = 5.0  # seconds in which a side told to end may do so by itself
#: -P: a folder that happens to lie where the user stands must not be imported instead of ours.
PYTHON = (sys.executable, "-P", "-W", "ignore", "-m", "scenes.bench.worker")


class SideError(WorkError):
    """A benchmark process that could not start, or failed."""


@dataclass(frozen=True)
class Measured:
    """Result of one comparison; rates are medians over the rounds, in `unit` a second.

    `ratio` is the median of the rounds' own ratios, `ratio_low` and `ratio_high` the least and the largest;
    memories are the peak resident MiB of each side's process. Without a peer its fields are None.
    """

    name: str
    unit: str
    ours: float
    peer: float | None
    peer_name: str
    ratio: float | None
    ratio_low: float | None
    ratio_high: float | None
    ours_memory_mib: float
    peer_memory_mib: float | None
    rounds: int
    note: str


class Side:
    """Benchmark process of one side, run lap by lap of `seconds` each.

    Attributes:
        rates: units a second of each lap so far.
        memory_mib: peak resident memory so far.
    """

    def __init__(self, work: str, settings: Settings, fields: dict[str, str], seconds: float) -> None:
        """Start the process and wait until it is warm.

        Raises:
            SideError: if it cannot start.
        """
        self.rates: list[float] = []
        self.memory_mib = 0.0
        self._work, self._seconds = work, seconds
        self._complaints = tempfile.TemporaryFile("w+")
        self._process = subprocess.Popen(
            PYTHON,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._complaints,
            text=True,
            env=os.environ | {"OMP_NUM_THREADS": str(settings.torch_threads)},
            start_new_session=True,  # Ctrl-C is for us: we end them
        )
        try:
            self._ask(
                {
                    "work": work,
                    "settings": asdict(settings),
                    "fields": fields,
                    "warm_up": min(WARM_UP, seconds),
                }
            )
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Side:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def lap(self) -> float:
        """Run one lap; returns units a second.

        Raises:
            SideError: if it fails.
        """
        answer = self._ask({"seconds": self._seconds})
        self.rates.append(answer["units"] / answer["seconds"])
        self.memory_mib = answer["memory_mib"]
        return self.rates[-1]

    def close(self) -> None:
        """End the process."""
        with suppress(BrokenPipeError):  # it died before it had read everything
            self._process.stdin.close()  # type: ignore[union-attr]
        try:
            self._process.wait(GRACE if sys.exc_info()[0] is None else 0)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process.stdout.close()  # type: ignore[union-attr]
        self._complaints.close()

    def _ask(self, order: dict[str, Any]) -> dict[str, Any]:
        assert self._process.stdin is not None and self._process.stdout is not None
        try:
            print(json.dumps(order), file=self._process.stdin, flush=True)
            line = self._process.stdout.readline()
        except BrokenPipeError:
            line = ""
        answer: dict[str, Any] = json.loads(line) if line else {"error": self._last_words()}
        if "error" in answer:
            raise SideError(f"bench: {self._work} failed: {answer['error']}")
        return answer

    def _last_words(self) -> str:
        self._complaints.seek(0)
        lines = self._complaints.read().strip().splitlines()
        return lines[-1] if lines else f"its process ended with code {self._process.wait()}"


def measure(
    name: str,
    row: Benchmark,
    settings: Settings,
    *,
    rounds: int,
    seconds: float | None,
    told: Callable[[int], None] = lambda laps: None,
) -> Measured:
    """Measure one comparison: run both sides of `row` in turn.

    Args:
        name: the row's.
        row: what to measure.
        settings: for both sides.
        rounds: laps of each side.
        seconds: of each lap; None: the row's own.
        told: called after each round with how many are done.

    Raises:
        SideError: if our side fails; a peer that fails is left out, and the note says why.
    """
    seconds = row.seconds if seconds is None else seconds
    note, ratios = row.note, []
    with ExitStack() as sides:
        ours = sides.enter_context(Side(row.ours, settings, row.fields, seconds))
        peer, why = _peer(row, settings, seconds)
        if peer is not None:
            sides.enter_context(peer)
        for done in range(rounds):
            rate = ours.lap()
            if peer is not None:
                ratios.append(rate / peer.lap())
            told(done + 1)
    return Measured(
        name=name,
        unit=row.unit,
        ours=round(statistics.median(ours.rates), 1),
        peer=round(statistics.median(peer.rates), 1) if peer else None,
        peer_name=peer_name(row),
        ratio=round(statistics.median(ratios), 3) if ratios else None,
        ratio_low=round(min(ratios), 3) if ratios else None,
        ratio_high=round(max(ratios), 3) if ratios else None,
        ours_memory_mib=round(ours.memory_mib, 1),
        peer_memory_mib=round(peer.memory_mib, 1) if peer else None,
        rounds=rounds,
        note=f"{note}; {why}" if why and note else why or note,
    )


def _peer(row: Benchmark, settings: Settings, seconds: float) -> tuple[Side | None, str]:
    """Start the peer's process, or say why there is none."""
    if row.peer is None:
        return None, ""
    lacking = missing(row.peer_needs)
    if lacking is not None:
        return None, f"to see the peer, install {install_hint(lacking)}"
    try:
        return Side(row.peer, settings, row.fields, seconds), ""
    except SideError as error:
        return None, f"the peer did not start: {error}"


def peer_name(row: Benchmark) -> str:
    """Name of the peer, with its version where it is installed."""
    try:
        return f"{row.peer_name} {metadata.version(row.package)}" if row.package else row.peer_name
    except metadata.PackageNotFoundError:
        return row.peer_name
