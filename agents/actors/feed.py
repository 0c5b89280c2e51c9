"""Feed of shards: what a learner takes from its actors, each shard exactly once and none too old.

A shard is written to the run's folder when it is delivered, and entered in the ledger when it is consumed.
The ledger is a part of the learner's state. So a learner that is killed loses nothing: resumed from its
state, it first consumes the shards in the folder that the state's ledger does not know. A shard is deleted
once every state that a run keeps knows it.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from agents.actors.backend import Weights
from agents.actors.ledger import ShardLedger, staleness
from agents.actors.pool import ActorPool
from agents.actors.shards import Shard, ShardFolder, decode, session_of
from sim.records import State
from sim.storage.runs import STATES_KEPT


class LearnsFromActors(Protocol):
    """A learner that can take what is played from a feed, and keeps the feed's state in its own."""

    feed: ShardFeed | None


class ShardFeed:
    """Takes shards from a pool of actors, keeps them on disk and accounts for them.

    Attributes:
        ledger: of all sessions of the run.
        max_staleness: shards of weights that are older by more versions are refused.
    """

    def __init__(
        self,
        pool: ActorPool,
        max_staleness: int,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Nothing is started before `take`; where the shards are kept is set by `keep_in`."""
        self._pool, self.max_staleness, self._clock = pool, max_staleness, clock
        self.ledger = ShardLedger()
        self._folder: ShardFolder | None = None
        self._pending: deque[Shard] = deque()
        self._consumed: list[str] = []  # since the last state
        self._unsafe: deque[list[str]] = deque()  # those of the states that may not all be on disk
        self._version: int | None = None  # that actors have
        self._started = False
        self._replaced_before = 0  # in earlier sessions
        self._metrics: dict[str, float] = {}
        self._asked_at = clock()

    def keep_in(self, folder: Path) -> None:
        """Set the folder of the shards, before the first `take`."""
        self._folder = ShardFolder(folder)

    def take(self, positions: int, version: int, weights: Callable[[], Weights]) -> list[Shard]:
        """The next shards with at least so many env steps in all; waits for actors.

        Args:
            positions: the least number of env steps.
            version: of the learner's weights.
            weights: gives them, if actors do not have them yet.

        Raises:
            ActorError: see `ActorPool.collect`.
            OSError: if a shard cannot be written.
        """
        began, taken, count = self._asked_at, [], 0
        if self._version != version:
            self._pool.publish(version, weights())
            self._version = version
        if not self._started:
            self._start()
        while count < positions:
            shard = self._next()
            if self.ledger.enter(shard, version, self.max_staleness) == "consumed":
                taken.append(shard)
                count += shard.stretch.positions
            self._consumed.append(shard.name)
        self._asked_at = self._clock()
        ages = [staleness(shard, version) for shard in taken]
        self._metrics = {
            "staleness_mean": sum(ages) / len(ages),
            "staleness_max": float(max(ages)),
            "positions_per_second": count / max(self._asked_at - began, 1e-9),
        }
        return taken

    def metrics(self) -> dict[str, float]:
        """Of the last `take`, and the counts of the run: games, shards, actors."""
        ledger = self.ledger
        return self._metrics | {
            "games": float(ledger.games),
            "shards": float(ledger.shards),
            "shards_refused": float(ledger.refused),
            "shards_duplicated": float(ledger.duplicates),
            "actors_alive": float(self._pool.alive),
            "actors_replaced": float(ledger.replaced),
        }

    def state(self) -> State:
        """The ledger; shards that every state on disk then knows are deleted."""
        self._unsafe.append(self._consumed)
        self._consumed = []
        while len(self._unsafe) > STATES_KEPT:
            names = self._unsafe.popleft()
            if self._folder is not None:
                self._folder.delete(names)
        return self.ledger.state()

    def restore(self, state: State | None) -> None:
        """Restore the ledger; None: of a run that had no actors before."""
        if state is not None:
            self.ledger.restore(state)

    def _start(self) -> None:
        """Take up the shards that no state knows, and start the actors."""
        self._started = True
        found = [] if self._folder is None else self._folder.read_all()
        self._pending.extend(shard for shard in found if not self.ledger.knows(shard))
        self._unsafe.append([shard.name for shard in found if self.ledger.knows(shard)])
        sessions = [self.ledger.session(), *(session_of(shard.actor) for shard in found)]
        self._pool.start(max(sessions) + 1)
        self._replaced_before = self.ledger.replaced

    def _next(self) -> Shard:
        """The next shard that has not been accounted for."""
        while not self._pending:
            for content in self._pool.collect():
                shard = decode(content)
                if self.ledger.knows(shard) or any(shard.name == other.name for other in self._pending):
                    self.ledger.duplicates += 1
                    continue
                if self._folder is not None:
                    self._folder.write(shard.name, content)
                self._pending.append(shard)
            self.ledger.replaced = self._replaced_before + self._pool.replaced
        return self._pending.popleft()
