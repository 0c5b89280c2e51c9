"""The perception of a scene as a trainee: model, labelled images, checkpoint card and validation."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from scenes.build.agents import scene_world
from scenes.build.devices import chosen_device
from scenes.build.perceptions import (
    load_perception,
    perception_config,
    predicted_kind,
    scene_vocabulary,
    scene_worlds,
)
from scenes.data.perception_data import scene_label_data, scene_player
from scenes.schema import Perception, Scene
from scenes.training.fitted_trainee import FittedTrainee
from sim.protocols import PerceptionConfig
from sim.storage.checkpoints import Card, make_card
from supervised.data.capture import HELD_OUT, CaptureSpec
from supervised.fit import Fit

VALIDATION_SHARE = 10  # training images for each held-out one


class PerceptionTrainee(FittedTrainee):
    """The scene's first perception as a `Trainee`: learns from labelled frames of its worlds."""

    def __init__(self, scene: Scene, device: str, start_from: Path | None) -> None:
        """Build the model; labelled images are collected when learning begins.

        Raises:
            SceneError, FieldError, CheckpointError: if the request is wrong.
        """
        self._config = perception_config(scene)
        super().__init__(scene, chosen_device(device), getattr(self._config, "learning_rate", None))
        self._classes = scene_vocabulary(scene)
        self.model = self._config.build(self._classes, seed=scene.seed, device=self._device)
        if start_from is not None:  # else from random weights, even if the scene ships with a checkpoint
            load_perception(self.model, scene.perception[0], self._classes, start_from)

    def _make_fit(self) -> Fit:
        count, seed = self._config.views, self._scene.seed
        kind = predicted_kind(self._config)
        player = scene_player(self._scene)
        takings = (
            CaptureSpec(kind, count, seed),
            CaptureSpec(kind, max(1, count // VALIDATION_SHARE), seed + HELD_OUT),
        )
        views = [scene_label_data(self._scene, self._config, spec, player) for spec in takings]
        fit: Fit = self.model.fit(*views, seed=seed)
        return fit

    def card(self, trained: Mapping[str, Any], scores: Mapping[str, Any]) -> Card:
        """See `Trainee`."""
        return perception_card(self._scene, self._config, self._classes, trained, scores)


def perception_card(
    scene: Scene,
    config: PerceptionConfig,
    classes: tuple[str, ...],
    trained: Mapping[str, Any],
    scores: Mapping[str, Any] | None = None,
) -> Card:
    """Make the model card of the scene's first perception."""
    table: Perception = scene.perception[0]
    world = scene_world(scene)
    card = make_card(
        "perception",
        table.use,
        asdict(config),  # type: ignore[call-overload]
        seed=scene.seed,
        trained=trained,
        world=world.name,
        preprocessing="pictures (H, W, 3) uint8 of any size; the model scales and pads them itself",
        protocol=world.protocol(),
        scores=scores,
    )
    worlds = [world.name for world in scene_worlds(scene, config)]
    return card | {"tells": config.tells, "worlds": worlds, "classes": list(classes)}
