"""Actors on Ray: the only module that imports it. One processor and one thread of torch an actor."""

from __future__ import annotations

import logging
import os
import signal
import socket
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any

from agents.actors.backend import (
    ActorDied,
    ActorFactory,
    ActorFailed,
    ActorStarted,
    ClusterError,
    Event,
    ShardDelivered,
    ShardMaker,
    Weights,
)
from sim.catalog import MissingPackageError, install_hint

LOCAL, AUTO = "local", "auto"

OBJECT_STORE = 200_000_000  # bytes of shared memory on a local Ray: weights and shards are small

ANSWER_WITHIN = 20.0  # seconds for a cluster to let a probe in
PORT_WITHIN = 5.0  # seconds for its port to open

#: Joins a cluster and leaves it; in a process of its own, because Ray waits long for one that is not there.
PROBE = "import ray, sys; ray.init(address=sys.argv[1], log_to_driver=False, configure_logging=False)"


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
        self._ray = ray = import_ray()
        if cluster != LOCAL:
            check_cluster(cluster)
        options: dict[str, Any] = {"address": cluster}
        if cluster == LOCAL:
            options |= {
                "num_cpus": count,
                "num_gpus": 0,
                "include_dashboard": False,
                "object_store_memory": OBJECT_STORE,
            }
        with _own_signals():
            try:
                ray.init(**options, log_to_driver=False, configure_logging=False, logging_level=logging.ERROR)
            except Exception as error:  # Ray raises a bare one where a node is not up in time
                ray.shutdown()
                raise ClusterError(f"--cluster {cluster}: {' '.join(str(error).split())}") from error
        if hasattr(ray._private.worker, "_worker_logs_enabled"):
            ray._private.worker._worker_logs_enabled = False  # stdout is the verb's; a dead node prints there
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
            with _own_signals():
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


def import_ray() -> Any:
    """The package ray, without its telemetry.

    Raises:
        MissingPackageError: if it is not installed, with the line that mends it.
    """
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")  # what a later Ray does; else it warns
    try:
        import ray
    except ModuleNotFoundError as error:
        raise MissingPackageError(f"--actors needs {install_hint(error.name or 'ray')}") from error
    return ray


def check_address(cluster: str) -> None:
    """Check that a cluster is ``local``, ``auto`` or host:port.

    Raises:
        ClusterError: if it is none of these.
    """
    host, colon, port = cluster.rpartition(":")
    if cluster not in (LOCAL, AUTO) and not (colon and host and port.isdecimal() and int(port) < 65_536):
        raise ClusterError(
            f'--cluster is local, auto or the address of a Ray cluster, host:port, not "{cluster}"'
        )


def check_cluster(cluster: str) -> None:
    """Check that a cluster answers, in `ANSWER_WITHIN` seconds.

    Args:
        cluster: ``auto`` or host:port.

    Raises:
        ClusterError: naming the address.
    """
    mend = "start one with ray start --head, or leave --cluster out for a local one"
    if cluster != AUTO:
        host, _, port = cluster.rpartition(":")
        try:
            socket.create_connection((host, int(port)), timeout=PORT_WITHIN).close()
        except OSError as error:
            why = str(error.strerror or error).lower()
            raise ClusterError(f"--cluster {cluster} does not answer ({why}): {mend}") from error
    try:
        probe = subprocess.run(
            [sys.executable, "-c", PROBE, cluster], capture_output=True, timeout=ANSWER_WITHIN, text=True
        )
    except subprocess.TimeoutExpired as error:
        raise ClusterError(
            f"--cluster {cluster} did not answer within {ANSWER_WITHIN:.0f} seconds: {mend}"
        ) from error
    if probe.returncode:
        why = next((line for line in reversed(probe.stderr.splitlines()) if line.strip()), "no Ray cluster")
        if cluster == AUTO and why.startswith("ConnectionError"):
            why = "no Ray cluster runs here, and RAY_ADDRESS names none"
        raise ClusterError(f"--cluster {cluster}: {why}: {mend}")


@contextmanager
def _own_signals() -> Iterator[None]:
    """Context after which signals are handled as before: Ray takes SIGTERM for itself."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _first_line(error: Exception) -> str:
    return str(error).strip().partition("\n")[0]


def _last_line(error: Exception) -> str:
    lines = [line for line in str(error).splitlines() if line.strip()]
    return lines[-1].strip() if lines else type(error).__name__
