"""Interruption of long work: Ctrl-C and SIGTERM that wait for a safe point; errors in one line."""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from types import FrameType

import gymnasium

from scenes.signals import Termination
from sim.progress import waiting

#: What a world, an opponent or a model raises when it breaks down. Anything else is a mistake in a program,
#: whose traceback somebody needs to see.
FAULTS = (
    ArithmeticError,
    LookupError,
    MemoryError,
    OSError,
    RuntimeError,
    ValueError,
    gymnasium.error.Error,
)


def error_line(error: BaseException) -> str:
    """Format an error as one line, with its type where the message alone is unclear.

    >>> error_line(RuntimeError("the emulator died")), error_line(KeyError("ball")), error_line(MemoryError())
    ('the emulator died', "KeyError: 'ball'", 'MemoryError')
    """
    words = " ".join(str(error).split())
    if words and not isinstance(error, LookupError):
        return words
    return f"{type(error).__name__}: {words}" if words else type(error).__name__


@contextmanager
def interruption(promise: str) -> Iterator[Callable[[], bool]]:
    """Context that holds back the first Ctrl-C or SIGTERM; gives a function that tells whether one came.

    A second one interrupts at once, but for the echo of a SIGTERM (`scenes.signals.Termination`).

    Args:
        promise: message about what the first one leads to, such as ``stopping after this update``; empty:
            nothing is printed.
    """
    asked = False
    around = signal.getsignal(signal.SIGTERM)
    termination = around if isinstance(around, Termination) else Termination()  # which hears late echoes

    def ask(number: int, frame: FrameType | None) -> None:
        nonlocal asked
        if number == signal.SIGTERM and termination.is_echo():
            return
        if asked:
            raise KeyboardInterrupt
        asked = True
        if not promise:
            return
        with suppress(OSError, RuntimeError):  # stderr is gone, or was being written to just now
            print(f"\n{promise}; press Ctrl-C again to stop at once", file=sys.stderr)

    signals = [signal.SIGINT, signal.SIGTERM]
    try:
        before = {number: signal.signal(number, ask) for number in signals}
    except ValueError:  # not in the main thread: nobody can press Ctrl-C here
        before = {}
    try:
        yield lambda: asked
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def progress_bar(what: str) -> Iterator[Callable[[tuple[float, float, str]], None]]:
    """Context of a progress bar; gives a function that sets done, total and newest metrics in words."""
    with waiting(what) as wait:
        yield lambda status: wait.reach(*status)
