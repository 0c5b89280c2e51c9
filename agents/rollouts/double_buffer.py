"""Double-buffered sampling: rollouts of two halves of worlds, which act in turn in a fixed order.

    first: send | second: send | first: recv, send | second: recv, send | …

While the policy chooses for one half, the simulator steps the other (Petrenko et al. 2020, "Sample Factory").
The order never changes, and between two rollouts no step is in progress, so a resumed learner goes on
exactly. A learner draws its random numbers half by half, so its run differs from one with undivided worlds.
"""

from __future__ import annotations

from collections import deque
from typing import Any

import numpy as np
import torch
from torch import Tensor

from agents.networks.memory_format import join_batches
from agents.rollouts.rollout import Actor, Rollout, RolloutCollector, Step
from sim.double_buffer import DoubleBufferedWorlds
from sim.records import Array, Episode
from sim.vector import Info, Worlds


class DoubleBufferedCollector:
    """Collector of consecutive rollouts in `DoubleBufferedWorlds`; like `RolloutCollector`."""

    def __init__(
        self,
        actor: Actor,
        worlds: DoubleBufferedWorlds,
        start: tuple[Array, Info],
        memory: Tensor | None = None,
        **options: bool,
    ) -> None:
        """Begin where the worlds stand; see `RolloutCollector`."""
        count = worlds.halves[0].num_envs
        memories: list[Any] = [None, None] if memory is None else [memory[:count], memory[count:]]
        parts = zip(worlds.halves, worlds.split_start(start), memories, strict=True)
        self._halves = [RolloutCollector(actor, half, own, kept, **options) for half, own, kept in parts]

    @property
    def memory(self) -> Tensor | None:
        """(N, H) the recurrent state before the newest observations; None where the actor has none."""
        return self._joined([half.memory for half in self._halves])

    @torch.no_grad()
    def collect(self, num_steps: int) -> Rollout:
        """Play `num_steps` steps of all worlds; see `RolloutCollector`."""
        memory = self.memory
        steps: tuple[deque[Step], deque[Step]] = deque(), deque()
        episodes: list[Episode] = []
        for time in range(num_steps + 1):
            for half, own in zip(self._halves, steps, strict=True):
                if time > 0:
                    own.append(half.recv())
                    episodes += half.ended_episodes(own[-1].ended)
                if time < num_steps:
                    half.send()
        if memory is None and self.memory is not None:
            memory = torch.zeros_like(self.memory)
        last = torch.cat([half.last_value() for half in self._halves])
        # Each half's step is freed once it is joined, so that a rollout is in memory twice at most.
        joined = [join_steps(steps[0].popleft(), steps[1].popleft()) for _ in range(num_steps)]
        return self._halves[0].rollout(joined, episodes, memory, last)

    @staticmethod
    def _joined(memories: list[Tensor | None]) -> Tensor | None:
        known = [memory for memory in memories if memory is not None]
        return torch.cat(known) if known else None


def join_steps(first: Step, second: Step) -> Step:
    """Join the same step of both halves."""
    tensors = {name: join_batches([first.tensors[name], second.tensors[name]]) for name in first.tensors}
    told = zip(first.told, second.told, strict=True)
    return Step(tensors, tuple(np.concatenate(pair) for pair in told))


def rollout_collector(
    actor: Actor, worlds: Worlds, start: tuple[Array, Info], memory: Tensor | None = None, **options: bool
) -> RolloutCollector | DoubleBufferedCollector:
    """The collector that suits `worlds`; see `RolloutCollector`."""
    if isinstance(worlds, DoubleBufferedWorlds):
        return DoubleBufferedCollector(actor, worlds, start, memory, **options)
    return RolloutCollector(actor, worlds, start, memory, **options)
