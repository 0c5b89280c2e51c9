"""Names of the walker worlds installed here; MuJoCo is not imported."""

from __future__ import annotations

import importlib.util

from sim.walker.reward import BODIES


def world_names() -> list[str]:
    """``walker/<body>``, and ``walker/file`` for any robot; none without MuJoCo."""
    if importlib.util.find_spec("mujoco") is None:
        return []
    return [*(f"walker/{body}" for body in BODIES), "walker/file"]
