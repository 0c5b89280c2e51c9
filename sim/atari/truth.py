"""Ground truth of Atari pictures: object boxes with classes, and facts such as scores, lives and positions.

`objects` reads the console's memory and its palette screen, which must be of one frame: `AtariWorld`
hands out such a pair after every reset, step and undo. `docs/perception.md` says how well it agrees
with a second source that sees colours only.
"""

from __future__ import annotations

from functools import cache
from importlib import import_module

import numpy as np

from sim.atari.objects import DetectedObject, GameTable, Ram, clip_box, fit_box
from sim.errors import RequestError
from sim.records import Array, Percept

#: Game → ``"module:table"``, imported when it is asked for.
GAMES: dict[str, str] = {
    "asterix": "sim.atari.games.chases:ASTERIX",
    "bowling": "sim.atari.games.sports:BOWLING",
    "boxing": "sim.atari.games.sports:BOXING",
    "breakout": "sim.atari.games.sports:BREAKOUT",
    "freeway": "sim.atari.games.chases:FREEWAY",
    "frostbite": "sim.atari.games.chases:FROSTBITE",
    "gopher": "sim.atari.games.chases:GOPHER",
    "ice_hockey": "sim.atari.games.sports:ICE_HOCKEY",
    "ms_pacman": "sim.atari.games.chases:MS_PACMAN",
    "pong": "sim.atari.games.sports:PONG",
    "seaquest": "sim.atari.games.shooters:SEAQUEST",
    "skiing": "sim.atari.games.sports:SKIING",
    "space_invaders": "sim.atari.games.shooters:SPACE_INVADERS",
    "tennis": "sim.atari.games.sports:TENNIS",
}


class NoTruthError(RequestError, ValueError):
    """A game without an object table, and so without ground truth."""


@cache
def table(game: str) -> GameTable:
    """The object table of one game.

    Raises:
        NoTruthError: naming the games that have a table.
    """
    if game not in GAMES:
        raise NoTruthError(f'the objects in "{game}" are not known; they are in {", ".join(GAMES)}')
    module, name = GAMES[game].split(":")
    found: GameTable = getattr(import_module(module), name)
    return found


def classes(game: str) -> tuple[str, ...]:
    """The class names of one game, in a fixed order.

    >>> classes("pong")
    ('ball', 'player', 'enemy')
    """
    return tuple(table(game).classes)


def objects(game: str, ram: Array, screen: Array | None = None) -> list[DetectedObject]:
    """The objects in one picture, in a fixed order.

    Args:
        game: a key of `GAMES`.
        ram: (128,) uint8, the console's memory.
        screen: (H, W) uint8, the picture as palette indices, of the same frame. Without it the boxes are
            those that memory alone gives, also of objects that were not drawn in this frame.

    Returns:
        Boxes in whole pixels, half-open, within the part of the picture where the game draws objects.

    Raises:
        NoTruthError: naming the games whose objects are known.
    """
    known = table(game)
    things = []
    for found in known.find(_integers(ram)):
        if screen is None:
            box = clip_box(found.box, known.area)
            things += [found._replace(box=box)] if box else []
        else:
            thing = fit_box(known, found, screen)
            things += [thing] if thing else []
    return things


def facts(game: str, ram: Array) -> dict[str, int]:
    """Facts by name: scores, lives and positions (pixels, of the middle), as the game's memory holds them."""
    return table(game).facts(_integers(ram))


def percept(game: str, ram: Array, screen: Array) -> Percept:
    """Ground-truth percept of one frame: `objects` and `facts`; its label is the game."""
    found = objects(game, ram, screen)
    return Percept(
        "truth",
        boxes=np.array([thing.box for thing in found], np.float32).reshape(-1, 4),
        labels=tuple(thing.label for thing in found),
        label=game,
        facts=facts(game, ram),
    )


def _integers(ram: Array) -> Ram:
    """Bytes as Python's integers: sums of numpy's uint8 wrap around."""
    integers: list[int] = np.asarray(ram).tolist()
    return integers
