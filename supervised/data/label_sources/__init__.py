"""Label sources: labelled images of each family of worlds, with exact ground truth and class names.

A label source is made from a world's configuration. It knows which kinds of truth that world has
(`sim.percept_kinds`), makes labelled images of it from seeds, and reads the truth of a live
world.

In: a `sim.protocols.WorldConfig`, a `CaptureSpec`, a policy. Out: `supervised.data.dataset.Dataset`.
Does not know: models, agents, scenes, files.

To add a family: a module with a class that satisfies `supervised.data.capture.LabelSource`, and its line in
`supervised.catalog.LABEL_SOURCES`; `tests/supervised/test_label_sources.py` checks it from then on.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from sim.catalog import load, world_names
from sim.errors import RequestError
from sim.percept_kind import Kind
from sim.protocols import Policy, WorldConfig
from sim.records import Percept
from supervised.catalog import LABEL_SOURCES
from supervised.data.capture import CaptureSpec, LabelSource
from supervised.data.dataset import Dataset, concatenate

__all__ = ["NoLabelsError", "SeveralLabelSources", "label_source"]


class NoLabelsError(RequestError, ValueError):
    """A world without ground truth for its images, or without the kind that is asked for."""

    @classmethod
    def check(cls, name: str, kind: Kind, known: Sequence[str]) -> None:
        """Raise it, naming the world and what it knows, unless `kind` is among `known`."""
        if kind not in known:
            raise cls(
                f'{name} does not know the truth about "{kind}" in its pictures, only {", ".join(known)}'
            )


def label_source(config: WorldConfig) -> LabelSource:
    """The label source of a world.

    Raises:
        NoLabelsError: if the world has no ground truth for its images.
    """
    family = config.name.partition("/")[0]
    if family not in LABEL_SOURCES:
        whole = [name for name in world_names() if name in LABEL_SOURCES]
        known = ", ".join(name if name in whole else f"{name}/…" for name in LABEL_SOURCES)
        raise NoLabelsError(f"{config.name} does not know the truth about its pictures; these do: {known}")
    source: LabelSource = load(LABEL_SOURCES, family, "label source")(config)
    return source


class SeveralLabelSources:
    """Label source of several worlds in equal shares; a `LabelSource`."""

    def __init__(self, sources: Sequence[LabelSource]) -> None:
        self._sources = tuple(sources)
        self.name = ", ".join(source.name for source in sources)

    def vocabulary(self, kind: Kind) -> tuple[str, ...]:
        """The names of all of them, each once, in the order of the worlds."""
        return tuple(dict.fromkeys(name for source in self._sources for name in source.vocabulary(kind)))

    def bones(self) -> tuple[tuple[str, str], ...]:
        """The pairs of all of them."""
        return tuple(dict.fromkeys(pair for source in self._sources for pair in source.bones()))

    def labelled_images(self, spec: CaptureSpec, policy: Policy | None = None) -> Dataset:
        """An equal share from each world, under random play: a policy would fit one of them only."""
        from dataclasses import replace

        shares = [len(part) for part in np.array_split(np.arange(spec.count), len(self._sources))]
        pairs = zip(self._sources, shares, strict=True)
        return concatenate(
            [source.labelled_images(replace(spec, count=share)) for source, share in pairs if share]
        )

    def live(self, stage: Any, kind: Kind) -> Percept:
        """The truth by the first world's source: all of them belong to one family."""
        return self._sources[0].live(stage, kind)
