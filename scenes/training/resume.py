"""Resuming of runs: the scene to go on with, and which of its keys may change.

A saved state fits only the worlds, network, replay buffer and data that it was made with. Every other key
may change at a resume: learning rates, coefficients, rollout lengths, the budget. The state itself is written
and restored by `scenes.training.session.Training`.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

from scenes.build.agents import scene_agent, scene_world
from scenes.build.perceptions import perception_config, trains_perception
from scenes.build.samplers import sampler_config, trains_sampler
from scenes.schema import Scene, SceneError, holds_path, load_scene, make_scene, own_keys
from sim.plurals import number_of
from sim.protocols import LearnerConfig
from sim.ranks import launched_by
from sim.storage.checkpoints import load_card
from sim.storage.runs import step_folders
from supervised.fit import FitOptions

#: How a fit goes on, which any update may do differently; an average of weights is there or is not.
FITTING = {field.name for field in fields(FitOptions)} - {"ema"}


def training_scene(
    name: str,
    changes: Sequence[str],
    seed: int | None,
    *,
    run: Path | None = None,
    steps: int | None = None,
    resume: bool = False,
    extra_worlds: Mapping[str, str] | None = None,
) -> tuple[Scene, Path | None]:
    """Scene of a training run, of a resumed one its own with changes, and its folder; None for a new one.

    Args:
        name: of a shipped scene, or the path of a scene file.
        changes: ``key.path=value`` each.
        seed: instead of the scene's own.
        run: the run folder; at a resume None stands for the newest run of the scene.
        steps: the budget in env steps or updates, instead of the scene's.
        resume: go on from what is in `run`, by its own scene with what is changed now.
        extra_worlds: families of worlds beside the catalogues', see `scenes.schema.Scene`.

    Raises:
        SceneError: if the scene, a change or the run is not there or wrong.
    """
    scene = load_scene(name, changes, seed, extra_worlds)
    if resume:
        run = run or newest_run(scene)
        scene = resumed_scene(scene, run, changes, seed)
    if steps is None:
        return scene, run
    if steps < 1:
        raise SceneError(f"--steps must be at least 1, not {steps}")
    unit = "updates" if scene.train.updates is not None else "env_steps"
    longer = [*changes, f"train.{unit}={steps}"]
    if resume and run:
        whole = resumed_scene(scene, run, longer, seed)
    else:
        whole = load_scene(name, longer, seed, extra_worlds)
    return replace(whole, changes=tuple(changes)), run  # a command that goes on names the steps no more


def resumed_scene(asked: Scene, run: Path, changes: Sequence[str], seed: int | None) -> Scene:
    """The scene to resume a run with: the run's own, with the changes of this command.

    Raises:
        SceneError: if it is no run, a run of another scene, or one with another seed.
    """
    file = run / "scene.toml"
    if not file.is_file():
        raise SceneError(f"{run} is not a run folder: there is no scene.toml in it")
    kept, scene = load_scene(str(file)), load_scene(str(file), changes, seed, asked.extra_worlds)
    mine, other = catalogue_names(kept), catalogue_names(asked)
    if mine != other:
        raise SceneError(
            f'{run} is a run of "{kept.title}" ({", ".join(mine)}), not of {asked.name} '
            f"({', '.join(other)}): begin another run for that"
        )
    if scene.seed != kept.seed:
        raise SceneError(
            f"{run} began with seed {kept.seed} and keeps it: for seed {scene.seed} begin another run"
        )
    return replace(scene, name=asked.name, typed=asked.typed)


def catalogue_names(scene: Scene) -> list[str]:
    """Catalogue names (``use``) of a scene's world, agent, perceptions and samplers."""
    tables = [scene.world, scene.agent, *scene.perception, *scene.sampler]
    return [table.use for table in tables if table is not None]


def newest_run(scene: Scene) -> Path:
    """Find the scene's newest run in ``runs``.

    Raises:
        SceneError: if there is none.
    """
    found = sorted(Path("runs").glob(f"{scene.name}-*/scene.toml"), key=lambda path: path.stat().st_mtime)
    for path in reversed(found):  # pong-dqn's begin with "pong-" as well
        with suppress(SceneError):
            if catalogue_names(load_scene(str(path))) == catalogue_names(scene):
                return path.parent
    raise SceneError(f"there is no run of {scene.name} in runs/ to resume; name one with --run")


def check_resume(kept: Scene, scene: Scene) -> None:
    """Check that a state of the scene `kept` fits `scene`: no fixed key differs.

    Raises:
        SceneError: naming every such key with both values.
    """
    before, after = fixed_keys(kept), fixed_keys(scene)
    changed = [
        f"{key} = {after.get(key)!r} (was {before.get(key)!r})"
        for key in before | after
        if before.get(key) != after.get(key) and not is_default_network(key, before, after)
    ]
    if changed:
        raise SceneError(
            f"{kept.source.parent} cannot go on with {', '.join(changed)}: its state does not fit that; "
            "leave it as it was, or begin another run"
        )
    check_world_weights(kept.source.parent, scene)


