"""What a scene's agent lives on: its world as it is, or what a perception says of it (``feed = "agent"``)."""

from __future__ import annotations

from typing import Any

import numpy as np

from scenes.build import chosen_device, scene_world
from scenes.perceiving import build_perception, told_by
from scenes.schema import Scene, SceneError
from scenes.viewing import perception_config
from sim.protocols import Perception, WorldConfig
from sim.records import Origin
from supervised.perceived import Layout, layout_of
from supervised.perceived_worlds import Perceived, Witness

LIVED_ON = {"boxes": (), "keypoints": ("keypoints",)}  # what a perception tells → the kinds of truth for it


def lived_world(scene: Scene, device: str = "auto", *, training: bool = False) -> WorldConfig:
    """The scene's world as its agent meets it, not yet started.

    Args:
        scene: with at most one perception that feeds the agent.
        device: of that perception's model, see `chosen_device`.
        training: whether the agent learns, which it may do from another origin than it plays on.

    Raises:
        SceneError: if the scene has no world, or the agent cannot live on what is perceived.
        FieldError, CheckpointError: if world or perception are not as the scene says.
    """
    feeding = [i for i, table in enumerate(scene.perception) if table.feed == "agent"]
    if not feeding:
        return scene_world(scene)
    where = f"{scene.source.name}, [[perception]] number {feeding[-1]}"
    if len(feeding) > 1:
        raise SceneError(f'{where}: one perception can feed the agent, not {len(feeding)}: "overlay" shows')
    number = feeding[0]
    table, plain = scene.perception[number], scene_world(scene)
    config = perception_config(scene, number)
    tells = told_by(config)
    if tells not in LIVED_ON:
        raise SceneError(f'{where}: "{table.use}" tells {tells}, and an agent lives on boxes or keypoints')
    world: WorldConfig = plain.onlooked() if hasattr(plain, "onlooked") else plain
    layout = layout_in(world, tells, table.slots, where)
    origin: Origin = (table.training_origin if training else None) or table.origin
    witness = Witness(
        table.use,
        origin,
        trained_model(scene, number, layout, device, where) if origin == "model" else None,
        kinds=LIVED_ON[tells],
        pixels=table.noise_pixels,
        misses=table.noise_misses,
    )
    return Perceived(world, witness, layout, plain.protocol())


def layout_in(world: WorldConfig, tells: str, counts: dict[str, Any], where: str) -> Layout:
    """The slots for what there is to see in `world`, found by a look at it.

    Raises:
        SceneError: if the world does not know what is in its pictures.
    """
    env = world.make(seed=0)
    try:
        bare: Any = env.unwrapped
        if not hasattr(bare, "truth"):
            raise SceneError(f"{where}: {world.name} does not know what is in its pictures")
        env.reset()
        percept = bare.truth(kinds=LIVED_ON[tells]) if LIVED_ON[tells] else bare.truth()
        height, width = np.asarray(env.render()).shape[:2]
        classes = bare.classes if tells == "boxes" else ()
        return layout_of(classes, tuple(percept.keypoints), counts, width=width, height=height)
    finally:
        env.close()


def trained_model(scene: Scene, number: int, layout: Layout, device: str, where: str) -> Perception:
    """The model of a perception, with its weights.

    Raises:
        SceneError: if it has none.
    """
    model, card = build_perception(scene, number, tuple(layout.slots_of), chosen_device(device))
    if card is None:
        raise SceneError(
            f'{where}: "{scene.perception[number].use}" is untrained, and an agent cannot live on it: '
            f"name its checkpoint, or --set perception.{number}.origin=truth"
        )
    return model
