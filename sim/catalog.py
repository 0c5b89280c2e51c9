"""Catalogue of worlds by name, and the lookup that all catalogues share.

A name is a family, or a family and a variant: ``atari/pong``, ``gym/CartPole-v1``. The families
are imported only when one of their worlds is asked for, so a missing extra hurts only itself. To add one: a
module ``world`` with its configuration, beside it a module ``names`` with ``world_names()``, which imports
nothing heavy, and a line in `WORLDS`.

Where a function takes `worlds`, it is a catalogue like `WORLDS`; `scenes.build.worlds` has one with the
worlds of other folders, too.

Every world is also registered with gymnasium once this module is imported:
``gymnasium.make("sim.catalog:playfield/atari-pong")``.
"""

from __future__ import annotations

import dataclasses
import importlib
import re
from collections.abc import Iterable, Mapping
from importlib import metadata
from typing import Any, cast

import gymnasium
from gymnasium.envs.registration import register

from sim.errors import RequestError
from sim.fields import FieldError, construct, nearest
from sim.gym_names import installed_id
from sim.protocols import WorldConfig
from sim.vector import Worlds, checked_count, checked_seed

#: Family → ``"module:class"``, a `sim.protocols.WorldConfig`; `names_of` finds who lists its worlds.
WORLDS = {
    "atari": "sim.atari.world:Atari",
    "chess": "sim.chess.world:Chess",
    "gym": "sim.gym_worlds:GymWorld",
    "walker": "sim.walker.world:Walker",
}


class CatalogError(RequestError, ValueError):
    """A name that no catalogue has."""


class MissingPackageError(RequestError, ImportError):
    """A required package is not installed; the message holds the pip line that installs it."""


def load(catalog: Mapping[str, str], name: str, kind: str) -> Any:
    """Import the object that `catalog` lists under `name` as ``"module:attribute"``.

    Raises:
        CatalogError: if there is no such name, with the nearest ones.
        MissingPackageError: if a package that it needs is not installed.
    """
    if name not in catalog:
        raise CatalogError(f'there is no {kind} "{name}"; {nearest(name, catalog)}')
    module, _, factory = catalog[name].partition(":")
    try:
        return getattr(importlib.import_module(module), factory)
    except ModuleNotFoundError as error:
        if error.name is None or error.name.partition(".")[0] in OWN:
            raise
        raise MissingPackageError(f'{kind} "{name}" needs {install_hint(error.name)}') from error


OWN = ("sim", "supervised", "generative", "agents", "scenes")
PACKAGES = {
    "stable_baselines3": "stable-baselines3",
    "sb3_contrib": "sb3-contrib",
    "ale_py": "ale-py",
    "av": "av",
    "pygame": "pygame-ce",
    "rust_chess": "rust-chess",
    "PIL": "pillow",
    "Box2D": "box2d",
    "cv2": "opencv-python-headless",
    "sklearn": "scikit-learn",
    "torch_geometric": "torch-geometric",
}  # where they differ


def install_hint(module: str) -> str:
    """The package that brings `module`, with the pip line that installs it.

    >>> install_hint("surely_missing.part")
    'the package surely_missing: python -m pip install "surely_missing"'
    """
    top = module.partition(".")[0]
    package = PACKAGES.get(top, top)
    wanted = package
    try:
        for requirement in metadata.requires("playfield") or []:
            spec = requirement.partition(";")[0].strip()
            after = spec[len(package) :][:1]
            if spec.startswith(package) and not after.isalnum() and after not in ("-", "_", "."):
                wanted = spec.replace(" ", "")
    except metadata.PackageNotFoundError:
        pass
    return f'the package {package}: python -m pip install "{wanted}"'


def world_names(worlds: Mapping[str, str] = WORLDS) -> list[str]:
    """Every world that is installed here, by full name; nothing heavy is imported."""
    return [name for family in worlds for name in names_of(family, worlds)]


