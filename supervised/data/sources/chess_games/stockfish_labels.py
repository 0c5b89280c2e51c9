"""Labelling of shards by an engine: one process a core, appended as it goes, resumable at any time.

Which positions are labelled follows from the seed and the number of them alone. Labels of few nodes depend a
little on what the engine thought of before, so that two runs do not agree in every bit.
"""

from __future__ import annotations

import multiprocessing
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import closing, contextmanager
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from sim.errors import RequestError, WorkError
from sim.records import Array
from supervised.data.sources.chess_games.conversion import Report, follow_parent
from supervised.data.sources.chess_games.labels import label_dtype, label_file, read_labels
from supervised.data.sources.chess_games.shards import Shards, write_card
from supervised.data.sources.chess_games.uci_analysis import (
    TEMPERATURE,
    AnalysisEngine,
    AnalysisLimits,
    EngineCrash,
)

CHUNK = 200  # positions that a process labels in one go
CRASHES = 3  # of the engine in a row, after which it is given up


class LabelRequestError(RequestError, ValueError):
    """Labels that cannot be made here, or that do not fit to those that are there."""


class LabellingFailed(WorkError):
    """The engine crashed again and again; what was labelled is kept."""


@dataclass(frozen=True)
class LabelOptions:
    """What to label and how.

    Attributes:
        command: of the engine.
        nodes: of each search.
        multipv: moves that are ranked; 1: the policy is the best move.
        positions: how many to label, evenly spread over all; None: all.
        seed: of the choice.
    """

    command: tuple[str, ...]
    nodes: int = 200
    multipv: int = 1
    positions: int | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        """Refuse numbers that make no sense.

        Raises:
            LabelRequestError: naming the option.
        """
        for name, value, most in (("nodes", self.nodes, 10**9), ("multipv", self.multipv, 218)):
            if not 1 <= value <= most:
                raise LabelRequestError(f"--{name} must be 1 to {most:,}, not {value}")
        if self.positions is not None and self.positions < 1:
            raise LabelRequestError(f"--label-positions must be at least 1, not {self.positions}")


@dataclass
class LabelCounts:
    """Labels that are there now, of how many; and positions at which the engine crashed."""

    labelled: int = 0
    wanted: int = 0
    skipped: int = 0
    stopped: bool = False


