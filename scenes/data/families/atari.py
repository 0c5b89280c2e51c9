"""Atari family: generated frames, which perception models read; the simulator has no decoder for them."""

from __future__ import annotations

from scenes.data.families.family import WorldFamily
from sim.records import Array


def world_of(data: str) -> str | None:
    """The game of ``frames/<game>``; ``frames`` are of several.

    >>> world_of("frames/pong"), world_of("frames"), world_of("digits")
    ('atari/pong', 'atari', None)
    """
    family, slash, game = data.partition("/")
    return f"atari{slash}{game}" if family == "frames" else None


def complete_pong(frames: Array) -> Array:
    """Whether small frames (n, 64, 64, 3) of Pong show one ball and two paddles, (n,) bool."""
    from generative.metrics.pong_objects import shows_all_pong_objects  # imports scipy

    return shows_all_pong_objects(frames)


FAMILY = WorldFamily(world_of, encoded=True, complete={"pong": complete_pong})
