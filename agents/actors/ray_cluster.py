"""Ray clusters: their addresses, whether one answers, joining it or starting a local one.

Does not know what runs there: actors (`agents.actors.ray_backend`), or trials of a sweep.
"""

from __future__ import annotations

import logging
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from agents.actors.backend import ClusterError
from sim.catalog import MissingPackageError, install_hint
from sim.fields import excerpt

LOCAL, AUTO = "local", "auto"

OBJECT_STORE = 200_000_000  # bytes of shared memory on a local Ray: weights, shards and scores are small

ANSWER_WITHIN = 20.0  # seconds for a cluster to let a probe in
PORT_WITHIN = 5.0  # seconds for its port to open

#: Joins a cluster and leaves it; in a process of its own, because Ray waits long for one that is not there.
PROBE = "import ray, sys; ray.init(address=sys.argv[1], log_to_driver=False, configure_logging=False)"


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
        raise MissingPackageError(f"a cluster needs {install_hint(error.name or 'ray')}") from error
    return ray


def check_address(cluster: str) -> None:
    """Check that a cluster is ``local``, ``auto`` or host:port.

    Raises:
        ClusterError: if it is none of these.
    """
    host, colon, port = cluster.rpartition(":")
    if cluster not in (LOCAL, AUTO) and not (colon and host and port.isdecimal() and int(port) < 65_536):
        said = excerpt(cluster)
        raise ClusterError(f'--cluster is local, auto or host:port, such as head:6379, not "{said}"')


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


def join_cluster(cluster: str, processors: int, *, gpus: int | None = None) -> Any:
    """Join a cluster, or start a local one; returns the package ray.

    Args:
        cluster: ``local``, ``auto`` (the one that runs here or that RAY_ADDRESS names) or host:port.
        processors: of a local one.
        gpus: of a local one; None: as many as there are.

    Raises:
        MissingPackageError: if Ray is not installed.
        ClusterError: if it does not come up.
    """
    ray = import_ray()
    options: dict[str, Any] = {"address": cluster}
    if cluster == LOCAL:
        options |= {
            "num_cpus": processors,
            "num_gpus": gpus,
            "include_dashboard": False,
            "object_store_memory": OBJECT_STORE,
        }
    with own_signals():
        try:
            ray.init(**options, log_to_driver=False, configure_logging=False, logging_level=logging.ERROR)
        except Exception as error:  # Ray raises a bare one where a node is not up in time
            ray.shutdown()
            raise ClusterError(f"--cluster {cluster}: {' '.join(str(error).split())}") from error
    if hasattr(ray._private.worker, "_worker_logs_enabled"):
        ray._private.worker._worker_logs_enabled = False  # stdout is the verb's; a dead node prints there
    return ray


@contextmanager
def own_signals() -> Iterator[None]:
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
