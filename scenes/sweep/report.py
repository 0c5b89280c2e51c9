"""Report of a sweep as data: a row for each trial, the best one, importance of parameters, Pareto front.

Made of the study and the scene alone, at any time; `scenes.sweep.figures` draws it and `scenes.sweep.page`
writes it.
"""

from __future__ import annotations

import math
import shlex
import warnings
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
import optuna
from optuna.importance import BaseImportanceEvaluator, FanovaImportanceEvaluator, PedAnovaImportanceEvaluator
from optuna.trial import FrozenTrial, TrialState

from agents.evaluation.statistics import mean_interval
from scenes.sweep.folder import Definition
from scenes.sweep.scoring import SeedScore, protocol
from scenes.sweep.search_space import change_of
from scenes.sweep.study import ERROR, OWN, RUNGS, SEED, SPENT, SweepStudy

STATES = {
    TrialState.COMPLETE: "done",
    TrialState.PRUNED: "pruned",
    TrialState.FAIL: "failed",
    TrialState.RUNNING: "unfinished",
    TrialState.WAITING: "waiting",
}
FEWEST = 4  # finished trials from which on importance says anything


@dataclass(frozen=True)
class TrialRow:
    """One trial of the report.

    Attributes:
        trial: its number.
        state: done, pruned, failed, or unfinished: trained now or to go on at the next resume.
        params: scene key → value.
        score: the mean of its seeds' scores; None until it is done.
        low: of the 95 % interval of the score, over `interval_over`; None where there is none.
        high: of the same.
        interval_over: ``seeds`` (Student) or ``episodes`` of the one seed (bootstrap).
        seconds: of training, all seeds together.
        progress: share of its budget after which its metric was last reported, in [0, 1].
        runs: folders of its seeds that have begun.
        scores: of its seeds that have ended.
        own: whether its values are the scene's own.
        error: why it failed.
    """

    trial: int
    state: str
    params: dict[str, Any]
    score: float | None = None
    low: float | None = None
    high: float | None = None
    interval_over: str | None = None
    seconds: float = 0.0
    progress: float = 0.0
    runs: list[str] = field(default_factory=list)
    scores: list[float] = field(default_factory=list)
    own: bool = False
    error: str | None = None


@dataclass(frozen=True)
class SweepReport:
    """Report of a sweep.

    Attributes:
        folder: of the sweep.
        title: of the scene.
        definition: what was searched.
        rows: all trials that were begun, best first, then those without a score by number.
        best: the row with the best score; None before any is done.
        importance: scene key → share of the scores' variance that it explains; empty of few trials.
        importance_by: the method, such as ``fANOVA``.
        pareto: numbers of the trials that no other beats in both score and seconds, fastest first.
        protocol: how trials are scored and compared.
        command: that trains the scene with the best values.
    """

    folder: str
    title: str
    definition: Definition
    rows: list[TrialRow]
    best: TrialRow | None
    importance: dict[str, float]
    importance_by: str
    pareto: list[int]
    protocol: str
    command: str | None

    @property
    def finished(self) -> list[TrialRow]:
        """The rows with a score."""
        return [row for row in self.rows if row.score is not None]

    def answer(self) -> dict[str, Any]:
        """The JSON object of the verb's ``--json``."""
        return {
            "sweep": self.folder,
            "rows": [asdict(row) for row in self.rows],
            "best": None if self.best is None else asdict(self.best),
        }

    def table(self) -> dict[str, Any]:
        """The whole report as JSON holds it."""
        return self.answer() | {
            "title": self.title,
            "definition": asdict(self.definition),
            "importance": self.importance,
            "importance_by": self.importance_by,
            "pareto": self.pareto,
            "protocol": self.protocol,
            "command": self.command,
        }


