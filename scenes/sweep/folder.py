"""Sweep folders: what is searched, kept as JSON beside the scene, and where everything lies.

Several processes read and write one sweep's folder at a time; what they agree by is here and in
`scenes.sweep.study`. Locks are the operating system's (`filelock`): a killed process holds none.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Literal

from filelock import FileLock, Timeout

from scenes.schema import Scene, load_scene
from scenes.sweep.search_space import Dimension, NumberRange, parse_dimension
from sim.errors import RequestError, WorkError
from sim.storage.files import SaveError, reason, write_whole

DEFINITION, SCENE = "sweep.json", "scene.toml"
FORMAT = 1
Direction = Literal["maximize", "minimize"]


class SweepError(RequestError, ValueError):
    """A sweep folder that cannot be used as asked."""


@dataclass(frozen=True)
class Definition:
    """What is searched; written once, of which only the number of trials may grow.

    Attributes:
        scene: as a person called it, for the commands in reports.
        name: of the scene.
        search: scene key → range, as of `scenes.sweep.search_space`.
        whole: the keys whose range holds whole numbers only.
        trials: how many there are to be, pruned and failed ones included.
        seed: the first seed of every trial, and of the search.
        seeds: how many each trial trains.
        steps: the budget of each seed in `unit`, ``env_steps`` or ``updates``.
        unit: see there.
        metric: what trials are compared by while they train and, evaluated, at their end.
        direction: which values of it are better.
        prunes: whether bad trials are stopped early.
        changes: the ``--set`` of the command.
    """

    scene: str
    name: str
    search: dict[str, str]
    whole: tuple[str, ...]
    trials: int
    seed: int
    seeds: int
    steps: int
    unit: str
    metric: str
    direction: Direction
    prunes: bool
    changes: tuple[str, ...] = ()

    @property
    def space(self) -> list[Dimension]:
        """The search space."""
        parsed = [parse_dimension(f"{key}={text}") for key, text in self.search.items()]
        return [
            replace(each, whole=each.key in self.whole) if isinstance(each, NumberRange) else each
            for each in parsed
        ]

    @property
    def seed_range(self) -> range:
        """The seeds of every trial."""
        return range(self.seed, self.seed + self.seeds)


@dataclass(frozen=True)
class SweepFolder:
    """One sweep's folder."""

    path: Path

    @property
    def journal(self) -> Path:
        """Optuna's study."""
        return self.path / "journal.log"

    def lock(self, name: str) -> FileLock:
        """The lock `name` of the sweep: ``claim``, ``journal``, or a trial's number."""
        return FileLock(self.path / "locks" / f"{name}.lock")

    def log(self, name: str) -> Path:
        """The log of a worker process."""
        return self.path / "logs" / f"{name}.log"

    def run(self, trial: int, seed: int) -> Path:
        """The run folder of one seed of a trial."""
        return self.path / "trials" / f"{trial}-seed{seed}"

    def exists(self) -> bool:
        """Whether a sweep has begun in it."""
        return (self.path / DEFINITION).is_file() and (self.path / SCENE).is_file()

    def read(self) -> Definition:
        """Read what is searched.

        Raises:
            SweepError: if it is no sweep's folder, or damaged.
        """
        file = self.path / DEFINITION
        try:
            content = json.loads(file.read_text("utf-8"))
            if content.pop("format") != FORMAT:
                raise SweepError(f"{file} was written by another version of playfield: begin another sweep")
            lists = {key: tuple(content[key]) for key in ("whole", "changes")}
            return Definition(**content | lists)
        except FileNotFoundError:
            raise SweepError(f"{self.path} is not a sweep's folder: there is no {DEFINITION} in it") from None
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            if isinstance(error, SweepError):
                raise
            raise SweepError(f"{file} is damaged ({error}): begin another sweep") from error

    def write(self, definition: Definition) -> None:
        """Write what is searched, whole or not at all.

        Raises:
            SaveError: if it cannot be written.
        """
        content = {"format": FORMAT} | asdict(definition)
        self.write_text(DEFINITION, json.dumps(content, indent=1, ensure_ascii=False) + "\n")

    def create(self, definition: Definition, scene: Scene) -> None:
        """Make the folder with scene and definition; the definition, by which it is a sweep, comes last.

        Raises:
            SaveError: if it cannot be written.
        """
        try:
            for part in ("trials", "locks", "logs"):
                (self.path / part).mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise SaveError(error.errno, f"could not make {self.path}: {reason(error)}") from error
        self.write_text(SCENE, scene.toml())
        self.write(definition)

    def write_text(self, name: str, text: str) -> Path:
        """Write a text file of the sweep, whole or not at all.

        Raises:
            SaveError: if it cannot be written.
        """
        return self.write_file(name, lambda file: file.write_text(text, "utf-8"))

    def write_file(self, name: str, write: Callable[[Path], Any]) -> Path:
        """Write a file of the sweep by `write`, whole or not at all.

        Raises:
            SaveError: if it cannot be written.
        """
        try:
            return write_whole(self.path / name, write)
        except OSError as error:
            if isinstance(error, WorkError):
                raise
            raise SaveError(error.errno, f"could not write {self.path / name}: {reason(error)}") from error

    def scene(self, definition: Definition, changes: Sequence[str] = (), seed: int | None = None) -> Scene:
        """The scene of all trials with the changes of one, called as a person called it.

        Raises:
            SceneError: if the changes are wrong.
        """
        scene = load_scene(str(self.path / SCENE), changes, seed)
        return replace(scene, name=definition.name, typed=definition.scene)

    def check_idle(self) -> None:
        """Check that nobody trains a trial of the sweep.

        Raises:
            SweepError: naming the trial that trains now.
        """
        for number in sorted(int(file.stem) for file in (self.path / "locks").glob("[0-9]*.lock")):
            lock = self.lock(str(number))
            try:
                lock.acquire(timeout=0)
            except Timeout:
                raise SweepError(
                    f"{self.path} is in use: trial {number} trains now; stop that first"
                ) from None
            lock.release()

    def remove(self) -> None:
        """Delete the sweep, its trials included; the definition, by which it is one, goes first.

        Raises:
            SaveError: if it cannot be deleted.
        """
        try:
            (self.path / DEFINITION).unlink(missing_ok=True)
            shutil.rmtree(self.path)
        except OSError as error:
            raise SaveError(error.errno, f"could not delete {self.path}: {reason(error)}") from error
