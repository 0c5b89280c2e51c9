"""Positions of recorded chess games for imitation: the shipped sample, a PGN, or shards on disk.

A game belongs to training, validation or test by a hash of its moves and a seed, so that the same game is
never in two parts and games that are added move no other. Files are replayed once, into the data set cache.
"""

from __future__ import annotations

import atexit
import hashlib
import json
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from filelock import FileLock

from sim.catalog import MissingPackageError, install_hint
from sim.progress import waiting
from sim.records import Array
from sim.storage.files import fresh_folder
from supervised.data.dataset_cache import cache_folder
from supervised.data.source_digest import digest
from supervised.data.sources.master_games import SAMPLE
from supervised.data.sources.splits import DataError, Source

if TYPE_CHECKING:
    from supervised.data.sources.chess_games.shards import Shards

SHARES = (0.05, 0.05)  # of the games that validate, and that test
MOST_FOLDERS = 4  # of replayed files in the cache: the whole of gnuchess-book takes 0.7 GB
MODULES = ("supervised.data.sources.chess_games.conversion",)


class GamePositions:
    """Positions of some games of `shards`, each with the move played and the game's result.

    An implementation of `supervised.fit.Examples`; nothing but the rows of a batch is read from disk.
    """

    def __init__(self, shards: Shards, games: Array, *, history: int, every: int = 1, seed: int = 0) -> None:
        """The positions of `games`.

        Args:
            shards: where the positions lie.
            games: (G,) indices of games.
            history: positions that an observation shows.
            every: one position of so many in a row is taken, from a first one that differs by game.
            seed: of that first one.
        """
        self.history, self.every = history, every
        self.shards, self.games = shards, games
        table = shards.games[games]
        self._plies = table["plies"].astype(np.int64)
        self._first = (hashed(table["key"], seed, "ply") % np.uint64(every)).astype(np.int64)
        self._ends = np.cumsum(np.maximum(0, -(-(self._plies - self._first) // every)))

    def __len__(self) -> int:
        """Number of positions."""
        return int(self._ends[-1]) if len(self._ends) else 0

    def batch(self, rows: Array, generator: np.random.Generator) -> Mapping[str, Array]:
        """Positions `rows` (B,) int64; nothing is random.

        Returns:
            obs: (B, 14·history + 7, 8, 8) uint8 planes as `ChessGame.observe` gives them, in 1/255.
            legal: (B, K) int64 legal actions, ascending, padded by 0 to a multiple of 32.
            mask: (B, K) bool, False for padding.
            policy: (B, K) float32 probabilities: 1 for the move played, or an engine's label.
            wdl: (B, 3) float32 probabilities that the mover wins, draws, loses: 1 for the game's result, or
                an engine's label.
            weight: (B,) float32 of the value target: 0 where there is neither result nor label, and `wdl` is
                0; else 1.
            played: (B,) int64 action that was played.
        """
        from supervised.data.sources.chess_games import position_batch

        window, depth, game = self._window(np.asarray(rows))
        newest = window[:, 0]
        legal, mask = position_batch.legal_actions(newest)
        played = newest["action"].astype(np.int64)
        policy = ((legal == played[:, None]) & mask).astype(np.float32)
        wdl = position_batch.outcome_targets(self.shards.games["result"][game], newest["state"])
        self._label(game, rows, legal, policy, wdl)
        return {
            "obs": position_batch.planes(window, depth),
            "legal": legal,
            "mask": mask,
            "policy": policy,
            "wdl": wdl,
            "weight": wdl.sum(1),
            "played": played,
        }

    def _label(self, game: Array, rows: Array, legal: Array, policy: Array, wdl: Array) -> None:
        """Put an engine's labels where there are any, in place."""
        from supervised.data.sources.chess_games.labels import labelled_targets

        shard = self.shards.shard[game]
        index = self.shards.games["start"][game] + self.locate(rows)[1]
        for number, labels in enumerate(self.shards.labels):
            own = np.flatnonzero(shard == number)
            labelled, found = labels.of(index[own])
            own = own[labelled]
            policy[own], wdl[own] = labelled_targets(found, legal[own])

    def locate(self, rows: Array) -> tuple[Array, Array]:
        """The games (B,) of positions, as indices into the shards' table, and their plies (B,) from 0."""
        place = np.searchsorted(self._ends, rows, side="right")
        before = np.where(place > 0, self._ends[place - 1], 0)
        return self.games[place], self._first[place] + self.every * (rows - before)

    def _window(self, rows: Array) -> tuple[Array, Array, Array]:
        """Each position and those before it, newest first: (B, H) rows, how many exist (B,), and its game."""
        game, ply = self.locate(rows)
        back = np.arange(self.history)
        index = self.shards.games["start"][game].astype(np.int64)[:, None] + np.maximum(
            ply[:, None] - back, 0
        )
        shard = self.shards.shard[game]
        window = np.empty(index.shape, self.shards.positions[0].dtype)
        for number in np.unique(shard):
            own = shard == number
            window[own] = self.shards.positions[number][index[own]]
        return window, np.minimum(ply + 1, self.history), game


@dataclass(frozen=True)
class GameSplits:
    """Positions of recorded games in three parts, split by game.

    Attributes:
        train: to learn from.
        validation: to choose by; no game of it is in `train`.
        test: to grade; no game of it is in the other two.
        source: where the games come from.
        skipped: what was left out, in words, by reason.
    """

    train: GamePositions
    validation: GamePositions
    test: GamePositions
    source: Source
    skipped: tuple[str, ...] = ()


def game_positions(path: Path | None, *, history: int, most: int, seed: int, every: int = 1) -> GameSplits:
    """Positions of recorded games, as `GamePositions.batch` describes them.

    Games without a result teach the policy alone: their moves are as good as others', and what the value
    learns is weighted by 0.

    Args:
        path: a PGN or lines of SAN, also compressed, or a folder of `playfield collect chess --from`; None
            for the 5,000 games that ship.
        history: positions that an observation shows, 1 to 8 or more.
        most: games at most, 0 for all; which is a function of their moves and the seed.
        seed: of the split, of the choice of games and of plies.
        every: one position of so many in a row is offered: neighbours resemble each other.

    Raises:
        DataError: if there is nothing to read, or too few games to split.
        MissingPackageError: without python-chess, or without what reads the file.
        SaveError: if the cache's folder cannot be written.
    """
    for name, value, least in (("history", history, 1), ("most", most, 0), ("every", every, 1)):
        if value < least:
            raise DataError(f"{name} must be at least {least}, not {value}")
    try:
        from supervised.data.sources.chess_games.conversion import skipped_words
        from supervised.data.sources.chess_games.shards import open_shards
    except ModuleNotFoundError as error:
        raise MissingPackageError(f"chess games need {install_hint(error.name or 'chess')}") from error
    shards = open_shards(path if path is not None and path.is_dir() else _replayed_file(path or SAMPLE))
    keys = shards.games["key"]
    taken = np.arange(len(keys))
    if most and most < len(keys):
        taken = np.sort(np.argsort(hashed(keys, seed, "choice"), kind="stable")[:most])
    part = _parts(keys[taken], seed)
    train, validation, test = (
        GamePositions(shards, taken[part == number], history=history, every=every, seed=seed)
        for number in range(3)
    )
    if not (len(train) and len(validation) and len(test)):
        raise DataError(f"every = {every} leaves a part of {len(taken)} games without positions: lower it")
    return GameSplits(train, validation, test, _source(path, shards), skipped_words(shards.card))


def _parts(keys: Array, seed: int) -> Array:
    """(G,) part of each game: 0 training, 1 validation, 2 test.

    Each is a function of the game alone, unless so few games are there that none falls to a part.

    Raises:
        DataError: for fewer than three games.
    """
    if len(keys) < 3:
        raise DataError(f"{len(keys)} games are too few: at least 3 are needed to split them")
    place = hashed(keys, seed, "split") / 2.0**64
    part = np.searchsorted(np.cumsum(SHARES), place, side="right")  # 0: validation, 1: test, 2: training
    part = (part + 1) % 3
    for number in range(3):
        if not (part == number).any():
            fullest = int(np.bincount(part).argmax())
            own = np.flatnonzero(part == fullest)
            part[own[place[own].argmin()]] = number
    return part


def hashed(keys: Array, seed: int, purpose: str) -> Array:
    """(G,) uint64, uniform and independent for each seed and purpose, of (G,) uint64 keys (splitmix64).

    Steele, Lea & Flood 2014, "Fast splittable pseudorandom number generators".
    """
    salt = hashlib.blake2b(f"{seed} {purpose}".encode(), digest_size=8).digest()
    mixed = keys.astype(np.uint64) ^ np.uint64(int.from_bytes(salt, "little"))
    mixed = mixed + np.uint64(0x9E3779B97F4A7C15)
    mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return mixed ^ (mixed >> np.uint64(31))


def _source(path: Path | None, shards: Shards) -> Source:
    files: list[Any] = list(shards.card.get("sources", []))
    digests = [str(file["sha256"]) for file in files]
    whole = digests[0] if len(digests) == 1 else hashlib.sha256("\n".join(digests).encode()).hexdigest()
    if path is None:
        return Source("master games", "gnuchess-book 1.02, sample", "public domain", whole)
    name = ", ".join(str(file["name"]) for file in files[:3]) + ", …" * (len(files) > 3)
    return Source(name or path.name, str(path), "", whole)


def _replayed_file(file: Path) -> Path:
    """The folder of shards of a file, in the data set cache; made if it is not there.

    Raises:
        DataError, MissingPackageError, SaveError: see `game_positions`.
    """
    from supervised.data.sources.chess_games import conversion
    from supervised.data.sources.chess_games.game_file import opened
    from supervised.data.sources.chess_games.shards import ShardWriter, open_shards

    with opened(file):  # so that what is wrong with it is said first
        told = {"source": digest(MODULES), "sha256": conversion.sha256(file), "name": file.name}
    name = hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()[:32]
    folder = _writable_cache() / name
    with FileLock(folder.with_suffix(".lock")):
        try:
            open_shards(folder)
            return folder
        except DataError:
            pass
        with (
            fresh_folder(folder) as temporary,
            waiting(f"replaying {file.name}", file.stat().st_size) as wait,
        ):
            writer = ShardWriter(temporary)
            counts = conversion.convert([file], writer, report=wait.reach)
            if not counts.games:
                raise DataError(f"{file} holds no chess game that can be replayed: {counts.first_fault}")
            writer.close({"sources": [{"name": file.name, "sha256": told["sha256"]}], **counts.card()})
        _prune(folder)
    return folder


def _writable_cache() -> Path:
    """Where replayed files are kept: the data set cache; a folder of this process where that is read-only."""
    folder = cache_folder() / "chess-games"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            return folder
    except OSError:
        own = Path(tempfile.mkdtemp(prefix="playfield-chess-games-"))
        atexit.register(shutil.rmtree, own, ignore_errors=True)
        return own


def _prune(kept: Path) -> None:
    """Delete the folders made first until few are left."""
    folders = sorted(kept.parent.glob("[!.]*/"), key=lambda folder: folder.stat().st_mtime, reverse=True)
    for folder in [folder for folder in folders if folder != kept][MOST_FOLDERS - 1 :]:
        shutil.rmtree(folder, ignore_errors=True)
