"""Scene of an action replay: what is written of it, and what of it is shown when the replay is played."""

from __future__ import annotations

import tomllib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import tomli_w

from scenes.schema import SHIPPED, Agent, Perception, Scene, SceneError, make_scene
from scenes.watching.live_agent import PLAIN_WORDS
from sim.storage.checkpoints import CARD


def replay_scene(scene: Scene, shown: tuple[Path | None, Path | None], *, followed: bool) -> str:
    """The text of a scene for its replay; paths of what ships start from the shipped scenes' folder.

    Args:
        scene: as it is watched.
        shown: checkpoints of the agent, and of the first perception, where not the scene's own.
        followed: whether the agent's weights changed while it played, so that none are named.
    """
    raw = tomllib.loads(scene.toml())
    agent, perception = shown
    if "agent" in raw and agent is not None:
        raw["agent"]["checkpoint"] = str(agent.resolve())
    if followed:
        raw["agent"].pop("checkpoint", None)
    if perception is not None:
        raw["perception"][0]["checkpoint"] = str(perception.resolve())
    return tomli_w.dumps(_within(raw))


def _within(node: Any) -> Any:
    """The same with paths below the shipped scenes' folder relative to it."""
    if isinstance(node, dict):
        return {key: _within(value) for key, value in node.items()}
    if isinstance(node, list):
        return [_within(item) for item in node]
    inside = isinstance(node, str) and node.startswith(f"{SHIPPED.resolve()}/")
    return Path(node).relative_to(SHIPPED.resolve()).as_posix() if inside else node


def scene_of_replay(text: str, path: Path, say: Callable[[str], None]) -> Scene:
    """The scene of a replay as it can be shown here: without models whose weights are not at hand.

    Args:
        text: of the scene.
        path: the replay's file, which errors name.
        say: takes a line about each model that is left out.

    Raises:
        SceneError: if the text is no scene with a world.
    """
    try:
        raw = tomllib.loads(text)
    except (ValueError, RecursionError) as error:
        raise SceneError(f"{path.name} is damaged: its scene is not TOML") from error
    scene = make_scene(raw, SHIPPED / path.name)
    if scene.world is None:
        raise SceneError(f"{path.name} is damaged: its scene has no world")
    agent, looking = scene.agent, []
    if agent is not None and agent.use not in PLAIN_WORDS and not _at_hand(scene, agent):
        say(f"the weights of the agent are not here: only the actions of {agent.use} are shown")
        agent = None
    for table in scene.perception:
        if table.feed == "agent" or table.origin == "truth" or _at_hand(scene, table):
            looking.append(table)
        else:
            say(f"the weights of {table.use} are not here: its percepts are not shown")
    return replace(scene, agent=agent, perception=tuple(looking), sampler=())


def _at_hand(scene: Scene, table: Agent | Perception) -> bool:
    """Whether a model's checkpoint is there."""
    return table.checkpoint is not None and (scene.resolve(table.checkpoint) / CARD).is_file()
