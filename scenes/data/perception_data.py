"""What a scene's perception looks at: views of its worlds, taken while its agent plays, kept on disk."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import Any

from agents.catalog import AGENTS
from scenes.build.agents import build_policy, check_agent, scene_world
from scenes.build.perceptions import scene_label_source, scene_worlds
from scenes.schema import Scene
from sim.catalog import load
from sim.fields import construct
from sim.plurals import number_of
from sim.progress import waiting
from sim.protocols import AgentConfig, Learner, PerceptionConfig, Policy, WorldConfig
from sim.storage.checkpoints import CheckpointError, load_checkpoint
from supervised.catalog import SIGHTS
from supervised.data.dataset import Dataset
from supervised.data.dataset_cache import Request, cached
from supervised.data.views import CaptureSpec


@dataclass(frozen=True)
class Player:
    """Who plays in half of the pictures.

    Attributes:
        policy: None where chance plays in all of them.
        name: for people, such as ``"pqn of checkpoints/pong-hour"``.
        identity: plain values that tell it from any other.
    """

    policy: Policy | None
    name: str
    identity: dict[str, Any]


CHANCE = Player(None, "chance", {})


MANY = 1_000  # pictures whose taking is told where no bar shows it: it takes half a minute


def scene_player(scene: Scene, *, graded: bool = False) -> Player:
    """The scene's agent; for graded pictures the one of `graded_by`, where the perception names it.

    Chance plays where the agent lives on percepts: the worlds that are photographed show it none. It plays on
    the processor whatever a model learns on, for a GPU would play other games.

    Raises:
        CheckpointError: if a checkpoint is damaged or made for something else.
    """
    other = scene.perception[0].graded_by if graded else None
    lives_on_percepts = any(table.feed == "agent" for table in scene.perception)
    if other is None and (scene.agent is None or lives_on_percepts):
        return CHANCE
    world = scene_world(scene)
    worlds = world.make_batch(1, scene.seed)
    try:
        if other is not None:
            return _player_of(scene, other, worlds, world)
        assert scene.agent is not None
        policy, card = build_policy(scene, worlds, world, "cpu")
        weights = None if card is None else card["weights"]["sha256"]
        identity = {
            "use": scene.agent.use,
            "fields": scene.agent.fields,
            "weights": weights,
            "seed": scene.seed,
        }
        return Player(policy, f"the scene's {scene.agent.use}", identity)
    finally:
        worlds.close()


def _player_of(scene: Scene, path: str, worlds: Any, world: WorldConfig) -> Player:
    """The agent of a checkpoint, built from its card."""
    found = load_checkpoint(scene.resolve(path))
    where = f"{scene.source.name}, graded_by"
    agent: AgentConfig = construct(load(AGENTS, found.card["name"], "agent"), found.card["config"], where)
    check_agent(scene, found, worlds, world, any_agent=True)
    policy = agent.build(
        worlds.single_observation_space,
        worlds.single_action_space,
        seed=scene.seed,
        device="cpu",
    )
    if not isinstance(policy, Learner):
        raise CheckpointError(f"{found.folder} holds an agent that has nothing to learn")
    found.give(policy)
    identity = {"use": found.card["name"], "weights": found.card["weights"]["sha256"]}
    return Player(policy, f"{found.card['name']} of {found.folder.name}", identity)


def scene_views(scene: Scene, config: PerceptionConfig, taking: CaptureSpec, player: Player) -> Dataset:
    """Labelled images of the scene's worlds, from disk where the same ones were taken before.

    Args:
        scene: whose worlds.
        config: of the perception that is to look at them.
        taking: which images.
        player: who plays in half of them; where there are several worlds chance does, for no one fits all.
    """
    worlds = scene_worlds(scene, config)
    if len(worlds) > 1:
        player = CHANCE
    taking = replace(taking, as_watched=getattr(config, "as_watched", False))
    taken = {
        "worlds": [world.protocol() for world in worlds],
        "taking": asdict(taking),
        "player": player.identity,
    }
    families = {world.name.partition("/")[0] for world in worlds}
    modules = {SIGHTS[family].partition(":")[0] for family in families}
    modules |= {type(world).__module__ for world in worlds}
    request = Request("views", taken, sorted(modules))

    def take() -> Dataset:
        told = f"taking {number_of(taking.count, 'picture')} of {', '.join(world.name for world in worlds)}"
        with waiting(told, taking.count, announced=taking.count >= MANY):
            return scene_label_source(scene, config).views(taking, player.policy)

    return cached(request, take)
