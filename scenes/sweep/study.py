"""Optuna's study of a sweep, and the claims of its trials by several processes.

A trial is claimed by taking its lock, which its process holds until the trial has ended: a trial that Optuna
calls running and whose lock is free was left by a process that died or was stopped, and the next claim takes
it on. New trials are asked for under one lock, so that however many processes come there are never more than
the sweep has. Trial n is the same whichever process asks for it, given the trials that ended before.

The journal is Optuna's own; only its lock is another one: Optuna's is a file, which outlives a killed process
and holds up all others for half a minute.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping
from typing import Any

import numpy as np
import optuna
from filelock import FileLock, Timeout
from optuna.distributions import CategoricalDistribution
from optuna.pruners import BasePruner, MedianPruner, NopPruner
from optuna.samplers import TPESampler
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import FrozenTrial, Trial, TrialState

from scenes.sweep.folder import Definition, SweepFolder
from scenes.sweep.search_space import own_params

NAME = "sweep"
RUNGS = 20  # points of a seed's budget at which its metric is reported
PRUNED_EVERY = RUNGS // 4  # rungs: a trial that is compared at each of them falls below the median by noise
PLAIN_TRIALS = 5  # that end before any is pruned
RANDOM_TRIALS = 10  # at most, before the sampler models what it has seen; a third of a smaller sweep
SEED, ERROR, SPENT, OWN = (
    "seed-{}",
    "error",
    "seconds of an unfinished seed",
    "own",
)  # user attributes of a trial


class JournalLock:
    """Lock of Optuna's journal file; taking it cuts a last line that a killed process left half-written."""

    def __init__(self, folder: SweepFolder) -> None:
        """Take the sweep whose journal it is."""
        self._lock, self._file = folder.lock("journal"), folder.journal

    def acquire(self) -> bool:
        """Wait for it."""
        self._lock.acquire()
        with self._file.open("r+b") as file:
            if size := file.seek(0, 2):
                file.seek(size - 1)
                if file.read(1) != b"\n":
                    file.seek(0)
                    file.truncate(file.read().rfind(b"\n") + 1)
        return True

    def release(self) -> None:
        """Let others have it."""
        self._lock.release()


def open_storage(folder: SweepFolder) -> JournalStorage:
    """Optuna's storage in the journal of a sweep."""
    lock: Any = JournalLock(folder)
    return JournalStorage(JournalFileBackend(str(folder.journal), lock_obj=lock))


