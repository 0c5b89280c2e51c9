"""What a resume may change of a run's scene, and what it cannot.

A state fits the worlds, network, memory and data that it was taken of. Everything else may change from the
step on at which a run goes on: rates, coefficients, lengths of updates, the budget.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import fields
from typing import Any

from scenes.build import scene_agent, scene_world
from scenes.perceiving import trains_perception
from scenes.sampling import sampler_config, trains_sampler
from scenes.schema import Scene, SceneError, make_scene, own_keys
from scenes.viewing import perception_config
from sim.protocols import LearnerConfig
from supervised.fit import FitOptions

#: How a fit goes on, which any update may do differently; an average of weights is there or is not.
FITTING = {field.name for field in fields(FitOptions)} - {"ema"}


def check_resume(kept: Scene, scene: Scene) -> None:
    """Refuse to go on by `scene` from a state of `kept` that does not fit it.

    Raises:
        SceneError: naming every such key with both values.
    """
    before, after = fixed_keys(kept), fixed_keys(scene)
    changed = [
        f"{key} = {after.get(key)!r} (was {before.get(key)!r})"
        for key in before | after
        if before.get(key) != after.get(key) and not unnamed(key, before, after)
    ]
    if changed:
        raise SceneError(
            f"{kept.source.parent} cannot go on with {', '.join(changed)}: its state does not fit that; "
            "leave it as it was, or begin another run"
        )


def unnamed(key: str, before: Mapping[str, Any], after: Mapping[str, Any]) -> bool:
    """Whether a scene leaves its network to what is observed, which has not changed."""
    return key == "agent.network" and None in (before.get(key), after.get(key))


def fixed_keys(scene: Scene) -> dict[str, Any]:
    """The keys of a scene that stay what they are as long as a run goes on, with their values."""
    scene = make_scene(tomllib.loads(scene.toml()), scene.source)  # its paths are absolute there
    found: dict[str, Any] = {}
    if scene.world is not None:
        found |= whole("world", scene.world, scene_world(scene))
    if trains_perception(scene):
        if scene.agent is not None:  # plays for the pictures
            found |= whole("agent", scene.agent, scene_agent(scene))
        return found | fitted("perception", scene.perception[0], perception_config(scene))
    if trains_sampler(scene):
        return found | fitted("sampler", scene.sampler[0], sampler_config(scene))
    if scene.agent is not None:
        agent = scene_agent(scene)
        keys = agent.fixed_at_resume if isinstance(agent, LearnerConfig) else ()
        found |= {"agent.use": scene.agent.use} | values("agent", agent, keys)
    for i, table in enumerate(scene.perception):
        if table.feed == "agent":
            found |= whole(f"perception.{i}", table, perception_config(scene, i))
    for i, sampler in enumerate(scene.sampler):
        if sampler.feed == "reset":
            found |= whole(f"sampler.{i}", sampler, sampler_config(scene, i))
    return found


def whole(prefix: str, table: Any, config: Any) -> dict[str, Any]:
    """Every key of a table, its entry's included."""
    return values(prefix, table, own_keys(table)) | values(prefix, config, names(config))


def fitted(kind: str, table: Any, config: Any) -> dict[str, Any]:
    """What the first perception or sampler is, and learns from."""
    return {f"{kind}.0.use": table.use} | values(f"{kind}.0", config, names(config) - FITTING)


def names(config: Any) -> set[str]:
    """The keys of a catalogue entry."""
    return {field.name for field in fields(config) if field.init}


def values(prefix: str, config: Any, keys: Iterable[str]) -> dict[str, Any]:
    """Some keys with their values."""
    return {f"{prefix}.{key}": getattr(config, key) for key in sorted(keys)}
