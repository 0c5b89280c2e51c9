"""Worlds that begin where a sampler says: ``feed = "reset"``."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from scenes.build.samplers import own_options, sampler_config
from scenes.data.families.table import FAMILIES, origin_of
from scenes.data.sampler_data import build_sampler
from scenes.schema import Scene, SceneError
from sim.protocols import SamplerModel, WorldConfig
from sim.records import Condition, SampleOptions
from sim.starts import Started, Starts

PROPOSED = 8  # states that are sampled together


def reset_sampler(scene: Scene) -> int | None:
    """The number of the scene's sampler that says where episodes begin; None if there is none."""
    numbers = [i for i, table in enumerate(scene.sampler) if table.feed == "reset"]
    if len(numbers) > 1:
        raise SceneError(f'{scene.source.name}: only one [[sampler]] can have feed = "reset"')
    return numbers[0] if numbers else None


def generated_starts(scene: Scene, config: WorldConfig) -> WorldConfig:
    """The world, begun where the scene's sampler says, if it has one for that.

    Raises:
        SceneError: if the sampler makes nothing that this world could begin from.
    """
    number = reset_sampler(scene)
    if number is None:
        return config
    sampler = sampler_config(scene, number)
    model, _ = build_sampler(scene, number, "cpu")
    propose = proposer(model, sampler.data, config.name, own_options(sampler))
    if propose is None:
        made = f'sampler "{scene.sampler[number].use}" of data "{sampler.data}"'
        raise SceneError(
            f"{scene.source.name}: {config.name} cannot begin from what {made} makes; "
            + ", ".join(family.states_from for family in FAMILIES.values() if family.states)
        )
    kept: Any = config
    return Started(kept, Starts(propose, scene.sampler[number].use))


def proposer(
    model: SamplerModel, data: str, world: str, options: SampleOptions
) -> Callable[[int], Iterable[Any]] | None:
    """What proposes states of a world for a seed; None if the sampler makes none."""
    origin = origin_of(data)
    if origin is None or origin.world != world or origin.family.states is None:
        return None
    states, variant = origin.family.states, origin.variant

    def propose(seed: int) -> Iterable[Any]:
        return states(variant, model.sample(PROPOSED, Condition(), options, seed).values, seed)

    return propose
