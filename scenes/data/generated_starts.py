"""Initial states from a sampler: worlds whose episodes begin in generated states (``feed = "reset"``)."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from scenes.build.samplers import own_options, reset_sampler, sampler_config
from scenes.data.families.table import FAMILIES, origin_of
from scenes.data.sampler_data import build_sampler
from scenes.schema import Scene, SceneError
from sim.protocols import SamplerModel, WorldConfig
from sim.records import Condition, SampleOptions
from sim.starts import Starts, WorldWithStarts

PROPOSED = 8  # states that are sampled together


def generated_starts(scene: Scene, config: WorldConfig) -> WorldConfig:
    """The world's configuration, with initial states from the sampler that has ``feed = "reset"``, if any.

    Raises:
        SceneError: if the sampler's examples are no states of this world.
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
    return WorldWithStarts(kept, Starts(propose, scene.sampler[number].use))


def proposer(
    model: SamplerModel, data: str, world: str, options: SampleOptions
) -> Callable[[int], Iterable[Any]] | None:
    """Function from a seed to proposed initial states of a world; None if the sampler makes none."""
    origin = origin_of(data)
    if origin is None or origin.world != world or origin.family.states is None:
        return None
    states, variant = origin.family.states, origin.variant

    def propose(seed: int) -> Iterable[Any]:
        return states(variant, model.sample(PROPOSED, Condition(), options, seed).values, seed)

    return propose
