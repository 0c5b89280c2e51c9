"""Training loop: iterates `learn`, and saves, logs, evaluates and stops between two updates.

What learns knows nothing of folders, progress bars or signals; all of that is here, once, for every
agent, perception and sampler (`scenes.training.agents`).
"""

from __future__ import annotations

import time
import tomllib
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from scenes.console import duration
from scenes.interruption import FAULTS, error_line, progress_bar
from scenes.schema import Scene, load_scene
from scenes.training.resume import check_ranks, differences
from scenes.training.trainee import Trainee
from sim.errors import RequestError, WorkError
from sim.plurals import number_of
from sim.ranks import launcher
from sim.records import Budget, Progress, State
from sim.storage.checkpoints import PLAIN, save_checkpoint
from sim.storage.files import SaveError
from sim.storage.runs import Run, RunError, step_folders
from supervised.tensors import NonFiniteError

RECENT = 100  # episodes in the mean return that is shown and that target_return is held against
CHECKPOINTS_IN_A_RUN = 20  # where [train] does not set checkpoint_every


class TrainingFailed(WorkError):
    """Training that failed; the message says what was saved and how to go on."""


@dataclass
class Trained:
    """Result of a training run.

    `rate` is the budget's units a second, env steps or updates, without start-up and the first update.
    `stopped` says why it ended before its budget, or is None.
    """

    folder: Path
    env_steps: int = 0
    updates: int = 0
    seconds: float = 0.0
    rate: float = 0.0
    stopped: str | None = None
    metrics: dict[str, float] = field(default_factory=dict)


