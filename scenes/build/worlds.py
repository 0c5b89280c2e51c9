"""Worlds by name from the merged catalogues: those of `sim`, and those of `generative`, which are models."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import gymnasium

from generative import catalog as generative
from sim import catalog as sim
from sim.vector import Worlds, checked_count, checked_seed


def world_catalog(extra_worlds: Mapping[str, str] | None = None) -> dict[str, str]:
    """Family of worlds → ``"module:class"``; those of `sim`, of `generative`, and `extra_worlds`."""
    return {**sim.WORLDS, **generative.WORLDS, **(extra_worlds or {})}


def world_names(extra_worlds: Mapping[str, str] | None = None) -> list[str]:
    """Every world that is installed here, by full name; nothing heavy is imported."""
    return sim.world_names(world_catalog(extra_worlds))


def make_worlds(name: str, num_envs: int = 1, seed: int = 0, **fields: Any) -> Worlds:
    """`sim.catalog.make_worlds` of the merged catalogues; `playfield.make_worlds` says more."""
    return sim.world_config(name, fields, worlds=world_catalog()).make_batch(
        checked_count(num_envs), checked_seed(seed)
    )


def make_world(name: str, seed: int = 0, **fields: Any) -> gymnasium.Env[Any, Any]:
    """`sim.catalog.make_world` of the merged catalogues; `playfield.make_world` says more."""
    return sim.world_config(name, fields, worlds=world_catalog()).make(checked_seed(seed))
