"""Request for a data set: count, seed, variant and policies, and its errors."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from sim.errors import RequestError
from sim.fields import nearest
from sim.protocols import Policy


class DataError(RequestError, ValueError):
    """A data set that does not exist, is damaged, or holds nothing to train on."""


class Player(Protocol):
    """Source of the policy that plays one world while data are collected."""

    @property
    def name(self) -> str:
        """Its identity in the cache key: different players make different data."""

    def policy(self, worlds: Any) -> Policy:
        """A policy for a batch of that world."""


@dataclass(frozen=True)
class DataRequest:
    """Request for a data set.

    Attributes:
        count: how many examples, at most: there may be fewer.
        seed: of play and of wordings; other seeds give other episodes where episodes are played for it.
        variant: the part after the slash of ``name/variant``; empty without one.
        players: world → policies that play it, beside random play.
    """

    count: int
    seed: int = 0
    variant: str = ""
    players: Mapping[str, Sequence[Player]] = field(default_factory=dict)

    def no_variant(self, name: str) -> None:
        """Refuse ``name/variant`` where there are no variants.

        Raises:
            DataError: if there is one.
        """
        if self.variant:
            raise DataError(f'"{name}" has no variants: write data = "{name}", not "{name}/{self.variant}"')

    def one_of(self, name: str, variants: Sequence[str]) -> None:
        """Refuse a variant that does not exist.

        Raises:
            DataError: with the nearest ones.
        """
        if self.variant not in variants:
            offers = [f"{name}/{variant}" for variant in variants]
            asked = f"{name}/{self.variant}" if self.variant else name
            raise DataError(f'there is no data set "{asked}"; {nearest(asked, offers)}')
