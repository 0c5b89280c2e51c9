"""Label source of Atari games: boxes of objects, the game as label, captions."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from sim.atari.truth import classes
from sim.percept_kind import Kind
from sim.percept_kinds import only
from sim.protocols import Policy
from sim.records import Percept
from supervised.captions.caption_grammars import STILLS
from supervised.data.capture import CaptureSpec, labelled_play
from supervised.data.dataset import Dataset
from supervised.data.label_sources import NoLabelsError

WORLDS = 16  # rendered in turn


class AtariLabels:
    """Labelled images of one Atari game; see `supervised.data.capture.LabelSource`."""

    def __init__(self, config: Any) -> None:
        self._config = replace(config, truth=True)  # refuses games whose objects nobody knows
        self._game: str = config.game
        self.name: str = config.name

    def vocabulary(self, kind: Kind) -> tuple[str, ...]:
        """The game's classes of objects, its name, or its captions' tokens."""
        known = ("boxes", "label", *(("caption",) if self._game in STILLS else ()))
        NoLabelsError.check(self.name, kind, known)
        if kind == "caption":
            return STILLS[self._game].vocabulary
        return classes(self._game) if kind == "boxes" else (self._game,)

    def bones(self) -> tuple[tuple[str, str], ...]:
        """None."""
        return ()

    def labelled_images(self, spec: CaptureSpec, policy: Policy | None = None) -> Dataset:
        """Labelled images of `WORLDS` games at once; the policy plays every second one, if there is one."""
        self.vocabulary(spec.kind)
        worlds = self._config.make_batch(min(WORLDS, spec.count), spec.seed)
        try:
            seen = labelled_play(worlds, spec.count, seed=spec.seed, policy=policy, every=spec.every)
        finally:
            worlds.close()
        generator = np.random.default_rng(spec.seed)
        return seen.assign(truths=[self._told(truth, spec.kind, generator) for truth in seen.truths])

    def live(self, stage: Any, kind: Kind) -> Percept:
        """The truth about a game's newest image; captions in the plainest wordings."""
        return self._told(stage.truth(), kind, None)

    def _told(self, percept: Percept, kind: Kind, generator: np.random.Generator | None) -> Percept:
        if kind == "caption":
            percept = replace(percept, caption=STILLS[self._game].write(percept.facts, generator))
        return only(percept, kind)
