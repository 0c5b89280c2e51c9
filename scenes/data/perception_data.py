"""Training and test data of a scene's perception: labelled images from play of its agent, cached on disk."""

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
from supervised.catalog import LABEL_SOURCES
from supervised.data.capture import CaptureSpec
from supervised.data.dataset import Dataset
from supervised.data.dataset_cache import Request, cached


@dataclass(frozen=True)
class ScenePlayer:
    """Policy that plays in half of the labelled images; random play has the other half.

    Attributes:
        policy: None for random play in all of them.
        name: for people, such as ``"pqn of checkpoints/pong-hour"``.
        identity: plain values that identify the policy, part of the cache's key.
    """

    policy: Policy | None
    name: str
    identity: dict[str, Any]


CHANCE = ScenePlayer(None, "chance", {})


MANY = 1_000  # pictures from which on collecting them, half a minute, is announced where no bar shows it


def scene_player(scene: Scene, *, graded: bool = False) -> ScenePlayer:
    """Player for labelled images: the scene's agent or, for test images, that of `graded_by` if it is set.

    Play is random where the agent observes percepts, which worlds that only give images do not offer. The
    agent acts on the CPU whatever the model is trained on: a GPU would round otherwise and play other games.

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
        return ScenePlayer(policy, f"the scene's {scene.agent.use}", identity)
    finally:
        worlds.close()


def checkpoint_player(scene: Scene, path: str, world: WorldConfig) -> ScenePlayer:
    """The agent of a checkpoint that the scene names in ``graded_by``, on the CPU, for this world.

    Raises:
        CheckpointError: if it is damaged or made for something else.
    """
    worlds = world.make_batch(1, scene.seed)
    try:
        return _player_of(scene, path, worlds, world)
    finally:
        worlds.close()


def _player_of(scene: Scene, path: str, worlds: Any, world: WorldConfig) -> ScenePlayer:
    """Build the agent of a checkpoint from its card."""
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
    return ScenePlayer(policy, f"{found.card['name']} of {found.folder.name}", identity)


def scene_label_data(
    scene: Scene, config: PerceptionConfig, spec: CaptureSpec, player: ScenePlayer
) -> Dataset:
    """Labelled images of the scene's worlds, from the cache where the same request was made before.

    Args:
        scene: whose worlds.
        config: of the perception that they are for.
        spec: how many, of which kind and seed.
        player: plays in half of them; with several worlds play is random, as no policy fits all.
    """
    worlds = scene_worlds(scene, config)
    if len(worlds) > 1:
        player = CHANCE
    spec = replace(spec, as_watched=getattr(config, "as_watched", False))
    taken = {
        "worlds": [world.protocol() for world in worlds],
        "taking": asdict(spec),
        "player": player.identity,
    }
    families = {world.name.partition("/")[0] for world in worlds}
    modules = {LABEL_SOURCES[family].partition(":")[0] for family in families}
    modules |= {type(world).__module__ for world in worlds}
    request = Request("views", taken, sorted(modules))

    def take() -> Dataset:
        told = f"taking {number_of(spec.count, 'picture')} of {', '.join(world.name for world in worlds)}"
        with waiting(told, spec.count, announced=spec.count >= MANY):
            return scene_label_source(scene, config).labelled_images(spec, player.policy)

    return cached(request, take)