class TrainingLoop:
    """Saving, logging, evaluation and stopping of a training run, from its start or a resume to its end."""

    def __init__(
        self,
        scene: Scene,
        trainee: Trainee,
        budget: Budget,
        run: Run,
        say: Callable[[str], None],
        going_on: str,
    ) -> None:
        self.going_on = going_on
        self.scene, self.trainee, self.budget, self.run, self.say = scene, trainee, budget, run, say
        self.recent: deque[float] = deque(maxlen=RECENT)
        self.seconds_before = 0.0
        self.result = Trained(run.folder)
        self._changed: str | None = None  # the scene that the run goes on by, until a state of it is kept
        self._before = 0  # what the budget counts, at the yield before this one
        usual = max(1, budget.amount // CHECKPOINTS_IN_A_RUN)
        self.checkpoint_every = scene.train.checkpoint_every or usual

    def take_up(self) -> None:
        """Restore the newest state of the run, if it has one."""
        found = self.run.newest_state()
        saved = step_folders(self.run.checkpoints)
        if found is None and len(saved) > 1:  # one alone may have been on its way when the process was killed
            raise RunError(
                f"{self.run.folder} has checkpoints but no state to go on from: "
                f"begin another run with --from {saved[-1]}"
            )
        if found is None:
            self.run.forget_later()
            self.say(f"{self.run.folder} holds no state yet: starting from the beginning")
            return
        step, state = found
        check_ranks(self.run.folder, state["learner"], getattr(self.trainee, "ranks", 1))
        try:
            self.trainee.restore(state["learner"])
        except FAULTS as error:
            raise RunError(
                f"the state of step {step:,} in {self.run.folder} does not fit this scene: "
                f"{error_line(error)}; "
                f"leave the scene as it was, or begin another run with --from {saved[-1]}"
            ) from error
        self.run.forget_later()
        self.recent.extend(state["recent"].tolist())
        self.seconds_before = float(state["seconds"])
        self.result.env_steps, self.result.updates = int(state["env_steps"]), int(state["updates"])
        self.result.seconds = self.seconds_before
        if self.recent:
            self.result.metrics["return_mean"] = float(np.mean(self.recent))
        self.say(f"resuming {self.run.folder} at step {step:,}")
        if not self.trainee.resumes_exactly:
            self.say("it goes on from here, but not bit for bit as if it had never stopped")

    def begin(self) -> bool:
        """Say what is about to be learned; False where nothing is left to learn."""
        steps_done = self._counted(self.result.env_steps, self.result.updates)
        if self.budget.spent(self.result.env_steps, self.result.updates):
            self.say(f"{self.run.folder} is finished: {number_of(steps_done, 'step')} done")
            return False
        if self._on_target():
            self.say(f"{self.run.folder} is finished: {self._reached()}; with another target it goes on")
            return False
        with self._failing_clearly():
            self._announce_changes(steps_done)
            self._announce()
        return True

    def updates(self, interrupted: Callable[[], bool]) -> Iterator[Progress]:
        """Learn until the budget, the target or an interruption; closed before, it saves the last update.

        Yields:
            after each update, once it is logged and, where that is due, saved.
        """
        with self._failing_clearly():
            yield from self._learn(interrupted)

    @contextmanager
    def _failing_clearly(self) -> Iterator[None]:
        """Turn what breaks down into a `TrainingFailed`, unless the request is what was wrong."""
        before = self.result.updates
        try:
            yield
        except SaveError as error:
            raise TrainingFailed(f"{error.strerror}; {self._how_to_go_on()}") from error
        except (RequestError, *FAULTS) as error:
            if isinstance(error, RequestError) and self.result.updates == before:
                raise  # the learner or its worlds find the request wrong
            raise TrainingFailed(
                f"training stopped: {error_line(error)}; {self._how_to_go_on(error)}"
            ) from error
        except Exception:  # a mistake in a program: its traceback follows
            self.say(f"training broke down; {self._how_to_go_on()}")
            raise

    def _announce_changes(self, steps_done: int) -> None:
        """Say what is changed where a run goes on; `_save` keeps it with the first state that it led to."""
        scene, file = self.scene.toml(), self.run.folder / "scene.toml"
        before = file.read_text("utf-8")
        # Of the file read and written anew: what it left to a default is no difference.
        changed = differences(tomllib.loads(load_scene(str(file)).toml()), tomllib.loads(scene))
        if not changed:
            return
        line = f"from step {steps_done:,} on: {', '.join(changed)}"
        self.say(line)
        history = [line for line in before.splitlines() if line.startswith("#")]
        self._changed = "\n".join([*history, f"# {line}", scene])

    def _keep_changes(self) -> None:
        """Replace the scene beside the run by the one that it goes on by."""
        if self._changed is not None:
            path = self.run.folder / "scene.toml"
            whole = path.with_suffix(".new")
            whole.write_text(self._changed, "utf-8")
            whole.replace(path)
            self._changed = None

    def _learn(self, interrupted: Callable[[], bool]) -> Iterator[Progress]:
        """Take what the learner yields, and save, log, score and stop in between."""
        started = time.monotonic()
        first: tuple[float, int] | None = None
        saved = self._step(self.result)
        progress: Progress | None = None
        with progress_bar("training") as draw:
            try:
                for progress in self.trainee.learn(self.budget):
                    self._before = self._counted(self.result.env_steps, self.result.updates)
                    now = time.monotonic()
                    self._note(progress, self.seconds_before + now - started)
                    if first is None:
                        first = (now, self._step(progress))
                    elif now > first[0]:
                        self.result.rate = (self._step(progress) - first[1]) / (now - first[0])
                    self.result.stopped = self._why_stop(interrupted())
                    if self._due(saved, progress) or self.result.stopped:
                        self._save(progress)
                        saved = self._step(progress)
                    draw(self._status(progress))
                    yield progress
                    if self.result.stopped:
                        break
            except GeneratorExit:
                self.result.stopped = self.result.stopped or "by its caller"
                if progress is not None and saved != self._step(progress):
                    self._save(progress)
                raise
        if progress is not None and saved != self._step(progress):
            self._save(progress)

    def _announce(self) -> None:
        """Say what is about to be done and how long that will take."""
        total, unit = self.budget.amount, self.trainee.unit.removesuffix("s")
        line = f"{self.scene.title}: {number_of(total, unit)} in {self.run.folder}"
        rate = self.trainee.estimated_rate(self.budget)
        if rate:
            left = (total - self._counted(self.result.env_steps, self.result.updates)) / rate
            line += f", about {duration(left)} at {rate:,.0f} steps/s"
        self.say(line)

    def _note(self, progress: Progress, seconds: float) -> None:
        """Log one update."""
        self.recent.extend(episode.score for episode in progress.episodes)
        row: dict[str, Any] = {"updates": progress.updates}
        if progress.env_steps:
            row = {"env_steps": progress.env_steps} | row | {"episodes": len(progress.episodes)}
        if self.recent:
            row["return_mean"] = float(np.mean(self.recent))
        row |= progress.metrics
        if self._crossed(self.scene.train.evaluate_every, progress):
            row |= {f"evaluation_{name}": value for name, value in self.trainee.evaluate().items()}
        self.run.log(self._step(progress), row | {"seconds": round(seconds, 3)})
        self.result.env_steps, self.result.updates = progress.env_steps, progress.updates
        self.result.seconds = seconds
        self.result.metrics = {k: v for k, v in row.items() if k not in ("env_steps", "updates", "episodes")}

    def _why_stop(self, interrupted: bool) -> str | None:
        if interrupted:
            return "interrupted"
        return self._reached() if self._on_target() else None

    def _on_target(self) -> bool:
        target = self.scene.train.target_return
        return target is not None and len(self.recent) == RECENT and bool(np.mean(self.recent) >= target)

    def _reached(self) -> str:
        return f"the last {RECENT} episodes reached target_return {self.scene.train.target_return:g}"

    @staticmethod
    def _step(done: Progress | Trained) -> int:
        """What checkpoints, states and rates are counted in: env steps, or updates where nothing acts."""
        return done.env_steps or done.updates

    def _counted(self, env_steps: int, updates: int) -> int:
        return env_steps if self.budget.env_steps is not None else updates

    def _crossed(self, every: int, progress: Progress) -> bool:
        """Whether this update passed a multiple of `every`, wherever the run was started or resumed."""
        if every < 1:
            return False
        return self._counted(progress.env_steps, progress.updates) // every > self._before // every

    def _due(self, saved: int, progress: Progress) -> bool:
        return saved != self._step(progress) and self._crossed(self.checkpoint_every, progress)

    def _save(self, progress: Progress) -> None:
        """Write the checkpoint, then the state: a state never stands without its checkpoint."""
        trained = {"updates": progress.updates, "seconds": round(self.result.seconds)}
        if progress.env_steps:
            trained = {"env_steps": progress.env_steps} | trained
        scores = {}
        if self.recent:
            scores = {"training_return_mean": float(np.mean(self.recent)), "episodes": len(self.recent)}
        step, card = self._step(progress), self.trainee.card(trained, scores)
        layout = getattr(self.trainee, "layout", PLAIN)
        save_checkpoint(self.run.checkpoints / str(step), card, self.trainee.weights(), layout=layout)
        state: State = {
            "learner": self.trainee.state(),
            "recent": np.array(self.recent, np.float64),
            "seconds": self.result.seconds,
            "env_steps": progress.env_steps,
            "updates": progress.updates,
        }
        self.run.save_state(step, state)
        self._keep_changes()

    def _how_to_go_on(self, error: BaseException | None = None) -> str:
        """What is safe, and the line that goes on; after `error` with a change that may avoid it."""
        states = sorted((int(path.name) for path in self.run.states.glob("[0-9]*")), reverse=True)
        line = f"{launcher()} train {self.scene.asked()} {self.going_on}"
        rate = self.trainee.learning_rate
        if isinstance(error, NonFiniteError) and rate:  # unchanged it would end there again, bit for bit
            line += f" --set {self.trainee.learning_rate_key}={rate / 2:g}"
        if not states:
            return f"nothing had been saved yet: begin again with {line}"
        return f"the state of step {states[0]:,} is safe: go on with {line}"

    def _status(self, progress: Progress) -> tuple[float, float, str]:
        unit = "updates" if self.trainee.unit == "updates" else "steps"
        loss = progress.metrics.get("validation_loss")
        if unit == "updates":
            score = "" if loss is None else f" · held-out loss {loss:.4g}"
        else:
            score = f" · return {np.mean(self.recent):.1f}" if self.recent else " · no episode has ended yet"
        return progress.updates, progress.total_updates, f"{self.result.rate:,.0f} {unit}/s{score}"
