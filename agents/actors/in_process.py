"""Actors in the learner's own process, in turn: the deterministic reference of `ActorBackend`, with faults.

>>> backend = InProcessBackend(die_after={"1-0-0": 2})  # actor 1-0-0 dies once it has delivered two shards
"""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Mapping, Sequence

from agents.actors.backend import (
    ActorDied,
    ActorFactory,
    ActorFailed,
    ActorStarted,
    Event,
    ShardDelivered,
    ShardMaker,
    Weights,
)


class InProcessBackend:
    """Runs actors in turn, one shard a call of `collect`; satisfies `ActorBackend`."""

    def __init__(
        self,
        *,
        die_after: Mapping[str, int] | None = None,
        repeats: Collection[tuple[str, int]] = (),
        slow: Mapping[str, int] | None = None,
    ) -> None:
        """Set what goes wrong.

        Args:
            die_after: actor → it dies once it has delivered so many shards.
            repeats: actor and number of a shard → that one is delivered twice.
            slow: actor → it plays only every so many turns, with the weights of when it was asked.
        """
        self._die_after, self._repeats, self._slow = die_after or {}, repeats, slow or {}
        self._makers: dict[str, ShardMaker] = {}
        self._asked: dict[str, deque[tuple[int, Weights]]] = {}
        self._delivered: dict[str, int] = {}
        self._turns: deque[str] = deque()
        self._waited: dict[str, int] = {}
        self._events: deque[Event] = deque()
        self._weights: tuple[int, Weights] = (0, {})

    def start(self, actor: str, factory: ActorFactory, seed: int) -> None:
        """See `ActorBackend`."""
        self._makers[actor] = ShardMaker(actor, factory, seed)
        self._asked[actor], self._delivered[actor], self._waited[actor] = deque(), 0, 0
        self._turns.append(actor)
        self._events.append(ActorStarted(actor))

    def publish(self, version: int, weights: Weights) -> None:
        """See `ActorBackend`."""
        self._weights = version, weights

    def submit(self, actor: str) -> None:
        """See `ActorBackend`."""
        self._asked[actor].append(self._weights)

    def collect(self, timeout: float) -> Sequence[Event]:
        """See `ActorBackend`; nothing where no actor was asked for a shard."""
        for _ in range(sum(self._slow.values()) + len(self._turns)):
            if self._events or not self._turns:
                break
            actor = self._turns[0]
            self._turns.rotate(-1)
            self._waited[actor] += 1
            if self._asked[actor] and self._waited[actor] >= self._slow.get(actor, 1):
                self._waited[actor] = 0
                self._play(actor)
        found, self._events = list(self._events), deque()
        return found

    def stop(self, actor: str) -> None:
        """See `ActorBackend`."""
        if self._makers.pop(actor, None) is not None:
            self._turns.remove(actor)

    def close(self) -> None:
        """See `ActorBackend`."""
        self._makers.clear()
        self._turns.clear()

    def _play(self, actor: str) -> None:
        """One shard of one actor, or its end."""
        if self._delivered[actor] == self._die_after.get(actor):
            self.stop(actor)
            self._events.append(ActorDied(actor, "as it was told to"))
            return
        try:
            content = self._makers[actor].work(*self._asked[actor].popleft())
        except (ArithmeticError, LookupError, RuntimeError, ValueError) as error:
            self._events.append(ActorFailed(actor, str(error)))
            return
        self._delivered[actor] += 1
        copies = 2 if (actor, self._delivered[actor]) in self._repeats else 1
        self._events.extend([ShardDelivered(actor, content)] * copies)
