"""Whether this machine has a display that a window can open on."""

from __future__ import annotations

import os
import sys


def has_display() -> bool:
    """Whether a window can be opened: a display is set, or the system needs no such setting."""
    driver = os.environ.get("SDL_VIDEODRIVER", "")
    if driver in ("dummy", "offscreen"):
        return False
    if sys.platform in ("win32", "darwin") or driver:
        return True
    return bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))
