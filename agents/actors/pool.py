"""Pool of actors: keeps as many playing as wanted, and replaces those that die by new ones."""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np

from agents.actors.backend import (
    ActorBackend,
    ActorDied,
    ActorError,
    ActorFactory,
    ActorStarted,
    ShardDelivered,
    Weights,
)

IN_FLIGHT = 2  # shards that each actor is asked for ahead, so that it plays while the learner learns

PATIENCE = 600.0  # seconds without any actor, after which the pool gives up; a busy cluster makes room late

SURPLUS_DEATHS = 10  # that are borne without a shard in between, beyond two deaths an actor


class ActorPool:
    """As many actors as wanted, each asked for shards without end.

    Attributes:
        replaced: actors that died and were replaced by a new one, with a new name and seed.
    """

    def __init__(
        self,
        backend: ActorBackend,
        factory: ActorFactory,
        count: int,
        seed: int,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Nothing is started before `start`.

        Args:
            backend: runs them; closed by whoever made it.
            factory: makes them.
            count: how many, at least one.
            seed: of the run; each actor's own follows from it and its name.
            clock: seconds that only grow.
        """
        self._backend, self._factory, self.count, self._seed = backend, factory, count, seed
        self._clock = clock
        self._session, self._begun = 0, 0
        self._places: dict[str, int] = {}
        self._playing: set[str] = set()
        self._deaths = 0  # since the last shard
        self._heard = clock()
        self.replaced = 0

    @property
    def alive(self) -> int:
        """Actors that play."""
        return len(self._playing)

    def start(self, session: int) -> None:
        """Start all actors; `session` makes their names unique in the run."""
        self._session, self._heard = session, self._clock()
        for place in range(self.count):
            self._start(place)

    def publish(self, version: int, weights: Weights) -> None:
        """Give actors the weights to play their next shards with."""
        self._backend.publish(version, weights)

    def collect(self) -> list[bytes]:
        """Wait for the next shards, and ask for as many; never empty.

        Raises:
            ActorError: if an actor's program fails, if none can be started, or if they die one after another.
        """
        contents: list[bytes] = []
        while not contents:
            for event in self._backend.collect(timeout=1.0):
                self._heard = self._clock()
                if event.actor not in self._places:
                    continue  # of one that has been replaced
                if isinstance(event, ShardDelivered):
                    contents.append(event.content)
                    self._deaths = 0
                    self._backend.submit(event.actor)
                elif isinstance(
                    event, ActorStarted
                ):  # not asked before, or its first weights were old by now
                    self._playing.add(event.actor)
                    for _ in range(IN_FLIGHT):
                        self._backend.submit(event.actor)
                elif isinstance(event, ActorDied):
                    self._replace(event)
                else:
                    raise ActorError(f"actor {event.actor} failed: {event.reason}")
            self._check_alive()
        return contents

    def _start(self, place: int) -> None:
        """Start an actor, with a name that none in this run has had."""
        actor = f"{self._session}-{place}-{self._begun}"
        self._places[actor] = place
        self._backend.start(actor, self._factory, actor_seed(self._seed, self._session, self._begun))
        self._begun += 1

    def _replace(self, died: ActorDied) -> None:
        self._playing.discard(died.actor)
        self._backend.stop(died.actor)
        place = self._places.pop(died.actor)
        self._deaths += 1
        if self._deaths > 2 * self.count + SURPLUS_DEATHS:
            raise ActorError(
                f"{self._deaths} actors died one after another without a game in between; "
                f"the last one: {died.reason}"
            )
        self.replaced += 1
        self._start(place)

    def _check_alive(self) -> None:
        if not self._playing and self._clock() - self._heard > PATIENCE:
            raise ActorError(
                f"no actor could be started within {PATIENCE / 60:.0f} minutes: "
                "the cluster has no free processor"
            )


def actor_seed(seed: int, session: int, begun: int) -> int:
    """Seed of one actor, that of no other in any session of a run.

    >>> actor_seed(0, 1, 0) != actor_seed(0, 1, 1) != actor_seed(0, 2, 0)
    True
    """
    return int(np.random.SeedSequence((seed, session, begun)).generate_state(1)[0]) // 2
