"""What each family of worlds shows to perception: pictures, the truth about them, and the names for it.

A *sight* is made from a world's configuration. It knows which kinds of percept that world can tell
(`supervised.metrics.grading.KINDS`), takes views of it from seeds, and reads the truth of a world on show.

In: a `sim.protocols.WorldConfig`, a `Taking`, a policy. Out: `supervised.views.Views`.
Does not know: models, agents, scenes, files.

To add a family: a module with a class that satisfies `supervised.views.Sight`, and its line in
`supervised.catalog.SIGHTS`; `tests/supervised/test_sights.py` checks it from then on.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from sim.catalog import load
from sim.errors import RequestError
from sim.protocols import Policy, WorldConfig
from sim.records import Percept
from supervised.catalog import SIGHTS
from supervised.metrics.grading import Kind
from supervised.views import Sight, Taking, Views, joined

__all__ = ["NoSightError", "SeveralSights", "sight_of"]


class NoSightError(RequestError, ValueError):
    """A world that does not know the truth about its pictures, or not of the kind that is asked for."""

    @classmethod
    def check(cls, name: str, kind: Kind, known: Sequence[str]) -> None:
        """Raise it, naming the world and what it knows, unless `kind` is among `known`."""
        if kind not in known:
            raise cls(
                f'{name} does not know the truth about "{kind}" in its pictures, only {", ".join(known)}'
            )


def sight_of(config: WorldConfig) -> Sight:
    """What there is to see of a world.

    Raises:
        NoSightError: if it does not know the truth about its pictures.
    """
    family = config.name.partition("/")[0]
    if family not in SIGHTS:
        known = ", ".join(f"{name}/…" if name != "chess" else name for name in SIGHTS)
        raise NoSightError(f"{config.name} does not know the truth about its pictures; these do: {known}")
    sight: Sight = load(SIGHTS, family, "sight")(config)
    return sight


class SeveralSights:
    """Several worlds looked at by one perception, in equal shares; a `Sight`."""

    def __init__(self, sights: Sequence[Sight]) -> None:
        self._sights = tuple(sights)
        self.name = ", ".join(sight.name for sight in sights)

    def vocabulary(self, kind: Kind) -> tuple[str, ...]:
        """The names of all of them, each once, in the order of the worlds."""
        return tuple(dict.fromkeys(name for sight in self._sights for name in sight.vocabulary(kind)))

    def bones(self) -> tuple[tuple[str, str], ...]:
        """Those of all of them."""
        return tuple(dict.fromkeys(pair for sight in self._sights for pair in sight.bones()))

    def views(self, taking: Taking, policy: Policy | None = None) -> Views:
        """A share from each, where chance plays: a policy would fit one of them only."""
        from dataclasses import replace

        shares = [len(part) for part in np.array_split(np.arange(taking.count), len(self._sights))]
        pairs = zip(self._sights, shares, strict=True)
        return joined([sight.views(replace(taking, count=share)) for sight, share in pairs if share])

    def live(self, stage: Any, kind: Kind) -> Percept:
        """As the first one tells it: all of them belong to one family."""
        return self._sights[0].live(stage, kind)
