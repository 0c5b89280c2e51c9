"""Worker processes of a sweep on this machine: started, watched, replaced when they die, and stopped."""

from __future__ import annotations

import json
import os
import queue
import shlex
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from scenes.interruption import interruption
from scenes.sweep.folder import Definition, SweepFolder
from scenes.sweep.study import ERROR, SweepStudy
from sim.errors import WorkError
from sim.machine import processors
from sim.progress import TaskProgress, waiting

#: -P: a folder that happens to lie where the user stands must not be imported instead of ours.
PYTHON = (sys.executable, "-P", "-W", "ignore", "-m", "scenes.sweep.worker")
POLL = 0.25  # seconds between two looks at the clock and at Ctrl-C
DEATHS = 3  # of the processes that train one trial, after which it has failed
PROMISE = "stopping after the updates in progress"
Say = Callable[[str], None]


class SweepFailed(WorkError):
    """A sweep whose processes could not go on; the message says what was saved and how to go on."""


class WorkerProcess:
    """One worker process, which puts what it says into `events`, and last its exit code."""

    def __init__(self, folder: SweepFolder, device: str, threads: int, number: int, events: Events) -> None:
        """Start it."""
        self.number = number
        self.trial: int | None = None
        self.log = folder.log(f"worker-{os.getpid()}-{number}")
        with self.log.open("a") as log:
            self._process = subprocess.Popen(
                PYTHON,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                env={"OMP_NUM_THREADS": str(threads)} | os.environ,
                start_new_session=True,  # Ctrl-C is for us: we stop it
            )
        with suppress(OSError):
            assert self._process.stdin is not None
            print(
                json.dumps({"folder": str(folder.path), "device": device}),
                file=self._process.stdin,
                flush=True,
            )
        threading.Thread(target=self._listen, args=(events,), daemon=True).start()

    def stop(self) -> None:
        """Let it save and end after the update in progress."""
        with suppress(OSError):
            assert self._process.stdin is not None
            self._process.stdin.close()

    def kill(self) -> None:
        """End it at once; what it had saved is safe."""
        self._process.kill()
        self._process.wait()

    def _listen(self, events: Events) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            with suppress(ValueError):
                events.put((self, json.loads(line)))
        events.put((self, {"exit": self._process.wait()}))


Events = queue.Queue[tuple[WorkerProcess, dict[str, Any]]]


class ProcessPool:
    """The worker processes of one sweep on this machine."""

    def __init__(self, study: SweepStudy, *, parallel: int, device: str, threads: int, say: Say) -> None:
        """Prepare; nothing is started yet."""
        self._study, self._parallel, self._device, self._threads, self._say = (
            study,
            parallel,
            device,
            threads,
            say,
        )
        self._events: Events = queue.Queue()
        self._workers: list[WorkerProcess] = []
        self._started = 0
        self._deaths: Counter[int | None] = Counter()
        self._stopping: str | None = None

    def run(self, minutes: float | None = None) -> str | None:
        """Train until no trial is left, the time is over or Ctrl-C; returns why it stopped, if it did.

        Raises:
            SweepFailed: if the processes cannot go on.
            KeyboardInterrupt: of a second Ctrl-C; the processes are killed.
        """
        deadline = None if minutes is None else time.monotonic() + 60 * minutes
        total = self._study.folder.read().trials
        try:
            with interruption(PROMISE) as interrupted, waiting("sweep", total) as wait:
                self._show(wait)
                for _ in range(min(self._parallel, self._study.open_trials())):
                    self._start()
                while self._workers:
                    self._handle_next(wait)
                    if interrupted():
                        self._stop("interrupted")
                    elif deadline is not None and time.monotonic() > deadline:
                        self._stop(f"the {minutes:g} minutes are over")
        finally:
            for worker in self._workers:
                worker.kill()
        return self._stopping

    def _start(self) -> None:
        self._started += 1
        self._workers.append(
            WorkerProcess(self._study.folder, self._device, self._threads, self._started, self._events)
        )

    def _stop(self, why: str) -> None:
        if self._stopping is None:
            self._stopping = why
            for worker in self._workers:
                worker.stop()

    def _handle_next(self, wait: TaskProgress) -> None:
        """Handle what a process says next, if it says something soon."""
        try:
            worker, event = self._events.get(timeout=POLL)
        except queue.Empty:
            return
        if "begun" in event:
            worker.trial = event["begun"]
        elif "ended" in event:
            worker.trial = None
            self._deaths[None] = 0
            self._say(outcome_line(self._study, event["ended"], event["outcome"]))
            self._show(wait)
        elif "failed" in event:
            raise SweepFailed(f"{event['failed']}; {self._how_to_go_on()}")
        elif "exit" in event:
            self._workers.remove(worker)
            if event["exit"] and self._stopping is None:
                self._replace(worker, event["exit"])

    def _replace(self, worker: WorkerProcess, code: int) -> None:
        """Start another process for one that died; a trial that kills all its processes has failed.

        Raises:
            SweepFailed: if processes die before they begin with a trial.
        """
        how = f"by signal {-code}" if code < 0 else f"with exit code {code}"
        self._deaths[worker.trial] += 1
        many = self._deaths[worker.trial] >= DEATHS
        if worker.trial is None and many:
            raise SweepFailed(
                f"worker processes end {how} before they train, see {worker.log}; {self._how_to_go_on()}"
            )
        if worker.trial is not None:
            self._say(
                f"the process of trial {worker.trial} ended {how}: another one goes on with it ({worker.log})"
            )
            if many:
                self._study.fail(worker.trial, f"{DEATHS} processes that trained it ended {how}")
        if self._study.open_trials():
            self._start()

    def _show(self, wait: TaskProgress) -> None:
        finished = [trial for trial in self._study.trials() if trial.state.is_finished()]
        values = [
            trial.value for trial in finished if trial.state.name == "COMPLETE" and trial.value is not None
        ]
        pick = max if self._study.definition.direction == "maximize" else min
        best = pick(values, default=None)
        wait.reach(len(finished), figures="" if best is None else f"best {best:.4g}")

    def _how_to_go_on(self) -> str:
        line = resume_command(self._study.folder, self._study.definition)
        return f"what had been saved is safe: go on with {line}"


def outcome_line(study: SweepStudy, number: int, outcome: str) -> str:
    """What became of a trial, in one line."""
    trial = study.trials()[number]
    if outcome == "failed":
        return f"trial {number} failed: {trial.user_attrs.get(ERROR)}"
    if outcome == "done" and trial.value is not None:
        return f"trial {number} done: {study.definition.metric} {trial.value:.4g}"
    return f"trial {number} {outcome}"


def resume_command(folder: SweepFolder, definition: Definition) -> str:
    """The command line that goes on with a sweep."""
    return f"playfield sweep {shlex.quote(definition.scene)} --run {shlex.quote(str(folder.path))} --resume"


def threads_each(parallel: int, network: str | None) -> int:
    """Threads of torch in each of several processes: the processors shared, one for small networks.

    >>> threads_each(2, "mlp")
    1
    """
    return 1 if (network or "").startswith("mlp") else max(1, processors() // parallel)
