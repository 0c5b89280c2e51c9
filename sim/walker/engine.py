"""Import of MuJoCo and choice of its OpenGL platform, for all modules of walkers.

Importing `mujoco` loads the platform that ``MUJOCO_GL`` names, and fails in a way of its own for a name that
it does not know and for each library that is not there. Here that is one line, which says what to do.
"""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from sim.errors import RequestError

OFF = ("disable", "disabled", "off", "false", "0")  # as `mujoco` itself understands MUJOCO_GL
MEND = "sudo apt-get install libegl1 libegl-mesa0 libgl1-mesa-dri (or libosmesa6, and MUJOCO_GL=osmesa)"
LIBRARIES = {"egl": "libegl1", "osmesa": "libosmesa6"}  # Debian's packages


class NoOpenGLError(RequestError, RuntimeError):
    """A picture or truth that needs OpenGL, which is missing; the message names what installs it."""

    @classmethod
    def of(cls, what: str, reason: str) -> NoOpenGLError:
        """That `what` need OpenGL, absent for the `reason` that `sim.walker.rendering.opengl` gives."""
        mended = "unset MUJOCO_GL" if reason.startswith("MUJOCO_GL=") else MEND
        return cls(f"{what} need OpenGL, and here is none ({reason}): {mended}")


def requested_platform() -> str:
    """Value of ``MUJOCO_GL`` in lower case; empty if it is not set."""
    return os.environ.get("MUJOCO_GL", "").lower().strip()


def import_refusal(error: Exception) -> str:
    """Error message for a ``MUJOCO_GL`` that keeps `mujoco` from being imported."""
    named = requested_platform()
    if named in LIBRARIES:
        package = LIBRARIES[named]
        return f"MUJOCO_GL={named} needs its library: sudo apt-get install {package}, or unset MUJOCO_GL"
    if isinstance(error, RuntimeError) and named:
        return f'MUJOCO_GL="{named}" is no OpenGL platform: unset it, or set egl, osmesa or disable'
    return f"MuJoCo cannot be imported ({type(error).__name__}: {error})"


@contextmanager
def offscreen_platform() -> Iterator[None]:
    """Context in which gymnasium's MuJoCo environments use the walkers' OpenGL platform, too.

    Left alone on Linux they begin with GLFW, which without a display hands out contexts that crash MuJoCo.
    """
    before = os.environ.get("MUJOCO_GL")
    if sys.platform == "linux":
        os.environ["MUJOCO_GL"] = "osmesa" if requested_platform() == "osmesa" else "egl"
    try:
        yield
    finally:
        os.environ.pop("MUJOCO_GL", None)
        if before is not None:
            os.environ["MUJOCO_GL"] = before


try:
    import mujoco
    from mujoco.batch import Batch, SimulationError
except ImportError:
    raise
except (
    Exception
) as error:  # RuntimeError for an unknown name, AttributeError or OSError for a missing library
    raise NoOpenGLError(import_refusal(error)) from error

__all__ = ["Batch", "NoOpenGLError", "SimulationError", "mujoco", "quieten"]


def quieten() -> None:
    """Send MuJoCo's warnings to `logging`; unasked, it writes a file into the current folder."""
    if mujoco.get_mju_user_warning() is None:
        mujoco.set_mju_user_warning(logging.getLogger("mujoco").info)
