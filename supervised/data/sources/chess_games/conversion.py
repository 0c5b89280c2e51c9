"""Conversion of files of games into shards: replayed in several processes, deduplicated, errors counted.

The outcome does not depend on the number of processes: games come in the order of the files.
"""

from __future__ import annotations

import hashlib
import multiprocessing
import os
import signal
import threading
from collections import Counter, deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass, field
from multiprocessing.connection import wait
from pathlib import Path
from typing import Any

import numpy as np

from sim.errors import WorkError
from supervised.data.sources.chess_games.game_records import GameSyntaxError, Section, records, sections
from supervised.data.sources.chess_games.play_out import PlayOut, PlayOutOptions, extended, play_out_of
from supervised.data.sources.chess_games.replay import CODES, GAME, POSITION, Replayed, ReplayError, replay
from supervised.data.sources.chess_games.shards import ShardWriter

CHUNK = 200  # games that a process replays in one go
Report = Callable[[float, float, str], None]  # bytes read, bytes in all, figures in words


class ConversionStopped(Exception):
    """The caller wanted it to stop; what was written is incomplete."""


class ConversionFailed(WorkError):
    """A process that replayed games died."""


@dataclass(frozen=True)
class Fault:
    """A game that was left out: the line where it begins, the reason to count by, and details."""

    line: int
    reason: str
    details: str


@dataclass(frozen=True)
class ReplayedChunk:
    """What became of a chunk of sections; games in one array each, so that they cross processes fast."""

    games: Any  # (G,) of GAME
    positions: Any  # (P,) of POSITION
    faults: list[Fault]
    cut: int
    contradictions: int
    played_out: int


@dataclass
class ConversionCounts:
    """What was found, for `data.toml` and for people.

    Attributes:
        games: that were written.
        positions: of those.
        duplicates: games with the moves of an earlier one.
        left_out: games that could not be used, by reason.
        cut: games that went on after the rules ended them; the moves after that are left out.
        contradictions: games whose record says two results, or another than the final position.
        played_out: games that an engine played on to mate.
        results: games by result.
        first_fault: the first game that was left out, in words.
    """

    games: int = 0
    positions: int = 0
    duplicates: int = 0
    left_out: Counter[str] = field(default_factory=Counter)
    cut: int = 0
    contradictions: int = 0
    played_out: int = 0
    results: Counter[str] = field(default_factory=Counter)
    first_fault: str = ""

    def card(self) -> dict[str, Any]:
        """Plain values for `data.toml`."""
        return {
            "duplicates": self.duplicates,
            "left_out": dict(self.left_out),
            "first_fault": self.first_fault,
            "cut": self.cut,
            "contradictions": self.contradictions,
            "played_out": self.played_out,
            "results": dict(self.results),
        }


def skipped_words(card: Mapping[str, Any]) -> tuple[str, ...]:
    """What a card of `ConversionCounts.card` says was left out, in words.

    >>> skipped_words({"duplicates": 2, "left_out": {"without moves": 1}})
    ('2 games with the moves of another', '1 game without moves')
    """
    words = [_games(card.get("duplicates", 0), "with the moves of another")]
    words += [_games(count, reason) for reason, count in sorted(card.get("left_out", {}).items())]
    return tuple(filter(None, words))


def changed_words(card: Mapping[str, Any]) -> tuple[str, ...]:
    """What a card of `ConversionCounts.card` says of games that were kept with a change, in words."""
    finished = _games(card.get("played_out", 0), "played on to mate by the engine")
    cut = _games(card.get("cut", 0), "went on after the rules ended them: later moves are left out")
    contradictory = _games(
        card.get("contradictions", 0),
        "told two results, or another than the board: the board's counts, or none",
    )
    return tuple(filter(None, (cut, contradictory, finished)))


def _games(count: int, what: str) -> str:
    return f"{count:,} game{'s' * (count != 1)} {what}" if count else ""


def convert(
    files: Sequence[Path],
    writer: ShardWriter,
    *,
    processes: int = 1,
    play_out: PlayOutOptions | None = None,
    report: Report = lambda done, total, words: None,
    stopped: Callable[[], bool] = lambda: False,
) -> ConversionCounts:
    """Write the games of `files` into shards; the writer is left open.

    Args:
        files: PGN or lines of SAN, also compressed.
        writer: of the shards.
        processes: that replay; 1: this one alone.
        play_out: play decisive games on to mate; None: leave them as they are.
        report: is told of the progress.
        stopped: asked now and then; True gives up.

    Raises:
        DataError, MissingPackageError: if a file cannot be read; see `game_file.lines`.
        ConversionStopped: if it was to stop.
        ConversionFailed: if a process died.
        OSError: if the disk is full.
    """
    counts, seen = ConversionCounts(), set[int]()
    total = sum(file.stat().st_size for file in files if file.is_file())
    with _replayer(processes, play_out) as replayed:
        for file, read, chunk in replayed(_chunks(files)):
            if stopped():
                raise ConversionStopped
            _take(chunk, file, counts, seen, writer)
            report(read, total, f"{counts.games:,} games · {sum(counts.left_out.values()):,} left out")
    return counts


