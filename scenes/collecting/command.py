"""Recording of whole episodes of a scene's agent, or of a person, as a Minari data set (`playfield collect`).

`sim.storage.episodes` writes them; this module adds what the scene determines: policy, weights and protocol.
Readers split into training and test data by episode: each one's seed is recorded.
"""

from __future__ import annotations

import copy
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from glob import escape
from importlib.metadata import version
from pathlib import Path
from typing import Any, cast

import gymnasium
import numpy as np
from gymnasium.envs.registration import EnvSpec

from scenes.build.agents import build_policy, scene_agent, world_fields
from scenes.build.devices import chosen_device
from scenes.build.worlds import world_catalog
from scenes.console import show
from scenes.data.agent_env import agent_env
from scenes.interruption import FAULTS, error_line, interruption, progress_bar
from scenes.schema import Scene
from scenes.watching.scene_show import SceneShow
from sim.catalog import WORLDS
from sim.errors import WorkError
from sim.gym_names import installed_id
from sim.plurals import number_of
from sim.protocols import WorldConfig
from sim.storage.checkpoints import load_card
from sim.storage.episodes import AddRenderInfo, EpisodeWriter, RecordingError, check_free, new_dataset, record
from sim.storage.files import SaveError
from sim.vector import EnvWorlds, Worlds
from sim.viewer.output.play_recorder import record_play, replay
from supervised.observation.percept_env import PerceptObservation

EPISODES = 20  # default, if neither --episodes nor --steps is given
MOST_WORLDS = 16  # worlds at most: each holds an episode in memory
BAR_PERIOD = 0.1  # seconds
WITH_LEARNED = "scenes.build.worlds"  # makes the worlds that are models, too
PROMISE = "stopping: whole episodes are kept, those in progress are given up"


class CollectingFailed(WorkError):
    """A recording that failed; the message says what was kept."""


@dataclass(frozen=True)
class CollectRequest:
    """Request for a recording; `episodes` and `steps` as `sim.storage.episodes.record` takes them."""

    out: Path
    episodes: int | None = None
    steps: int | None = None
    checkpoint: Path | None = None
    frames: bool = False
    overwrite: bool = False


@dataclass
class Collected:
    """Result of a recording; `path` is None if it was interrupted before any episode had ended."""

    path: Path | None
    returns: list[float]
    steps: int
    seconds: float
    interrupted: bool = False

    def answer(self) -> dict[str, Any]:
        """The answer of ``--json``."""
        return {
            "episodes": len(self.returns),
            "steps": self.steps,
            "path": str(self.path) if self.path else None,
            "return_mean": float(np.mean(self.returns)) if self.returns else None,
            "seconds": round(self.seconds, 3),
        }


def collect(scene: Scene, request: CollectRequest, *, device: str, say: Callable[[str], None]) -> Collected:
    """Record whole episodes of the scene's agent, in as many worlds at once as the scene trains in.

    Raises:
        CollectingFailed: if the disk is full: nothing is kept; if a world or the agent fails: the whole
            episodes so far are.
        RecordingError, SceneError, CheckpointError: if the request is wrong; nothing was changed.
    """
    check_free(request.out, overwrite=request.overwrite)
    config, agent = agent_env(scene, device), scene_agent(scene)
    assert scene.world is not None and scene.agent is not None
    report_leftovers(request.out, say)
    episodes = request.episodes or (EPISODES if request.steps is None else None)
    count = min(scene.world.num_envs, MOST_WORLDS, episodes or MOST_WORLDS)
    worlds = open_worlds(config, count, scene.seed, pictures=request.frames)
    try:
        policy, card = build_policy(scene, worlds, config, chosen_device(device, agent), request.checkpoint)
        if card is None and scene.agent.use != "random":
            say(f"{scene.name} has no checkpoint: this records an untrained agent")
        facts = facts_of(scene, config) | {
            "agent": agent_facts(scene.agent.use, card),
            "actions": "greedy" if agent.greedy else "sampled",
            "num_envs": count,
        }
        spaces = worlds.single_observation_space, worlds.single_action_space
        spec = scene_spec(scene, config)
        with new_dataset(
            request.out,
            *spaces,
            spec=spec,
            algorithm=scene.agent.use,
            facts=facts,
            overwrite=request.overwrite,
        ) as dataset:
            playing = record(
                policy,
                worlds,
                dataset,
                seed=scene.seed,
                greedy=agent.greedy,
                episodes=episodes,
                steps=request.steps,
            )
            sitting = RecordingSession(request, dataset)
            sitting.go(playing, episodes)
    except SaveError as error:
        raise CollectingFailed(f"{error.strerror}; nothing was kept") from error
    finally:
        worlds.close()
    return sitting.result(say)


