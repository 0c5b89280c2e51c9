"""Actors that play for a training run: what ``--actors``, ``--cluster`` and ``--max-staleness`` ask for."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from agents.actors.backend import ActorBackend
from agents.actors.feed import ShardFeed
from agents.actors.pool import ActorPool
from agents.catalog import ACTORS
from scenes.build.devices import use_threads
from scenes.build.perceptions import trains_perception
from scenes.build.samplers import trains_sampler
from scenes.schema import Scene, SceneError
from sim.catalog import load
from sim.plurals import number_of
from sim.protocols import WorldConfig
from sim.ranks import launched_ranks
from sim.vector import Worlds

LOCAL = "local"

#: Updates during which an actor plays one game, times a margin: as many games are in progress as there are
#: actors times worlds, so an actor's data are the older the more actors there are.
STALENESS_AN_ACTOR, LEAST_STALENESS = 4, 8


@dataclass(frozen=True)
class ActorOptions:
    """Actors of one training run.

    Attributes:
        count: how many.
        cluster: ``local`` (a Ray of this command's own), ``auto`` or host:port.
        max_staleness: versions by which an actor's weights may be older than the learner's.
    """

    count: int
    cluster: str = LOCAL
    max_staleness: int | None = None

    @property
    def bound(self) -> int:
        """`max_staleness`, or by the number of actors where it is None.

        >>> ActorOptions(1).bound, ActorOptions(8).bound, ActorOptions(8, max_staleness=5).bound
        (8, 32, 5)
        """
        if self.max_staleness is not None:
            return self.max_staleness
        return max(LEAST_STALENESS, STALENESS_AN_ACTOR * self.count)

    def words(self) -> str:
        """The options of a command line that asks for the same."""
        told = f"--actors {self.count} --cluster {self.cluster}"
        return told if self.max_staleness is None else f"{told} --max-staleness {self.max_staleness}"

    def connect(self) -> ActorBackend:
        """Join the cluster, or start a local one.

        Raises:
            MissingPackageError: if Ray is not installed.
            ClusterError: if the cluster does not answer.
        """
        from agents.actors.ray_backend import RayBackend

        return RayBackend(self.cluster, self.count)


def actor_options(
    scene: Scene, actors: int | None, cluster: str | None, max_staleness: int | None, *, seeds: int = 1
) -> ActorOptions | None:
    """The actors that a command line asks for; None for none.

    Raises:
        SceneError: if there cannot be such actors for this scene.
    """
    if actors is None:
        given = {"--cluster": cluster, "--max-staleness": max_staleness}
        for name in [name for name, value in given.items() if value is not None]:
            raise SceneError(f"{name} is about actors: say how many with --actors N")
        return None
    if actors < 1:
        raise SceneError(f"--actors must be at least 1, not {actors}")
    if max_staleness is not None and max_staleness < 0:
        raise SceneError(f"--max-staleness must be at least 0, not {max_staleness}")
    if launched_ranks() > 1:
        raise SceneError("--actors play for one process: start it without torchrun, or leave them out")
    if seeds > 1:
        raise SceneError("--actors play for one seed: leave --seeds out, and train one after another")
    able = " or ".join(f'"{name}"' for name in sorted(ACTORS))
    trained = "a perception" if trains_perception(scene) else "a sampler" if trains_sampler(scene) else ""
    if trained or scene.agent is None:
        raise SceneError(
            f"{scene.source.name} trains {trained or 'no agent'}: --actors play for agent {able}"
        )
    if scene.agent.use not in ACTORS:
        raise SceneError(
            f'agent "{scene.agent.use}" learns from what it plays itself: --actors play for {able}'
        )
    return ActorOptions(actors, cluster or LOCAL, max_staleness)


class ConnectedActors:
    """Actors of a training run on a cluster that has answered.

    Attributes:
        options: as asked for.
        feed: what the learner takes shards from, once its agent is known.
    """

    def __init__(self, options: ActorOptions) -> None:
        """Join the cluster; errors of `ActorOptions.connect`."""
        self.options = options
        self.feed: ShardFeed | None = None
        self._backend = options.connect()

    def feed_for(self, scene: Scene, agent: Any, config: WorldConfig) -> ShardFeed:
        """Make the feed for the scene's agent; no actor is started yet."""
        assert scene.agent is not None
        assert scene.world is not None
        count = self.options.count
        if self.options.cluster == LOCAL:
            use_threads(agent, taken=count)
        actor = load(ACTORS, scene.agent.use, "actor")
        factory = partial(actor, agent, partial(new_worlds, config), scene.world.num_envs, count)
        self.feed = ShardFeed(ActorPool(self._backend, factory, count, scene.seed), self.options.bound)
        return self.feed

    def keep_in(self, run: Path) -> None:
        """Keep the shards in a run's folder."""
        if self.feed is not None:
            self.feed.keep_in(run / "shards")

    def close(self) -> None:
        """Stop the actors and leave the cluster; again it does nothing."""
        self._backend.close()

    def announce(self, say: Callable[[str], None]) -> None:
        """Say who plays, and what that means for a resume."""
        count, bound = self.options.count, self.options.bound
        say(
            f"{number_of(count, 'actor')} on Ray ({self.options.cluster}); play by weights more than "
            f"{number_of(bound, 'update')} old is refused; a resumed run goes on, but not bit for bit"
        )
        room = getattr(self._backend, "processors", count)
        if room < count:
            say(f"the cluster has {number_of(room, 'processor')}: so many of the {count} actors play for now")


def new_worlds(config: WorldConfig, num_envs: int, seed: int, whole_size: int | None = None) -> Worlds:
    """A batch of worlds to learn in, perhaps a part of one of `whole_size` worlds."""
    worlds: Worlds = config.make_batch(num_envs, seed)
    worlds.seed_rarely(whole_size)
    return worlds
