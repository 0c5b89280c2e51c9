"""Shards of self-play or rollouts: immutable npz files of finished episodes, named by actor and number.

    <actor>.<number>.npz        arrays of the algorithm, and a header: version of the weights, episodes

A shard is written under a temporary name, flushed to disk and renamed, so that it is whole or absent.
"""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from sim.errors import WorkError
from sim.records import Array, Episode
from sim.storage.files import reason, remove_leftovers, write_whole

HEADER = "header"  # the one array that is not the algorithm's
SUFFIX = ".npz"


class ShardError(WorkError, ValueError):
    """A shard that cannot be read."""


@dataclass(frozen=True)
class Stretch:
    """What an actor has played since its last one: finished episodes and what is learned from.

    Attributes:
        version: of the oldest weights that chose an action in it.
        positions: env steps in it.
        arrays: of the algorithm, by name.
        episodes: that ended in it.
    """

    version: int
    positions: int
    arrays: dict[str, Array]
    episodes: tuple[Episode, ...]


@dataclass(frozen=True)
class Shard:
    """A stretch of play of one actor; `actor` and `number` name it.

    Attributes:
        actor: unique in the run, such as ``2-0-5``: session, place and how many actors began before it.
        number: counts from 1 in each actor.
        stretch: the content.
    """

    actor: str
    number: int
    stretch: Stretch

    @property
    def name(self) -> str:
        """Name of the shard, unique in the run."""
        return f"{self.actor}.{self.number}"


def encode(shard: Shard) -> bytes:
    """The bytes of the shard's file."""
    stretch = shard.stretch
    header = {
        "actor": shard.actor,
        "number": shard.number,
        "version": stretch.version,
        "positions": stretch.positions,
        "episodes": [asdict(episode) for episode in stretch.episodes],
    }
    file = io.BytesIO()
    contents: dict[str, Any] = {HEADER: np.array(json.dumps(header)), **stretch.arrays}
    np.savez_compressed(file, **contents)
    return file.getvalue()


def decode(content: bytes) -> Shard:
    """The shard of a file's bytes.

    Raises:
        ShardError: if they are none.
    """
    try:
        with np.load(io.BytesIO(content), allow_pickle=False) as file:
            header = json.loads(str(file[HEADER]))
            arrays = {name: file[name] for name in file.files if name != HEADER}
        episodes = tuple(Episode(**episode) for episode in header["episodes"])
        stretch = Stretch(int(header["version"]), int(header["positions"]), arrays, episodes)
        return Shard(str(header["actor"]), int(header["number"]), stretch)
    except (OSError, EOFError, ValueError, KeyError, TypeError, zipfile.BadZipFile) as error:
        raise ShardError(f"not a shard: {error}") from error


class ShardFolder:
    """Folder of the shards that were delivered and are not yet safe in a state; see `agents.actors.feed`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def write(self, name: str, content: bytes) -> None:
        """Write one shard; whole or not at all.

        Raises:
            OSError: if the disk is full or cannot be written.
        """
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            write_whole(self._path(name), lambda path: _write(path, content))
        except OSError as error:
            raise OSError(error.errno, f"could not write a shard of games: {reason(error)}") from error

    def read_all(self) -> list[Shard]:
        """The shards that load, in order of session, number and actor; damaged files are deleted."""
        if not self.folder.is_dir():
            return []
        remove_leftovers(self.folder)
        for half in self.folder.glob(".new-*"):
            half.unlink(missing_ok=True)
        found = []
        for path in self.folder.glob(f"*{SUFFIX}"):
            try:
                found.append(decode(path.read_bytes()))
            except (ShardError, OSError):
                path.unlink(missing_ok=True)
        return sorted(found, key=lambda shard: (session_of(shard.actor), shard.number, shard.actor))

    def delete(self, names: Sequence[str]) -> None:
        """Delete shards, if they are there."""
        for name in names:
            self._path(name).unlink(missing_ok=True)

    def _path(self, name: str) -> Path:
        return self.folder / f"{name}{SUFFIX}"


def session_of(actor: str) -> int:
    """The session in which an actor plays: how often the run had been taken up.

    >>> session_of("2-0-5")
    2
    """
    return int(actor.partition("-")[0])


def _write(path: Path, content: bytes) -> None:
    path.write_bytes(content)
