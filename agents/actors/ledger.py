"""Ledger of shards: what a learner has consumed, refused or been sent twice, as a part of its state.

An actor numbers its shards from 1, delivers them in order, and an actor that replaces another one bears a new
name. So the last number of each actor tells of any shard whether it has been accounted for.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Literal

from agents.actors.shards import Shard, session_of
from sim.records import State


@dataclass
class ShardLedger:
    """Account of every shard, each exactly once.

    Attributes:
        last: actor → number of its last shard that was consumed or refused.
        shards: consumed.
        positions: env steps in them.
        games: episodes in them.
        refused: shards whose weights were too old.
        duplicates: shards that were delivered again.
        replaced: actors that died and were replaced.
    """

    last: dict[str, int] = field(default_factory=dict)
    shards: int = 0
    positions: int = 0
    games: int = 0
    refused: int = 0
    duplicates: int = 0
    replaced: int = 0

    def knows(self, shard: Shard) -> bool:
        """Whether the shard has been consumed or refused."""
        return shard.number <= self.last.get(shard.actor, 0)

    def enter(self, shard: Shard, version: int, max_staleness: int) -> Literal["consumed", "refused"]:
        """Account for a shard that is not known yet.

        Args:
            shard: from an actor whose earlier shards are known.
            version: of the learner's weights.
            max_staleness: by so many versions the shard's weights may be older.

        >>> from agents.actors.shards import Stretch
        >>> ledger, stretch = ShardLedger(), Stretch(version=3, positions=10, arrays={}, episodes=())
        >>> ledger.enter(Shard("1-0-0", 1, stretch), version=5, max_staleness=2)
        'consumed'
        >>> ledger.enter(Shard("1-0-0", 2, stretch), version=6, max_staleness=2)
        'refused'
        >>> ledger.positions, ledger.refused, ledger.knows(Shard("1-0-0", 2, stretch))
        (10, 1, True)
        """
        assert not self.knows(shard)
        self.last[shard.actor] = shard.number
        if staleness(shard, version) > max_staleness:
            self.refused += 1
            return "refused"
        self.shards += 1
        self.positions += shard.stretch.positions
        self.games += len(shard.stretch.episodes)
        return "consumed"

    def session(self) -> int:
        """The newest session of which a shard was accounted for; 0 without any."""
        return max(map(session_of, self.last), default=0)

    def state(self) -> State:
        """All of it."""
        return asdict(self)

    def restore(self, state: State) -> None:
        """Restore a state."""
        for name, value in state.items():
            setattr(self, name, dict(value) if name == "last" else int(value))


def staleness(shard: Shard, version: int) -> int:
    """By how many versions the shard's oldest weights are older than the learner's; 0 if they are newer.

    Newer ones are those of a learner that was killed before it saved them.
    """
    return max(0, version - shard.stretch.version)
