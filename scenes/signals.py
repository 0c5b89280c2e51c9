"""SIGTERM as Ctrl-C, so that Slurm, timeout(1), systemd and containers end a verb cleanly.

Imports the standard library alone, so that the command line can use it before anything heavy is loaded.
"""

from __future__ import annotations

import math
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

ECHO = 1.0  # seconds within which a second SIGTERM is the first one once more


class Termination:
    """Handler of SIGTERM that raises KeyboardInterrupt in the main thread.

    A second one within `echo` seconds is ignored: timeout(1) signals its child and then the child's whole
    process group, and to take that for "stop at once" would throw away what the first one is saving.
    """

    def __init__(self, echo: float = ECHO) -> None:
        self._heard, self._echo = -math.inf, echo

    def is_echo(self) -> bool:
        """Whether this SIGTERM repeats the last one within `echo` seconds; records it otherwise."""
        now = time.monotonic()
        if now - self._heard < self._echo:
            return True
        self._heard = now
        return False

    def __call__(self, number: int, frame: FrameType | None) -> None:
        """Handle a SIGTERM."""
        if not self.is_echo():
            raise KeyboardInterrupt


@contextmanager
def sigterm_as_ctrl_c(echo: float = ECHO) -> Iterator[None]:
    """SIGTERM raises KeyboardInterrupt inside, unless `scenes.interruption` has taken it over.

    A process that was started to ignore SIGTERM goes on ignoring it. It must be entered before SDL opens a
    display: SDL makes SIGTERM an event of its own, but only where nobody handles it.
    """
    before = signal.getsignal(signal.SIGTERM)
    if before in (signal.SIG_IGN, None) or threading.current_thread() is not threading.main_thread():
        yield
        return
    signal.signal(signal.SIGTERM, Termination(echo))
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
