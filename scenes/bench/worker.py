"""Benchmark process of one side: starts, warms up, then runs laps on request.

Its protocol is lines of JSON: it reads what to run, reports when it is warm, and from then on answers each
``{"seconds": 2.0}`` with its counts. End of input ends it, so it never outlives its parent.
"""

from __future__ import annotations

import importlib
import json
import os
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO


@dataclass(frozen=True)
class Settings:
    """Settings that both sides of a row share.

    Attributes:
        seed: of worlds, weights and actions.
        device: ``cpu`` or ``cuda``, for networks.
        threads: processor threads that each side may use for worlds.
        torch_threads: those that it may use for networks.
    """

    seed: int
    device: str
    threads: int
    torch_threads: int


#: Yields, again and again, how many units of the row it has done since the last yield.
Work = Iterator[int]


def lap(work: Work, seconds: float, clock: Callable[[], float] = time.perf_counter) -> dict[str, float]:
    """Run a lap: `work` for at least `seconds` and one yield; returns units, seconds and peak memory."""
    units = 0
    started = clock()
    while True:
        units += next(work)
        elapsed = clock() - started
        if elapsed >= seconds:
            return {"units": units, "seconds": elapsed, "memory_mib": peak_memory()}


def peak_memory() -> float:
    """Peak resident memory of this process, MiB."""
    status = Path("/proc/self/status")
    if status.exists():  # getrusage would count what the parent held when it forked
        for line in status.read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) / 1024
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / 2**20 if sys.platform == "darwin" else peak / 1024


def start(request: dict[str, Any]) -> Work:
    """Start the work that `request` names, with its number of threads, and warm it up."""
    module, _, name = request["work"].partition(":")
    make: Callable[..., Work] = getattr(importlib.import_module(module), name)
    settings = Settings(**request["settings"])
    if "torch" in sys.modules:
        import torch

        torch.set_num_threads(settings.torch_threads)
    work = make(settings, **request["fields"])
    lap(work, request["warm_up"])
    return work


def serve(orders: TextIO, answers: TextIO) -> None:
    """Answer requests for laps until input ends; an error is the last answer."""

    def say(answer: dict[str, Any]) -> None:
        print(json.dumps(answer), file=answers, flush=True)

    try:
        work = start(json.loads(orders.readline()))
        say({"ready": True})
        for line in orders:
            say(lap(work, json.loads(line)["seconds"]))
    except Exception as error:
        say({"error": f"{type(error).__name__}: {error}"})


def main() -> None:
    """Run the process: answers go to stdout, everything that libraries print to stderr."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    serve(sys.stdin, answers)
    answers.close()
    os._exit(0)  # exit at once: simulators' threads may never end


if __name__ == "__main__":
    main()
