"""Shards of recorded positions on disk: memory-mapped NumPy files, and `data.toml` that describes them.

Files of each shard: ``positions-0000.npy`` (rows of `replay.POSITION`) and ``games-0000.npy`` (rows
of `replay.GAME`), and ``data.toml`` with the format, the sources and the counts.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import tomli_w

from sim.records import Array
from sim.storage.files import write_whole
from supervised.data.sources.chess_games.labels import ShardLabels, open_labels
from supervised.data.sources.chess_games.replay import GAME, POSITION, Replayed
from supervised.data.sources.splits import DataError

FORMAT = 1
CARD = "data.toml"
SHARD_FILE = re.compile(r"(positions|games)-\d{4,}\.npy|labels-\d{4,}\.rows")
SHARD_POSITIONS = 500_000  # 32 MB


class ShardWriter:
    """Writes games into shards of a folder, a shard at a time in memory."""

    def __init__(self, folder: Path, most: int = SHARD_POSITIONS) -> None:
        self.folder, self.most = folder, most
        self.shards = self.games = self.positions = 0
        self._games: list[Replayed] = []
        self._waiting = 0

    def add(self, game: Replayed) -> None:
        """Add one game.

        Raises:
            OSError: if a shard cannot be written.
        """
        self._games.append(game)
        self._waiting += len(game.positions)
        if self._waiting >= self.most:
            self._flush()

    def close(self, told: Mapping[str, Any]) -> None:
        """Write the last shard, and the card with `told`.

        Raises:
            OSError: if they cannot be written.
        """
        if self._games:
            self._flush()
        counts = {"shards": self.shards, "games": self.games, "positions": self.positions}
        write_card(self.folder, {"format": FORMAT, "kind": "chess positions", **counts, **told})

    def _flush(self) -> None:
        plies = np.array([len(game.positions) for game in self._games])
        games = np.zeros(len(plies), GAME)
        games["key"] = np.array([game.key for game in self._games], np.uint64)
        games["start"], games["plies"] = np.cumsum(plies) - plies, plies
        games["result"] = [game.result for game in self._games]
        name = f"{self.shards:04d}.npy"
        np.save(self.folder / f"positions-{name}", np.concatenate([game.positions for game in self._games]))
        np.save(self.folder / f"games-{name}", games)
        self.shards += 1
        self.games += len(plies)
        self.positions += int(plies.sum())
        self._games, self._waiting = [], 0


def write_card(folder: Path, card: Mapping[str, Any]) -> None:
    """Write `data.toml`, complete or not at all.

    Raises:
        OSError: if it cannot be written.
    """
    write_whole(folder / CARD, partial(_write_text, text=tomli_w.dumps(card)))


def _write_text(file: Path, text: str) -> None:
    file.write_text(text, "utf-8")


@dataclass(frozen=True)
class Shards:
    """An opened folder.

    Attributes:
        card: what `data.toml` says.
        positions: the rows of each shard, memory-mapped.
        games: (G,) of `GAME`, of all shards one after the other.
        shard: (G,) the shard of each game.
        labels: of each shard; empty where there are none.
    """

    folder: Path
    card: Mapping[str, Any]
    positions: Sequence[Array]
    games: Array
    shard: Array
    labels: Sequence[ShardLabels] = ()


def stray_file(folder: Path) -> str:
    """Name of something in a folder that `ShardWriter` does not write; "" if there is none."""
    names = sorted(path.name for path in folder.iterdir())
    return next((name for name in names if name != CARD and not SHARD_FILE.fullmatch(name)), "")


def open_shards(folder: Path) -> Shards:
    """Open a folder of shards; nothing but the games' table is read.

    Raises:
        DataError: if it is no such folder, of another format, or incomplete.
    """
    card = _card(folder)
    positions, games = [], []
    for number in range(int(card["shards"])):
        positions.append(_mapped(folder / f"positions-{number:04d}.npy", POSITION))
        games.append(np.asarray(_mapped(folder / f"games-{number:04d}.npy", GAME)))
        ends = games[-1]["start"].astype(np.int64) + games[-1]["plies"]
        if len(ends) and ends[-1] != len(positions[-1]):
            raise DataError(f"{folder}: shard {number} is damaged: collect the games again")
    if not games:
        raise DataError(f"{folder} has no games")
    shard = np.repeat(np.arange(len(games)), [len(part) for part in games])
    return Shards(folder, card, positions, np.concatenate(games), shard, open_labels(folder, card))


def _card(folder: Path) -> Mapping[str, Any]:
    try:
        card = tomllib.loads((folder / CARD).read_text("utf-8"))
    except (FileNotFoundError, NotADirectoryError) as error:
        mend = "make one: playfield collect chess --from FILE.pgn --out DIR"
        raise DataError(f"{folder} is no folder of chess positions ({CARD} is missing); {mend}") from error
    except (OSError, ValueError) as error:
        raise DataError(f"{folder / CARD} cannot be read: {error}") from error
    if card.get("format") != FORMAT or not isinstance(card.get("shards"), int):
        raise DataError(f"{folder} has format {card.get('format')}, not {FORMAT}: collect the games again")
    return card


def _mapped(file: Path, dtype: np.dtype[Any]) -> Array:
    try:
        rows: Array = np.load(file, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise DataError(f"{file} cannot be read: {error}; collect the games again") from error
    if rows.dtype != dtype or rows.ndim != 1:
        raise DataError(f"{file} does not hold what its name says: collect the games again")
    return rows
