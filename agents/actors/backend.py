"""Interfaces of actors and of what runs them: in one process (`in_process`) or on Ray (`ray_backend`)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeAlias

from agents.actors.shards import Shard, Stretch, encode
from sim.errors import RequestError
from sim.records import Array

Weights: TypeAlias = Mapping[str, Array]


class ActorError(RuntimeError):
    """Actors that cannot go on; a `RuntimeError`, as of worlds and models that break down."""


class ClusterError(RequestError):
    """A cluster that does not answer."""


class ShardActor(Protocol):
    """Plays many episodes at once with weights that it is sent."""

    def play(self, version: int, weights: Weights) -> Stretch:
        """Play until episodes have ended; `weights` stay as they are while `version` does."""


class ActorFactory(Protocol):
    """Makes an actor in the process where it plays; it can be pickled."""

    def __call__(self, *, seed: int) -> ShardActor:
        """Make an actor that plays by chance of this seed."""


@dataclass(frozen=True)
class ActorStarted:
    """An actor is ready to play."""

    actor: str


@dataclass(frozen=True)
class ShardDelivered:
    """An actor's answer to one `ActorBackend.submit`: a shard's bytes."""

    actor: str
    content: bytes


@dataclass(frozen=True)
class ActorDied:
    """An actor's process or machine is gone, with everything that it had not delivered."""

    actor: str
    reason: str


@dataclass(frozen=True)
class ActorFailed:
    """An actor's program raised an error, which another one would raise as well."""

    actor: str
    reason: str


Event: TypeAlias = ActorStarted | ShardDelivered | ActorDied | ActorFailed


class ActorBackend(Protocol):
    """Runs actors. What an actor was asked for it delivers in that order, or it dies."""

    def start(self, actor: str, factory: ActorFactory, seed: int) -> None:
        """Start an actor; returns at once. `ActorStarted` follows once there is room for it."""

    def publish(self, version: int, weights: Weights) -> None:
        """Give the weights that actors play with when they are asked from now on."""

    def submit(self, actor: str) -> None:
        """Ask a started actor for one shard."""

    def collect(self, timeout: float) -> Sequence[Event]:
        """What has happened, waiting up to `timeout` seconds for the first event."""

    def stop(self, actor: str) -> None:
        """Stop one actor and forget what it was asked for."""

    def close(self) -> None:
        """Stop all; again it does nothing."""


class ShardMaker:
    """An actor with its name, which numbers and encodes what it plays; lives where the actor plays."""

    def __init__(self, name: str, factory: ActorFactory, seed: int) -> None:
        self._name, self._actor, self._number = name, factory(seed=seed), 0

    def work(self, version: int, weights: Weights) -> bytes:
        """Play one shard; see `ShardActor.play`."""
        stretch = self._actor.play(version, weights)
        self._number += 1
        return encode(Shard(self._name, self._number, stretch))
