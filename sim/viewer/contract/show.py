"""Interface between the viewer and what it shows: a `Show` is stepped, and every step gives a `Moment`.

The viewer knows nothing else of worlds, agents or models; `scenes.watching` makes shows from scenes. A world
with a renderer and controls of its own (a board, a camera) brings an `InteractiveRenderer`, to which a show
may pass the pointer and the window's size.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from sim.records import Array
from sim.viewer.contract.moment import Moment


class Show(Protocol):
    """A simulation that can be watched. Called from one thread only, which need not be the window's."""

    title: str  # "Pong"
    agent: str  # "PPO", "random", …; "" without one
    training: str  # the agent's training budget in words, "4.0 M steps"; "" if untrained
    protocol: str  # the rules in a few words, "sticky 0.25 · skip 4"
    action_names: tuple[str, ...]  # () for continuous actions, and where `Moment.options` names them
    action_labels: tuple[str, ...]  # what each number of a continuous action drives; () if unknown
    action_limit: float  # how far from 0 a number of a continuous action can be
    num_worlds: int
    steps_per_second: float  # the world's natural rate

    def start(self, seed: int | None) -> Moment:
        """Start again: with a seed from that seed, without one with the next episode."""

    def step(self, person: int | None, *, drawn: bool = True) -> Moment:
        """Step all worlds once; `person`, where given, is the first world's action.

        Unless `drawn`, the moment will not be shown: the pictures of the one before may be given again.
        """

    def close(self) -> None:
        """Release the worlds."""


@runtime_checkable
class Working(Protocol):
    """An `Interactive` show with background work in a thread of its own."""

    def listen(self, tell: Callable[[], None]) -> None:
        """Call `tell` whenever the work has a result: a gesture ``"news"`` will follow."""


@runtime_checkable
class FrameByFrame(Protocol):
    """A `Show` whose every step is one frame of a world that takes several for a step of its own."""

    frames_per_step: int  # the agent decides once in so many


def frames_per_step(show: object) -> int:
    """How many steps of a show make a step of its world."""
    return show.frames_per_step if isinstance(show, FrameByFrame) else 1


@dataclass(frozen=True, slots=True)
class PlaylistEntry:
    """Entry of a playlist: a show's label, what makes it when it is chosen, and a line about it."""

    label: str
    make: Callable[[], Show]
    about: str = ""


@dataclass(frozen=True, slots=True, eq=False)
class Poster:
    """Small picture (H, W, 3) uint8 of a scene; two are equal only if they are one."""

    picture: Array


class Posters(Protocol):
    """Posters of a playlist's scenes, made in the background once somebody looks for them."""

    def begin(self) -> None:
        """Make those that are missing; called whenever the list of scenes is opened."""

    def pictures(self) -> tuple[Poster | None, ...]:
        """One for each scene; None where there is none (yet)."""

    def close(self) -> None:
        """Make no more."""


@dataclass(frozen=True, slots=True)
class Playlist:
    """Playlist of the viewer: other scenes, and the present one's checkpoints.

    Attributes:
        scenes: in the order of Tab.
        scene: index of the present one.
        checkpoints: of the first scene shown, oldest first; called anew whenever they are used, so that a
            run in progress can be followed.
        checkpoint: label of the one shown first.
        follows: whether these are of a run in progress, and the newest is followed.
        posters: of the scenes; None: they have none.
    """

    scenes: Sequence[PlaylistEntry] = ()
    scene: int = 0
    checkpoints: Callable[[], Sequence[PlaylistEntry]] = tuple
    checkpoint: str = ""
    follows: bool = False
    posters: Posters | None = None
