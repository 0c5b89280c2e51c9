"""Recorded chess games as shards of positions, and labels (`playfield collect chess --from FILE …`).

`supervised.data.sources.chess_games` reads, replays and writes; this module checks the request, shows
progress and lets Ctrl-C end it. The folder is complete or not there.
"""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from glob import escape
from pathlib import Path
from typing import Any

from scenes.console import show
from scenes.interruption import interruption, progress_bar
from scenes.schema import Scene
from sim.errors import RequestError
from sim.machine import processors
from sim.plurals import number_of
from sim.storage.files import fresh_folder, reason
from supervised.data.sources.chess_games.conversion import (
    ConversionStopped,
    changed_words,
    convert,
    sha256,
    skipped_words,
)
from supervised.data.sources.chess_games.game_file import opened
from supervised.data.sources.chess_games.shards import CARD, ShardWriter, open_shards, stray_file
from supervised.data.sources.chess_games.stockfish_labels import (
    LabelCounts,
    LabellingFailed,
    LabelOptions,
    label,
)
from supervised.data.sources.splits import DataError

SMALL = 500_000  # bytes of files that one process replays sooner than others have started
KEEPING = "stopping: the labels so far are kept"
INSTALL = "install it, by apt install stockfish or brew install stockfish, or set STOCKFISH=/path/to/it"
PROMISE = "stopping: nothing is kept of an unfinished folder"


@dataclass(frozen=True)
class GamesRequest:
    """Request to convert files of games into the folder `out`, or to label the positions that are there.

    Attributes:
        files: none: `out` is there already.
        out: the folder.
        overwrite: replace an older folder of positions.
        resume: go on labelling a folder that was made of the same files.
        labels: fields of `LabelOptions` but its command; None: nothing is labelled.
    """

    files: tuple[Path, ...]
    out: Path
    overwrite: bool = False
    resume: bool = False
    labels: Mapping[str, int | None] | None = None


@dataclass
class CollectedGames:
    """Result of a conversion; `path` is None if it was interrupted before the folder was complete."""

    path: Path | None = None
    card: dict[str, Any] = field(default_factory=dict)
    seconds: float = 0.0
    labels: LabelCounts | None = None

    @property
    def interrupted(self) -> bool:
        """Whether Ctrl-C ended it."""
        return self.path is None or (self.labels is not None and self.labels.stopped)

    def answer(self) -> dict[str, Any]:
        """The answer of ``--json``."""
        left_out = dict(self.card.get("left_out", {}))
        answer = {
            "episodes": self.card.get("games", 0),
            "steps": self.card.get("positions", 0),
            "path": str(self.path) if self.path else None,
            "duplicates": self.card.get("duplicates", 0),
            "errors": sum(left_out.values()),
            "left_out": left_out,
            "results": dict(self.card.get("results", {})),
            "seconds": round(self.seconds, 3),
        }
        if self.labels is not None:
            answer |= {"labels": self.labels.labelled, "labels_skipped": self.labels.skipped}
        return answer


def check_chess(scene: Scene) -> None:
    """Check that a scene plays chess.

    Raises:
        RequestError: if it does not.
    """
    world = scene.world.use if scene.world is not None else None
    if world is None or world.partition("/")[0] != "chess":
        has = f"has the world {world}" if world else "has no world"
        raise RequestError(f"--from reads chess games, and the scene {scene.name} {has}: take chess")


def collect_games(scene: Scene, request: GamesRequest, *, say: Callable[[str], None]) -> CollectedGames:
    """Replay the games of files and write their positions; label positions where it is asked for.

    Raises:
        RequestError: if the request is wrong, or a file cannot be read; nothing was changed.
        SaveError: if the disk is full; nothing was kept.
        LabellingFailed: see `_label`.
    """
    check_chess(scene)
    started = time.monotonic()
    options = None if request.labels is None else _label_options(request.labels, scene.seed)
    result = CollectedGames()
    if request.files and not (request.resume and (request.out / CARD).is_file()):
        check_replaceable(request.out, overwrite=request.overwrite)
        _report_leftovers(request.out, say)
        sources = _sources(request.files)
        try:
            with fresh_folder(request.out) as folder:
                _write(sources, folder)
        except ConversionStopped:
            show("interrupted; nothing was kept")
            return CollectedGames(seconds=time.monotonic() - started)
        _tell(dict(open_shards(request.out).card), request.out, say)
    elif request.files:
        _check_sources(request)
    result.path, result.card = request.out, dict(open_shards(request.out).card)
    if options is not None:
        result.labels = _label(request.out, options, say)
    result.seconds = time.monotonic() - started
    say(f"learn from them: playfield train chess-masters --set agent.data={request.out}")
    return result


