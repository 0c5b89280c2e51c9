"""The verb `uci`: a scene's agent as an engine, loaded once the client asks whether it is ready."""

from __future__ import annotations

from collections.abc import Iterable
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING

from agents.catalog import AGENTS, SEARCHERS
from scenes.schema import Agent, Scene, SceneError
from scenes.uci.client import stdin_lines
from scenes.uci.engine import Engine
from scenes.uci.options import MOST_SIMULATIONS, Options
from sim.errors import RequestError, WorkError

if TYPE_CHECKING:
    from scenes.uci.player import Player

SIMULATIONS = 32  # `agents.alphazero.search_agent.SearchConfig.num_simulations`, which needs torch


def serve(
    scene: Scene,
    *,
    device: str,
    checkpoint: Path | None,
    seed: int | None = None,
    lines: Iterable[str] | None = None,
) -> None:
    """Run the engine until `quit` or the end of input.

    Args:
        scene: of a chess world and an agent.
        device: auto, cpu or cuda.
        checkpoint: instead of the scene's own.
        seed: of the moves that a temperature draws; None for other ones each time.
        lines: from the client; None for stdin.

    Raises:
        RequestError: if the scene is not one of chess, or lacks what it needs.
        WorkError: if its checkpoint is broken.
    """
    agent = checked_agent(scene)
    if checkpoint is not None and not checkpoint.exists():
        raise RequestError(f"{checkpoint} does not exist: there is no card.toml in it")

    def load() -> Player:
        return loaded_player(scene, device, checkpoint)

    trained = checkpoint is not None or agent.checkpoint or agent.use in ("random", "greedy")
    name = f"Playfield {installed_version()}: {scene.title} ({agent.use}{'' if trained else ', untrained'})"
    Engine(load, name, options_of(agent), seed=seed).run(stdin_lines() if lines is None else lines)


def loaded_player(scene: Scene, device: str, checkpoint: Path | None) -> Player:
    """The player of a scene; imports torch.

    Raises:
        RequestError: if something in the scene is wrong, or a package is missing.
        WorkError: if the checkpoint is broken or does not fit.
    """
    try:
        from scenes.uci.player import load_player
        from sim.storage.checkpoints import CheckpointError
    except ModuleNotFoundError as error:
        from sim.catalog import install_hint

        raise RequestError(f"an engine needs {install_hint(error.name or 'chess')}") from error
    try:
        return load_player(scene, device=device, checkpoint=checkpoint)
    except CheckpointError as error:
        raise WorkError(str(error)) from error


def checked_agent(scene: Scene) -> Agent:
    """The scene's agent; what is known without importing world and agent is checked.

    Raises:
        RequestError: if the scene has no agent, or plays something else than chess.
    """
    use = "" if scene.world is None else scene.world.use
    if use.partition("/")[0] != "chess" or scene.agent is None or scene.agent.use not in AGENTS:
        from scenes.build.agents import scene_agent, scene_world

        config = scene_world(scene)
        scene_agent(scene)
        if not scene.extra_worlds:
            raise SceneError(
                f"{scene.source.name}: a UCI engine plays chess, and this scene plays {config.name}"
            )
    assert scene.agent is not None
    return scene.agent


def options_of(agent: Agent) -> Options:
    """The options of a scene's agent."""
    simulations = agent.fields.get("num_simulations", SIMULATIONS)
    known = isinstance(simulations, int) and 1 <= simulations <= MOST_SIMULATIONS
    searching = agent.use in SEARCHERS and agent.fields.get("search") != "none"
    return Options(simulations if known else SIMULATIONS, searching=searching)


def installed_version() -> str:
    """Playfield's version."""
    try:
        return version("playfield")
    except PackageNotFoundError:
        return "(not installed)"
