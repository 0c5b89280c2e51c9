"""Initial states from a sampler: worlds whose episodes begin in generated states (``feed = "reset"``)."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from scenes.build.samplers import own_options, reset_sampler, sampler_config
from scenes.data.sampler_data import build_sampler
from scenes.schema import Scene, SceneError
from sim.protocols import SamplerModel, WorldConfig
from sim.records import Array, Condition, SampleOptions
from sim.starts import Started, Starts

PROPOSED = 8  # states that are sampled together
VELOCITY = 5e-3  # m/s, rad/s: deviation of the velocities, of which poses say nothing


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
            f"chess takes boards, walker/<body> takes states/<body>"
        )
    kept: Any = config
    return Started(kept, Starts(propose, scene.sampler[number].use))


def proposer(
    model: SamplerModel, data: str, world: str, options: SampleOptions
) -> Callable[[int], Iterable[Any]] | None:
    """Function from a seed to proposed initial states of a world; None if the sampler makes none."""
    family, _, variant = data.partition("/")
    if family == "states" and world == f"walker/{variant}":
        return lambda seed: poses(variant, sampled(model, options, seed), seed)
    if family == "boards" and world == "chess":
        return lambda seed: positions(sampled(model, options, seed))
    return None


def sampled(model: SamplerModel, options: SampleOptions, seed: int) -> Array:
    """Draw `PROPOSED` samples, (PROPOSED, …)."""
    return model.sample(PROPOSED, Condition(), options, seed).values


def poses(body: str, values: Array, seed: int) -> Iterable[tuple[Array, Array]]:
    """Physics states from sampled poses: positions (nq,) and small random velocities (nv,) of each."""
    from sim.walker.poses import whole_positions
    from sim.walker.reward import BODIES
    from sim.walker.simulation import load

    generator = np.random.default_rng(seed)
    width = load(BODIES[body]).nv
    for pose in whole_positions(body, values):
        yield pose, VELOCITY * generator.standard_normal(width)


def positions(values: Array) -> Iterable[str]:
    """FENs decoded from sampled board images (n, 64, 64, 3), White to move."""
    from generative.data.boards import read_board

    for rgb in values:
        yield f"{read_board(rgb).fen} w - - 0 1"
