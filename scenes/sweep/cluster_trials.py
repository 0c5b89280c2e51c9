"""Trials of a sweep on a cluster: claimed by the process that drives it, trained on any of its nodes.

The study and all runs lie in the sweep's folder, which every node must see. Only the driver claims trials, so
a node that dies leaves none that is counted twice: its trial is trained on by another node from its newest
state. Does not know: Ray (`scenes.sweep.ray_tune`), or whatever else runs `train_trial` somewhere.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from scenes.sweep.folder import SweepFolder
from scenes.sweep.process_pool import outcome_line
from scenes.sweep.study import ClaimedTrial, SweepStudy
from sim.errors import WorkError


class TrialQueue:
    """Trials for a cluster: each is claimed when it is asked for, until the caller says that it has ended."""

    def __init__(self, study: SweepStudy, *, device: str, say: Callable[[str], None]) -> None:
        """Prepare; nothing is claimed yet."""
        self._study, self._device, self._say = study, device, say
        self._claimed: dict[str, ClaimedTrial] = {}

    def take(self, ticket: str) -> dict[str, Any] | None:
        """Claim a trial for `ticket`: the argument of `train_trial`; None where none is left."""
        claimed = self._study.claim()
        if claimed is None:
            return None
        self._claimed[ticket] = claimed
        place = {"folder": str(self._study.folder.path.resolve()), "device": self._device}
        return place | {"trial": claimed.number} | claimed.params

    def give_back(self, ticket: str, outcome: str | None = None, *, error: bool = False) -> None:
        """End the claim of `ticket`; after an `error` that no retry mended its trial has failed."""
        claimed = self._claimed.pop(ticket, None)
        if claimed is None:
            return
        claimed.release()
        if error:
            self._study.fail(claimed.number, "its processes on the cluster broke down")
            outcome = "failed"
        if outcome is not None:
            self._say(outcome_line(self._study, claimed.number, outcome))

    def release_all(self) -> None:
        """End all claims: what has not ended goes on at the next resume."""
        for ticket in list(self._claimed):
            self.give_back(ticket)


def train_trial(config: Mapping[str, Any]) -> dict[str, Any]:
    """Train and score one trial on this node; returns its number, outcome and, where it has one, score.

    Args:
        config: of `TrialQueue.take`.

    Raises:
        WorkError: if this node does not see the sweep's folder, or cannot write it.
    """
    from scenes.sweep.trial import TrialWork

    folder = SweepFolder(Path(config["folder"]))
    if not folder.exists():
        raise WorkError(
            f"{os.uname().nodename} does not see {folder.path}: put --run on a disk that all nodes share"
        )
    definition = folder.read()
    study = SweepStudy(folder, definition)
    trial = study.adopt(config["trial"])
    outcome = TrialWork(folder, definition, device=config["device"]).run(trial)
    score = study.trials()[trial.number].value
    return {"trial": trial.number, "outcome": outcome} | ({} if score is None else {definition.metric: score})