def collect_played(
    scene: Scene, request: CollectRequest, *, device: str, say: Callable[[str], None]
) -> Collected:
    """Open the window with a person in control, and record the whole episodes that are played.

    Raises:
        CollectingFailed: if the disk is full: nothing is kept; if an episode does not come out again as it
            was played: those before it are.
        RecordingError, SceneError, CheckpointError, ViewerError: if the request is wrong.
    """
    from sim.viewer.app.window import watch
    from sim.viewer.contract.show import Show

    config = agent_env(scene, device)
    assert scene.world is not None
    check_free(request.out, overwrite=request.overwrite)  # checked before an hour of play could be lost
    report_leftovers(request.out, say)
    world = config.make(scene.seed)
    show = record_play(
        SceneShow(scene, device=device, checkpoint=request.checkpoint, most_worlds=1), scene.seed
    )
    watched = watch(cast(Show, show), fps=scene.view.fps, person=True, seed=scene.seed)
    played = show.played[: request.episodes]
    agent = None
    if scene.agent is not None:
        path = request.checkpoint or (scene.agent.checkpoint and scene.resolve(scene.agent.checkpoint))
        agent = agent_facts(scene.agent.use, load_card(Path(path)) if path else None)
    facts = facts_of(scene, config) | {"agent": agent, "person": True}
    spec = scene_spec(scene, config)
    spaces = world.observation_space, world.action_space
    try:
        with new_dataset(
            request.out, *spaces, spec=spec, algorithm="person", facts=facts, overwrite=request.overwrite
        ) as dataset:
            sitting = RecordingSession(request, dataset, watched.interrupted)
            replays = _replays(played, AddRenderInfo(world) if request.frames else world, dataset)
            sitting.go(replays, len(played))
    except SaveError as error:
        raise CollectingFailed(f"{error.strerror}; nothing was kept") from error
    finally:
        world.close()
    return sitting.result(say)


def report_leftovers(out: Path, say: Callable[[str], None]) -> None:
    """Report temporary files that a recording to `out` left after a SIGKILL or a power cut.

    The file is closed after each episode, so that its content is readable. It may also belong to a recording
    in progress.
    """
    for path in sorted(out.parent.glob(f".{escape(out.name)}.new-*/data")):
        say(
            f"{path.parent} is of a recording to {out} that was killed, or still runs: "
            f"minari.MinariDataset({str(path)!r}) opens its whole episodes; delete it when you have them"
        )


def _replays(played: list[Any], world: gymnasium.Env[Any, Any], dataset: EpisodeWriter) -> Iterator[int]:
    for episode in played:
        replay(episode, world, dataset)
        yield dataset.steps


def open_worlds(config: WorldConfig, count: int, seed: int, *, pictures: bool) -> Worlds:
    """Open a batch of worlds; with `pictures`, of single environments that render.

    Raises:
        RecordingError: if pictures are asked for and the world has none.
    """
    if not pictures:
        return config.make_batch(count, seed)
    worlds = EnvWorlds([lambda: AddRenderInfo(config.make(seed)) for _ in range(count)], seed)
    if worlds.envs[0].render_mode != "rgb_array":
        worlds.close()
        raise RecordingError(f"{config.name} has no picture: leave --frames out")
    return worlds


def scene_spec(scene: Scene, config: WorldConfig) -> EnvSpec | None:
    """Gymnasium `EnvSpec` of the scene's world.

    None where observations are percepts, or the world's family is none of the catalogues'.
    """
    assert scene.world is not None
    known = scene.world.use.partition("/")[0] in world_catalog()
    percepts = isinstance(config, PerceptObservation)
    return env_spec(scene.world.use, world_fields(scene)) if known and not percepts else None


