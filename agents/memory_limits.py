"""Memory checks of agents: rollouts, batches and search trees that do not fit are refused beforehand.

An operating system grants zeroed memory that it does not have, and a rollout that grows step by step exhausts
it only after hours. The error names the key that needs the memory.
"""

from __future__ import annotations

import math

import gymnasium
import numpy as np
import torch

from sim.machine import check_memory

STEP = 32  # bytes of a step beside its observation: action, reward, values, what ended
COPIES = 2  # of a rollout: as a list of steps, and as one tensor
NODE = 4096  # bytes of a position in a search tree: five arrays over some 35 moves, and a board


def observation_bytes(space: gymnasium.Space[object]) -> int:
    """Bytes of one observation of `space`."""
    return math.prod(space.shape or ()) * np.dtype(space.dtype).itemsize


def free_on(device: torch.device) -> int | None:
    """Free bytes of a GPU; None for the CPU, see `sim.machine.free_memory`."""
    return torch.cuda.mem_get_info(device)[0] if device.type == "cuda" else None


def check_rollout(
    num_steps: int, num_envs: int, space: gymnasium.Space[object], device: torch.device | None = None
) -> None:
    """Check that a rollout fits into memory.

    Raises:
        MemoryRefused: naming the keys and the GiB.
    """
    rows = num_steps * num_envs
    check_memory(
        COPIES * rows * (observation_bytes(space) + STEP),
        f"a rollout of num_steps × num_envs = {num_steps:,} × {num_envs:,} steps",
        "set a smaller agent.num_steps or world.num_envs",
        free=None if device is None else free_on(device),
    )


def check_batch(
    key: str, size: int, space: gymnasium.Space[object], device: torch.device | None = None
) -> None:
    """Check that a batch of transitions, with two observations each, fits into memory.

    Raises:
        MemoryRefused: naming `key` and the GiB.
    """
    check_memory(
        2 * size * observation_bytes(space),
        f"a batch of {size:,} transitions",
        f"set a smaller {key}",
        free=None if device is None else free_on(device),
    )


def check_search(num_simulations: int, num_envs: int = 1) -> None:
    """Check that search trees fit into memory: each simulation adds a position.

    Raises:
        MemoryRefused: naming the keys and the GiB.
    """
    trees = "a search" if num_envs == 1 else f"{num_envs:,} searches at once"
    check_memory(
        num_simulations * num_envs * NODE,
        f"{trees} of {num_simulations:,} simulations",
        "set a smaller agent.num_simulations",
    )
