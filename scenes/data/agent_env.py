"""What a scene's agent lives on: its world as it is, or what a perception says of it (``feed = "agent"``)."""

from __future__ import annotations

import numpy as np

from scenes.build.agents import scene_world
from scenes.build.devices import chosen_device
from scenes.build.perceptions import build_perception, perception_config, scene_vocabulary, told_by
from scenes.data.generated_starts import generated_starts, reset_sampler
from scenes.schema import Scene, SceneError
from sim.protocols import Perception, WorldConfig
from sim.records import Origin
from supervised.observation.percept_env import PerceptObservation, PerceptSource
from supervised.observation.percept_observation import SLOTS, slot_layout


def agent_env(scene: Scene, device: str = "auto", *, training: bool = False) -> WorldConfig:
    """The scene's world as its agent meets it, not yet started.

    Args:
        scene: with at most one perception that feeds the agent.
        device: of that perception's model, see `chosen_device`.
        training: whether the agent learns, which it may do from another origin than it plays on.

    Raises:
        SceneError, SlotError: if the scene has no world, or the agent cannot live on what is perceived.
        NoLabelsError: if the world does not know what is in its pictures.
        FieldError, CheckpointError: if world or perception are not as the scene says.
    """
    feeding = [i for i, table in enumerate(scene.perception) if table.feed == "agent"]
    if not feeding:
        return generated_starts(scene, scene_world(scene))
    where = f"{scene.source.name}, [[perception]] number {feeding[-1]}"
    if len(feeding) > 1:
        raise SceneError(f'{where}: one perception can feed the agent, not {len(feeding)}: "overlay" shows')
    if reset_sampler(scene) is not None:
        raise SceneError(f'{where}: where an agent lives on percepts, no sampler can have feed = "reset"')
    number = feeding[0]
    table, plain = scene.perception[number], scene_world(scene)
    config = perception_config(scene, number)
    tells = told_by(config)
    if tells not in SLOTS:
        raise SceneError(f'{where}: "{table.use}" tells {tells}, and an agent lives on {" or ".join(SLOTS)}')
    world: WorldConfig = plain.onlooked() if hasattr(plain, "onlooked") else plain
    names = scene_vocabulary(scene, number)
    height, width = picture_size(world)
    layout = slot_layout(
        () if SLOTS[tells].points else names,
        names if SLOTS[tells].points else (),
        table.slots,
        width=width,
        height=height,
        relations=table.relations,
        smoothing=table.smoothing,
    )
    origin: Origin = (table.training_origin if training else None) or table.origin
    witness = PerceptSource(
        table.use,
        origin,
        trained_model(scene, number, names, device, where) if origin == "model" else None,
        kinds=SLOTS[tells].kinds,
        pixels=table.noise_pixels,
        misses=table.noise_misses,
    )
    return PerceptObservation(world, witness, layout, plain.protocol())


def picture_size(world: WorldConfig) -> tuple[int, int]:
    """The height and width of its pictures, in pixels."""
    env = world.make(seed=0)
    try:
        env.reset()
        height, width = np.asarray(env.render()).shape[:2]
        return height, width
    finally:
        env.close()


def trained_model(scene: Scene, number: int, names: tuple[str, ...], device: str, where: str) -> Perception:
    """The model of a perception, with its weights.

    Raises:
        SceneError: if it has none.
    """
    model, card = build_perception(scene, number, names, chosen_device(device))
    if card is None:
        raise SceneError(
            f'{where}: "{scene.perception[number].use}" is untrained, and an agent cannot live on it: '
            f"name its checkpoint, or --set perception.{number}.origin=truth"
        )
    return model
