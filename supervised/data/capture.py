"""Labelled image data sets from play: images of the worlds, each with its ground truth.

A policy acts, its worlds are rendered every few steps, and the simulator gives the truth about each image.
Training and held-out images come from different seeds, so that no episode is in both. How a family of worlds
is rendered and labelled is its `LabelSource` (`supervised.data.label_sources`).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import groupby, islice
from typing import Any, Protocol

import numpy as np

from sim.percept_kind import Kind
from sim.progress import advance
from sim.protocols import Policy
from sim.records import Array, Percept
from sim.vector import reset_memory
from supervised.data.dataset import Dataset

#: Added to the training seed to seed the held-out images.
HELD_OUT = 2_000_003
TOGETHER = 32  # pictures that a network looks at in one go


class TruthfulWorlds(Protocol):
    """Batch of worlds with images and ground truth."""

    num_envs: int
    single_action_space: Any

    def reset(self) -> tuple[Array, dict[str, Any]]:
        """See `sim.vector.Worlds`."""

    def step(self, actions: Array) -> tuple[Array, Array, Array, Array, dict[str, Any]]:
        """See `sim.vector.Worlds`."""

    def pictures(self, indices: Iterable[int]) -> list[Array]:
        """The newest images (H, W, 3) uint8 of these worlds."""

    def truth(self, indices: Iterable[int]) -> list[Percept]:
        """The ground truth of those images."""


@dataclass(frozen=True)
class CaptureSpec:
    """Specification of a labelled image data set.

    Attributes:
        kind: of the labels.
        count: N, the number of images.
        seed: of worlds, play, viewpoints and colours.
        every: steps between two images of one world; more where few images are to cover whole games.
        held_out: in colours that training never sees, where a world has such.
        as_watched: by the world's own camera and colours; else walkers have random ones.
    """

    kind: Kind
    count: int
    seed: int
    every: int = 7
    held_out: bool = False
    as_watched: bool = False


class LabelSource(Protocol):
    """Label source of one world: labelled images and the names of their classes."""

    name: str  # the world's, in full

    def vocabulary(self, kind: Kind) -> tuple[str, ...]:
        """The class names of one kind of percept; empty for depth maps and boards.

        Classes of boxes, parts of masks by number, keypoints, labels, or the tokens of captions.

        Raises:
            RequestError: if this world does not know that kind of truth.
        """

    def bones(self) -> tuple[tuple[str, str], ...]:
        """The skeleton: pairs of keypoints joined by a bone."""

    def labelled_images(self, spec: CaptureSpec, policy: Policy | None = None) -> Dataset:
        """Labelled images: half of the episodes are played by `policy`, the others at random."""

    def live(self, stage: Any, kind: Kind) -> Percept:
        """The truth about the newest image of a single world, or of the renderer that draws it."""


class StickyRandomPolicy:
    """Sticky random policy: world i repeats its last action with its own probability, from 0 to 0.95.

    Uniformly random actions cancel out: a paddle that trembles in one place shows little of a game.
    """

    def __init__(self, actions: int, num_envs: int, seed: int) -> None:
        self._actions = actions
        self._held = np.zeros(num_envs, np.int64)
        self._hold = np.linspace(0.0, 0.95, num_envs)  # the probability to repeat an action
        self._generator = np.random.default_rng(seed)

    def act(self) -> Array:
        """(N,) the next actions."""
        n = len(self._held)
        anew = self._generator.random(n) >= self._hold
        self._held = np.where(anew, self._generator.integers(self._actions, size=n), self._held)
        return self._held


def labelled_play(
    worlds: TruthfulWorlds, count: int, *, seed: int, policy: Policy | None = None, every: int = 7
) -> Dataset:
    """Labelled images from play: `count` values (N, H, W, 3) uint8 with truths and episodes.

    Args:
        worlds: all are rendered each `every` steps; discrete actions.
        count: N, at least 1.
        seed: of random play.
        policy: plays in half of the worlds; the rest, or all without one, are played at random. Skilled play
            alone would leave out what happens when things go wrong.
        every: steps between two images of one world, for consecutive ones are nearly the same.
    """
    obs, info = worlds.reset()
    n = worlds.num_envs
    fidgety = StickyRandomPolicy(int(worlds.single_action_space.n), n, seed)
    episode = np.arange(n)
    rgb: list[Array] = []
    truths: list[Percept] = []
    episodes: list[int] = []
    memory = None
    if policy is not None:
        policy.seed(seed)
    while len(rgb) < count:
        for _ in range(every):
            actions = fidgety.act()
            if policy is not None:
                decision, memory = policy.act(obs, info, memory)
                actions = np.where(np.arange(n) % 2 == 0, decision.actions, actions)
            obs, _, terminated, truncated, info = worlds.step(actions)
            memory = reset_memory(memory, terminated | truncated)
            episode = episode + n * (terminated | truncated)
        indices = range(min(n, count - len(rgb)))
        rgb += worlds.pictures(indices)
        truths += worlds.truth(indices)
        episodes += episode[: len(indices)].tolist()
        advance(len(indices))
    return Dataset(values=np.stack(rgb), truths=truths, episodes=np.array(episodes, np.int64))


def same_size_batches(pictures: Iterable[Array], most: int = TOGETHER) -> Iterator[Array]:
    """Batch images (H, W, 3) as (N, H, W, 3): consecutive ones of one size, at most `most` in a batch.

    >>> small, large = np.zeros((2, 2, 3), np.uint8), np.zeros((4, 4, 3), np.uint8)
    >>> [stack.shape for stack in same_size_batches([small, small, small, large], most=2)]
    [(2, 2, 2, 3), (1, 2, 2, 3), (1, 4, 4, 3)]
    """
    for _, alike in groupby(pictures, key=np.shape):
        while stack := list(islice(alike, most)):
            yield np.stack(stack)
