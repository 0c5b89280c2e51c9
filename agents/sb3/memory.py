"""Training state of Stable-Baselines3 algorithms as plain arrays: generators, replay, optimisers, counters.

Nothing of theirs is pickled. Their replay holds two whole observations a transition (56 KB for Atari, ours
7); it is stored in segments that are written once.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from operator import attrgetter
from typing import Any

import numpy as np
import torch
from stable_baselines3.common.buffers import ReplayBuffer
from torch import nn

from sim.records import Segment, State
from supervised.tensors import optimizer_state, restore_optimizer, to_arrays

SEGMENT = 512  # rows of the replay ring: steps of the whole batch
COLUMNS = ("observations", "next_observations", "actions", "rewards", "dones", "timeouts")
COUNTERS = ("num_timesteps", "_n_updates", "_episode_num", "_n_calls")


class Generators:
    """Private states of torch's and numpy's global random generators, swapped in while a learner works.

    Stable-Baselines3 draws from the global generators. With these in their place its training neither depends
    on other users of the global generators nor affects them.
    """

    def __init__(self, seed: int, device: torch.device) -> None:
        self._devices = [device] if device.type == "cuda" else []
        self._torch = torch.Generator().manual_seed(seed).get_state()
        self._cuda = [torch.Generator(d).manual_seed(seed).get_state() for d in self._devices]
        self._numpy: Any = np.random.RandomState(seed % 2**32).get_state(legacy=False)

    @contextmanager
    def lent(self) -> Iterator[None]:
        """Context in which the global generators have the learner's state; restored afterwards."""
        outside = np.random.get_state()
        with torch.random.fork_rng(self._devices):
            torch.set_rng_state(self._torch)
            for device, state in zip(self._devices, self._cuda, strict=True):
                torch.cuda.set_rng_state(state, device)
            np.random.set_state(self._numpy)
            try:
                yield
            finally:
                self._torch = torch.get_rng_state()
                self._cuda = [torch.cuda.get_rng_state(device) for device in self._devices]
                self._numpy = np.random.get_state(legacy=False)
                np.random.set_state(outside)

    def state(self) -> State:
        """Plain arrays and numbers."""
        cuda = [state.numpy() for state in self._cuda]
        return {"torch": self._torch.numpy(), "cuda": cuda, "numpy": self._numpy}

    def restore(self, state: State) -> None:
        """Restore a state."""
        self._torch = torch.tensor(state["torch"])
        self._cuda = [torch.tensor(array) for array in state["cuda"]]
        self._numpy = state["numpy"]


def model_state(model: Any) -> State:
    """State of a Stable-Baselines3 algorithm without its policy: counters, optimisers, tensors, replay."""
    optimizers, tensors = _parts(model)
    replay = getattr(model, "replay_buffer", None)
    return {
        "counters": {name: int(getattr(model, name)) for name in COUNTERS if hasattr(model, name)},
        "optimizers": {name: optimizer_state(attrgetter(name)(model)) for name in optimizers},
        "tensors": to_arrays({name: attrgetter(name)(model) for name in tensors}),
        "replay": None if replay is None else replay_state(replay, model.num_timesteps // model.n_envs),
    }


def restore_model(model: Any, state: State) -> None:
    """Restore an algorithm from `model_state`."""
    for name, count in state["counters"].items():
        setattr(model, name, int(count))
    for name, slots in state["optimizers"].items():
        restore_optimizer(attrgetter(name)(model), slots)
    with torch.no_grad():
        for name, array in state["tensors"].items():
            attrgetter(name)(model).copy_(torch.tensor(array))
    if state["replay"] is not None:
        restore_replay(model.replay_buffer, state["replay"], model.num_timesteps // model.n_envs)


def _parts(model: Any) -> tuple[list[str], list[str]]:
    """Names of the optimisers, and of tensors learned outside the policy (SAC's entropy coefficient)."""
    modules, tensors = model._get_torch_save_params()
    return [name for name in modules if not isinstance(attrgetter(name)(model), nn.Module)], tensors


def ring_rows(buffer_size: int, num_envs: int) -> int:
    """Rows of a replay ring for `buffer_size` transitions of N worlds, in whole segments."""
    return -(-buffer_size // (num_envs * SEGMENT)) * SEGMENT


def replay_state(buffer: ReplayBuffer, written: int) -> State:
    """State of a replay ring after `written` rows in all: full segments, and the unfinished rest."""
    segments: dict[str, Segment] = {}
    tail: State | None = None
    rows = buffer.buffer_size
    for number in range(max(0, written - rows) // SEGMENT, -(-written // SEGMENT)):
        first = number * SEGMENT
        start = first % rows
        part = {name: getattr(buffer, name)[start : start + SEGMENT] for name in COLUMNS}
        if first + SEGMENT <= written:
            segments[str(number)] = Segment(f"sb3-replay-{number}", partial(dict, part))
        else:
            tail = {name: column[: written - first].copy() for name, column in part.items()}
    return {"segments": segments, "tail": tail}


def restore_replay(buffer: ReplayBuffer, state: State, written: int) -> None:
    """Restore a replay ring from `replay_state`."""
    rows = buffer.buffer_size
    parts = [(int(number), segment.read()) for number, segment in state["segments"].items()]
    if state["tail"] is not None:
        parts.append((written // SEGMENT, state["tail"]))
    for number, part in sorted(parts, key=lambda item: item[0]):
        start = number * SEGMENT % rows
        for name, array in part.items():
            getattr(buffer, name)[start : start + len(array)] = array
    buffer.pos, buffer.full = written % rows, written >= rows