def names_of(family: str, worlds: Mapping[str, str] = WORLDS) -> list[str]:
    """Full names of a family's worlds that are installed here.

    They are what ``world_names()`` returns in the module ``names`` beside the family's ``world``:
    `sim.chess.names` beside `sim.chess.world`, `sim.gym_names` beside `sim.gym_worlds`. A module that is
    called otherwise has that function itself.

    >>> names_of("chess")[:2]
    ['chess', 'chess/kqk']
    """
    module = re.sub(r"worlds?$", "names", worlds[family].partition(":")[0])
    names: list[str] = load({family: f"{module}:world_names"}, family, "family of worlds")()
    return names


def world_config(
    name: str,
    fields: Mapping[str, Any],
    where: str | None = None,
    beside: Iterable[str] = (),
    worlds: Mapping[str, str] = WORLDS,
) -> WorldConfig:
    """The configuration of one world; nothing is started yet.

    Args:
        name: family, or family and variant.
        fields: keys of the configuration.
        where: they stand, for messages.
        beside: keys that stand there, too.
        worlds: the catalogue.

    Raises:
        CatalogError: for an unknown family or variant.
        FieldError: for an unknown key or a wrong value; it knows of the keys `beside` them.
        MissingPackageError: if the family's package is not installed.
    """
    family, slash, variant = name.partition("/")
    cls = load(worlds, family, "world")
    values = dict(fields)
    if slash:
        variants: Iterable[str] = cls.variants()
        if variant not in variants:
            offers = [f"{family}/{v}" for v in variants]
            raise CatalogError(f'there is no world "{name}"; {nearest(name, offers)}')
        values[dataclasses.fields(cls)[0].name] = variant
    return cast(WorldConfig, construct(cls, values, where or f'world "{name}"', beside))


def make_worlds(name: str, num_envs: int = 1, seed: int = 0, **fields: Any) -> Worlds:
    """A batch of `num_envs` worlds; world i equals ``make_world(name, seed=seed + i)``.

    >>> worlds = make_worlds("gym/CartPole-v1", num_envs=2, seed=7)
    >>> obs, info = worlds.reset()
    >>> obs.shape
    (2, 4)
    """
    return world_config(name, fields).make_batch(checked_count(num_envs), checked_seed(seed))


def make_world(name: str, seed: int = 0, **fields: Any) -> gymnasium.Env[Any, Any]:
    """Make one world that can be rendered; its first ``reset()`` uses `seed`.

    >>> world = make_world("gym/CartPole-v1", seed=7)
    >>> world.reset()[0].shape
    (4,)
    """
    return world_config(name, fields).make(checked_seed(seed))


def registered_world(
    name: str, render_mode: str | None = "rgb_array", **fields: Any
) -> gymnasium.Env[Any, Any]:
    """`make_world` as `gymnasium.make` calls it, which keeps its own keywords but for `render_mode`.

    Raises:
        FieldError: for another `render_mode`; for ``"human"`` gymnasium opens a window of its own.
    """
    if render_mode not in (None, "rgb_array"):
        raise FieldError(f'world "{name}": render_mode must be "rgb_array" or "human", not "{render_mode}"')
    world = make_world(name, **fields)
    world.render_mode = render_mode
    return world


#: Where gymnasium looks before anything is made; for ``"human"`` it then shows the pictures in a window.
registered_world.metadata = {"render_modes": ["rgb_array"]}  # type: ignore[attr-defined]


def _register() -> None:
    """Register every world of Playfield's own with gymnasium; installed ones are registered already."""
    for name in world_names():
        identifier = f"playfield/{name.replace('/', '-')}"
        if installed_id(name) is None and identifier not in gymnasium.registry:
            register(
                identifier,
                entry_point="sim.catalog:registered_world",
                kwargs={"name": name},
                disable_env_checker=True,
                order_enforce=False,
            )


_register()
