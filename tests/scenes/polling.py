"""Waiting for what another thread does."""

import threading
import time


def until(condition, seconds=30.0):
    """Return once `condition()` holds; an AssertionError after `seconds`."""
    pause, end = threading.Event(), time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it never happened"
        pause.wait(0.002)