def _take(
    chunk: ReplayedChunk, file: Path, counts: ConversionCounts, seen: set[int], writer: ShardWriter
) -> None:
    for fault in chunk.faults:
        counts.left_out[fault.reason] += 1
        if not counts.first_fault:
            details = f": {fault.details}" if fault.details else ""
            counts.first_fault = f"{file.name}, line {fault.line}: a game {fault.reason}{details}"
    counts.cut += chunk.cut
    counts.contradictions += chunk.contradictions
    counts.played_out += chunk.played_out
    names = {code: name for name, code in CODES.items()}
    for row in chunk.games:
        key, start, plies, result = int(row["key"]), int(row["start"]), int(row["plies"]), int(row["result"])
        if key in seen:
            counts.duplicates += 1
            continue
        seen.add(key)
        counts.games += 1
        counts.positions += plies
        counts.results[names[result]] += 1
        writer.add(Replayed(chunk.positions[start : start + plies], result, key, False, False))


def _chunks(files: Sequence[Path]) -> Iterator[tuple[Path, float, list[Section]]]:
    """Sections of the files in chunks, with the bytes of all files read so far."""
    before = 0.0
    for file in files:
        chunk: list[Section] = []
        for section, read in sections(file):
            chunk.append(section)
            if len(chunk) == CHUNK:
                yield file, before + read, chunk
                chunk = []
        before += file.stat().st_size
        if chunk:
            yield file, before, chunk


#: Of a worker process; see `_begin_worker`.
_player: PlayOut | None = None


def _begin_worker(play_out: PlayOutOptions | None) -> None:
    global _player
    follow_parent()
    _player = play_out_of(play_out)


def _replay_in_worker(chunk: Sequence[Section]) -> ReplayedChunk:
    return replay_sections(chunk, _player)


def replay_sections(chunk: Sequence[Section], player: PlayOut | None = None) -> ReplayedChunk:
    """Replay the games of sections, one after the other; `player` plays them on, if there is one."""
    games, faults = list[Replayed](), list[Fault]()
    for section in chunk:
        try:
            for record in records(section):
                try:
                    games.append(replay(record))
                except ReplayError as error:
                    faults.append(Fault(section.line, error.reason, error.details))
        except GameSyntaxError as error:
            faults.append(Fault(section.line, str(error), ""))
    games, played_out = extended(games, player)
    table = np.zeros(len(games), GAME)
    plies = np.array([len(game.positions) for game in games], np.int64)
    table["start"], table["plies"] = np.cumsum(plies) - plies, plies
    table["key"] = np.array([game.key for game in games], np.uint64)
    table["result"] = [game.result for game in games]
    positions = np.concatenate([game.positions for game in games]) if games else np.zeros(0, POSITION)
    cut, contradictions = sum(game.cut for game in games), sum(game.contradiction for game in games)
    return ReplayedChunk(table, positions, faults, cut, contradictions, played_out)


_Chunks = Iterator[tuple[Path, float, list[Section]]]
_ReplayedChunks = Iterator[tuple[Path, float, ReplayedChunk]]


@contextmanager
def _replayer(
    processes: int, play_out: PlayOutOptions | None
) -> Iterator[Callable[[_Chunks], _ReplayedChunks]]:
    """Context of a function that replays chunks in order; several processes are given two each in advance."""
    if processes < 2:
        player = play_out_of(play_out)
        try:
            yield lambda chunks: (
                (file, read, replay_sections(chunk, player)) for file, read, chunk in chunks
            )
        finally:
            if player is not None:
                player.close()
        return
    context = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(processes, context, initializer=_begin_worker, initargs=(play_out,))

    def replayed(chunks: _Chunks) -> _ReplayedChunks:
        waiting: deque[tuple[Path, float, Future[ReplayedChunk]]] = deque()
        try:
            for file, read, chunk in chunks:
                waiting.append((file, read, pool.submit(_replay_in_worker, chunk)))
                if len(waiting) > 2 * processes:
                    file, read, future = waiting.popleft()
                    yield file, read, future.result()
            while waiting:
                file, read, future = waiting.popleft()
                yield file, read, future.result()
        except BrokenProcessPool as error:
            raise ConversionFailed("a process that replayed games was killed; nothing was kept") from error

    try:
        yield replayed
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def follow_parent() -> None:
    """Initialise a worker process: Ctrl-C is for its parent alone, which it does not outlive."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = multiprocessing.parent_process()
    assert parent is not None

    def follow() -> None:
        wait([parent.sentinel])
        os._exit(1)

    threading.Thread(target=follow, daemon=True).start()


def sha256(file: Path) -> str:
    """Digest of a file's content, read in pieces."""
    with file.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()