def make_report(study: SweepStudy) -> SweepReport:
    """Make the report of what there is by now."""
    definition, title = study.folder.read(), study.folder.scene(study.definition).title
    trials = [trial for trial in study.trials() if trial.state is not TrialState.WAITING]
    sign = -1 if definition.direction == "maximize" else 1
    rows = [_row(study, trial) for trial in trials]
    rows.sort(key=lambda row: (row.score is None, sign * (row.score or 0.0), row.trial))
    best = rows[0] if rows and rows[0].score is not None else None
    importance, method = parameter_importance(study.study)
    return SweepReport(
        str(study.folder.path),
        title,
        definition,
        rows,
        best,
        importance,
        method,
        pareto_front([(row.trial, row.seconds, -sign * row.score) for row in rows if row.score is not None]),
        protocol(definition),
        None if best is None else _train_command(definition, best),
    )


def pareto_front(points: Sequence[tuple[int, float, float]]) -> list[int]:
    """Numbers of the points that no other beats in both: fewer seconds and a higher score; fastest first.

    Args:
        points: number, seconds and score of each.

    >>> pareto_front([(0, 10.0, 1.0), (1, 20.0, 3.0), (2, 15.0, 0.5), (3, 30.0, 2.0)])
    [0, 1]
    """
    front: list[int] = []
    highest = -math.inf
    for number, _, score in sorted(points, key=lambda point: (point[1], -point[2], point[0])):
        if score > highest:
            front.append(number)
            highest = score
    return front


def parameter_importance(study: optuna.Study) -> tuple[dict[str, float], str]:
    """Share of the variance of scores that each parameter explains, the most important first, and the method.

    fANOVA (Hutter et al. 2014) where scikit-learn is installed, else PED-ANOVA (Watanabe et al. 2023). Empty
    of fewer than `FEWEST` finished trials, and where all scores are equal.
    """
    done = [trial for trial in study.get_trials(deepcopy=False) if trial.state is TrialState.COMPLETE]
    values = [trial.value for trial in done if trial.value is not None]
    evaluator, name = _importance_evaluator()
    if len(values) < FEWEST or np.ptp(values) == 0:
        return {}, name
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = optuna.importance.get_param_importances(study, evaluator=evaluator)
    return {key: float(value) for key, value in found.items()}, name


def _importance_evaluator() -> tuple[BaseImportanceEvaluator, str]:
    try:
        return FanovaImportanceEvaluator(seed=0), "fANOVA"
    except ImportError:
        return PedAnovaImportanceEvaluator(), "PED-ANOVA"


def _row(study: SweepStudy, trial: FrozenTrial) -> TrialRow:
    definition, attributes = study.definition, trial.user_attrs
    seeds = [(seed, attributes.get(SEED.format(seed))) for seed in definition.seed_range]
    scores = [SeedScore.of(table) for _, table in seeds if table is not None]
    runs = [study.folder.run(trial.number, seed) for seed in definition.seed_range]
    done = trial.state is TrialState.COMPLETE
    low, high, over = _interval(scores) if done else (None, None, None)
    reported = max(trial.intermediate_values, default=0) / (RUNGS * definition.seeds)
    return TrialRow(
        trial.number,
        STATES[trial.state],
        {each.key: each.value(trial.params[each.key]) for each in study.space if each.key in trial.params},
        trial.value if done else None,
        low,
        high,
        over,
        round(sum(score.seconds for score in scores) + attributes.get(SPENT, 0.0), 3),
        1.0 if done else round(reported, 3),
        [str(run) for run in runs if run.is_dir()],
        [score.score for score in scores],
        bool(attributes.get(OWN)),
        attributes.get(ERROR),
    )


def _interval(scores: Sequence[SeedScore]) -> tuple[float | None, float | None, str | None]:
    """Interval of a trial's score, and what it is over."""
    if len(scores) > 1:
        return *mean_interval(np.array([each.score for each in scores])), "seeds"
    low, high = (scores[0].low, scores[0].high) if scores else (None, None)
    return low, high, None if low is None else "episodes"


def _train_command(definition: Definition, best: TrialRow) -> str:
    changes = [*definition.changes, *(change_of(key, value) for key, value in best.params.items())]
    sets = " ".join(f"--set {shlex.quote(change)}" for change in changes)
    return (
        f"playfield train {shlex.quote(definition.scene)} {sets} "
        f"--seed {definition.seed} --steps {definition.steps}"
    )
