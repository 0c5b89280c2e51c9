"""Action log: the first world's episodes as they are played in the window, for action replays (.pfr)."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from sim.records import Array
from sim.storage.replays import EpisodeReplay, fingerprint

KEPT = 4_000  # moments after which an ended episode is forgotten: the window remembers no more


@dataclass
class LoggedEpisode:
    """Log of one episode.

    Attributes:
        seed: of the world's reset.
        first: number of the moment that it begins with.
        actions: one a step of the show.
        person: whether a person was in control at each.
        score: the unclipped return so far.
        ended: whether it is over.
        observation: `fingerprint` of the last one; "" while it goes on.
        spoiled: why its actions do not tell all that happened; "" if they do.
    """

    seed: int
    first: int
    actions: list[Array] = field(default_factory=list)
    person: list[bool] = field(default_factory=list)
    score: float = 0.0
    ended: bool = False
    observation: str = ""
    spoiled: str = ""

    def replay(self, observation: Array) -> EpisodeReplay:
        """The episode as it stands, the newest observation at hand where it goes on."""
        actions = np.array(self.actions)
        if actions.dtype.kind in "iu":
            actions = actions.astype(np.uint8 if actions.min() >= 0 and actions.max() < 256 else np.int64)
        seen = self.observation or fingerprint(observation)
        return EpisodeReplay(self.seed, actions, np.array(self.person), self.score, self.ended, seen)


class ActionLog:
    """Log of the episodes of one show's first world.

    Attributes:
        keep_all: whether episodes that the window has forgotten stay.
    """

    def __init__(self) -> None:
        self.keep_all = False
        self._episodes: list[LoggedEpisode] = []

    def begin(self, seed: int, first: int, newest: Array | None = None) -> None:
        """Begin an episode with moment number `first`; `newest`: what was observed last before it."""
        if self._episodes and not self._episodes[-1].actions:
            self._episodes.pop()
        if self._episodes and newest is not None and not self._episodes[-1].ended:
            self._episodes[-1].observation = fingerprint(newest)
        self._episodes.append(LoggedEpisode(seed, first))
        while not self.keep_all and len(self._episodes) > 1 and self._episodes[1].first < first - KEPT:
            self._episodes.pop(0)

    def note(self, action: Array, reward: float, *, person: bool) -> None:
        """Log a step of the show."""
        episode = self._episodes[-1]
        episode.actions.append(np.array(action))
        episode.person.append(person)
        episode.score += reward

    def end(self, score: float, observation: Array) -> None:
        """End the episode with its exact return and its last observation."""
        episode = self._episodes[-1]
        episode.score, episode.ended, episode.observation = score, True, fingerprint(observation)

    def spoil(self, why: str) -> None:
        """Tell that something happens to the episode in progress which is no action."""
        self._episodes[-1].spoiled = why

    def at(self, number: int) -> LoggedEpisode | None:
        """The episode of moment `number`; None where nothing has been done yet."""
        done = [episode for episode in self._episodes if episode.actions]
        begun = [episode for episode in done if episode.first <= number]
        return begun[-1] if begun else (done[0] if done else None)

    @property
    def episodes(self) -> list[LoggedEpisode]:
        """All that are kept and have a step."""
        return [episode for episode in self._episodes if episode.actions]