def check_ranks(run: Path, learner: Mapping[str, Any], ranks: int) -> None:
    """Check that a learner's state was saved by as many ranks as there are now.

    Args:
        run: its folder, for the message.
        learner: the state, with those of other ranks under ``ranks``.
        ranks: how many there are.

    Raises:
        SceneError: with the command that starts as many.
    """
    before = 1 + len(learner.get("ranks", ()))
    if before != ranks:
        raise SceneError(
            f"{run} was saved by {number_of(before, 'rank')} and cannot go on with {ranks}: "
            f"{launched_by(before)} train … --run {run} --resume"
        )


def check_world_weights(run: Path, scene: Scene) -> None:
    """Check that a world made from a file, a model's weights or a robot, is what it was at the last save.

    What stands under the same path may have changed since.

    Raises:
        SceneError: naming what of the world's protocol stamp differs.
    """
    if scene.world is None or not step_folders(run / "checkpoints"):
        return
    config: Any = scene_world(scene)
    card = load_card(run)
    paths = [name for name in entry_keys(config) if holds_path(name) and getattr(config, name) is not None]
    if card["kind"] != "agent" or not paths:
        return
    stamp = card.get("protocol", {})
    changed = [key for key, value in config.protocol().items() if key in stamp and stamp[key] != value]
    if changed:
        raise SceneError(
            f"{run} cannot go on: the {', '.join(changed)} of {config.name} are not those it was trained in; "
            "put them back, or begin another run"
        )


def is_default_network(key: str, before: Mapping[str, Any], after: Mapping[str, Any]) -> bool:
    """Whether a key is a network that one scene leaves to the observation space, which is unchanged."""
    return key == "agent.network" and None in (before.get(key), after.get(key))


def fixed_keys(scene: Scene) -> dict[str, Any]:
    """Keys of a scene that a resume cannot change, with their values."""
    whole_scene = make_scene(tomllib.loads(scene.toml()), scene.source)  # its paths are absolute there
    scene = replace(whole_scene, extra_worlds=scene.extra_worlds)
    found: dict[str, Any] = {}
    if scene.world is not None:
        found |= all_keys("world", scene.world, scene_world(scene))
    if trains_perception(scene):
        if scene.agent is not None:  # plays for the pictures
            found |= all_keys("agent", scene.agent, scene_agent(scene))
        return found | trained_model_keys("perception", scene.perception[0], perception_config(scene))
    if trains_sampler(scene):
        return found | trained_model_keys("sampler", scene.sampler[0], sampler_config(scene))
    if scene.agent is not None:
        agent = scene_agent(scene)
        keys = agent.fixed_at_resume if isinstance(agent, LearnerConfig) else ()
        found |= {"agent.use": scene.agent.use} | key_values("agent", agent, keys)
    for i, table in enumerate(scene.perception):
        if table.feed == "agent":
            found |= all_keys(f"perception.{i}", table, perception_config(scene, i))
    for i, sampler in enumerate(scene.sampler):
        if sampler.feed in ("reset", "world"):
            found |= all_keys(f"sampler.{i}", sampler, sampler_config(scene, i))
    return found


def all_keys(prefix: str, table: Any, config: Any) -> dict[str, Any]:
    """All keys of a table, those of its catalogue entry included, with their values."""
    return key_values(prefix, table, own_keys(table)) | key_values(prefix, config, entry_keys(config))


def trained_model_keys(kind: str, table: Any, config: Any) -> dict[str, Any]:
    """Fixed keys of the trained perception or sampler: its model and its data."""
    return {f"{kind}.0.use": table.use} | key_values(f"{kind}.0", config, entry_keys(config) - FITTING)


def entry_keys(config: Any) -> set[str]:
    """Names of the keys of a catalogue entry."""
    return {field.name for field in fields(config) if field.init}


def key_values(prefix: str, config: Any, keys: Iterable[str]) -> dict[str, Any]:
    """Values of some keys, by their path in the scene."""
    return {f"{prefix}.{key}": getattr(config, key) for key in sorted(keys)}


def differences(before: Any, after: Any, key: str = "") -> list[str]:
    """Differences between two scene files, key by key.

    >>> differences({"a": {"b": 1, "c": 2}, "d": [1]}, {"a": {"b": 3, "c": 2}, "d": [1], "e": "x"})
    ['a.b = 3 (was 1)', "e = 'x' (was None)"]
    """
    if isinstance(before, dict) and isinstance(after, dict):
        keys = [*before, *(name for name in after if name not in before)]
        parts = [(name, before.get(name), after.get(name)) for name in keys]
    elif isinstance(before, list) and isinstance(after, list) and len(before) == len(after):
        parts = [(str(i), *pair) for i, pair in enumerate(zip(before, after, strict=True))]
    else:
        return [] if before == after else [f"{key} = {after!r} (was {before!r})"]
    return [line for name, a, b in parts for line in differences(a, b, f"{key}.{name}".lstrip("."))]