def label(
    shards: Shards,
    options: LabelOptions,
    *,
    processes: int = 1,
    report: Report = lambda done, total, words: None,
    stopped: Callable[[], bool] = lambda: False,
) -> LabelCounts:
    """Label positions of a folder that have no label yet.

    Args:
        shards: the opened folder; its card is written.
        options: see there.
        processes: each with an engine of its own; 1: this process alone.
        report: is told of the progress.
        stopped: asked now and then; True ends it, what was labelled is kept.

    Raises:
        LabelRequestError: if there are labels by other options, or the command is no UCI engine.
        LabellingFailed: if the engine crashes again and again.
        OSError: if the disk is full.
    """
    _begin(shards, options)
    wanted = [chosen_positions(shards, shard, options) for shard in range(len(shards.positions))]
    counts = LabelCounts(wanted=sum(map(len, wanted)))
    with _labeller(options, processes) as labelled:
        for shard, chosen in enumerate(wanted):
            file = label_file(shards.folder, shard)
            done = read_labels(file, options.multipv)["index"]
            counts.labelled += len(np.intersect1d(done, chosen))
            rest = chosen[~np.isin(chosen, done)]
            size = label_dtype(options.multipv).itemsize
            with file.open("ab") as target:
                target.truncate(target.tell() // size * size)  # of a row that a killed process began
                for rows, skipped in labelled(_chunks(shards.positions[shard], rest)):
                    target.write(rows.tobytes())
                    target.flush()
                    counts.labelled += len(rows)
                    counts.skipped += skipped
                    report(
                        counts.labelled, counts.wanted, f"{counts.skipped:,} skipped" * bool(counts.skipped)
                    )
                    if stopped():
                        counts.stopped = True
                        return counts
    return counts


def chosen_positions(shards: Shards, shard: int, options: LabelOptions) -> Array:
    """(N,) indices of the positions of a shard that are to be labelled, in random order."""
    sizes = [len(rows) for rows in shards.positions]
    before, after, total = sum(sizes[:shard]), sum(sizes[: shard + 1]), sum(sizes)
    most = min(options.positions or total, total)
    quota = most * after // total - most * before // total
    return np.random.default_rng((options.seed, shard)).permutation(sizes[shard])[:quota]


def _begin(shards: Shards, options: LabelOptions) -> None:
    """Start the engine once for its name, and write what the labels are into the card."""
    try:
        with closing(
            AnalysisEngine(options.command, AnalysisLimits(options.nodes, options.multipv))
        ) as engine:
            name = engine.name
    except EngineCrash as error:
        raise LabelRequestError(f"{error}: {options.command[0]} is no UCI engine that can label") from error
    told = {
        "engine": name,
        "nodes": options.nodes,
        "multipv": options.multipv,
        "temperature": TEMPERATURE,
        "seed": options.seed,
    }
    there: Mapping[str, Any] | None = shards.card.get("labels")
    if there is not None and dict(there) != told:
        differences = [
            f"{key} = {there.get(key)}, not {told[key]}" for key in told if there.get(key) != told[key]
        ]
        raise LabelRequestError(
            f"{shards.folder} has labels with {'; '.join(differences)}: take the same, or another folder"
        )
    if there is None:
        write_card(shards.folder, {**shards.card, "labels": told})


def _chunks(positions: Array, chosen: Array) -> Iterator[tuple[Array, Array]]:
    for start in range(0, len(chosen), CHUNK):
        index = chosen[start : start + CHUNK]
        yield positions[index], index


class Labeller:
    """One engine that is started anew when it crashes."""

    def __init__(self, options: LabelOptions) -> None:
        self._options = options
        self._engine: AnalysisEngine | None = None

    def label(self, positions: Array, index: Array) -> tuple[Array, int]:
        """Labels of positions, and how many were skipped because the engine crashed.

        Raises:
            LabellingFailed: if it crashes again and again.
        """
        found, skipped, crashes = [np.zeros(0, label_dtype(self._options.multipv))], 0, 0
        for position, place in zip(positions, index.tolist(), strict=True):
            try:
                if self._engine is None:
                    limits = AnalysisLimits(self._options.nodes, self._options.multipv)
                    self._engine = AnalysisEngine(self._options.command, limits)
                found.append(self._engine.label(position, place))
                crashes = 0
            except EngineCrash as error:
                self.close()
                skipped, crashes = skipped + 1, crashes + 1
                if crashes == CRASHES:
                    raise LabellingFailed(f"the engine crashed {CRASHES} times in a row: {error}") from error
        return np.concatenate(found), skipped

    def close(self) -> None:
        """End the engine."""
        if self._engine is not None:
            self._engine.close()
        self._engine = None


_Chunks = Iterator[tuple[Array, Array]]
_Labelled = Iterator[tuple[Array, int]]


@contextmanager
def _labeller(options: LabelOptions, processes: int) -> Iterator[Callable[[_Chunks], _Labelled]]:
    """Context of a function that labels chunks, in several processes where there are."""
    if processes < 2:
        with closing(Labeller(options)) as labeller:
            yield lambda chunks: (labeller.label(positions, index) for positions, index in chunks)
        return
    context = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(processes, context, initializer=_begin_worker, initargs=(asdict(options),))

    def labelled(chunks: _Chunks) -> _Labelled:
        waiting: deque[Future[tuple[Array, int]]] = deque()
        try:
            for positions, index in chunks:
                waiting.append(pool.submit(_label, positions, index))
                if len(waiting) > 2 * processes:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        except BrokenProcessPool as error:
            raise LabellingFailed("a process that labelled was killed") from error

    try:
        yield labelled
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


_own: list[Labeller] = []  # of a worker process


def _begin_worker(options: Mapping[str, Any]) -> None:
    follow_parent()
    _own.append(Labeller(LabelOptions(**options)))


def _label(positions: Array, index: Array) -> tuple[Array, int]:
    return _own[0].label(positions, index)
