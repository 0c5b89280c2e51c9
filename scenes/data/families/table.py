"""Table of the families of worlds by name; see `scenes.data.families.family`.

A family is found by its name: the module of this folder that is called as the family is in the catalogue of
worlds has its `WorldFamily` as ``FAMILY``. Families without a module know nothing.
"""

from __future__ import annotations

from collections.abc import Iterable
from importlib import import_module
from importlib.util import find_spec
from typing import NamedTuple

from scenes.build.worlds import world_catalog
from scenes.data.families.family import WorldFamily


def families_in(package: str, names: Iterable[str]) -> dict[str, WorldFamily]:
    """The families of `names` that have a module in a package, by name.

    >>> sorted(families_in("scenes.data.families", ["atari", "gym"]))
    ['atari']
    """
    modules = {name: f"{package}.{name}" for name in names}
    return {name: import_module(path).FAMILY for name, path in modules.items() if find_spec(path)}


FAMILIES = families_in("scenes.data.families", world_catalog())


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
