"""Saliency maps of decisions, as far as a `latest_worker` has computed them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

from sim.records import Array

#: Which of the two maps are drawn.
Salient: TypeAlias = Literal["off", "action and value", "action", "value"]
SALIENT: tuple[Salient, ...] = ("off", "action and value", "action", "value")
OPACITIES = (0.85, 0.35, 0.6)  # of the strongest place, in the order of their key


@dataclass(frozen=True, slots=True, eq=False)
class Attributed:
    """Saliency maps of the decision at moment `number`.

    Attributes:
        maps: (2, h, w) float, at least 0: saliency for the action, and for the value; None until they are
            computed, or if that has failed.
        error: why it has failed, in words; "" if it has not.
        shown: which of the two are drawn.
        opacity: of the strongest place, in [0, 1].
    """

    number: int
    maps: Array | None
    error: str = ""
    shown: Salient = "action and value"
    opacity: float = OPACITIES[0]

    @property
    def both(self) -> tuple[bool, bool]:
        """Whether the map of the action is drawn, and that of the value."""
        return "action" in self.shown, "value" in self.shown
