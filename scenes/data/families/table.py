"""Table of the families of worlds by name; see `scenes.data.families.family`.

To add a family: a module with its `WorldFamily`, and a line here.
"""

from __future__ import annotations

from typing import NamedTuple

from scenes.data.families.atari import ATARI
from scenes.data.families.chess import CHESS
from scenes.data.families.family import WorldFamily
from scenes.data.families.walker import WALKER

FAMILIES: dict[str, WorldFamily] = {
    "atari": ATARI,
    "chess": CHESS,
    "walker": WALKER,
}


class Origin(NamedTuple):
    """Origin of a data set's examples: a family, and its world in full, ``walker/ant``."""

    family: WorldFamily
    world: str

    @property
    def variant(self) -> str:
        """Of the world: ``ant``."""
        return self.world.partition("/")[2]


def origin_of(data: str) -> Origin | None:
    """Family and world of a data set's examples; None where they come from no simulator.

    >>> origin_of("states/ant").world, origin_of("digits")
    ('walker/ant', None)
    """
    for family in FAMILIES.values():
        world = family.world_of(data)
        if world is not None:
            return Origin(family, world)
    return None


def family_of(world: str) -> WorldFamily | None:
    """The family of a world; None for worlds without one."""
    return FAMILIES.get(world.partition("/")[0])
