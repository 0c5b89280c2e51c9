"""Process of a UCI engine, spoken to by python-chess, with a time limit for everything."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import threading
from collections.abc import Coroutine, Sequence
from contextlib import suppress
from typing import Any, TypeVar

import chess.engine

T = TypeVar("T")

PARTING = 2.0  # seconds for a killed process to be gone

logging.getLogger("chess.engine").addHandler(logging.NullHandler())  # or what engines babble goes to stderr


class EngineProcess:
    """A running UCI engine, spoken to by python-chess in a thread of its own.

    The thread is a daemon, so that a forgotten engine keeps no program from ending. The process has a group
    of its own: Ctrl-C in a terminal is for us, not for the engine.
    """

    def __init__(self, command: Sequence[str], timeout: float) -> None:
        """Start the engine and shake hands.

        Raises:
            TimeoutError, OSError, chess.engine.EngineError: if that fails; no process is left then.
        """
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="uci engine", daemon=True)
        self._thread.start()
        self._transport: asyncio.SubprocessTransport | None = None
        try:
            self._transport, self.protocol = self.wait(
                chess.engine.UciProtocol.popen(list(command), setpgrp=True), timeout
            )
            self.wait(self.protocol.initialize(), timeout)
        except BaseException:
            self.close()
            raise

    @property
    def pid(self) -> int:
        """The number of the process."""
        assert self._transport is not None
        return self._transport.get_pid() or 0

    def wait(self, work: Coroutine[Any, Any, T], timeout: float) -> T:
        """The result of talking to the engine.

        Raises:
            TimeoutError: if there is none within so many seconds.
        """
        return asyncio.run_coroutine_threadsafe(asyncio.wait_for(work, timeout), self._loop).result()

    def close(self) -> None:
        """End the process and those that it started, and wait for its end."""
        if self._transport is not None:
            with suppress(TimeoutError):
                self.wait(self._end(self._transport), PARTING)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    async def _end(self, transport: asyncio.SubprocessTransport) -> None:
        if transport.get_returncode() is None and hasattr(os, "killpg"):
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(transport.get_pid() or 0, signal.SIGKILL)
        transport.close()
        await self.protocol.returncode
