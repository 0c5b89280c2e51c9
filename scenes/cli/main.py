"""Command line ``playfield VERB SCENE [options]``: parsing (`options`), exit codes, errors, JSON.

Exit codes: 0 done; 2 the request is wrong; 1 it failed while working; 130 stopped by Ctrl-C.
Nothing heavy is imported before a verb needs it, so that ``playfield --help`` is instant.
"""

from __future__ import annotations

import errno
import os
import signal
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from typing import Any

from scenes.cli.arguments import check, parse
from scenes.cli.options import Verb
from scenes.cli.outcome import (
    DONE,
    FAILED,
    INTERRUPTED,
    WRONG,
    is_ctrl_c,
    open_streams,
    print_error,
    print_interrupted,
    print_json,
    without_nonfinite,
)
from scenes.console import drop_invalid_sizes, show
from scenes.signals import sigterm_as_ctrl_c
from sim.errors import RequestError, WorkError
from sim.progress import reporting
from sim.ranks import is_follower

ABOUT = """Train, watch and score agents, perception models and samplers. Start with: playfield watch pong

playfield VERB --help lists a verb's options; playfield --version prints the version."""


@sigterm_as_ctrl_c()
def main(arguments: list[str] | None = None) -> int:
    """Run one command line; returns the exit code."""
    words = sys.argv[1:] if arguments is None else arguments
    drop_invalid_sizes()
    if words[:1] == ["--version"]:
        show(f"playfield {_version()}")
        return DONE
    silent = is_follower() and words[:1] == ["train"]  # rank 0 says what there is to say
    in_json = "--json" in words and not silent
    try:
        answer, code = _executed(words, silent=silent)
    except (KeyboardInterrupt, Exception) as error:
        if is_ctrl_c(error):
            return INTERRUPTED if silent else print_interrupted(in_json)
        if isinstance(error, RequestError | WorkError):
            code = WRONG if isinstance(error, RequestError) else FAILED
            return code if silent else print_error(error, code, in_json)
        about_stdout = isinstance(error, OSError) and error.errno in (errno.EPIPE, errno.ENOSPC)
        if in_json and not about_stdout:
            print_json({"error": f"{type(error).__name__}: {error}", "exit": FAILED})
        raise
    if in_json:
        print_json(without_nonfinite(answer))
    sys.stdout.flush()
    return code


def _executed(words: Sequence[str], *, silent: bool) -> tuple[dict[str, Any], int]:
    """Run a parsed command, without progress if `silent`; returns its answer and exit code."""
    verb = parse(Verb, words, ABOUT)
    check(verb)
    with ExitStack() as stack:
        if not verb.quick and not silent:
            from scenes.cli.progress import StderrProgress

            stack.enter_context(reporting(StderrProgress()))
        answer: tuple[dict[str, Any], int] = verb.execute()
    return answer


def _version() -> str:
    from importlib import metadata

    try:
        return metadata.version("playfield")
    except metadata.PackageNotFoundError:
        return "of a folder that is not installed"


def entry() -> None:
    """Entry point of the console script."""
    open_streams()
    try:
        code = main()
        sys.stdout.flush()
    except BrokenPipeError:  # the reader has closed the pipe
        code = DONE
    except OSError as error:
        if error.errno != errno.ENOSPC:
            raise
        code = print_error(error, FAILED)
    else:
        signal.signal(signal.SIGINT, signal.SIG_DFL)  # all is done: no traceback from Python's shutdown
        sys.exit(code)
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # or Python writes the rest, and complains
    sys.exit(code)
