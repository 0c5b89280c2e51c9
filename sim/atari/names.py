"""Names of the Atari worlds installed here, found without importing ale-py, which takes too long."""

from __future__ import annotations

import importlib.util
from pathlib import Path

#: ROMs that ale-py ships but does not play (`sim.atari.world` asks it).
UNPLAYABLE = ("combat", "joust", "maze_craze", "warlords")


def world_names() -> list[str]:
    """``atari/<game>`` for each playable ROM that ale-py ships; none without it."""
    package = importlib.util.find_spec("ale_py")
    if package is None or not package.submodule_search_locations:
        return []
    roms = sorted((Path(package.submodule_search_locations[0]) / "roms").glob("*.bin"))
    return [f"atari/{rom.stem}" for rom in roms if rom.stem not in UNPLAYABLE]
