"""The task of a scene without a world as a trainee: model, data, checkpoint card and validation."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from scenes.build.devices import chosen_device
from scenes.build.perceptions import load_perception
from scenes.data.task_data import task_config, task_splits, untrained_task
from scenes.schema import Scene
from scenes.training.fitted_trainee import FittedTrainee
from sim.progress import waiting
from sim.storage.checkpoints import Card, make_card
from supervised.fit import Fit


class TaskTrainee(FittedTrainee):
    """The scene's task as a `Trainee`: learns from the data that it brings."""

    def __init__(self, scene: Scene, device: str, start_from: Path | None) -> None:
        """Read the data and build the model.

        Raises:
            FieldError, CheckpointError, DataError, MissingPackageError: if the request is wrong.
        """
        self._config = task_config(scene)
        super().__init__(scene, chosen_device(device), getattr(self._config, "learning_rate", None))
        with waiting("reading the data"):
            self._splits = task_splits(scene, self._config)
        classes = self._splits.classes
        self.model = untrained_task(scene, self._config, classes, self._device)
        if start_from is not None:  # else from random weights, even if the scene ships with a checkpoint
            load_perception(self.model, scene.perception[0], classes, start_from)

    def _make_fit(self) -> Fit:
        fit: Fit = self.model.fit(self._splits.train, self._splits.validation, seed=self._scene.seed)
        return fit

    def card(self, trained: Mapping[str, Any], scores: Mapping[str, Any]) -> Card:
        """See `Trainee`."""
        splits, config = self._splits, self._config
        counts = {name: len(getattr(splits, name)) for name in ("train", "validation", "test")}
        card = make_card(
            "perception",
            self._scene.perception[0].use,
            asdict(config),  # type: ignore[call-overload]
            seed=self._scene.seed,
            trained=trained,
            preprocessing="the model scales and encodes its inputs itself",
            protocol=splits.source.protocol() | counts | {"split_by": splits.unit},
            scores=scores,
        )
        return card | {"tells": config.tells, "reads": config.reads, "classes": list(splits.classes)}
