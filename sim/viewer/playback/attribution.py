"""Saliency maps of decisions, as far as a `latest_worker` has computed them."""

from __future__ import annotations

from dataclasses import dataclass

from sim.records import Array


@dataclass(frozen=True, slots=True, eq=False)
class Attributed:
    """Saliency maps of the decision at moment `number`.

    Attributes:
        maps: (2, h, w) float, at least 0: saliency for the action, and for the value; None until they are
            computed, or if that has failed.
        error: why it has failed, in words; "" if it has not.
    """

    number: int
    maps: Array | None
    error: str = ""
