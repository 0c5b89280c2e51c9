"""Label source of MuJoCo walkers from random cameras and lights: part masks, depth maps, keypoints."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import cached_property
from itertools import count
from typing import Any

import numpy as np

from sim.percept_kind import Kind
from sim.percept_kinds import only
from sim.progress import advance
from sim.protocols import Policy
from sim.records import Array, Percept
from sim.walker.anatomy import Anatomy
from sim.walker.labelled_episodes import Batch, RenderOptions, render_episodes
from sim.walker.reward import BODIES
from sim.walker.simulation import load
from sim.walker.truth import KINDS
from supervised.data.capture import CaptureSpec
from supervised.data.dataset import Dataset, concatenate
from supervised.data.label_sources import NoLabelsError

FRAMES = 32  # images of one episode at most
HASTE = 4  # random play falls within some twenty steps: its images lie closer together, by this factor


class WalkerLabels:
    """Labelled images of one body; see `supervised.data.capture.LabelSource`."""

    def __init__(self, config: Any) -> None:
        self._body: str = config.body
        self.name: str = config.name

    @cached_property
    def _anatomy(self) -> Anatomy:
        return Anatomy(self._body, load(BODIES[self._body]))

    def vocabulary(self, kind: Kind) -> tuple[str, ...]:
        """The mask's part names by number, the keypoints' names, or nothing for depth."""
        NoLabelsError.check(self.name, kind, KINDS)
        return {"mask": self._anatomy.classes, "keypoints": self._anatomy.keypoints}.get(kind, ())

    def bones(self) -> tuple[tuple[str, str], ...]:
        """Pairs of joints."""
        return self._anatomy.bones

    def labelled_images(self, spec: CaptureSpec, policy: Policy | None = None) -> Dataset:
        """Labelled images, half from the policy's episodes and half from random play, one seed an episode."""
        self.vocabulary(spec.kind)
        kinds = [kind for kind in KINDS if kind == spec.kind]
        walking = RenderOptions(frames=FRAMES, every=spec.every, kinds=kinds)
        if spec.as_watched:
            walking = replace(walking, viewpoints=None, vary_look=False)
        falling = replace(walking, every=max(1, spec.every // HASTE))
        chance = render_episodes(self._body, count(spec.seed, 2), falling)
        if policy is None:
            return _first(spec.count, chance, spec.kind)
        played = render_episodes(self._body, count(spec.seed + 1, 2), walking, policy)
        half = spec.count // 2
        parts = [(half, played), (spec.count - half, chance)]
        return concatenate([_first(number, films, spec.kind) for number, films in parts if number])

    def live(self, stage: Any, kind: Kind) -> Percept:
        """The truth about the newest image of a walker, from its current camera."""
        return only(stage.truth((kind,)), kind)


def _first(number: int, films: Iterator[Batch], kind: Kind) -> Dataset:
    """The first `number` images of many episodes, with their truths."""
    rgbs, truths, episodes = list[Array](), list[Percept](), list[int]()
    for episode, (rgb, percepts) in enumerate(films):
        rgbs.append(rgb)
        truths += [only(percept, kind) for percept in percepts]
        episodes += [episode] * len(percepts)
        advance(len(percepts))
        if len(truths) >= number:
            break
    pictures = np.concatenate(rgbs)[:number]
    return Dataset(values=pictures, truths=truths[:number], episodes=np.array(episodes[:number]))
