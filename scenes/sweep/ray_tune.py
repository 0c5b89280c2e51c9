"""Sweeps on a Ray cluster: Ray Tune places the trials of the sweep's Optuna study on the cluster's nodes.

Tune asks a searcher for configurations, which are the study's next trials, runs each as a function trainable,
and runs it again elsewhere when its node or process dies. Scores, pruning and run folders are those of
`scenes.sweep.cluster_trials`.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping
from contextlib import redirect_stdout
from typing import Any

import ray
from ray import tune
from ray.tune.search import Searcher

from agents.actors.ray_cluster import LOCAL, check_cluster, join_cluster, own_signals
from scenes.sweep.cluster_trials import TrialQueue, train_trial
from scenes.sweep.process_pool import DEATHS
from scenes.sweep.study import SweepStudy


class StudySearcher(Searcher):  # type: ignore[misc]
    """Tune's searcher whose suggestions are the trials of a sweep's study."""

    def __init__(self, trials: TrialQueue, metric: str, mode: str) -> None:
        """Take the trials."""
        super().__init__(metric=metric, mode=mode)
        self._trials = trials

    def suggest(self, trial_id: str) -> dict[str, Any] | str:
        """The next trial, or FINISHED."""
        return self._trials.take(trial_id) or Searcher.FINISHED

    def on_trial_complete(
        self, trial_id: str, result: Mapping[str, Any] | None = None, error: bool = False
    ) -> None:
        """Let go of a trial that has ended, or that no retry brought to its end."""
        self._trials.give_back(trial_id, (result or {}).get("outcome"), error=error)

    def __getstate__(self) -> dict[str, Any]:
        """Without the study, which lies in the sweep's folder: Tune keeps a copy that nobody reads."""
        return {name: value for name, value in vars(self).items() if name != "_trials"}

    def save(self, checkpoint_path: str) -> None:
        """Nothing: the study lies in the sweep's folder."""

    def restore(self, checkpoint_path: str) -> None:
        """Nothing, see `save`."""


class Cluster:
    """A Ray cluster that trains the trials of a sweep; closed at the end of the block."""

    def __init__(self, address: str, parallel: int) -> None:
        """Join a cluster, or start a local one.

        Args:
            address: ``auto`` (the one that runs here or that RAY_ADDRESS names), host:port, or ``local``.
            parallel: how many trials at a time.

        Raises:
            ClusterError: if it does not answer, or does not come up.
        """
        self._parallel = parallel
        os.environ["TUNE_DISABLE_SIGINT_HANDLER"] = "1"  # Ctrl-C is ours
        os.environ.setdefault("RAY_AIR_NEW_OUTPUT", "0")  # the one that verbose=0 silences
        os.environ.setdefault("TUNE_DISABLE_AUTO_CALLBACK_LOGGERS", "1")  # runs have their own logs
        self._joined = ray.is_initialized()
        if not self._joined:
            if address != LOCAL:
                check_cluster(address)
            join_cluster(address, parallel)

    def train(
        self, study: SweepStudy, *, device: str, minutes: float | None, say: Callable[[str], None]
    ) -> str | None:
        """Train until no trial is left, the time is over or Ctrl-C; returns why it stopped, if it did."""
        trials = TrialQueue(study, device=device, say=say)
        mode = "max" if study.definition.direction == "maximize" else "min"
        tuner = tune.Tuner(
            tune.with_resources(_trainable, self._resources(device)),
            tune_config=tune.TuneConfig(
                search_alg=StudySearcher(trials, study.definition.metric, mode),
                num_samples=-1,
                max_concurrent_trials=self._parallel,
                time_budget_s=None if minutes is None else 60 * minutes,
                trial_dirname_creator=lambda trial: f"trial-{trial.config['trial']}-{trial.trial_id}",
            ),
            run_config=tune.RunConfig(
                name="tune",
                storage_path=str((study.folder.path / "ray").resolve()),
                verbose=0,
                failure_config=tune.FailureConfig(max_failures=DEATHS - 1),
            ),
        )
        try:
            with redirect_stdout(sys.stderr):  # which is for results
                tuner.fit()
        except KeyboardInterrupt:
            return "interrupted"
        finally:
            trials.release_all()
        return f"the {minutes:g} minutes are over" if minutes is not None and study.open_trials() else None

    def _resources(self, device: str) -> dict[str, float]:
        """Of one trial: an even share of the cluster's processors, and of its GPUs unless on the CPU."""
        whole = ray.cluster_resources()
        share = {"cpu": max(1, int(whole.get("CPU", 1) // self._parallel))}
        gpus = 0.0 if device == "cpu" else whole.get("GPU", 0.0)
        return share | ({"gpu": min(1.0, gpus / self._parallel)} if gpus else {})

    def __enter__(self) -> Cluster:
        return self

    def __exit__(self, *raised: object) -> None:
        if not self._joined:
            with own_signals():
                ray.shutdown()


def _trainable(config: Mapping[str, Any]) -> None:
    """Tune's function trainable of one trial."""
    tune.report(train_trial(config))
