"""Measurements for the cost model: parts of PPO on Pong, an all-reduce, Ray's object store.

A part's time is that of one call: a step of all worlds, a decision for all, a gradient step. It is processor
time, so that other processes do not count: that of the calling thread, which has an equal share of what
PyTorch divides and waits without spinning, and of the emulator's threads divided by their number. In
gradient steps oneDNN's threads do spin, so with several threads those are measured on a quiet machine only.
Communication takes wall-clock time, the least of many calls.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from statistics import fmean
from typing import Any

import numpy as np

from scenes.bench import report
from scenes.bench.learning import build_learner, pong_worlds
from scenes.bench.worker import Settings
from sim.records import Budget

UPDATES = 3  # measured, after a first one
CALLS = 30  # of a collective or a transfer
RAY_MEMORY = 200 * 2**20  # bytes of Ray's object store


@dataclass(frozen=True)
class Setting:
    """Setting of a measured run: PPO on Pong with the Nature network.

    Attributes:
        num_envs: worlds of each process.
        num_steps: of a rollout.
        minibatch_size: of each process.
        threads: of each process, for worlds and for networks.
        processes: that run beside each other.
    """

    num_envs: int
    num_steps: int
    minibatch_size: int
    threads: int = 1
    processes: int = 1


@dataclass(frozen=True)
class Parts:
    """Measured seconds: of one call of each part, and of what is left over by env step; None: not measured.

    Attributes:
        emulation: a step of all worlds.
        inference: a decision for all worlds.
        update: a gradient step; not with several threads on a busy machine.
        rest: of an env step, all else: minibatches picked, advantages, copies; not with several threads.
    """

    emulation: float | None
    inference: float | None
    update: float | None
    rest: float | None


class Stopwatch:
    """Timer of named calls: processor seconds of each, of the calling thread and of all threads."""

    def __init__(self) -> None:
        self.times: dict[str, list[tuple[float, float]]] = {}

    def timed(self, name: str, call: Callable[..., Any]) -> Callable[..., Any]:
        """`call` with its time taken down under `name`."""

        def run(*arguments: Any, **named: Any) -> Any:
            began = time.thread_time(), time.process_time()
            answer = call(*arguments, **named)
            taken = time.thread_time() - began[0], time.process_time() - began[1]
            self.times.setdefault(name, []).append(taken)
            return answer

        return run

    def seconds(self, name: str, threads: int = 0) -> float:
        """Median seconds of a call, with those of `threads` others that the calling thread waits for."""
        calling, together = np.array(self.times[name]).T
        return float(np.median(calling + (together - calling) / threads if threads else calling))

    def total(self) -> float:
        """Processor seconds of all threads in all calls."""
        return sum(together for times in self.times.values() for _, together in times)


def measure_parts(setting: Setting, *, learn: bool = True) -> Parts:
    """Measure the parts of PPO in this process; `learn`: gradient steps too."""
    import torch

    from agents.ppo import FIGURES, PPO

    torch.set_num_threads(setting.threads)
    settings = Settings(0, "cpu", setting.threads, setting.threads)
    worlds = pong_worlds(setting.num_envs, settings)
    config = PPO(
        network="nature", num_steps=setting.num_steps, num_epochs=2, minibatch_size=setting.minibatch_size
    )
    learner: Any = build_learner(config, worlds, settings)
    watch = Stopwatch()
    timed = [(worlds, "step"), (learner, "observe"), (learner, "choose"), (learner, "gradient_step")]
    step_itself = learner.gradient_step
    for owner, name in timed:
        setattr(owner, name, watch.timed(name, getattr(owner, name)))
    learner.gradient_step.prepare = step_itself.prepare
    learner.gradient_step.set_learning_rate = step_itself.set_learning_rate
    if not learn:
        learner.run_epochs = lambda *given: torch.zeros(len(FIGURES) + 1)
    totals = []
    for progress in learner.learn(worlds, Budget(updates=1 + UPDATES)):
        if progress.updates == 1:
            watch.times.clear()
        totals.append(time.process_time())
    steps = UPDATES * setting.num_envs * setting.num_steps
    rest = (totals[-1] - totals[0] - watch.total()) / steps
    return Parts(
        emulation=watch.seconds("step", setting.threads),
        inference=watch.seconds("observe") + watch.seconds("choose"),
        update=watch.seconds("gradient_step") if learn else None,
        rest=max(0.0, rest) if setting.threads == 1 else None,
    )


def measure_setting(setting: Setting) -> Parts:
    """Measure the parts in processes of their own, and average over those that ran beside each other."""
    learn = setting.threads == 1 or not report.busy(report.load())
    request = json.dumps({"setting": asdict(setting), "learn": learn})
    command = [sys.executable, "-m", "scenes.bench.cost_measurement", request]
    environment = os.environ | {"OMP_NUM_THREADS": str(setting.threads), "OMP_WAIT_POLICY": "passive"}
    running = [
        subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment)
        for _ in range(setting.processes)
    ]
    found = [json.loads(process.communicate()[0].splitlines()[-1]) for process in running]
    means: dict[str, Any] = {}
    for name in found[0]:
        seconds = [parts[name] for parts in found]
        means[name] = None if None in seconds else fmean(seconds)
    return Parts(**means)


def measure_all_reduce(sizes: Sequence[int]) -> dict[int, float]:
    """Seconds of gloo's all-reduce of `sizes` bytes between two processes of one thread."""
    from torch import multiprocessing

    context = multiprocessing.get_context("spawn")
    answers = context.Queue()
    port = _free_port()
    ranks = [context.Process(target=_all_reduce, args=(rank, port, sizes, answers)) for rank in range(2)]
    for rank in ranks:
        rank.start()
    found: dict[int, float] = answers.get(timeout=300)
    for rank in ranks:
        rank.join()
    return found


