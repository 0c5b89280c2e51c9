"""Construction of a scene's samplers from the catalogue, with the weights of their checkpoints.

`generative` is imported where a sampler is wanted: whether a scene has one is asked of every scene.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from scenes.build.perceptions import trains_perception
from scenes.schema import Scene, SceneError, own_keys
from sim.catalog import load
from sim.fields import construct
from sim.protocols import SamplerConfig, SamplerModel, TextConditional
from sim.records import SampleOptions
from sim.storage.checkpoints import Card, CheckpointError, check_fits, load_checkpoint
from supervised.data.dataset import Spec

WORLD_MODEL = "world-model"  # catalogue name of the samplers that predict a world's next frame


def trains_sampler(scene: Scene) -> bool:
    """Whether the scene trains its first sampler: it has neither an agent nor a perception that learns."""
    return bool(scene.sampler) and scene.agent is None and not trains_perception(scene)


def trains_world_model(scene: Scene) -> bool:
    """Whether the sampler that the scene trains is a world model, which is graded by what it predicts."""
    return trains_sampler(scene) and scene.sampler[0].use == WORLD_MODEL


def refuse_world_model(scene: Scene, verb: str) -> None:
    """Refuse what is for independent samples where the scene trains a world model.

    Raises:
        SceneError: naming the scene that shows it.
    """
    if trains_world_model(scene):
        game = str(scene.sampler[0].fields.get("data", "gameplay/pong")).rpartition("/")[2]
        raise SceneError(
            f"{scene.name} cannot {verb}: a world model dreams on from frames and actions; "
            f"play in it with playfield play dream-{game}, another checkpoint with "
            f"--set world.checkpoint=DIR, or write a gallery of its dreams with playfield sample {scene.name}"
        )


def reset_sampler(scene: Scene) -> int | None:
    """Index of the sampler with ``feed = "reset"``, which gives initial states; None if there is none.

    Raises:
        SceneError: if there are several.
    """
    numbers = [i for i, table in enumerate(scene.sampler) if table.feed == "reset"]
    if len(numbers) > 1:
        raise SceneError(f'{scene.source.name}: only one [[sampler]] can have feed = "reset"')
    return numbers[0] if numbers else None


def sampler_config(scene: Scene, number: int = 0) -> SamplerConfig:
    """Configuration of one of the scene's samplers.

    Raises:
        SceneError: if the scene has none.
        CatalogError, FieldError, MissingPackageError: see `sim.catalog`.
    """
    from generative.catalog import SAMPLERS

    if number >= len(scene.sampler):
        raise SceneError(f"{scene.source.name} has no [[sampler]]")
    table = scene.sampler[number]
    cls = load(SAMPLERS, table.use, "sampler")
    where = f"{scene.source.name}, [[sampler]] number {number}"
    config: SamplerConfig = construct(cls, table.fields, where, own_keys(table))
    return config


def own_options(config: SamplerConfig) -> SampleOptions:
    """Sampling options from a sampler's own keys: steps and guidance."""
    own = SampleOptions()
    names = ("steps", "guidance")  # the model reads `scheduler` from its own config
    return SampleOptions(**{name: getattr(config, name, getattr(own, name)) for name in names})


def load_sampler(scene: Scene, number: int, device: str, folder: Path) -> tuple[SamplerModel, Card]:
    """Load a sampler from a checkpoint, for the data specification in the checkpoint's card.

    Raises:
        CheckpointError: if the checkpoint is damaged or made for something else.
    """
    config, table = sampler_config(scene, number), scene.sampler[number]
    loaded = load_checkpoint(folder)
    check_fits(loaded, kind="sampler", name=table.use)
    try:
        model = config.build(Spec.of(loaded.card.get("spec", {})), seed=scene.seed, device=device)
    except ValueError as error:
        raise CheckpointError(f"{folder} does not fit: {error}") from error
    loaded.give(model)
    return model, loaded.card


def build_untrained(scene: Scene, config: SamplerConfig, spec: Spec, device: str) -> SamplerModel:
    """Build an untrained sampler for a data specification.

    Raises:
        SceneError: if this sampler does not support such data.
    """
    try:
        return config.build(spec, seed=scene.seed, device=device)
    except ValueError as error:
        raise SceneError(f"{scene.source.name}, [[sampler]]: {error}") from error


def same_data(model: SamplerModel, one: Spec, other: Spec) -> bool:
    """Whether two data specifications are equal for this model.

    The vocabulary depends on which captions were collected and counts for text-conditional models only.
    """
    if not isinstance(model, TextConditional):
        one, other = replace(one, words=()), replace(other, words=())
    return one == other
