"""Construction of a scene's perceptions from the catalogue, with the weights of their checkpoints."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from scenes.build.agents import scene_world
from scenes.build.worlds import world_catalog
from scenes.schema import Perception, Scene, SceneError, own_keys
from sim.catalog import load, world_config
from sim.fields import construct
from sim.percept_kind import Kind
from sim.protocols import PerceptionConfig, PerceptionModel, WorldConfig
from sim.storage.checkpoints import Card, check_fits, load_checkpoint
from supervised.catalog import PERCEPTIONS
from supervised.data.capture import LabelSource
from supervised.data.label_sources import SeveralLabelSources, label_source


def perception_config(scene: Scene, number: int = 0) -> PerceptionConfig:
    """Configuration of one of the scene's perceptions.

    Raises:
        CatalogError, FieldError, MissingPackageError: see `sim.catalog`.
    """
    table = scene.perception[number]
    cls = load(PERCEPTIONS, table.use, "perception")
    where = f"{scene.source.name}, [[perception]] number {number}"
    config: PerceptionConfig = construct(cls, table.fields, where, own_keys(table))
    return config


def scene_worlds(scene: Scene, config: PerceptionConfig) -> list[WorldConfig]:
    """Configurations of the worlds that a perception learns from: those it names itself, else the scene's.

    Raises:
        SceneError: if there is none.
    """
    own = scene_world(scene)
    names: tuple[str, ...] = getattr(config, "worlds", ())
    where = f"{scene.source.name}, worlds"
    catalog = world_catalog(scene.extra_worlds)
    return [world_config(name, {}, where, worlds=catalog) for name in names] or [own]


def scene_label_source(scene: Scene, config: PerceptionConfig) -> LabelSource:
    """Label source of the worlds that a perception learns from.

    Raises:
        SceneError: if the scene has no world.
        NoLabelsError: if a world does not know the truth about its pictures.
    """
    sources = [label_source(world) for world in scene_worlds(scene, config)]
    return sources[0] if len(sources) == 1 else SeveralLabelSources(sources)


def predicted_kind(config: PerceptionConfig) -> Kind:
    """Kind of percept that a perception predicts, such as ``"boxes"``."""
    kind: Any = config.tells
    return kind  # type: ignore[no-any-return]


def scene_vocabulary(scene: Scene, number: int = 0) -> tuple[str, ...]:
    """Class names that one of the scene's perceptions predicts; see `supervised.data.capture.LabelSource`.

    Raises:
        SceneError, NoLabelsError: if its worlds have no ground truth of that kind.
    """
    config = perception_config(scene, number)
    return scene_label_source(scene, config).vocabulary(predicted_kind(config))


def build_perception(
    scene: Scene, number: int, classes: tuple[str, ...], device: str, checkpoint: Path | None = None
) -> tuple[PerceptionModel, Card | None]:
    """Build one of the scene's perceptions of pictures, with the weights of its checkpoint where it has one.

    Raises:
        SceneError: if it reads something else than pictures.
        CheckpointError: if the checkpoint is damaged or made for something else.
    """
    table = scene.perception[number]
    model = perception_config(scene, number).build(classes, seed=scene.seed, device=device)
    if model.reads != "rgb":
        raise SceneError(
            f'{scene.source.name}: perception "{table.use}" reads {model.reads}, but is given pictures here; '
            "use one that reads rgb"
        )
    if checkpoint is None and table.checkpoint:
        checkpoint = scene.resolve(table.checkpoint)
    if checkpoint is None:
        return model, None
    return model, load_perception(model, table, classes, checkpoint)


def load_perception(
    model: PerceptionModel, table: Perception, classes: tuple[str, ...], folder: Path
) -> Card:
    """Load a checkpoint's weights into a model; returns the checkpoint's card.

    Raises:
        CheckpointError: if the checkpoint is damaged or made for something else.
    """
    loaded = load_checkpoint(folder)
    check_fits(loaded, kind="perception", name=table.use, classes=list(classes))
    loaded.give(model)
    return loaded.card


def trains_perception(scene: Scene) -> bool:
    """Whether the scene trains its first perception: it has one, with ``feed = "overlay"``.

    A scene whose agent observes percepts (``feed = "agent"``) trains that agent.
    """
    return bool(scene.perception) and scene.perception[0].feed == "overlay"
