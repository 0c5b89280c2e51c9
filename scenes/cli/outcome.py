"""Exit codes, one-line error messages, and the JSON line of a command.

0 done; 2 the request is wrong; 1 it failed while working; 130 stopped by Ctrl-C.
"""

from __future__ import annotations

import json
import math
import os
import sys
from collections.abc import Mapping
from io import TextIOWrapper
from typing import Any

from scenes.console import say

DONE, FAILED, WRONG, INTERRUPTED = 0, 1, 2, 130
LONGEST = 2_000  # characters of an error message
STREAMS = ("stdin", "stdout", "stderr")


def without_nonfinite(answer: Any) -> Any:
    """Replace numbers that are not finite by null: JSON has none (RFC 8259, section 6)."""
    if isinstance(answer, Mapping):
        return {key: without_nonfinite(value) for key, value in answer.items()}
    if isinstance(answer, list | tuple):
        return [without_nonfinite(value) for value in answer]
    return None if isinstance(answer, float) and not math.isfinite(answer) else answer


def print_json(answer: Any) -> None:
    """Print one JSON object on a line of stdout."""
    print(json.dumps(answer, allow_nan=False), flush=True)


def print_error(error: Exception, code: int, in_json: bool = False) -> int:
    """Print an error in one line on stderr, and with ``--json`` as the last line of stdout."""
    from sim.fields import excerpt

    line = excerpt(str(error), LONGEST)
    say(f"playfield: {line}")
    if in_json:
        print_json({"error": line, "exit": code})
    return code


def print_interrupted(in_json: bool = False) -> int:
    """Print that Ctrl-C ended the command."""
    line = "stopped at once; what had been saved is safe"
    say(line)
    if in_json:
        print_json({"error": line, "exit": INTERRUPTED})
    return INTERRUPTED


def is_ctrl_c(error: BaseException | None) -> bool:
    """Whether Ctrl-C caused an error: a module being imported may wrap it in another exception."""
    while error is not None and not isinstance(error, KeyboardInterrupt):
        error = error.__cause__ or error.__context__
    return error is not None


def open_streams() -> None:
    """Replace closed standard streams by the null device, or the next opened file would take their place."""
    closed = [name for name in STREAMS if getattr(sys, name) is None]
    for name in closed:
        opened = os.open(os.devnull, os.O_RDWR)  # the lowest number that is free, so most often the very one
        if opened != STREAMS.index(name):
            os.dup2(opened, STREAMS.index(name))
        setattr(sys, name, open(STREAMS.index(name), "r" if name == "stdin" else "w", closefd=False))
    for stream in (sys.stdout, sys.stderr):  # names of files may hold bytes that no encoding has
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    if "stdout" in closed:
        say("stdout is closed: results go nowhere")
