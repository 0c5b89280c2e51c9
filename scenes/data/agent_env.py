"""Observations of a scene's agent, from its world to the network: pixels, vectors, or percepts.

On its way to the network an observation passes

1. the world (`sim.atari.world`: grey, 84 × 84, four frames stacked; `sim.chess.world`: planes;
   `sim.walker.world`: a float vector), or instead of it `supervised.observation.percept_env`, which this
   module puts around the world where a perception feeds the agent, or a world model in the world's place
   (`scenes.data.dreamed_world`);
2. `agents.networks.normalize`, where the agent has ``normalize_observations``;
3. `agents.networks.architectures`, which scales uint8 to [0, 1]; for Stable-Baselines3's agents
   `agents.sb3.worlds`.
"""

from __future__ import annotations

import numpy as np

from scenes.build.agents import scene_world
from scenes.build.devices import chosen_device
from scenes.build.perceptions import build_perception, perception_config, predicted_kind, scene_vocabulary
from scenes.build.samplers import reset_sampler
from scenes.data.dreamed_world import dreamed_world, world_sampler
from scenes.schema import Scene, SceneError
from sim.protocols import Perception, WorldConfig
from sim.records import Origin
from supervised.observation.percept_env import PerceptObservation, PerceptSource
from supervised.observation.percept_observation import SLOTS, slot_layout


def agent_env(scene: Scene, device: str = "auto", *, training: bool = False) -> WorldConfig:
    """Configuration of the environment that the scene's agent acts in; nothing is started yet.

    Args:
        scene: with at most one perception that feeds the agent.
        device: of that perception's model, see `chosen_device`.
        training: whether the agent learns: then `training_origin` counts instead of `origin`.

    Raises:
        SceneError, SlotError: if the scene has no world, or percepts of this kind cannot be an observation.
        NoLabelsError: if the world has no ground truth of its pictures.
        FieldError, CheckpointError: if world or perception are not as the scene says.
    """
    feeding = [i for i, table in enumerate(scene.perception) if table.feed == "agent"]
    if (dreaming := world_sampler(scene)) is not None:
        if feeding or reset_sampler(scene) is not None:
            raise SceneError(f'{scene.source.name}: in a dream an agent takes neither percepts nor "reset"')
        return dreamed_world(scene, dreaming)
    if not feeding and reset_sampler(scene) is None:
        return scene_world(scene)
    if not feeding:
        from scenes.data.generated_starts import generated_starts

        return generated_starts(scene, scene_world(scene))
    where = f"{scene.source.name}, [[perception]] number {feeding[-1]}"
    if len(feeding) > 1:
        raise SceneError(f'{where}: one perception can feed the agent, not {len(feeding)}: "overlay" shows')
    if reset_sampler(scene) is not None:
        raise SceneError(f'{where}: where an agent lives on percepts, no sampler can have feed = "reset"')
    number = feeding[0]
    table, plain = scene.perception[number], scene_world(scene)
    config = perception_config(scene, number)
    tells = predicted_kind(config)
    if tells not in SLOTS:
        raise SceneError(f'{where}: "{table.use}" tells {tells}, and an agent lives on {" or ".join(SLOTS)}')
    world: WorldConfig = plain.with_truth() if hasattr(plain, "with_truth") else plain
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
    """Height and width in pixels of the pictures that a world renders."""
    height, width = getattr(world, "height", None), getattr(world, "width", None)
    if isinstance(height, int) and isinstance(width, int):  # opening OpenGL for a picture takes long
        return height, width
    env = world.make(seed=0)
    try:
        env.reset()
        rows, columns = np.asarray(env.render()).shape[:2]
        return rows, columns
    finally:
        env.close()


def trained_model(scene: Scene, number: int, names: tuple[str, ...], device: str, where: str) -> Perception:
    """Load the trained model of a perception.

    Raises:
        SceneError: if it has no checkpoint.
    """
    model, card = build_perception(scene, number, names, chosen_device(device))
    if card is None:
        raise SceneError(
            f'{where}: "{scene.perception[number].use}" is untrained, and an agent cannot live on it: '
            f"name its checkpoint, or --set perception.{number}.origin=truth"
        )
    return model