def _sources(files: Sequence[Path]) -> dict[Path, dict[str, str]]:
    """What the card tells of each file; one that is named twice is read once.

    Raises:
        DataError, MissingPackageError: if one cannot be read.
    """
    found = {}
    for file in files:
        with opened(file):
            found[file] = {"name": file.name, "sha256": sha256(file)}
    return found


def _check_sources(request: GamesRequest) -> None:
    there = open_shards(request.out).card.get("sources")
    if there != list(_sources(request.files).values()):
        raise RequestError(
            f"{request.out} was not made of these files: choose another --out, or label it without --from"
        )


def _label(out: Path, options: LabelOptions, say: Callable[[str], None]) -> LabelCounts:
    """Label positions of a folder, with a progress bar; Ctrl-C keeps what is there.

    Raises:
        LabelRequestError: if they cannot be labelled so.
        LabellingFailed: if the engine crashes again and again, or the disk is full; labels are kept.
    """
    go_on = f"the labels so far are kept in {out}: go on with --resume"
    try:
        with (
            interruption(KEEPING) as stopped,
            progress_bar("labelling") as draw,
        ):
            counts = label(
                open_shards(out),
                options,
                processes=processors(),
                report=lambda done, total, words: draw((done, total, words)),
                stopped=stopped,
            )
    except LabellingFailed as error:
        raise LabellingFailed(f"{error}; {go_on}") from error
    except OSError as error:
        raise LabellingFailed(f"could not write labels: {reason(error)}; {go_on}") from error
    show(f"{counts.labelled:,} of {number_of(counts.wanted, 'position')} labelled in {out}")
    if counts.stopped:
        say(f"interrupted: {go_on}")
    if counts.skipped:
        say(f"skipped: {number_of(counts.skipped, 'position')} at which the engine crashed")
    return counts


def _write(sources: Mapping[Path, Mapping[str, str]], folder: Path) -> None:
    """Write the positions of files into a folder, with a progress bar.

    Raises:
        ConversionStopped: after Ctrl-C.
        DataError: if there is no game among them.
    """
    files = list(sources)
    large = sum(file.stat().st_size for file in files) > SMALL
    writer = ShardWriter(folder)
    with interruption(PROMISE) as stopped, progress_bar("replaying games, in bytes read") as draw:
        counts = convert(
            files,
            writer,
            processes=processors() if large else 1,
            report=lambda done, total, words: draw((done, total, words)),
            stopped=stopped,
        )
    if not counts.games:
        why = counts.first_fault or "they are without games"
        raise DataError(f"no game in {', '.join(map(str, files))} can be used: {why}")
    writer.close({"sources": [dict(source) for source in sources.values()], **counts.card()})


def check_replaceable(out: Path, *, overwrite: bool) -> None:
    """Check that a new folder at this path would overwrite nothing that is not asked for.

    Raises:
        RequestError: if something stands there, but for an empty folder and, with `overwrite`, a folder of
            positions with nothing else in it.
    """
    if out.is_symlink() or (out.exists() and not out.is_dir()):
        raise RequestError(f"{out} exists and is no folder: choose another --out")
    if not out.exists() or not any(out.iterdir()):
        return
    if not overwrite:
        raise RequestError(f"{out} exists: choose another --out, or add --overwrite")
    stray = stray_file(out)
    if stray or not (out / CARD).is_file():
        what = f"holds {stray}, which is no part of them" if stray else f"has no {CARD}"
        raise RequestError(f"{out} is no folder of positions: it {what}; choose another --out")


def _report_leftovers(out: Path, say: Callable[[str], None]) -> None:
    for path in sorted(out.parent.glob(f".{escape(out.name)}.new-*")):
        say(f"{path} was left by a collect that was killed, or still runs: delete it if none does")


def _tell(card: Mapping[str, Any], path: Path, say: Callable[[str], None]) -> None:
    games, positions = number_of(card["games"], "game"), number_of(card["positions"], "position")
    show(f"{games}, {positions} in {path}")
    for words in skipped_words(card):
        say(f"left out: {words}")
    if card["first_fault"]:
        say(f"the first: {card['first_fault']}")
    for words in changed_words(card):
        say(words)


def _label_options(told: Mapping[str, int | None], seed: int) -> LabelOptions:
    fields: dict[str, Any] = {name: value for name, value in told.items() if value is not None}
    return LabelOptions((_stockfish(),), seed=seed, **fields)


def _stockfish() -> str:
    """Path of Stockfish: ``$STOCKFISH``, or on the PATH, or where Debian puts games.

    Raises:
        RequestError: if it is nowhere.
    """
    told = os.environ.get("STOCKFISH")
    if told:
        if found := shutil.which(os.path.expanduser(told)):
            return found
        raise RequestError(f"STOCKFISH={told} is no program that can be run: {INSTALL}")
    path = shutil.which("stockfish") or shutil.which("/usr/games/stockfish")
    if path is None:
        raise RequestError(f"stockfish is not installed: {INSTALL}")
    return path
