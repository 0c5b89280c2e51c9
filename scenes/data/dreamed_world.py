"""The scene's world as a sampler dreams it: a world model in the emulator's place (``feed = "world"``)."""

from __future__ import annotations

from typing import Any

from scenes.build.samplers import sampler_config
from scenes.build.worlds import world_catalog
from scenes.schema import Scene, SceneError
from sim.catalog import world_config
from sim.protocols import WorldConfig

MODEL = "world-model"  # the sampler that can


def world_sampler(scene: Scene) -> int | None:
    """Index of the sampler with ``feed = "world"``; None if there is none.

    Raises:
        SceneError: if there are several.
    """
    numbers = [i for i, table in enumerate(scene.sampler) if table.feed == "world"]
    if len(numbers) > 1:
        raise SceneError(f'{scene.source.name}: only one [[sampler]] can have feed = "world"')
    return numbers[0] if numbers else None


def dreamed_world(scene: Scene, number: int) -> WorldConfig:
    """Configuration of the dream of the scene's world, by its sampler of this number.

    Raises:
        SceneError: if this sampler dreams no worlds, or another one, or is untrained.
    """
    table = scene.sampler[number]
    where = f"{scene.source.name}, [[sampler]] number {number}"
    if table.use != MODEL:
        raise SceneError(f'{where}: feed = "world" takes a "{MODEL}", not a "{table.use}"')
    config: Any = sampler_config(scene, number)
    played = "nothing" if scene.world is None else scene.world.use
    if played != f"atari/{config.game}":
        raise SceneError(
            f'{where}: it dreams atari/{config.game}, the scene\'s world is {played}: set "data"'
        )
    if not table.checkpoint:
        raise SceneError(f"{where} is untrained, and nobody can act in its dream: name its checkpoint")
    fields = {"checkpoint": str(scene.resolve(table.checkpoint)), "steps": config.steps}
    return world_config(f"dream/{config.game}", fields, where, worlds=world_catalog(scene.extra_worlds))