def env_spec(name: str, fields: Mapping[str, Any]) -> EnvSpec | None:
    """Gymnasium `EnvSpec` of the world `name`, for ``gymnasium.make``; None where it cannot be serialised.

    That of a plain gymnasium environment does not need Playfield; ours need it to be installed.

    >>> env_spec("gym/CartPole-v1", {}).entry_point
    'gymnasium.envs.classic_control.cartpole:CartPoleEnv'
    """
    identifier = installed_id(name)
    if identifier is None:
        return EnvSpec(
            "playfield/" + name.replace("/", "-"),
            entry_point=f"{'sim.catalog' if name.partition('/')[0] in WORLDS else WITH_LEARNED}:make_world",
            kwargs={"name": name, **fields},
            disable_env_checker=True,
            order_enforce=False,
        )
    known = gymnasium.spec(identifier)
    if not isinstance(known.entry_point, str):  # a class that only this process has
        return None
    spec = copy.deepcopy(known)
    spec.kwargs = {**spec.kwargs, **fields.get("kwargs", {})}
    return spec


def facts_of(scene: Scene, config: WorldConfig) -> dict[str, Any]:
    """Metadata of the world for the data set."""
    assert scene.world is not None
    return {
        "playfield": version("playfield"),
        "scene": scene.name,
        "seed": scene.seed,
        "world": config.name,
        "world_fields": world_fields(scene),
        "protocol": config.protocol(),
    }


def agent_facts(name: str, card: Mapping[str, Any] | None) -> dict[str, Any]:
    """Metadata of the agent for the data set; an untrained one has no checkpoint."""
    if card is None:
        return {"name": name, "checkpoint": None}
    known = {key: card[key] for key in ("commit", "trained", "config") if key in card}
    return {"name": name, "checkpoint": {"sha256": card["weights"]["sha256"], **known}}


class RecordingSession:
    """Recording session, from the first step to its end or an interruption."""

    def __init__(self, request: CollectRequest, dataset: EpisodeWriter, interrupted: bool = False) -> None:
        self.request, self.dataset, self.interrupted = request, dataset, interrupted
        self.failure: Exception | None = None
        self.started = time.monotonic()

    def go(self, playing: Iterator[int], episodes: int | None) -> None:
        """Play until the end, Ctrl-C or a failure; a full disk raises."""
        drawn = 0.0
        try:
            with interruption(PROMISE) as interrupted, progress_bar("recording") as draw:
                for played in playing:
                    now = time.monotonic()
                    if now >= drawn + BAR_PERIOD:
                        drawn = now
                        draw(self._status(played, episodes, now - self.started))
                    if interrupted():
                        self.interrupted = True
                        break
        except OSError:
            raise
        except (*FAULTS, WorkError) as error:
            self.failure = error
        self.seconds = time.monotonic() - self.started

    def _status(self, played: int, episodes: int | None, seconds: float) -> tuple[float, float, str]:
        words = f"{played / max(seconds, 1e-9):,.0f} steps/s · {number_of(self.dataset.episodes, 'episode')}"
        if self.dataset.returns:
            words += f" · return {np.mean(self.dataset.returns):.1f}"
        if episodes is None:
            return played, self.request.steps or 1, words
        return self.dataset.episodes, episodes, words

    def result(self, say: Callable[[str], None]) -> Collected:
        """Report what was kept, and return it.

        Raises:
            CollectingFailed: if the recording failed.
        """
        count, steps, path = self.dataset.episodes, self.dataset.steps, self.request.out
        if count:
            kept = f"{number_of(count, 'whole episode')}, {number_of(steps, 'step')} in {path}"
            how = f"open them: minari.MinariDataset({str(path)!r})"
        else:
            kept, how = "nothing was recorded: no episode had ended", ""
        if self.failure is not None:
            raise CollectingFailed(f"recording stopped: {error_line(self.failure)}; {kept}") from self.failure
        (show if count else say)("interrupted; " * self.interrupted + kept)
        if how:
            say(how)
        return Collected(path if count else None, self.dataset.returns, steps, self.seconds, self.interrupted)
