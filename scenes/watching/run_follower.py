"""Run follower: polls a run folder for new checkpoints and the learning curve while it trains.

A thread checks names and times in the folder once a second and reads what is new, so that neither the window
nor the world waits for a disk. It only reads: the training process is not involved, and files that are
incomplete are left until they are complete.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from scenes.watching.labels import in_words
from sim.records import Array
from sim.storage.checkpoints import Checkpoint, CheckpointError, load_checkpoint
from sim.storage.runs import step_folders
from sim.viewer.contract.moment import Learning

POLL = 1.0  # seconds between two polls
CURVE_POINTS = 400  # about a panel's width in pixels
_PATIENCE = 2.0  # seconds that closing waits for a reading in progress

Signature = tuple[tuple[str, int, int], ...]


@dataclass(frozen=True)
class Axes:
    """Keys of the rows of metrics.jsonl that a learning curve is made of, and what the window calls them."""

    x: str
    y: str
    unit: str
    measure: str


RETURN = Axes("env_steps", "return_mean", "steps", "mean return")  # of an agent
LOSS = Axes("updates", "validation_loss", "updates", "held-out loss")  # of a fitted model


class Follower:
    """Follower of one run: its newest checkpoint, its learning curve and its status.

    Args:
        run: the run's folder.
        check: raises CheckpointError for a checkpoint that does not fit the scene.
        axes: of the learning curve.
        held: keep this checkpoint, and follow the learning curve only.
        poll: seconds between two polls.
    """

    def __init__(
        self,
        run: Path,
        check: Callable[[Checkpoint], None],
        *,
        axes: Axes = RETURN,
        held: Path | None = None,
        poll: float = POLL,
    ) -> None:
        self._run, self._check, self._held, self._poll = run, check, held, poll
        self._curve = Curve(run / "metrics.jsonl", axes)
        self._refused: dict[str, tuple[Signature, str]] = {}  # failed checkpoint: signature, error
        self._fresh: Checkpoint | None = None  # loaded, and not yet taken
        self._step = -1  # of the last one loaded
        self._learning = Learning(
            training="untrained", following=held is None, measure=axes.measure, unit=axes.unit
        )
        self._lock = threading.Lock()
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="follower", daemon=True)

    @property
    def learning(self) -> Learning:
        """Status and learning curve of the run; the same object while nothing changes."""
        return self._learning

    def open(self) -> None:
        """Read the run's present content.

        Raises:
            CheckpointError: the newest one's, if there are checkpoints but none that loads.
        """
        found = self._timeline()
        for folder in reversed(found):
            if self._load(folder):
                break
        else:
            if found:
                self._check(load_checkpoint(found[-1]))
        self._read_curve()

    def start(self) -> None:
        """Start polling, in a thread."""
        if self._thread.ident is None:
            self._thread.start()

    def close(self) -> None:
        """Stop polling."""
        self._closing.set()
        if self._thread.ident is not None:
            self._thread.join(_PATIENCE)

    def take(self) -> Checkpoint | None:
        """The newest checkpoint, if it has not been taken yet; else None."""
        with self._lock:
            taken, self._fresh = self._fresh, None
        return taken

    def plays(self, checkpoint: Checkpoint) -> None:
        """Record that the taken checkpoint plays from now on."""
        words = in_words(checkpoint.card.get("trained", {}))
        message = f"now {words}" if self._thread.ident is not None else ""
        if self._held:
            message = "following paused: ] goes on to the newest checkpoint"
        with self._lock:
            self._learning = replace(
                self._learning, checkpoint=checkpoint.folder.name, training=words, message=message
            )
            self._mark()

    def say(self, message: str) -> None:
        """Set the message of the status."""
        with self._lock:
            self._learning = replace(self._learning, message=message)

    def _watch(self) -> None:
        while not self._closing.wait(self._poll):
            self.look()

    def look(self) -> None:
        """Poll once: load the newest valid checkpoint, if newer than the last, and new rows of the curve."""
        with suppress(OSError):  # what is being deleted or replaced is looked at again
            for folder in reversed(self._timeline()):
                if int(folder.name) <= self._step or self._held:
                    break
                if self._load(folder):
                    break
            self._read_curve()

    def _timeline(self) -> list[Path]:
        return [self._held] if self._held else step_folders(self._run / "checkpoints")

    def _load(self, folder: Path) -> bool:
        """Load one checkpoint; a failed one is retried when its files have changed."""
        try:
            signature = tuple(
                sorted((p.name, (s := p.stat()).st_mtime_ns, s.st_size) for p in folder.iterdir())
            )
            before, why = self._refused.get(folder.name, ((), ""))
            if before == signature:
                if why:  # unchanged since the last poll: it is not being copied any more
                    self._refused[folder.name] = (signature, "")
                    self.say(why)
                return False
            checkpoint = load_checkpoint(folder)
            self._check(checkpoint)
        except CheckpointError as error:
            self._refused[folder.name] = (signature, str(error))
            return False
        except OSError:  # deleted between the listing and the reading
            return False
        with self._lock:
            self._fresh, self._step = checkpoint, int(folder.name)
        return True

    def _read_curve(self) -> None:
        if self._curve.read():
            with self._lock:
                self._learning = replace(self._learning, curve=self._curve.values(), steps=self._curve.last)
                self._mark()

    def _mark(self) -> None:
        """Mark on the learning curve where the playing checkpoint was saved."""
        if self._learning.checkpoint and self._learning.steps:
            played = int(self._learning.checkpoint) / self._learning.steps
            self._learning = replace(self._learning, played=min(1.0, played))


class Curve:
    """Incremental reader of a learning curve from a growing metrics.jsonl."""

    def __init__(self, file: Path, axes: Axes = RETURN) -> None:
        self._file, self._axes = file, axes
        self._forget()

    def _forget(self) -> None:
        self._offset, self._rest = 0, b""
        self._steps: list[int] = []
        self._values: list[float] = []
        self.last = 0  # step of the run

    def read(self) -> bool:
        """Read new lines; True if there were any. A file cut by `--resume` is read from its start."""
        try:
            size = self._file.stat().st_size
            if size == self._offset:
                return False
            if size < self._offset:
                self._forget()
            with self._file.open("rb") as file:
                file.seek(self._offset)
                new = file.read()
        except OSError:
            return False
        self._offset += len(new)
        *lines, self._rest = (self._rest + new).split(b"\n")
        for line in lines:
            self._note(line)
        return bool(lines)

    def _note(self, line: bytes) -> None:
        try:
            row = json.loads(line)
            steps = int(row[self._axes.x])
        except (ValueError, KeyError, TypeError):  # a line that a full disk cut short
            return
        self.last = max(self.last, steps)
        if isinstance(row.get(self._axes.y), int | float):
            self._steps.append(steps)
            self._values.append(float(row[self._axes.y]))

    def values(self) -> Array:
        """The curve (CURVE_POINTS,) at evenly spaced steps from 0 to now; NaN before the first row."""
        if not self._steps:
            return np.full(CURVE_POINTS, np.nan)
        steps = np.linspace(0, self.last, CURVE_POINTS)
        return np.interp(steps, self._steps, self._values, left=np.nan)
