"""A scene's perceptions: built, trained on what its own play shows, and set beside the truth."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict
from functools import cached_property
from pathlib import Path
from typing import Any

from scenes.build import build_policy, chosen_device, scene_world
from scenes.schema import Perception, Scene, SceneError
from sim.catalog import load, world_config
from sim.checkpoints import Card, check_fits, load_checkpoint, make_card
from sim.fields import construct
from sim.protocols import PerceptionConfig, PerceptionModel
from sim.records import Array, Budget, Progress, State
from supervised.catalog import PERCEPTIONS
from supervised.fit import Fit
from supervised.views import HELD_OUT, TruthfulWorlds, Views, watched

WATCHED_WORLDS = 16  # photographed in turn
VALIDATION_SHARE = 10  # one held-out view for so many that are learned from


def perception_config(scene: Scene, number: int = 0) -> PerceptionConfig:
    """The keys of one of the scene's perceptions.

    Raises:
        CatalogError, FieldError, MissingPackageError: see `sim.catalog`.
    """
    table = scene.perception[number]
    cls = load(PERCEPTIONS, table.use, "perception")
    where = f"{scene.source.name}, [[perception]] number {number}"
    config: PerceptionConfig = construct(cls, table.fields, where)
    return config


def truthful_worlds(scene: Scene, num_envs: int, seed: int) -> TruthfulWorlds:
    """Worlds of the scene that know what is in their pictures.

    Raises:
        SceneError: if the scene has no world.
        FieldError: if its world does not know the truth.
    """
    if scene.world is None:
        raise SceneError(f"{scene.source.name} has no [world]: there is nothing to look at")
    fields = {**scene.world.fields, "truth": True}
    config = world_config(scene.world.use, fields, f"{scene.source.name}, [world]")
    worlds: Any = config.make_batch(num_envs, seed)
    return worlds  # type: ignore[no-any-return]


def scene_views(scene: Scene, count: int, seed: int, device: str = "cpu", *, every: int = 7) -> Views:
    """Pictures of the scene's worlds: in half of them its agent plays, if it has one, in the others chance.

    Args:
        scene: whose world, and whose agent where it has a trained one.
        count: how many pictures.
        seed: of worlds and play.
        device: of the agent.
        every: steps between two pictures of one world; more where few pictures are to show whole games.
    """
    worlds: Any = truthful_worlds(scene, min(WATCHED_WORLDS, count), seed)
    try:
        policy = None
        if scene.agent is not None:
            policy, _ = build_policy(scene, worlds, scene_world(scene), chosen_device(device))
        return watched(worlds, count, seed=seed, policy=policy, every=every)
    finally:
        worlds.close()


def build_perception(
    scene: Scene, number: int, classes: tuple[str, ...], device: str, checkpoint: Path | None = None
) -> tuple[PerceptionModel, Card | None]:
    """One of the scene's perceptions, with the weights of its checkpoint where it has one.

    Raises:
        CheckpointError: if the checkpoint is damaged or made for something else.
    """
    table = scene.perception[number]
    model = perception_config(scene, number).build(classes, seed=scene.seed, device=device)
    if checkpoint is None and table.checkpoint:
        checkpoint = scene.resolve(table.checkpoint)
    if checkpoint is None:
        return model, None
    return model, load_perception(model, table, classes, checkpoint)


def load_perception(
    model: PerceptionModel, table: Perception, classes: tuple[str, ...], folder: Path
) -> Card:
    """Give a model the weights of a checkpoint; returns its card.

    Raises:
        CheckpointError: if the checkpoint is damaged or made for something else.
    """
    loaded = load_checkpoint(folder)
    check_fits(loaded, kind="perception", name=table.use, classes=list(classes))
    model.load_weights(loaded.weights)
    return loaded.card


def trains_perception(scene: Scene) -> bool:
    """Whether training the scene is about its first perception: one whose percepts are for the audience.

    A scene whose agent lives on percepts is about that agent.
    """
    return bool(scene.perception) and scene.perception[0].feed == "overlay"


class PerceptionTrainee:
    """The scene's first perception, learning from what its play shows; see `scenes.trainees.Trainee`."""

    unit = "updates"
    resumes_exactly = True
    learning_rate_key = "perception.0.learning_rate"

    def __init__(self, scene: Scene, device: str, start_from: Path | None) -> None:
        """Build the model; pictures are taken when learning begins.

        Raises:
            SceneError, FieldError, CheckpointError: if the request is wrong.
        """
        self._scene, self._device = scene, chosen_device(device)
        self._config = perception_config(scene)
        self.learning_rate: float | None = getattr(self._config, "learning_rate", None)
        worlds: Any = truthful_worlds(scene, 1, scene.seed)
        self._classes = tuple(worlds.classes)
        worlds.close()
        self.model = self._config.build(self._classes, seed=scene.seed, device=self._device)
        if start_from is not None:  # otherwise from nothing, whatever the scene ships with
            load_perception(self.model, scene.perception[0], self._classes, start_from)

    @cached_property
    def _fit(self) -> Fit:
        count, seed = self._config.views, self._scene.seed
        train = scene_views(self._scene, count, seed, self._device)
        held_out = max(1, count // VALIDATION_SHARE)
        validation = scene_views(self._scene, held_out, seed + HELD_OUT, self._device)
        fit: Fit = self.model.fit(train, validation, seed=seed)
        return fit

    def learn(self, budget: Budget) -> Iterator[Progress]:
        """See `Trainee`."""
        return self._fit.learn(budget)

    def state(self) -> State:
        """See `Trainee`; the pictures are not in it, for the same seed gives the same ones."""
        return self._fit.state()

    def restore(self, state: State) -> None:
        """See `Trainee`."""
        self._fit.restore(state)

    def weights(self) -> dict[str, Array]:
        """See `Trainee`."""
        return self._fit.weights()

    def card(self, trained: Mapping[str, Any], scores: Mapping[str, Any]) -> Card:
        """See `Trainee`."""
        return perception_card(self._scene, self._config, self._classes, trained, scores)

    def evaluate(self) -> dict[str, float]:
        """See `Trainee`: the loss and figures on held-out views."""
        return self._fit.validate()

    def estimated_rate(self, budget: Budget) -> None:
        """See `Trainee`: fits are short, and the bar tells soon enough."""

    def close(self) -> None:
        """See `Trainee`."""


def perception_card(
    scene: Scene,
    config: PerceptionConfig,
    classes: tuple[str, ...],
    trained: Mapping[str, Any],
    scores: Mapping[str, Any] | None = None,
) -> Card:
    """The card of the scene's first perception."""
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
    return card | {"classes": list(classes)}
