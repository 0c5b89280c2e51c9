"""What the window shows: a `Show` is stepped, and every step gives a `Moment`.

The viewer knows nothing else of worlds, agents or models; `scenes.stage` makes shows from scenes.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol

from sim.records import Array, Decision, Episode, Percept


@dataclass(frozen=True, slots=True)
class Moment:
    """What there is to see after one step of N worlds.

    Attributes:
        pictures: N pictures (H, W, 3) uint8.
        decision: what was decided on the pictures shown here, or None if nobody decides.
        actions: (N,) or (N, D), the actions that led here; None after a start.
        person: whether a person chose the action of the first world.
        reward: (N,) of this step, unclipped.
        score: (N,) the running return of each episode in progress.
        length: (N,) steps of each episode in progress.
        percepts: what perception models say about the first picture, drawn over it.
        sees: the same in words, a line each.
        episodes: those that ended with this step, in any world.
    """

    pictures: tuple[Array, ...]
    reward: Array
    score: Array
    length: Array
    decision: Decision | None = None
    actions: Array | None = None
    person: bool = False
    percepts: tuple[Percept, ...] = ()
    sees: tuple[str, ...] = ()
    episodes: tuple[Episode, ...] = field(default_factory=tuple)


class Show(Protocol):
    """Something to watch. Called from one thread only, which need not be the window's."""

    title: str  # "Pong"
    agent: str  # "PPO", "random", …; "" if nobody acts
    training: str  # the agent's training budget in words, "4.0 M steps"; "" if untrained
    protocol: str  # the rules in a few words, "sticky 0.25 · skip 4"
    action_names: tuple[str, ...]  # () for continuous actions
    num_worlds: int
    steps_per_second: float  # the world's natural rate

    def start(self, seed: int | None) -> Moment:
        """Begin anew: with a seed from that seed, without one with the next episode."""

    def step(self, person: int | None) -> Moment:
        """Step all worlds once; `person`, where given, is the first world's action."""

    def close(self) -> None:
        """Release the worlds."""
