"""Names of the worlds ``gym/<id>``: the environments registered with gymnasium, which are not imported."""

from __future__ import annotations

import gymnasium

PREFIX = "gym/"


def world_names() -> list[str]:
    """``gym/<id>`` in alphabetical order."""
    return [PREFIX + identifier for identifier in sorted(installed_ids())]


def installed_ids() -> list[str]:
    """IDs of the environments registered with gymnasium, without Playfield's own and those that have moved.

    Gymnasium keeps the IDs of environments that moved to other packages, with functions that only raise.
    """
    entries = {name: spec.entry_point for name, spec in gymnasium.registry.items()}
    gone = {name for name, entry in entries.items() if getattr(entry, "__name__", "").startswith("_raise_")}
    return [name for name in entries if name not in gone and not name.startswith("playfield/")]


def installed_id(name: str) -> str | None:
    """The ID of the environment that a world is, unchanged; None for Playfield's own worlds.

    >>> installed_id("gym/CartPole-v1"), installed_id("atari/pong")
    ('CartPole-v1', None)
    """
    return name.removeprefix(PREFIX) if name.startswith(PREFIX) else None
