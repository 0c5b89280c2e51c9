"""Worker process of a sweep: claims trials and trains them, one after another, until none is left.

It reads one line of JSON, ``{"folder", "device"}``, and writes a line of JSON for each trial that begins and
ends. End of input means stop: after the update in progress, with the trial saved. So it never outlives the
process that started it, however that ends.
"""

from __future__ import annotations

import json
import os
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, TextIO

from scenes.signals import sigterm_as_ctrl_c
from scenes.sweep.folder import SweepFolder
from sim.errors import WorkError

DONE, FAILED, INTERRUPTED = 0, 1, 130
Tell = Callable[[dict[str, Any]], None]


def work(folder: SweepFolder, *, device: str, stop: Callable[[], bool], tell: Tell) -> None:
    """Claim, train and score trials until none is left, or `stop` says so.

    Args:
        folder: of the sweep.
        device: ``auto``, ``cpu`` or ``cuda``.
        stop: asked between trials and after each update.
        tell: takes ``{"begun": number}`` and ``{"ended": number, "outcome": word}``.

    Raises:
        SaveError: if the disk is full or cannot be written.
    """
    from scenes.sweep.study import SweepStudy
    from scenes.sweep.trial import TrialWork

    definition = folder.read()
    study = SweepStudy(folder, definition)
    trials = TrialWork(folder, definition, device=device, stop=stop, say=_remark)
    while not stop() and (claimed := study.claim()) is not None:
        with claimed as trial:
            tell({"begun": trial.number})
            outcome = trials.run(trial)
        tell({"ended": trial.number, "outcome": outcome})
        if outcome == "stopped":
            return


def _remark(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def main() -> int:
    """The process: protocol on stdin and stdout, remarks on stderr."""
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "w")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # what a library prints is no answer
    stop = threading.Event()

    def tell(message: dict[str, Any]) -> None:
        try:
            print(json.dumps(message), file=answers, flush=True)
        except OSError:  # nobody listens any more
            stop.set()

    request = json.loads(sys.stdin.readline() or "null")
    if request is None:
        return DONE
    threading.Thread(target=_until_end, args=(sys.stdin, stop), daemon=True).start()
    try:
        with sigterm_as_ctrl_c():
            work(SweepFolder(Path(request["folder"])), device=request["device"], stop=stop.is_set, tell=tell)
    except KeyboardInterrupt:
        return INTERRUPTED
    except WorkError as error:
        tell({"failed": str(error)})
        return FAILED
    return DONE


def _until_end(stream: TextIO, stop: threading.Event) -> None:
    while stream.read(1):
        pass
    stop.set()


if __name__ == "__main__":
    code = main()
    sys.stderr.flush()
    os._exit(code)  # a thread that still reads stdin would hold up Python's end
