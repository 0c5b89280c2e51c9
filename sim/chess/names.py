"""Names of the chess worlds installed here; python-chess is not imported."""

from __future__ import annotations

import importlib.util

from sim.chess.endgames import STARTS


def world_names() -> list[str]:
    """``chess`` and ``chess/<start>``; none without python-chess."""
    if importlib.util.find_spec("chess") is None:
        return []
    return ["chess", *(f"chess/{start}" for start in STARTS)]
