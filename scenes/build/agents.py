"""Construction of a scene's world and agent from their catalogues, with the weights of a checkpoint.

From `scenes.schema.Scene` to a `sim.protocols.WorldConfig` and a `sim.protocols.Policy`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, fields, replace
from pathlib import Path
from typing import Any

import gymnasium

from agents.catalog import AGENTS
from generative import catalog as generative
from scenes.build.devices import use_threads
from scenes.build.worlds import world_catalog
from scenes.schema import Scene, SceneError, data_path, holds_path, own_keys
from sim.catalog import load, world_config
from sim.fields import construct
from sim.protocols import AgentConfig, Learner, Policy, WorldConfig
from sim.storage.checkpoints import Card, Checkpoint, CheckpointError, check_fits, load_checkpoint, make_card
from sim.vector import Worlds

PREPROCESSING = "uint8 pictures are scaled to [0, 1] inside the network; vectors are taken as they are"


#: Keys that decide which weights a network has, and their shapes; with a checkpoint its card's values count.
SHAPE = (
    "network", "value_head", "dueling", "quantiles",
    "normalize_observations", "normalize_returns", "normalize_values",  # their moments are weights as well
)  # fmt: skip


def scene_world(scene: Scene) -> WorldConfig:
    """Configuration of the scene's world; nothing is started or loaded yet.

    Keys of it that hold paths, such as the checkpoint of a world that is a model, are absolute.

    Raises:
        SceneError: if the scene has none.
        CatalogError, FieldError, MissingPackageError: see `sim.catalog`.
    """
    if scene.world is None:
        raise SceneError(f"{scene.source.name} has no [world]")
    where, catalog = f"{scene.source.name}, [world]", world_catalog(scene.extra_worlds)
    given = {  # absolute before the world reads what they name
        key: str(scene.resolve(value)) if holds_path(key) and isinstance(value, str) else value
        for key, value in scene.world.fields.items()
    }
    config: Any = world_config(scene.world.use, given, where, own_keys(scene.world), catalog)
    values = {field.name: getattr(config, field.name) for field in fields(config) if holds_path(field.name)}
    absolute = {name: str(scene.resolve(path)) for name, path in values.items() if isinstance(path, str)}
    resolved: WorldConfig = replace(config, **absolute) if absolute else config
    return resolved


def world_fields(scene: Scene) -> dict[str, Any]:
    """Configuration keys in the scene's ``[world]``, paths absolute: they make the same world elsewhere."""
    config = scene_world(scene)
    assert scene.world is not None
    given = scene.world.fields.items()
    return {key: getattr(config, key) if holds_path(key) else value for key, value in given}


def scene_agent(scene: Scene) -> AgentConfig:
    """Configuration of the scene's agent, with the path of its data absolute; no network is built yet.

    Raises:
        SceneError: if the scene has none.
        CatalogError, FieldError, MissingPackageError: see `sim.catalog`.
    """
    if scene.agent is None:
        raise SceneError(f"{scene.source.name} has no [agent]")
    cls = load(AGENTS, scene.agent.use, "agent")
    where = f"{scene.source.name}, [agent]"
    values = dict(scene.agent.fields)
    if isinstance(values.get("data"), str) and (path := data_path(scene, values["data"])) is not None:
        values["data"] = str(path)
    config: AgentConfig = construct(cls, values, where, own_keys(scene.agent))
    return config


def with_default_network(scene: Scene, observation_space: gymnasium.Space[Any]) -> Scene:
    """The scene with `agent.network` set: where it names none, the one that suits the observation space."""
    agent: Any = scene_agent(scene)
    if scene.agent is None or getattr(agent, "network", "") is not None:
        return scene
    chosen = {"network": agent.for_observations(observation_space).network}
    return replace(scene, agent=replace(scene.agent, fields=scene.agent.fields | chosen))


