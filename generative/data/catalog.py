"""Catalogue of data sets for generative models by name; `collected` makes or reads one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from generative.collection import Collection
from generative.data.cache import is_kept, kept
from generative.data.wish import DataError, Player, Wish
from sim.catalog import load
from sim.fields import nearest

FOLDER = "generative.data.recorded:collect"
KEPT = ("boards", "frames", "states")  # cached on disk: slower to make than to read
#: Name → ``"module:function"``, a `Collector` each; ``name/variant`` passes the variant on.
DATA = {
    "boards": "generative.data.boards:collect",
    "digits": "generative.data.digits:collect",
    "emoji": "generative.data.emoji:collect",
    "frames": "generative.data.frames:collect",
    "stamps": "generative.data.stamps:collect",
    "states": "generative.data.states:collect",
}


class Collector(Protocol):
    """Function that makes one data set."""

    def __call__(self, wish: Wish) -> Collection:
        """The examples.

        Raises:
            DataError: if there are none, or there is no such variant.
        """


def collected(
    name: str, count: int, *, seed: int = 0, players: Mapping[str, Sequence[Player]] | None = None
) -> Collection:
    """Make the data set `name`, or read it from the cache.

    Args:
        name: of `DATA`, perhaps with a variant, such as ``frames/pong``; or a folder's path.
        count: how many examples, at most.
        seed: of play and wordings.
        players: world → policies that play it, beside random play.

    Raises:
        DataError: if there is no such data set, or nothing to learn from in it.
        MissingPackageError: if a package that it needs is not installed.

    >>> collected("digits", 100).values.shape
    (100, 8, 8, 3)
    """
    if count < 1:
        raise DataError(f"examples must be at least 1, not {count}")
    family, _, variant = name.partition("/")
    if Path(name).is_dir():
        folder: Collector = load({name: FOLDER}, name, "data set")
        return folder(Wish(count, seed, name))
    if family not in DATA:
        raise DataError(f'there is no data set and no folder "{name}"; {nearest(name, DATA)}')
    collect: Collector = load(DATA, family, "data set")
    wish = Wish(count, seed, variant, dict(players or {}))
    if family not in KEPT:
        return collect(wish)
    return kept(_key(name, wish), lambda: collect(wish))


def at_hand(
    name: str, count: int, *, seed: int = 0, players: Mapping[str, Sequence[Player]] | None = None
) -> bool:
    """Whether `collected` with these arguments only reads files, and plays nothing."""
    if Path(name).is_dir() or name.partition("/")[0] not in KEPT:
        return True
    return is_kept(_key(name, Wish(count, seed, name.partition("/")[2], dict(players or {}))))


def _key(name: str, wish: Wish) -> dict[str, Any]:
    """The cache key of a data set."""
    cast = {world: [player.name for player in who] for world, who in wish.players.items()}
    return {"name": name, "count": wish.count, "seed": wish.seed, "cast": cast}
