"""One trial of a sweep: its seeds trained one after another in run folders, compared, and scored.

Training is `scenes.training.session`'s, resumed exactly where the trial was left. At 20 points of each seed's
budget the metric is reported to the study, which may prune the trial at every fifth of them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Literal

import numpy as np

from scenes.schema import Scene
from scenes.sweep.folder import Definition, SweepFolder
from scenes.sweep.scoring import SeedScore, score_seed
from scenes.sweep.search_space import changes_of
from scenes.sweep.study import RUNGS, ClaimedTrial
from scenes.training.session import Trained, TrainingFailed, start_training
from sim.errors import RequestError, WorkError
from sim.records import Progress
from sim.storage.files import SaveError

Outcome = Literal["done", "pruned", "failed", "stopped"]
INTERRUPTED = "interrupted"


class Pruned(Exception):
    """The study has stopped this trial, `seconds` into the training of its seed."""

    def __init__(self, seconds: float) -> None:
        super().__init__(seconds)
        self.seconds = seconds


class Stopped(Exception):
    """The sweep is to stop; the trial goes on later."""


class TrialWork:
    """Training and scoring of the trials that one process claims."""

    def __init__(
        self,
        folder: SweepFolder,
        definition: Definition,
        *,
        device: str = "auto",
        stop: Callable[[], bool] = lambda: False,
        say: Callable[[str], None] = lambda line: None,
    ) -> None:
        """Prepare.

        Args:
            folder: of the sweep.
            definition: what is searched.
            device: ``auto``, ``cpu`` or ``cuda``.
            stop: asked after each update whether to stop there.
            say: takes lines for a person.
        """
        self.folder, self.definition = folder, definition
        self._device, self._stop, self._say = device, stop, say

    def run(self, trial: ClaimedTrial) -> Outcome:
        """Train and score a claimed trial, and end it in the study unless it was stopped.

        Raises:
            SaveError: if the disk is full or cannot be written: the trial can go on later.
        """
        try:
            scores = [
                self._seed(trial, number, seed) for number, seed in enumerate(self.definition.seed_range)
            ]
        except Stopped:
            return "stopped"
        except Pruned as early:
            trial.prune(early.seconds)
            return "pruned"
        except (RequestError, WorkError) as error:
            if isinstance(error, SaveError) or isinstance(error.__cause__, SaveError):
                raise
            trial.fail(str(error))
            return "failed"
        trial.complete(float(np.mean([each.score for each in scores])))
        return "done"

    def _seed(self, trial: ClaimedTrial, number: int, seed: int) -> SeedScore:
        """Train and score one seed, the trial's `number`-th, unless that is done."""
        if (done := trial.seed_result(seed)) is not None:
            return SeedScore.of(done)
        scene = self.folder.scene(self.definition, changes_of(trial.params), seed)
        run = self.folder.run(trial.number, seed)
        going_on = f"--run {run} --resume"
        with start_training(
            scene,
            run,
            device=self._device,
            resume=run.is_dir(),
            start_from=None,
            say=self._say,
            going_on=going_on,
        ) as training:
            rung = 0
            for progress in training:
                rung = self._compare(trial, number, rung, progress, training.result)
                if self._stop():
                    break
            result = training.result
        if self._stop() or result.stopped == INTERRUPTED:
            raise Stopped
        return self._scored(trial, scene, seed, result)

    def _compare(
        self, trial: ClaimedTrial, number: int, rung: int, progress: Progress, result: Trained
    ) -> int:
        """Report the metric where the budget's next rung is reached; returns the rung.

        Raises:
            Pruned: if the study finds the trial worse than half of those before it.
        """
        reached = min(RUNGS, progress.updates * RUNGS // max(1, progress.total_updates))
        value = result.metrics.get(self.definition.metric)
        if reached == rung or value is None:
            return rung
        for at in range(rung + 1, reached + 1):  # one update may pass several
            trial.report(number * RUNGS + at, value)
        trained = reached == RUNGS  # then it is only to be scored
        if self.definition.prunes and not trained and trial.hopeless():
            raise Pruned(result.seconds)
        return reached

    def _scored(self, trial: ClaimedTrial, scene: Scene, seed: int, result: Trained) -> SeedScore:
        """Score a seed that is trained, and record that."""
        found: Mapping[str, Any] = score_seed(scene, result.folder, self.definition.metric, self._device)
        steps = result.env_steps if self.definition.unit == "env_steps" else result.updates
        score = SeedScore(**found, seconds=round(result.seconds, 3), steps=steps)
        if not np.isfinite(score.score):
            raise TrainingFailed(f"the score of seed {seed} is {score.score}, not a finite number")
        trial.keep(seed, score.table())
        return score
