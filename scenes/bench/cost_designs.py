"""Predicted rates of designs of PPO on Pong: one process, Ray actors, torchrun's ranks, GPU machines.

They put the fitted parts of `scenes.bench.cost_fit` together, with `Assumptions` for what was not at hand.
All are bounds from above: nobody waits for a straggler, and all machines are as fast as the measured one.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from scenes.bench.cost_fit import EPOCHS, CostModel

WORLDS = 8  # of each core that plays
MINIBATCH = 256  # of one process, and of one learner
GRADIENT = 4 * 1_687_719  # bytes: the Nature network's weights and values of six actions, float32
OBSERVATION = 4 * 84 * 84  # bytes of an env step, as a stack of four frames
SHARD_STEPS = 128 * WORLDS  # env steps that an actor sends at once
FORWARD = 18.7e6  # floating-point operations of the Nature network for one observation


@dataclass(frozen=True)
class Assumptions:
    """What these machines cannot measure; nominal figures times a share that programs reach.

    Attributes:
        node_cores: processor cores of a machine, and of each GPU.
        network: bytes/s between machines: 100 Gbit/s Ethernet, its nominal rate.
        network_latency: seconds of a message between machines (TCP, same rack; order of magnitude).
        gpu_flops: floating-point operations a second in such small convolutions, bfloat16: a tenth of the 989
            TFLOP/s dense of NVIDIA's H100 SXM data sheet, since the network is small.
        pcie: bytes/s from host to GPU: half of the nominal 64 GB/s of PCIe 5.0 ×16.
        gpu_call: seconds of a decision's or gradient step's launches as one CUDA graph (order of magnitude).
        nvlink: bytes/s between GPUs of a machine: half of the nominal 450 GB/s each way of the H100.
        node_gpus: of a machine, as in NVIDIA's HGX H100.
    """

    node_cores: int = 16
    network: float = 12.5e9
    network_latency: float = 50e-6
    gpu_flops: float = 99e12
    pcie: float = 32e9
    gpu_call: float = 200e-6
    nvlink: float = 225e9
    node_gpus: int = 8


@dataclass(frozen=True)
class Rate:
    """Predicted rate of a design.

    Attributes:
        steps_per_second: env steps a second, in all.
        limit: what takes most of the time, or holds back the rest.
    """

    steps_per_second: float
    limit: str


def one_process(model: CostModel, cores: int, has: Assumptions) -> Rate:
    """One process that plays and learns in turn, with a thread for each core of one machine."""
    threads = min(cores, has.node_cores)
    parts = {
        "emulation": model.call("emulation", WORLDS * threads, threads) / (WORLDS * threads),
        "inference": model.call("inference", WORLDS * threads, threads) / (WORLDS * threads),
        "update": model.learn(MINIBATCH, threads),
    }
    limit = max(parts, key=lambda name: parts[name])
    return Rate(1 / sum(parts.values()), "one machine" if cores > threads else limit)


def ray_actors(model: CostModel, cores: int, has: Assumptions) -> Rate:
    """Actors of one core each, that send shards of their games to one learner on the best number of cores."""
    send = model.shard[0] / SHARD_STEPS + model.shard[1] * OBSERVATION
    found = []
    for learner in range(1, min(has.node_cores, cores - 1) + 1):
        rates = {
            "actors": (cores - learner) / (model.play(WORLDS) + send),
            "learner": 1 / (model.learn(MINIBATCH, learner) + send),
            "network into the learner": has.network / OBSERVATION if cores > has.node_cores else math.inf,
        }
        limit = min(rates, key=lambda name: rates[name])
        found.append(Rate(rates[limit], limit))
    return max(found, key=lambda rate: rate.steps_per_second, default=Rate(0.0, "needs two cores"))


def ray_actors_gpu(model: CostModel, cores: int, has: Assumptions) -> Rate:
    """The same with the learner on a GPU of its own, so that all cores play."""
    minibatch = 2_048
    learn = EPOCHS * (3 * FORWARD / has.gpu_flops + has.gpu_call / minibatch) + OBSERVATION / has.pcie
    send = model.shard[0] / SHARD_STEPS + model.shard[1] * OBSERVATION
    rates = {
        "actors": cores / (model.play(WORLDS) + send),
        "learner": 1 / learn,
        "network into the learner": has.network / OBSERVATION if cores > has.node_cores else math.inf,
    }
    limit = min(rates, key=lambda name: rates[name])
    return Rate(rates[limit], limit)


def data_parallel(model: CostModel, cores: int, has: Assumptions) -> Rate:
    """Data-parallel by torchrun: a rank for each core, averaged gradients, a constant minibatch of a rank."""
    exchange = all_reduce(model, cores, has)
    play, learn = model.play(WORLDS), model.learn(MINIBATCH)
    wait = EPOCHS * exchange / MINIBATCH
    parts = {"emulation and inference": play, "update": learn, "all-reduce": wait}
    return Rate(cores / sum(parts.values()), max(parts, key=lambda name: parts[name]))


def data_parallel_fixed_batch(model: CostModel, cores: int, has: Assumptions) -> Rate:
    """The same with a constant minibatch of all ranks: the learning of one process while it divides."""
    total = 4_096
    each = max(1, total // cores)
    learn, wait = model.learn(each), EPOCHS * all_reduce(model, cores, has) / each
    parts = {"emulation and inference": model.play(WORLDS), "update": learn, "all-reduce": wait}
    return Rate(cores / sum(parts.values()), max(parts, key=lambda name: parts[name]))


def all_reduce(model: CostModel, ranks: int, has: Assumptions) -> float:
    """Seconds of a ring all-reduce of the gradient: measured between processes, assumed between machines.

    Ranks of one machine add up first, then machines: 2 (n − 1) messages, 2 (n − 1) / n of the bytes each.
    """
    latency, each = model.all_reduce
    here, machines = min(ranks, has.node_cores), math.ceil(ranks / has.node_cores)
    inside = ring(
        here, latency / 2, each
    )  # measured between two ranks: a ring of two messages, once the bytes
    return inside + ring(machines, has.network_latency, 1 / has.network)


def ring(ranks: int, latency: float, byte: float) -> float:
    """Seconds of a ring all-reduce of the gradient among `ranks` (Patarasuk & Yuan 2009)."""
    return 2 * (ranks - 1) * latency + 2 * (ranks - 1) / ranks * GRADIENT * byte


def gpu_machines(model: CostModel, gpus: int, has: Assumptions, *, halves: bool) -> Rate:
    """GPUs with 16 cores and 256 worlds each; `halves`: one half is emulated while another is decided for."""
    worlds, minibatch = 256, 2_048
    emulation = model.call("emulation", worlds, has.node_cores) / worlds
    decide = (
        has.gpu_call / (worlds / 2 if halves else worlds) + OBSERVATION / has.pcie + FORWARD / has.gpu_flops
    )
    machines = math.ceil(gpus / has.node_gpus)
    exchange = ring(min(gpus, has.node_gpus), 10e-6, 1 / has.nvlink) + ring(
        machines, has.network_latency, 1 / has.network
    )
    update = EPOCHS * (3 * FORWARD / has.gpu_flops + has.gpu_call / minibatch)
    parts = {
        "emulation": emulation,
        "decisions": decide,
        "update": update,
        "all-reduce": EPOCHS * exchange / minibatch,
    }
    play = max(emulation, decide) if halves else emulation + decide
    rate = gpus / (play + update + parts["all-reduce"])
    return Rate(rate, max(parts, key=lambda name: parts[name]))