def build_policy(
    scene: Scene, worlds: Worlds, config: WorldConfig, device: str, checkpoint: Path | None = None
) -> tuple[Policy, Card | None]:
    """Build the scene's agent for `worlds`, with the weights of its checkpoint where it has one.

    Args:
        scene: with an agent.
        worlds: whose observation and action spaces the agent must fit.
        config: of the world, which the checkpoint's card must fit.
        device: `chosen_device`.
        checkpoint: folder to load instead of the scene's own.

    Returns:
        The agent and the card of its checkpoint; None if it is untrained.

    Raises:
        CheckpointError: if the checkpoint is damaged or made for something else.
    """
    silent = getattr(scene_agent(scene), "network", "") is None
    scene = with_default_network(scene, worlds.single_observation_space)
    agent = scene_agent(scene)
    assert scene.agent is not None
    if checkpoint is None and scene.agent.checkpoint:
        checkpoint = scene.resolve(scene.agent.checkpoint)
    loaded = None if checkpoint is None else load_checkpoint(checkpoint)
    if loaded is not None:
        check_agent(scene, loaded, worlds, config)
        agent = with_checkpoint_network(scene, agent, loaded)
    if silent:  # the network was not known when the device was chosen
        use_threads(agent)
    policy = agent.build(
        worlds.single_observation_space, worlds.single_action_space, seed=scene.seed, device=device
    )
    if loaded is None:
        return policy, None
    if not isinstance(policy, Learner):
        raise SceneError(f'agent "{scene.agent.use}" has nothing to learn and takes no checkpoint')
    loaded.give(policy)
    return policy, loaded.card


def with_checkpoint_network(scene: Scene, agent: AgentConfig, checkpoint: Checkpoint) -> AgentConfig:
    """The agent's configuration with the network of the checkpoint's card, which may not be the scene's.

    Keys that `--set` changed stay as they are; weights that do not fit them are refused when they are loaded.

    Raises:
        CheckpointError: if the card names a network that does not exist.
    """
    cls, told = type(agent), checkpoint.card["config"]
    by_hand = {change.partition("=")[0].strip() for change in scene.changes}
    keys = [key for key in SHAPE if hasattr(cls, key) and f"agent.{key}" not in by_hand]
    try:
        return replace(agent, **{key: told.get(key, getattr(cls, key)) for key in keys})  # type: ignore[type-var]
    except (TypeError, ValueError) as error:
        raise CheckpointError(f"{checkpoint.folder / 'card.toml'}: {error}") from error


def check_agent(
    scene: Scene, checkpoint: Checkpoint, worlds: Worlds, config: WorldConfig, *, any_agent: bool = False
) -> None:
    """Check that a checkpoint fits the worlds, their spaces and, unless `any_agent`, the scene's agent.

    Raises:
        CheckpointError: with every difference.
    """
    check_fits(
        checkpoint,
        kind="agent",
        name=None if any_agent or scene.agent is None else _weights_name(scene.agent.use, checkpoint),
        world=_agents_world(config, checkpoint),
        observation_space=worlds.single_observation_space,
        action_space=worlds.single_action_space,
    )


def _agents_world(config: WorldConfig, checkpoint: Checkpoint) -> str:
    """Name of the world whose agents a world takes: its own, or another one's that is the same game.

    A dream of a game and a twin of it are played by the game's own agents, and the reverse.
    """
    trained_in = str(checkpoint.card.get("world"))
    return trained_in if same_game(trained_in, config.name) else config.name


def same_game(first: str, second: str) -> bool:
    """Whether two worlds are one game: simulated, dreamed, or both side by side.

    >>> same_game("dream/pong", "atari/pong"), same_game("dream/pong", "atari/breakout")
    (True, False)
    """
    (family, _, game), (other, _, played) = first.partition("/"), second.partition("/")
    return {family, other} <= {"atari", *generative.WORLDS} and game == played


def _weights_name(use: str, checkpoint: Checkpoint) -> str:
    """Name of the agent whose checkpoints an agent takes: its own, or of another with the same network."""
    others: tuple[str, ...] = getattr(load(AGENTS, use, "agent"), "same_network", ())
    name = checkpoint.card.get("name")
    return str(name) if name in others else use


def agent_card(
    scene: Scene,
    agent: AgentConfig,
    config: WorldConfig,
    worlds: Worlds,
    trained: Mapping[str, Any],
    scores: Mapping[str, Any] | None = None,
) -> Card:
    """Make the model card of the scene's agent."""
    assert scene.agent is not None
    return make_card(
        "agent",
        scene.agent.use,
        asdict(agent),  # type: ignore[call-overload]
        seed=scene.seed,
        trained=trained,
        world=config.name,
        observation_space=worlds.single_observation_space,
        action_space=worlds.single_action_space,
        preprocessing=getattr(config, "preprocessing", PREPROCESSING),
        protocol=config.protocol(),
        scores=scores,
    )
