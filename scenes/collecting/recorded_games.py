"""Conversion of recorded chess games into shards of positions (`playfield collect chess --from FILE …`).

`supervised.data.sources.chess_games` reads, replays and writes; this module checks the request, shows
progress and lets Ctrl-C end it. The folder is complete or not there.
"""

from __future__ import annotations

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
from sim.storage.files import fresh_folder
from supervised.data.sources.chess_games.conversion import (
    ConversionStopped,
    changed_words,
    convert,
    sha256,
    skipped_words,
)
from supervised.data.sources.chess_games.game_file import opened
from supervised.data.sources.chess_games.shards import CARD, ShardWriter, open_shards, stray_file
from supervised.data.sources.splits import DataError

SMALL = 500_000  # bytes of files that one process replays sooner than others have started
PROMISE = "stopping: nothing is kept of an unfinished folder"


@dataclass(frozen=True)
class GamesRequest:
    """Request to convert files of games into the folder `out`."""

    files: tuple[Path, ...]
    out: Path
    overwrite: bool = False


@dataclass
class CollectedGames:
    """Result of a conversion; `path` is None if it was interrupted."""

    path: Path | None = None
    card: dict[str, Any] = field(default_factory=dict)
    seconds: float = 0.0

    @property
    def interrupted(self) -> bool:
        """Whether Ctrl-C ended it."""
        return self.path is None

    def answer(self) -> dict[str, Any]:
        """The answer of ``--json``."""
        left_out = dict(self.card.get("left_out", {}))
        return {
            "episodes": self.card.get("games", 0),
            "steps": self.card.get("positions", 0),
            "path": str(self.path) if self.path else None,
            "duplicates": self.card.get("duplicates", 0),
            "errors": sum(left_out.values()),
            "left_out": left_out,
            "results": dict(self.card.get("results", {})),
            "seconds": round(self.seconds, 3),
        }


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
    """Replay the games of files and write their positions.

    Raises:
        RequestError: if the request is wrong, or a file cannot be read; nothing was changed.
        SaveError: if the disk is full; nothing was kept.
    """
    check_chess(scene)
    started = time.monotonic()
    check_replaceable(request.out, overwrite=request.overwrite)
    files = list(dict.fromkeys(request.files))
    sources = []
    for file in files:
        with opened(file):
            sources.append({"name": file.name, "sha256": sha256(file)})
    _report_leftovers(request.out, say)
    try:
        with fresh_folder(request.out) as folder:
            _write(files, folder, sources)
    except ConversionStopped:
        show("interrupted; nothing was kept")
        return CollectedGames(seconds=time.monotonic() - started)
    card = dict(open_shards(request.out).card)
    result = CollectedGames(request.out, card, time.monotonic() - started)
    _tell(result, say)
    return result


def _write(files: Sequence[Path], folder: Path, sources: Sequence[Mapping[str, str]]) -> None:
    """Write the positions of files into a folder, with a progress bar.

    Raises:
        ConversionStopped: after Ctrl-C.
        DataError: if there is no game among them.
    """
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
    writer.close({"sources": sources, **counts.card()})


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


def _tell(result: CollectedGames, say: Callable[[str], None]) -> None:
    card, path = result.card, result.path
    games, positions = number_of(card["games"], "game"), number_of(card["positions"], "position")
    show(f"{games}, {positions} in {path}")
    for words in skipped_words(card):
        say(f"left out: {words}")
    if card["first_fault"]:
        say(f"the first: {card['first_fault']}")
    for words in changed_words(card):
        say(words)
    say(f"learn from them: playfield train chess-masters --set agent.data={path}")