def _all_reduce(rank: int, port: int, sizes: Sequence[int], answers: Any) -> None:
    """Process of `measure_all_reduce`."""
    import torch
    from torch import distributed

    torch.set_num_threads(1)
    distributed.init_process_group("gloo", f"tcp://127.0.0.1:{port}", rank=rank, world_size=2)
    found = {}
    for size in sizes:
        gradient = torch.ones(size // 4)
        times = []
        for _ in range(CALLS):
            distributed.barrier()
            began = time.perf_counter()
            distributed.all_reduce(gradient)
            times.append(time.perf_counter() - began)
        found[size] = min(times)
    if rank == 0:
        answers.put(found)
    distributed.destroy_process_group()


def measure_ray(sizes: Sequence[int], folder: str) -> dict[int, float]:
    """Seconds from an actor's call to its shard of `sizes` bytes in the caller, through Ray's object store.

    Args:
        sizes: bytes of uint8.
        folder: for Ray's session, with a short path: it holds sockets.
    """
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    import ray

    ray.init(
        num_cpus=2,
        object_store_memory=RAY_MEMORY,
        include_dashboard=False,
        log_to_driver=False,
        _temp_dir=folder,
    )
    try:
        shards: Any = ray.remote(_Shards)
        actor = shards.remote()
        found = {}
        for size in sizes:
            times = []
            for _ in range(CALLS):
                began = time.perf_counter()
                ray.get(actor.shard.remote(size))
                times.append(time.perf_counter() - began)
            found[size] = min(times)
    finally:
        ray.shutdown()
    return found


class _Shards:
    """Ray actor that makes shards."""

    def shard(self, size: int) -> np.ndarray[Any, np.dtype[np.uint8]]:
        """A shard of `size` bytes."""
        return np.ones(size, np.uint8)


def _free_port() -> int:
    """A free TCP port of this machine."""
    import socket

    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


if __name__ == "__main__":
    asked = json.loads(sys.argv[1])
    print(json.dumps(asdict(measure_parts(Setting(**asked["setting"]), learn=asked["learn"]))))