class SweepStudy:
    """Optuna's study of a sweep, opened by one process."""

    def __init__(self, folder: SweepFolder, definition: Definition) -> None:
        """Open the study of a sweep, or begin it."""
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        self.folder, self.definition = folder, definition
        self.space = definition.space
        self.distributions = {each.key: each.distribution() for each in self.space}
        with folder.lock("claim"):
            self.study = optuna.create_study(
                storage=open_storage(folder),
                study_name=NAME,
                direction=definition.direction,
                load_if_exists=True,
                pruner=_pruner(definition),
            )

    def trials(self) -> list[FrozenTrial]:
        """All trials so far, by number."""
        return self.study.get_trials(deepcopy=False)

    def propose_own(self) -> None:
        """Make the scene's own values the first trial, where the search space holds them."""
        own = own_params(self.space, self.folder.scene(self.definition))
        with self.folder.lock("claim"):
            if own is not None and not self.trials():
                self.study.enqueue_trial(own, user_attrs={OWN: True})

    def claim(self) -> ClaimedTrial | None:
        """Claim a trial: one that was left, else a new one; None where neither is there.

        The total is read anew: another process may have raised it.
        """
        with self.folder.lock("claim"):
            trials = self.trials()
            for trial in trials:
                if trial.state is TrialState.RUNNING and (lock := self._taken(trial.number)):
                    return ClaimedTrial(
                        self,
                        self._sampled(lambda t=trial: Trial(self.study, t._trial_id), trial.number),
                        lock,
                    )
            waiting = [trial.number for trial in trials if trial.state is TrialState.WAITING]
            number = waiting[0] if waiting else len(trials)
            if number >= self.folder.read().trials:
                return None
            lock = self._taken(number)
            assert lock is not None, "nobody trains a trial that is not there yet"
            return ClaimedTrial(self, self._sampled(self.study.ask, number), lock)

    def adopt(self, number: int) -> ClaimedTrial:
        """A trial that another process has claimed, and holds the lock of, for this one to train."""
        trial = Trial(self.study, self.trials()[number]._trial_id)
        return ClaimedTrial(self, trial, lock=None)

    def open_trials(self) -> int:
        """How many trials are neither ended nor trained by somebody now."""
        begun = [trial for trial in self.trials() if trial.state is not TrialState.WAITING]
        return self.folder.read().trials - len(begun) + len(self.left())

    def left(self) -> list[int]:
        """Numbers of the trials that have begun, not ended, and are trained by nobody now."""
        found = []
        for trial in self.trials():
            if trial.state is TrialState.RUNNING and (lock := self._taken(trial.number)):
                lock.release()
                found.append(trial.number)
        return found

    def fail(self, number: int, why: str) -> None:
        """End a trial that cannot be trained, unless somebody trains it now."""
        lock = self._taken(number)
        if lock is None:
            return
        try:
            trial = self.trials()[number]
            if trial.state is TrialState.RUNNING:
                ClaimedTrial(self, Trial(self.study, trial._trial_id), lock).fail(why)
        finally:
            lock.release()

    def _taken(self, number: int) -> FileLock | None:
        """The lock of a trial, taken; None if another process holds it."""
        lock = self.folder.lock(str(number))
        try:
            lock.acquire(timeout=0)
        except Timeout:
            return None
        return lock

    def _sampled(self, begin: Any, number: int) -> Trial:
        """A trial with all its parameters, by a generator that follows from seed and number alone."""
        total = self.folder.read().trials
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            self.study.sampler = TPESampler(
                seed=int(np.random.SeedSequence((self.definition.seed, number)).generate_state(1)[0]),
                n_startup_trials=max(2, min(RANDOM_TRIALS, total // 3)),
                multivariate=True,
                constant_liar=True,  # trials in progress count as bad, so that no two are alike
            )
            trial: Trial = begin()
            for key, distribution in self.distributions.items():
                _suggest(trial, key, distribution)
        return trial


class ClaimedTrial:
    """A trial that this process trains; its lock is held until `release`."""

    def __init__(self, study: SweepStudy, trial: Trial, lock: FileLock | None) -> None:
        """Take over a lock that is held; None where another process holds it for this one."""
        self._study, self._trial, self._lock = study, trial, lock
        self.number = trial.number
        self._reported = set(study.study.get_trials(deepcopy=False)[trial.number].intermediate_values)

    @property
    def params(self) -> dict[str, Any]:
        """Scene key → value."""
        stored = self._trial.params
        return {each.key: each.value(stored[each.key]) for each in self._study.space}

    def seed_result(self, seed: int) -> dict[str, Any] | None:
        """The result of one seed that has ended already."""
        found: dict[str, Any] | None = self._trial.user_attrs.get(SEED.format(seed))
        return found

    def keep(self, seed: int, result: Mapping[str, Any]) -> None:
        """Record the result of one seed."""
        self._trial.set_user_attr(SEED.format(seed), dict(result))

    def report(self, rung: int, value: float) -> None:
        """Report an intermediate value; one that was reported before a restart stays."""
        if math.isfinite(value) and rung not in self._reported:
            self._trial.report(value, rung)
            self._reported.add(rung)

    def hopeless(self) -> bool:
        """Whether the pruner would stop it."""
        return bool(self._reported) and self._trial.should_prune()

    def complete(self, score: float) -> None:
        """End it with its score."""
        self._study.study.tell(self.number, score)

    def prune(self, seconds: float = 0.0) -> None:
        """End it early, `seconds` into the training of its seed."""
        self._trial.set_user_attr(SPENT, round(seconds, 3))
        self._study.study.tell(self.number, state=TrialState.PRUNED)

    def fail(self, why: str) -> None:
        """End it without a score."""
        self._trial.set_user_attr(ERROR, why)
        self._study.study.tell(self.number, state=TrialState.FAIL)

    def release(self) -> None:
        """Let others have it, if it has not ended."""
        if self._lock is not None:
            self._lock.release()

    def __enter__(self) -> ClaimedTrial:
        return self

    def __exit__(self, *raised: object) -> None:
        self.release()


def _pruner(definition: Definition) -> BasePruner:
    if not definition.prunes:
        return NopPruner()
    return MedianPruner(
        n_startup_trials=PLAIN_TRIALS, n_warmup_steps=PRUNED_EVERY, interval_steps=PRUNED_EVERY
    )


def _suggest(trial: Trial, key: str, distribution: Any) -> None:
    """Draw one parameter of a trial, unless it has it already."""
    if isinstance(distribution, CategoricalDistribution):
        trial.suggest_categorical(key, distribution.choices)
    elif isinstance(distribution, optuna.distributions.IntDistribution):
        trial.suggest_int(key, distribution.low, distribution.high, log=distribution.log)
    else:
        trial.suggest_float(key, distribution.low, distribution.high, log=distribution.log)


def begun_trials(folder: SweepFolder) -> int:
    """How many trials the study of a sweep has begun; 0 before it has begun itself."""
    storage = open_storage(folder)
    studies = {study.study_name: study._study_id for study in storage.get_all_studies()}
    if NAME not in studies:
        return 0
    return sum(
        trial.state is not TrialState.WAITING
        for trial in storage.get_all_trials(studies[NAME], deepcopy=False)
    )
