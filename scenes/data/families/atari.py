"""Atari family: generated frames, which perception models read; the simulator has no decoder for them."""

from __future__ import annotations

from scenes.data.families.family import WorldFamily


def world_of(data: str) -> str | None:
    """The game of ``frames/<game>``; ``frames`` are of several.

    >>> world_of("frames/pong"), world_of("frames"), world_of("digits")
    ('atari/pong', 'atari', None)
    """
    family, slash, game = data.partition("/")
    return f"atari{slash}{game}" if family == "frames" else None


FAMILY = WorldFamily(world_of, encoded=True)
