"""Opponents of chess matches by name: built-in players, UCI engines, agents of scenes, checkpoints."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from agents.evaluation.paired_match import MatchPlayer, PolicyPlayer
from agents.networks.architectures import RECURRENT
from scenes.build.agents import build_policy, scene_agent, scene_world
from scenes.build.devices import chosen_device
from scenes.schema import Scene, SceneError, load_scene
from sim.chess.encoding import ACTIONS
from sim.chess.opponents import OPPONENTS, SOLVERS, PlayerOpponent
from sim.chess.uci_player import UciPlayer, engine_spec, is_engine_name
from sim.chess.world import Chess
from sim.fields import excerpt, nearest
from sim.protocols import AgentConfig

SCENE = "scene:"
KINDS = "stockfish, stockfish:N, stockfish:elo=N, uci:COMMAND, scene:NAME, the folder of a checkpoint"


@dataclass(frozen=True)
class Contestant:
    """A player of a match.

    Attributes:
        name: as it was asked for.
        title: with program, strength and simulations, as PGN names it.
        player: who moves.
        history: positions in the planes that it sees.
        learned: whether it is an agent, which takes as long to move as the scene's own.
        num_simulations: of its search; 1 without.
        rest: lets go of what it needs to play, such as an engine's process, until it plays again.
    """

    name: str
    title: str
    player: MatchPlayer
    history: int
    learned: bool = False
    num_simulations: int = 1
    rest: Callable[[], None] = lambda: None


def opponent_names(texts: Sequence[str]) -> list[str]:
    """Split lists such as ``random,greedy`` into names.

    Raises:
        SceneError: if there are none, or one stands twice.

    >>> opponent_names(["random,greedy", "stockfish:0"])
    ['random', 'greedy', 'stockfish:0']
    """
    names = [name.strip() for text in texts for name in text.split(",")]
    names = [name for name in names if name]
    if not names:
        raise SceneError("--opponents names nobody; such as --opponents random,greedy,stockfish:0")
    twice = [name for i, name in enumerate(names) if name in names[:i]]
    if twice:
        raise SceneError(f'--opponents names "{excerpt(twice[0])}" twice; --episodes N plays more games')
    return names


def chess_world(scene: Scene) -> Chess:
    """Configuration of the scene's chess world, for matches between players that see the position.

    Raises:
        SceneError: if it is another world, or the agent does not see the position.
    """
    config = scene_world(scene)
    where = scene.source.name
    if not isinstance(config, Chess):
        raise SceneError(f"{where}: --opponents is for chess scenes, and this one plays {config.name}")
    if any(table.feed == "agent" for table in scene.perception):
        raise SceneError(
            f"{where}: its agent lives on percepts; a match shows positions: leave out --opponents"
        )
    if getattr(scene_agent(scene), "network", None) in RECURRENT:
        raise SceneError(f"{where}: a recurrent agent remembers one game, and a match has many at once")
    return config


def scene_contestant(
    scene: Scene, name: str, *, device: str, checkpoint: Path | None, say: Callable[[str], None]
) -> Contestant:
    """The scene's agent as a player.

    Args:
        scene: of chess.
        name: to call it.
        device: ``auto``, ``cpu`` or ``cuda``.
        checkpoint: instead of the scene's own.
        say: is told if it is untrained.

    Raises:
        SceneError, CheckpointError: if it cannot be built.
    """
    config, agent = chess_world(scene), scene_agent(scene)
    worlds = config.make_batch(1, scene.seed)
    policy, card = build_policy(scene, worlds, config, chosen_device(device, agent), checkpoint)
    worlds.close()
    assert scene.agent is not None
    builtin = scene.agent.use in ("random", "greedy")
    if card is None and not builtin:
        say(f"{name} has no checkpoint: an untrained agent plays")
    agent = getattr(policy, "config", agent)
    traits = [scene.agent.use, *_search_words(agent), *["untrained"] * (card is None and not builtin)]
    player = PolicyPlayer(policy, ACTIONS, greedy=agent.greedy, seed=scene.seed)
    return Contestant(
        name, f"{name} ({', '.join(traits)})", player, config.history, not builtin, num_simulations(agent)
    )


def num_simulations(agent: AgentConfig) -> int:
    """Simulations of a move; 1 for agents without search."""
    without = getattr(agent, "search", "none") == "none"
    return 1 if without else int(getattr(agent, "num_simulations", 1))


def _search_words(agent: AgentConfig) -> list[str]:
    count = num_simulations(agent)
    return [f"{getattr(agent, 'search', '')} {count:,} simulations"] if count > 1 else []


def rival(
    name: str, scene: Scene, *, device: str, open_engines: ExitStack, say: Callable[[str], None]
) -> Contestant:
    """The opponent of that name in matches of `scene`.

    Args:
        name: ``random``, ``greedy``, ``perfect``, ``scene:NAME``, a checkpoint's folder, or an engine
            (`sim.chess.uci_player`).
        scene: whose agent it meets.
        device: ``auto``, ``cpu`` or ``cuda``.
        open_engines: ends the engine.
        say: takes remarks.

    Raises:
        RequestError: if the name is wrong, or the engine is not installed (`MissingEngineError`).
        EngineFaultError: if the engine does not start.
    """
    config = chess_world(scene)
    if is_engine_name(name):
        engine = open_engines.enter_context(UciPlayer(engine_spec(name), say=say))
        engine.start()  # whether it can, and what it is called
        engine.close()
        return Contestant(name, engine.title, engine, config.history, rest=engine.close)
    if name in OPPONENTS or name in SOLVERS:
        if name in SOLVERS:
            _check_solved(config, name)
        return Contestant(name, name, PlayerOpponent((OPPONENTS | SOLVERS)[name]), config.history)
    if name.startswith(SCENE):
        other = load_scene(name.removeprefix(SCENE))
        return scene_contestant(other, name, device=device, checkpoint=None, say=say)
    folder = Path(name).expanduser()
    if folder.is_dir():
        return scene_contestant(scene, name, device=device, checkpoint=folder, say=say)
    raise SceneError(f'there is no opponent "{excerpt(name)}": {_hint(name)}')


def _check_solved(config: Chess, name: str) -> None:
    wanted: Any = name
    try:
        replace(config, opponent=wanted)
    except ValueError as error:
        raise SceneError(f"--opponents: {error}") from error


def _hint(name: str) -> str:
    if "/" in name:
        return "there is no such folder of a checkpoint"
    known: Any = [*OPPONENTS, *SOLVERS, "stockfish", "stockfish:0", "uci:", SCENE]
    close = nearest(name, known)
    return close if close.startswith("did you mean") else f"there are {', '.join(OPPONENTS)}, {KINDS}"
