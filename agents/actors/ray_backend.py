"""Actors on Ray: one processor and one thread of torch an actor."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

from agents.actors.backend import (
    ActorDied,
    ActorFactory,
    ActorFailed,
    ActorStarted,
    Event,
    ShardDelivered,
    ShardMaker,
    Weights,
)
from agents.actors.ray_cluster import (
    LOCAL,
    check_address,
    check_cluster,
    import_ray,
    join_cluster,
    own_signals,
)


class RayBackend:
    """Runs actors on a Ray cluster; satisfies `agents.actors.backend.ActorBackend`."""

    def __init__(self, cluster: str, count: int) -> None:
        """Join a cluster, or start a local one.

        Args:
            cluster: ``local``, ``auto`` (the one that runs here or that RAY_ADDRESS names) or host:port.
            count: of actors, for which a local one has room.

        Raises:
            MissingPackageError: if Ray is not installed.
            ClusterError: if there is no such cluster, or it does not answer.
        """
        check_address(cluster)
        import_ray()
        if cluster != LOCAL:
            check_cluster(cluster)
        self._ray = ray = join_cluster(cluster, count, gpus=0)
        # A new process for each: max_restarts would give the new one its predecessor's name.
        self._remote = ray.remote(num_cpus=1, max_restarts=0, scheduling_strategy="SPREAD")(RemoteActor)
        self._factories: dict[int, Any] = {}
        self._handles: dict[str, Any] = {}
        self._asked: dict[str, deque[Any]] = {}
        self._weights: tuple[int, Any] = (0, None)

    @property
    def processors(self) -> int:
        """Processors of the cluster."""
        return int(self._ray.cluster_resources().get("CPU", 0))

    def start(self, actor: str, factory: ActorFactory, seed: int) -> None:
        """See `ActorBackend`."""
        if id(factory) not in self._factories:
            self._factories[id(factory)] = self._ray.put(factory)
        handle = self._remote.remote(actor, self._factories[id(factory)], seed)
        self._handles[actor] = handle
        self._asked[actor] = deque([handle.ready.remote()])

    def publish(self, version: int, weights: Weights) -> None:
        """See `ActorBackend`."""
        self._weights = version, self._ray.put(dict(weights))

    def submit(self, actor: str) -> None:
        """See `ActorBackend`."""
        self._asked[actor].append(self._handles[actor].work.remote(*self._weights))

    def collect(self, timeout: float) -> Sequence[Event]:
        """See `ActorBackend`. Of each actor only the oldest answer is waited for: they come in order."""
        heads = {asked[0]: actor for actor, asked in self._asked.items() if asked}
        if not heads:
            return []
        self._ray.wait(list(heads), num_returns=1, timeout=timeout, fetch_local=True)
        ready, _ = self._ray.wait(list(heads), num_returns=len(heads), timeout=0)
        return [self._event(heads[answer], answer) for answer in ready]

    def stop(self, actor: str) -> None:
        """See `ActorBackend`."""
        handle = self._handles.pop(actor, None)
        self._asked.pop(actor, None)
        if handle is not None:
            with suppress(Exception):  # it is gone already
                self._ray.kill(handle)

    def close(self) -> None:
        """Stop the actors and leave the cluster; a local one ends with that."""
        for actor in list(self._handles):
            self.stop(actor)
        if self._ray.is_initialized():
            with own_signals():
                self._ray.shutdown()

    def _event(self, actor: str, answer: Any) -> Event:
        self._asked[actor].popleft()
        errors = self._ray.exceptions
        try:
            content = self._ray.get(answer)
        except errors.RayActorError as error:
            if getattr(error, "actor_init_failed", False):
                return ActorFailed(actor, _last_line(error))
            return ActorDied(actor, _first_line(error))
        except errors.RayTaskError as error:
            return ActorFailed(actor, _last_line(error))
        except errors.RayError as error:  # a machine went with what was to be fetched from it
            return ActorDied(actor, _first_line(error))
        return ActorStarted(actor) if content is None else ShardDelivered(actor, content)


class RemoteActor:
    """An actor in its own process on a cluster."""

    def __init__(self, name: str, factory: ActorFactory, seed: int) -> None:
        import torch

        torch.set_num_threads(1)
        self._maker = ShardMaker(name, factory, seed)

    def ready(self) -> None:
        """Answer once the actor can play."""

    def home(self) -> str:
        """Name of the node that it lives on."""
        return str(import_ray().get_runtime_context().get_node_id())

    def work(self, version: int, weights: Weights) -> bytes:
        """See `ShardMaker.work`."""
        return self._maker.work(version, weights)


def _first_line(error: Exception) -> str:
    return str(error).strip().partition("\n")[0]


def _last_line(error: Exception) -> str:
    lines = [line for line in str(error).splitlines() if line.strip()]
    return lines[-1].strip() if lines else type(error).__name__
