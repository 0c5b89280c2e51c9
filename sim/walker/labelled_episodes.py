"""Training data for walker perception: pictures of episodes with ground truth.

Each seed is one episode, every picture with its own viewpoint and colours, and depends on nothing but that
seed: a split by seed keeps neighbouring frames in one part.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, field
from typing import TypeAlias

import numpy as np

from sim.protocols import Policy
from sim.records import Array, Percept
from sim.walker.camera import Viewpoint, Viewpoints
from sim.walker.rendering.palette import STANDARD, random_appearance
from sim.walker.truth import KINDS, Kind
from sim.walker.world import Walker, WalkerWorlds

#: (N, S, S, 3) uint8 and N percepts.
Batch: TypeAlias = tuple[Array, list[Percept]]


@dataclass(frozen=True)
class RenderOptions:
    """Options of rendering an episode: size, frames, viewpoints, colours and kinds of ground truth.

    Attributes:
        size: pixels of a side, S.
        frames: pictures of one episode at most; fewer if it ends before.
        every: steps from one picture to the next; the first is of the start.
        viewpoints: where from, drawn anew for each picture; None: always from where it shows the body well.
        vary_look: whether colours and lights are drawn anew for each picture.
        kinds: of ground truth.
    """

    size: int = 128
    frames: int = 16
    every: int = 2
    viewpoints: Viewpoints | None = field(default_factory=Viewpoints)
    vary_look: bool = True
    kinds: Collection[Kind] = KINDS

    def __post_init__(self) -> None:
        """Refuse values that give no pictures.

        Raises:
            ValueError: naming the field.
        """
        for name in ("size", "frames", "every"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, not {getattr(self, name)}")


def render_episodes(
    body: str, seeds: Iterable[int], filming: RenderOptions | None = None, policy: Policy | None = None
) -> Iterator[Batch]:
    """Render one episode of `body` with ground truth for each of `seeds`.

    Args:
        body: a key of `sim.walker.reward.BODIES`.
        seeds: of the episodes; each also draws its viewpoints, looks and actions.
        filming: how; None: as `RenderOptions()` says.
        policy: who acts, seeded anew for each episode; None: uniformly random actions.

    Yields:
        For each seed (N, S, S, 3) uint8 and the N percepts of these pictures, N at most `filming.frames`.

    Raises:
        NoOpenGLError: if masks or depth are wanted and there is no OpenGL.

    >>> filming = RenderOptions(size=32, frames=3, kinds=("keypoints",))
    >>> [(rgb.shape, len(percepts)) for rgb, percepts in render_episodes("hopper", [7, 8], filming)]
    [((3, 32, 32, 3), 3), ((3, 32, 32, 3), 3)]
    """
    filming = filming or RenderOptions()
    worlds = Walker(body).make_batch(1, seed=0, num_threads=1)
    assert isinstance(worlds, WalkerWorlds)  # the C engine is the backend unless another is named
    try:
        for seed in seeds:
            yield _film(worlds, body, seed, filming, policy)
    finally:
        worlds.close()


def _film(worlds: WalkerWorlds, body: str, seed: int, filming: RenderOptions, policy: Policy | None) -> Batch:
    acting, standing, looking = np.random.default_rng(seed).spawn(3)
    if policy is not None:
        policy.seed(seed)
    obs, info = worlds.reset(seed=seed)
    box = worlds.walkers.action_space
    memory, pictures, percepts = None, [], []
    for step in range(filming.every * (filming.frames - 1) + 1):
        if step % filming.every == 0:
            usual = Viewpoint.facing(body)
            viewpoint = filming.viewpoints.draw(body, standing) if filming.viewpoints else usual
            worlds.cameras[0] = viewpoint.camera(filming.size, filming.size)
            worlds.looks[0] = random_appearance(looking) if filming.vary_look else STANDARD
            pictures.append(worlds.pictures([0])[0])
            percepts += worlds.truth([0], filming.kinds)
        if policy is None:
            actions = acting.uniform(box.low, box.high, (1, *box.shape)).astype(np.float32)
        else:
            decision, memory = policy.act(obs, info, memory)
            actions = decision.actions
        obs, _, terminated, truncated, info = worlds.step(actions)
        if terminated[0] or truncated[0]:  # what the world shows now is another seed's
            break
    return np.stack(pictures), percepts
