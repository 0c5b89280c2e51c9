"""Catalogue of data sets for generative models by name; `load_dataset` makes or reads one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Protocol

from generative.data.data_request import DataError, DataRequest, Player
from sim.catalog import WORLDS, load
from sim.fields import nearest
from sim.plurals import number_of
from sim.progress import waiting
from supervised.data.dataset import Dataset
from supervised.data.dataset_cache import Request, cached, is_cached

FOLDER = "generative.data.recorded:collect"
#: What takes longer to make than to read, and so lies on disk → the families of worlds that it plays.
ON_DISK = {"boards": (), "frames": ("atari",), "gameplay": ("atari",), "states": ("atari", "walker")}
#: Name → ``"module:function"``, a `Collector` each; ``name/variant`` hands the variant on.
DATA = {
    "animals": "generative.data.small_images:collect_animals",
    "boards": "generative.data.boards:collect",
    "digits": "generative.data.digits:collect",
    "emoji": "generative.data.emoji:collect",
    "frames": "generative.data.frames:collect",
    "gameplay": "generative.data.gameplay:collect",
    "mnist-5k": "generative.data.small_images:collect_digits",
    "stamps": "generative.data.stamps:collect",
    "states": "generative.data.states:collect",
}


class Collector(Protocol):
    """Function that makes one data set."""

    def __call__(self, request: DataRequest) -> Dataset:
        """The examples.

        Raises:
            DataError: if there are none, or there is no such variant.
        """


def load_dataset(
    name: str, count: int, *, seed: int = 0, players: Mapping[str, Sequence[Player]] | None = None
) -> Dataset:
    """Make the data set `name`, or read it from the cache.

    Args:
        name: of `DATA`, perhaps with a variant, such as ``frames/pong``; or a folder's path.
        count: how many examples, at most.
        seed: of play and wordings.
        players: world → policies that play it, beside random play.

    Raises:
        DataError: if there is no such data set, or nothing to learn from in it.
        MissingPackageError: if a package that it needs is not installed.

    >>> load_dataset("digits", 100).values.shape
    (100, 8, 8, 3)
    """
    if count < 1:
        raise DataError(f"examples must be at least 1, not {count}")
    family, _, variant = name.partition("/")
    if Path(name).is_dir():
        folder: Collector = load({name: FOLDER}, name, "data set")
        return folder(DataRequest(count, seed, name))
    if family not in DATA:
        raise DataError(f'there is no data set and no folder "{name}"; {nearest(name, DATA)}')
    collect: Collector = load(DATA, family, "data set")
    request = DataRequest(count, seed, variant, dict(players or {}))
    if family not in ON_DISK:
        return collect(request)

    def played() -> Dataset:
        with waiting(f"playing {number_of(count, 'example')} of {name}", count, announced=True):
            return collect(request)

    return cached(_request(family, request), played)


def is_available(
    name: str, count: int, *, seed: int = 0, players: Mapping[str, Sequence[Player]] | None = None
) -> bool:
    """Whether `load_dataset` with these arguments only reads files, without any play."""
    family, _, variant = name.partition("/")
    if Path(name).is_dir() or family not in ON_DISK:
        return True
    return is_cached(_request(family, DataRequest(count, seed, variant, dict(players or {}))))


def players_of(name: str, players: Mapping[str, Sequence[Player]]) -> dict[str, Sequence[Player]]:
    """Policies that play for a data set, by world; for one game or body only those of that world."""
    family, _, variant = name.partition("/")
    played = ON_DISK.get(family, ())
    parts = {world: world.partition("/") for world in players}
    return {
        world: players[world]
        for world, (of, _, game) in parts.items()
        if of in played and variant in ("", game)
    }


def _request(family: str, request: DataRequest) -> Request:
    """What a data set on disk is known by."""
    cast = players_of(f"{family}/{request.variant}" if request.variant else family, request.players)
    names = {world: [player.name for player in who] for world, who in cast.items()}
    told = {
        "name": family,
        "variant": request.variant,
        "count": request.count,
        "seed": request.seed,
        "cast": names,
    }
    factories = [DATA[family], *(WORLDS[world] for world in ON_DISK[family])]
    return Request("collections", told, [factory.partition(":")[0] for factory in factories])
